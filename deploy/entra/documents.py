"""What a registration has to say, and what of it is missing in one that is there. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
GRAPH = "00000003-0000-0000-c000-000000000000"
# The same in every tenant, so that a registration that is made anew has those that programs know.
SCOPE_ID = "5a1d1f6e-6f0a-4a67-9b0b-9f2b9d5f2c10"
ADMIN_ROLE_ID = "3c6f0a52-0f0e-4f0f-8d55-4f6a2f8f7a21"
READER_ROLE_ID = "b8e8a1c4-2d7b-4e0c-9a53-7d1c6e5b9f32"
ADMIN, READER = "Sync.Admin", "Sync.Reader"
# learn.microsoft.com/azure/app-service/configure-authentication-provider-aad
SIGNED_IN = "/.auth/login/aad/callback"
CONSENTED = "/api/consent/callback"
IDENTITY = "usersync-identity"
# What every connection needs; docs/connect.md tells who needs more.
PERMISSIONS = ("User.Read.All", "GroupMember.Read.All")


def api(name: str, url: str) -> Document:
    """Return the registration of the API as it is made, for one tenant and version 2 of tokens."""
    return {
        "displayName": f"Entra User Sync ({name})",
        "signInAudience": "AzureADMyOrg",
        "api": {
            # Without it tokens have an issuer that App Service authentication is not told of.
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [_scope()],
        },
        "appRoles": [
            _role(ADMIN_ROLE_ID, ADMIN, "Administrator", "Changes connections and approves."),
            _role(READER_ROLE_ID, READER, "Reader", "Sees connections, people and runs."),
        ],
        "web": {
            "redirectUris": [url + SIGNED_IN],
            # App Service signs people in by a code and an ID token together.
            "implicitGrantSettings": {"enableIdTokenIssuance": True},
        },
    }


def completed(app_id: str, scope_id: str) -> Document:
    """Return what can be said only when the application and its scope are there."""
    clients = [{"appId": AZURE_CLI, "delegatedPermissionIds": [scope_id]}]
    return {"identifierUris": [f"api://{app_id}"], "api": {"preAuthorizedApplications": clients}}


def reader(name: str, url: str, permissions: Mapping[str, str]) -> Document:
    """Return the registration that other tenants consent to; `permissions` are ids by name."""
    return {
        "displayName": f"Entra User Sync, reading ({name})",
        "signInAudience": "AzureADMultipleOrgs",
        "web": {"redirectUris": [url + CONSENTED]},
        "requiredResourceAccess": [
            {
                "resourceAppId": GRAPH,
                "resourceAccess": [{"id": one, "type": "Role"} for one in permissions.values()],
            }
        ],
    }


def federated(tenant_id: str, principal_id: str, login_url: str, audience: str) -> Document:
    """Return the trust in the app's managed identity, in the place of a secret.

    learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
    """
    return {
        "name": IDENTITY,
        "issuer": f"{login_url}/{tenant_id}/v2.0",
        "subject": principal_id,
        "audiences": [audience],
        "description": "The managed identity of the function app",
    }


def missing(found: Document, wanted: Document) -> Document:
    """Return what to send so that a registration says what is wanted, and keeps what it says beside.

    Graph merges an object inside and replaces a list, so a list is sent whole and nothing else is repeated.
    """
    changes: Document = {}
    for name, value in wanted.items():
        before = found.get(name)
        if isinstance(value, dict):
            inner = missing(before or {}, value)
            if inner:
                changes[name] = inner
        elif isinstance(value, list):
            added = _added(before or [], value)
            if added:
                changes[name] = [*_without(before or [], added), *added]
        elif before != value and name != "displayName":
            changes[name] = value
    return changes


def merged(found: Document, changes: Document) -> Document:
    """Return a registration after a change, as Graph makes it: objects inside are merged, lists replaced."""
    inner = {
        name: merged(found.get(name) or {}, value)
        for name, value in changes.items()
        if isinstance(value, dict)
    }
    return {**found, **changes, **inner}


def role_id(application: Document, value: str) -> str:
    """Return the id of an app role, which is another one in a registration that was made by hand."""
    return str(next(one["id"] for one in application["appRoles"] if one["value"] == value))


def scope_id(application: Document) -> str:
    """Return the id of the scope `user_impersonation`."""
    scopes = application["api"]["oauth2PermissionScopes"]
    return str(next(one["id"] for one in scopes if one["value"] == "user_impersonation"))


def _added(before: list[Any], wanted: list[Any]) -> list[Any]:
    return [one for one in (_lacking(before, one) for one in wanted) if one is not None]


def _lacking(before: Iterable[Any], wanted: Any) -> Any:
    """Return what of an entry is not there: nothing of a role or scope whose value is known."""
    if not isinstance(wanted, dict):
        return None if wanted in before else wanted
    if "value" in wanted:
        # Enabled ones may not be changed: CannotDeleteOrUpdateEnabledEntitlement.
        return None if wanted["value"] in {one.get("value") for one in before} else wanted
    same = next((one for one in before if _key(one) == _key(wanted)), None)
    if same is None:
        return wanted
    inside = next(name for name, value in wanted.items() if isinstance(value, list))
    added = [one for one in wanted[inside] if one not in same.get(inside, [])]
    return {**same, inside: [*same.get(inside, []), *added]} if added else None


def _without(before: list[Any], replaced: list[Any]) -> list[Any]:
    keys = [_key(one) for one in replaced if isinstance(one, dict)]
    return [one for one in before if not isinstance(one, dict) or _key(one) not in keys]


def _key(entry: Document) -> Any:
    """Return what tells entries of one list from each other."""
    return entry.get("appId") or entry.get("resourceAppId") or entry.get("id")


def _scope() -> Document:
    return {
        "id": SCOPE_ID,
        "value": "user_impersonation",
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Use Entra User Sync",
        "adminConsentDescription": "Call the API as the signed-in person, with that person's app roles.",
        "userConsentDisplayName": "Use Entra User Sync",
        "userConsentDescription": "Call the API as you, with your app roles.",
    }


def _role(role: str, value: str, name: str, description: str) -> Document:
    return {
        "id": role,
        "value": value,
        "displayName": name,
        "description": description,
        "allowedMemberTypes": ["User", "Application"],
        "isEnabled": True,
    }
