"""Who may register and assign, and what Entra refuses in a registration."""

from collections.abc import Iterable

from local.graph.directory.registered import GRAPH_APP_ID, Document, Registered
from local.graph.entra.accounts import (
    CLOUD_APPLICATION_ADMINISTRATOR,
    GLOBAL_ADMINISTRATOR,
    PRIVILEGED_ROLE_ADMINISTRATOR,
    Account,
)
from local.graph.http.access import Caller
from local.graph.http.errors import GraphError, bad_request, denied

WRITE_APPLICATIONS = "Application.ReadWrite.All"
READ_APPLICATIONS = frozenset(("Application.Read.All", WRITE_APPLICATIONS))
WRITE_ASSIGNMENTS = "AppRoleAssignment.ReadWrite.All"
ANY_APPLICATION = {GLOBAL_ADMINISTRATOR, CLOUD_APPLICATION_ADMINISTRATOR}
ANY_ASSIGNMENT = ANY_APPLICATION | {PRIVILEGED_ROLE_ADMINISTRATOR}
OF_GRAPH = {GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR}
AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs")
MAX_FEDERATED = 20


def need_scope(caller: Caller, *scopes: str) -> None:
    """Refuse a token that was not given for this."""
    if caller.scopes.isdisjoint(scopes):
        raise denied()


def need_to_register(caller: Caller, account: Account, registered: Registered) -> None:
    """learn.microsoft.com/graph/api/application-upsert: everybody, unless the tenant says otherwise."""
    need_scope(caller, WRITE_APPLICATIONS)
    if not registered.users_may_register and account.role not in ANY_APPLICATION:
        raise denied()


def need_to_change(
    caller: Caller, account: Account, registered: Registered, object_id: str
) -> None:
    """learn.microsoft.com/graph/api/application-update: owners, and administrators of applications."""
    need_scope(caller, WRITE_APPLICATIONS)
    is_owner = registered.owners.get(object_id) == account.object_id
    if not is_owner and account.role not in ANY_APPLICATION:
        raise denied()


def need_to_assign(
    caller: Caller, account: Account, registered: Registered, resource: Document
) -> None:
    """Application administrators may grant anything but the permissions of Graph; owners, their own roles.

    learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto and
    learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
    """
    need_scope(caller, WRITE_ASSIGNMENTS)
    if resource["appId"] == GRAPH_APP_ID:
        allowed = account.role in OF_GRAPH
    else:
        is_owner = registered.owners.get(resource["id"]) == account.object_id
        allowed = is_owner or account.role in ANY_ASSIGNMENT
    if not allowed:
        raise denied()


def check_application(document: Document, before: Document | None) -> None:
    """Refuse what a registration may not say; `before` is what it said."""
    if before is None and not document.get("displayName"):
        raise bad_request(
            "A value is required for property 'displayName' of resource 'Application'."
        )
    if "passwordCredentials" in document:
        # learn.microsoft.com/graph/api/application-upsert, "Important"
        raise bad_request("Setting passwordCredential by PATCH is not supported.")
    if document.get("signInAudience", AUDIENCES[0]) not in AUDIENCES:
        raise bad_request("Invalid value specified for property 'signInAudience'.")
    _check_entitlements(document, before or {})
    _check_identifiers(document, before)
    _check_clients(document, before or {})


def _check_entitlements(document: Document, before: Document) -> None:
    given, old = _entitlements(document), _entitlements(before)
    values = [one["value"] for one in given]
    if len(set(values)) != len(values):
        raise bad_request("Property value contains duplicate entries of roles or scopes.")
    if "appRoles" not in document and "oauth2PermissionScopes" not in document.get("api", {}):
        return
    # Entra's code for it; github.com/Azure/azure-cli/issues/7283 tells the message.
    if any(one["isEnabled"] and one not in given for one in old if _is_replaced(one, document)):
        raise GraphError(
            400,
            "CannotDeleteOrUpdateEnabledEntitlement",
            "Permission (scope or role) cannot be deleted or updated unless disabled first.",
        )


def _is_replaced(one: Document, document: Document) -> bool:
    is_role = "allowedMemberTypes" in one
    return (
        "appRoles" in document if is_role else "oauth2PermissionScopes" in document.get("api", {})
    )


def _entitlements(document: Document) -> list[Document]:
    scopes = document.get("api", {}).get("oauth2PermissionScopes", [])
    return [*document.get("appRoles", []), *scopes]


def _check_identifiers(document: Document, before: Document | None) -> None:
    wanted: Iterable[str] = document.get("identifierUris", ())
    own = f"api://{(before or {}).get('appId')}"
    if any(uri != own and not uri.startswith(f"{own}/") for uri in wanted):
        raise GraphError(
            400,
            "HostNameNotOnVerifiedDomain",
            "Values of identifierUris property must use a verified domain of the organization or its "
            "subdomain.",
        )


def _check_clients(document: Document, before: Document) -> None:
    """A client can be authorized in advance only for a scope that is there already."""
    clients = document.get("api", {}).get("preAuthorizedApplications", [])
    known = {one["id"] for one in before.get("api", {}).get("oauth2PermissionScopes", [])}
    asked = {one for client in clients for one in client["delegatedPermissionIds"]}
    if asked - known:
        raise bad_request(
            "Property PreAuthorizedApplication references applications "
            f"{sorted(asked - known)} that cannot be found."
        )


def check_federated(document: Document, others: list[Document]) -> None:
    """learn.microsoft.com/graph/api/resources/federatedidentitycredentials-overview."""
    for name in ("name", "issuer", "subject", "audiences"):
        if not document.get(name):
            raise bad_request(
                f"A value is required for property '{name}' of resource 'FederatedIdentityCredential'."
            )
    if len(document["audiences"]) != 1:
        raise bad_request("Only one audience is supported.")
    if len(others) >= MAX_FEDERATED:
        raise bad_request(f"At most {MAX_FEDERATED} federated identity credentials are allowed.")
    if any(
        one["name"] == document["name"]
        or (one["issuer"], one["subject"]) == (document["issuer"], document["subject"])
        for one in others
    ):
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "FederatedIdentityCredential with this name, or with this issuer and subject, already exists.",
        )


def check_role(resource: Document, role_id: str, principal_kind: str) -> None:
    member = "User" if principal_kind in ("User", "Group") else "Application"
    for role in resource["appRoles"]:
        if role["id"] == role_id and member in role["allowedMemberTypes"]:
            return
    raise bad_request("Permission entry with the given id was not found on the resource.")
