"""Graph's refusals: a status, a code and a message in, Graph's error body out."""

from datetime import UTC, datetime

import orjson


class GraphError(Exception):
    """Answered to the caller as Graph would."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)


def unsupported_query(message: str) -> GraphError:
    return GraphError(400, "Request_UnsupportedQuery", message)


def needs_advanced(what: str) -> GraphError:
    # The sentence of concepts/aad-advanced-queries, "Error handling".
    return unsupported_query(
        f"{what} is not supported because the required parameters might be missing. Try adding "
        "$count=true query parameter and ConsistencyLevel:eventual header. Refer to "
        "https://aka.ms/graph-docs/advanced-queries for more information"
    )


def unsupported_filter(name: str, resource: str) -> GraphError:
    return unsupported_query(
        "Unsupported or invalid query filter clause specified for property "
        f"'{name}' of resource '{resource}'."
    )


def no_such_segment(segment: str) -> GraphError:
    return GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def not_found(object_id: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{object_id}' does not exist or one of its queried reference-property objects "
        "are not present.",
    )


def denied() -> GraphError:
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )


def permission_missing(permission: str) -> GraphError:
    """As told in github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2731."""
    return GraphError(
        403,
        "Authentication_MSGraphPermissionMissing",
        f"Calling principal does not have required MSGraph permissions {permission}",
    )


def no_premium_licence() -> GraphError:
    """The sentence says the opposite of what it means: microsoft-graph-docs/issues/12772."""
    return GraphError(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    )


def no_advanced_queries() -> GraphError:
    """What a tenant of Azure AD B2C answers with the header and $count: microsoft-graph-docs/issues/9856."""
    return bad_request("This request is not supported by the service")


def error_body(code: str, message: str, request_id: str, client_request_id: str) -> bytes:
    return orjson.dumps(
        {
            "error": {
                "code": code,
                "message": message,
                "innerError": {
                    "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                    "request-id": request_id,
                    "client-request-id": client_request_id,
                },
            }
        }
    )
