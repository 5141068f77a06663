"""Entra's refusals at the token endpoint: a code and its parts in, the status and body out."""

import uuid
from datetime import UTC, datetime

from local.graph.faults.token_errors import WITHOUT_CAUSE


class TokenError(Exception):
    """Answered to the client as Entra would: the AADSTS number, the OAuth error and a text."""

    def __init__(self, code: int, error: str, text: str, status: int = 400) -> None:
        super().__init__(f"AADSTS{code}: {text}")
        self.code = code
        self.error = error
        self.text = text
        self.status = status

    def body(self, correlation_id: str | None) -> dict[str, object]:
        trace_id = str(uuid.uuid4())
        correlation_id = correlation_id or str(uuid.uuid4())
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return {
            "error": self.error,
            "error_description": (
                f"AADSTS{self.code}: {self.text} Trace ID: {trace_id} "
                f"Correlation ID: {correlation_id} Timestamp: {now}"
            ),
            "error_codes": [self.code],
            "timestamp": now,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }


def invalid_client(code: int, text: str) -> TokenError:
    return TokenError(code, "invalid_client", text, 401)


def missing(parameter: str) -> TokenError:
    return TokenError(
        900144,
        "invalid_request",
        f"The request body must contain the following parameter: '{parameter}'.",
    )


def malformed_tenant(tenant: str) -> TokenError:
    return TokenError(
        900023,
        "invalid_request",
        f"Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid "
        "external domain.",
    )


def unknown_tenant(tenant: str) -> TokenError:
    return TokenError(
        90002,
        "invalid_tenant",
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud. Check with your subscription administrator, this may "
        "happen if there are no active subscriptions for the tenant.",
    )


def other_cloud(tenant: str) -> TokenError:
    return TokenError(
        90038,
        "invalid_request",
        f"Tenant '{tenant}' request is being redirected to the National Cloud "
        "'MicrosoftOnline.US'.",
    )


def cross_cloud_client() -> TokenError:
    return without_cause(900432)


def unknown_app(app_id: str, tenant: str) -> TokenError:
    return TokenError(
        700016,
        "unauthorized_client",
        f"Application with identifier '{app_id}' was not found in the directory '{tenant}'. This "
        "can happen if the application has not been installed by the administrator of the tenant "
        "or consented to by any user in the tenant. You may have sent your authentication "
        "request to the wrong tenant.",
    )


def disabled_app(app_id: str, name: str) -> TokenError:
    return TokenError(
        7000112, "unauthorized_client", f"Application '{app_id}'({name}) is disabled."
    )


def wrong_secret(app_id: str) -> TokenError:
    return invalid_client(
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        f"client secret value, not the client secret ID, for a secret added to app '{app_id}'.",
    )


def expired_secret(app_id: str) -> TokenError:
    return invalid_client(
        7000222,
        f"The provided client secret keys for app '{app_id}' are expired. Visit the Azure portal "
        "to create new keys for your app: https://aka.ms/NewClientSecret, or consider using "
        "certificate credentials for added security: https://aka.ms/certCreds.",
    )


def no_credential() -> TokenError:
    return invalid_client(
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or "
        "'client_secret'.",
    )


def not_default_scope(scope: str) -> TokenError:
    return TokenError(
        1002012,
        "invalid_scope",
        f"The provided value for scope {scope} is not valid. Client credential flows must have a "
        "scope value with /.default suffixed to the resource identifier (application ID URI).",
    )


def malformed_scope(scope: str) -> TokenError:
    return TokenError(
        70011,
        "invalid_scope",
        "The provided request must include a 'scope' input parameter. The provided value for the "
        f"input parameter 'scope' is not valid. The scope {scope} is not valid.",
    )


def unknown_resource(resource: str, tenant: str) -> TokenError:
    return TokenError(
        500011,
        "invalid_resource",
        f"The resource principal named {resource} was not found in the tenant named {tenant}. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant.",
    )


def single_tenant_app(app_id: str, name: str) -> TokenError:
    return TokenError(
        50194,
        "invalid_request",
        f"Application '{app_id}'({name}) is not configured as a multi-tenant application. Use a "
        "tenant-specific endpoint or configure the application to be multi-tenant.",
    )


def unknown_redirect(address: str, app_id: str) -> TokenError:
    return TokenError(
        50011,
        "invalid_request",
        f"The redirect URI '{address}' specified in the request does not match the redirect URIs "
        f"configured for the application '{app_id}'. Make sure the redirect URI sent in the "
        "request matches one added to your application in the Azure portal.",
    )


def account_of_another_tenant(account: str, tenant: str, app_id: str) -> TokenError:
    """Its `error` as seen: github.com/MicrosoftDocs/azure-docs/issues/114009."""
    return TokenError(
        50020,
        "access_denied",
        f"User account '{account}' does not exist in tenant '{tenant}' and cannot access the "
        f"application '{app_id}' in that tenant. The account needs to be added as an external "
        "user in the tenant first. Sign out and sign in again with a different account.",
    )


def admin_needed(name: str) -> TokenError:
    """learn.microsoft.com/entra/identity/enterpriseApps/application-sign-in-unexpected-user-consent-error."""
    return TokenError(
        90094,
        "access_denied",
        f"{name} needs permission to access resources in your organization that only an admin can "
        "grant. Ask an admin to grant permission to this app before you can use it.",
    )


def consent_declined() -> TokenError:
    return TokenError(
        65004,
        "consent_required",
        "The resource owner or authorization server denied the request.",
    )


def unsupported_response(response_type: str) -> TokenError:
    return TokenError(
        700054,
        "unsupported_response_type",
        f"response_type '{response_type}' is not enabled for the application.",
    )


def code_malformed() -> TokenError:
    return TokenError(
        9002313, "invalid_grant", "Invalid request. Request is malformed or invalid: 'code'."
    )


def code_of_another() -> TokenError:
    return TokenError(
        70000,
        "invalid_grant",
        "The provided authorization code or refresh token is not valid for this application, tenant "
        "or redirect URI.",
    )


def code_redeemed() -> TokenError:
    """github.com/AzureAD/microsoft-identity-web/issues/2328."""
    return TokenError(
        54005,
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an "
        "existing refresh token.",
    )


def code_expired() -> TokenError:
    return TokenError(
        70008,
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity.",
    )


def verifier_mismatch() -> TokenError:
    """github.com/AzureAD/microsoft-authentication-library-for-js/issues/2694."""
    return TokenError(
        501481,
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    )


def transient() -> TokenError:
    return TokenError(
        90033,
        "temporarily_unavailable",
        "A transient error has occurred. Please try again.",
        503,
    )


def without_cause(code: int) -> TokenError:
    error, status, text = WITHOUT_CAUSE[code]
    return TokenError(code, error, text, status)
