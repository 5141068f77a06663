"""What Entra can say and nothing here brings about: asked for with the fault tokenError.

Texts and numbers are those of learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

WITHOUT_CAUSE: dict[int, tuple[str, int, str]] = {
    65001: (
        "invalid_grant",
        400,
        "The user or administrator has not consented to use the application.",
    ),
    70001: ("unauthorized_client", 400, "The application is disabled."),
    700011: (
        "unauthorized_client",
        400,
        "The application was not found in the directory or tenant.",
    ),
    7000229: (
        "invalid_client",
        401,
        "The client application is missing service principal in the tenant.",
    ),
    900382: (
        "invalid_request",
        400,
        "Confidential Client is not supported in Cross Cloud request.",
    ),
    900432: (
        "invalid_request",
        400,
        "Confidential Client is not supported in Cross Cloud request.",
    ),
    900439: ("invalid_request", 400, "USGClientNotSupportedOnPublicEndpoint."),
    # Not on the page; its name is told in write-ups of support cases only.
    900440: ("invalid_request", 400, "PublicTenantNotSupportedOnUSGovEndpoint."),
    7000218: (
        "invalid_client",
        401,
        "The request body must contain 'client_assertion' or 'client_secret'.",
    ),
    900144: (
        "invalid_request",
        400,
        "The request body must contain the following parameter: 'grant_type'.",
    ),
    700021: (
        "invalid_client",
        401,
        "Client assertion application identifier doesn't match 'client_id' parameter.",
    ),
    700023: (
        "invalid_client",
        401,
        "Client assertion audience claim does not match Realm issuer.",
    ),
    700024: ("invalid_client", 401, "Client assertion is not within its valid time range."),
    50027: ("invalid_request", 400, "JWT token is invalid or malformed."),
    70021: (
        "invalid_request",
        400,
        "No matching federated identity record found for presented assertion.",
    ),
    700222: (
        "invalid_client",
        401,
        "AAD-issued tokens may not be used for federated identity flows.",
    ),
    90006: ("temporarily_unavailable", 503, "The service is temporarily unavailable."),
    90012: ("temporarily_unavailable", 503, "The request has timed out."),
    90024: ("temporarily_unavailable", 503, "A transient error has occurred. Please try again."),
    90055: ("temporarily_unavailable", 400, "The server is terminating the request: too many."),
    90090: ("temporarily_unavailable", 400, "The client should retry the request."),
    53003: ("access_denied", 400, "Access has been blocked by Conditional Access policies."),
}
