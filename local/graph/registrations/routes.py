"""Graph's URLs as an administrator with a token of a person asks them: read, made once, changed, assigned."""

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.graph.directory.registered import GRAPH_APP_ID, Document, Registered
from local.graph.directory.tenants import App, FederatedCredential
from local.graph.entra.accounts import Account, find_account
from local.graph.http.errors import GraphError, bad_request, denied, no_such_segment, not_found
from local.graph.http.messages import VERSION, Answer, GraphRequest, json_answer
from local.graph.registrations import rules
from local.graph.service import Service

_KEY = r"(?:/(?P<id>[^/()]+)|\((?P<name>\w+)='(?P<value>[^']*)'\))"
_CREATE = "create-if-missing"


@dataclass(frozen=True, slots=True)
class Work:
    """One request, and what it is about."""

    service: Service
    request: GraphRequest
    account: Account
    registered: Registered

    @property
    def creates(self) -> bool:
        return self.request.headers.get("prefer", "").lower() == _CREATE

    def application(self, key: Sequence[str]) -> Document:
        found = self.registered.application(*key)
        if found is None:
            raise not_found(key[1])
        return found

    def principal(self, key: Sequence[str]) -> Document:
        found = self.registered.principal(*key)
        if found is None:
            raise not_found(key[1])
        return found


Handler = Callable[[Work, tuple[str, str]], Answer]


async def route(service: Service, request: GraphRequest) -> Answer:
    """Answer who is signed in as a person; what is not known here is refused."""
    account = find_account(service, request.caller.account)
    if account is None:
        raise denied()
    work = Work(service, request, account, service.registered_in(request.tenant.id))
    path = request.path.removeprefix(f"{VERSION}/")
    if (request.method, path) == ("GET", "me"):
        return json_answer({"id": account.object_id, "userPrincipalName": account.name})
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and request.method == method:
            key = ("id", found["id"]) if found["id"] else (found["name"], found["value"])
            return handler(work, key)
    raise no_such_segment(path)


def _get_application(work: Work, key: tuple[str, str]) -> Answer:
    rules.need_scope(work.request.caller, *rules.READ_APPLICATIONS)
    return json_answer(_selected(work, work.application(key)))


def _put_application(work: Work, key: tuple[str, str]) -> Answer:
    """Change an application, or make it where the request says so: application-upsert."""
    document, registered = work.request.json(), work.registered
    before = next((one for one in registered.applications.values() if one[key[0]] == key[1]), None)
    if before is None and work.creates and key[0] == "uniqueName":
        rules.need_to_register(work.request.caller, work.account, registered)
        rules.check_application(document, None)
        return json_answer(_make_application(work, key[1], document), 201)
    before = work.application(key)
    rules.need_to_change(work.request.caller, work.account, registered, before["id"])
    rules.check_application(document, before)
    _merge(before, document)
    _tell_registry(work, before)
    return Answer(204)


def _make_application(work: Work, unique_name: str, document: Document) -> Document:
    made: Document = {
        "id": str(uuid.uuid4()),
        "appId": str(uuid.uuid4()),
        "uniqueName": unique_name,
        "signInAudience": rules.AUDIENCES[0],
        "identifierUris": [],
        "appRoles": [],
        # Version 1 unless it is asked for: resources/apiapplication
        "api": {"requestedAccessTokenVersion": None, "oauth2PermissionScopes": []},
        "web": {"redirectUris": []},
        "requiredResourceAccess": [],
        "passwordCredentials": [],
    }
    _merge(made, document)
    work.registered.applications[made["id"]] = made
    work.registered.owners[made["id"]] = work.account.object_id
    work.registered.made(made["id"])
    _tell_registry(work, made)
    return made


def _get_principal(work: Work, key: tuple[str, str]) -> Answer:
    rules.need_scope(work.request.caller, *rules.READ_APPLICATIONS)
    return json_answer(_selected(work, work.principal(key)))


def _put_principal(work: Work, key: tuple[str, str]) -> Answer:
    """Change a service principal, or make it where the request says so: serviceprincipal-upsert."""
    document, registered = work.request.json(), work.registered
    before = next((one for one in registered.principals.values() if one[key[0]] == key[1]), None)
    if before is None and work.creates and key[0] == "appId":
        rules.need_to_register(work.request.caller, work.account, registered)
        return json_answer(_make_principal(work, key[1], document), 201)
    before = work.principal(key)
    rules.need_to_change(work.request.caller, work.account, registered, before["id"])
    _merge(before, document)
    return Answer(204)


def _make_principal(work: Work, app_id: str, document: Document) -> Document:
    registered = work.registered
    application = registered.application("appId", app_id)
    if application is None:
        raise bad_request(
            f"The appId '{app_id}' of the service principal does not reference a valid application "
            "object."
        )
    made = registered.add_principal(
        {
            "appId": app_id,
            "displayName": application["displayName"],
            "appRoles": application["appRoles"],
            **document,
        }
    )
    registered.owners[made["id"]] = work.account.object_id
    registered.made(made["id"])
    work.service.registry.apps[app_id].grants.setdefault(work.request.tenant.id, [])
    return made


def _list_federated(work: Work, key: tuple[str, str]) -> Answer:
    rules.need_scope(work.request.caller, *rules.READ_APPLICATIONS)
    application = work.application(key)
    return json_answer({"value": work.registered.federated.get(application["id"], [])})


def _add_federated(work: Work, key: tuple[str, str]) -> Answer:
    application, document = work.application(key), work.request.json()
    rules.need_to_change(work.request.caller, work.account, work.registered, application["id"])
    others = work.registered.federated.setdefault(application["id"], [])
    rules.check_federated(document, others)
    made = {"id": str(uuid.uuid4()), **document}
    others.append(made)
    _tell_registry(work, application)
    return json_answer(made, 201)


def _change_federated(work: Work, key: tuple[str, str]) -> Answer:
    """learn.microsoft.com/graph/api/federatedidentitycredential-update."""
    application, document = work.application(key), work.request.json()
    rules.need_to_change(work.request.caller, work.account, work.registered, application["id"])
    known = work.registered.federated.get(application["id"], [])
    credential_id = work.request.path.rpartition("/")[2]
    before = next((one for one in known if one["id"] == credential_id), None)
    if before is None:
        raise not_found(credential_id)
    changed = before | document
    rules.check_federated(changed, [one for one in known if one is not before])
    before.update(changed)
    _tell_registry(work, application)
    return Answer(204)


def _list_assigned(work: Work, key: tuple[str, str]) -> Answer:
    rules.need_scope(work.request.caller, *rules.READ_APPLICATIONS)
    resource = work.principal(key)
    found = [one for one in work.registered.assignments if one["resourceId"] == resource["id"]]
    return json_answer({"value": found})


def _assign(work: Work, key: tuple[str, str]) -> Answer:
    """Give a person or a program a role of a service principal: serviceprincipal-post-approleassignedto."""
    resource, document = work.principal(key), work.request.json()
    rules.need_to_assign(work.request.caller, work.account, work.registered, resource)
    wanted = tuple(str(document.get(name)) for name in _OF_ASSIGNMENT)
    if wanted[1] != resource["id"]:
        raise bad_request("Resource id in the body does not match the address.")
    kind = _kind(work, wanted[0])
    rules.check_role(resource, wanted[2], kind)
    if any(
        tuple(one[name] for name in _OF_ASSIGNMENT) == wanted for one in work.registered.assignments
    ):
        raise bad_request("Permission being assigned already exists on the object")
    made = {
        "id": uuid.uuid4().hex,
        "createdDateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "principalType": kind,
        **dict(zip(_OF_ASSIGNMENT, wanted, strict=True)),
    }
    work.registered.assignments.append(made)
    return json_answer(made, 201)


_OF_ASSIGNMENT = ("principalId", "resourceId", "appRoleId")


def _kind(work: Work, principal_id: str) -> str:
    if work.registered.principal("id", principal_id) is not None:
        return "ServicePrincipal"
    directory = work.request.tenant.directory
    if principal_id == work.account.object_id or directory.find(principal_id) is not None:
        return "User"
    raise not_found(principal_id)


def _selected(work: Work, document: Document) -> Document:
    names = work.request.query.get("$select")
    if not names:
        return document
    try:
        return {name: document[name] for name in names.split(",")}
    except KeyError as error:
        raise GraphError(400, "BadRequest", f"Could not find a property named {error}.") from error


def _merge(document: Document, changes: Document) -> None:
    """As PATCH does: an object inside is merged, a list is replaced."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            document[name] = document[name] | value
        else:
            document[name] = value


def _tell_registry(work: Work, application: Document) -> None:
    """Let the token endpoint and the consent page know it, so that what was registered can be used."""
    registry, registered = work.service.registry, work.registered
    app = registry.apps.setdefault(
        application["appId"],
        App(application["appId"], application["displayName"], work.request.tenant.id),
    )
    app.is_multi_tenant = application["signInAudience"] == "AzureADMultipleOrgs"
    app.redirect_uris = list(application["web"]["redirectUris"])
    app.required = _permissions(registered, application)
    for principal in registered.principals.values():
        if principal["appId"] == application["appId"]:
            principal["appRoles"] = application["appRoles"]
    keys = work.service.mint.identity_keys
    app.federated = [
        FederatedCredential(one["issuer"], one["subject"], one["audiences"][0], keys[-1])
        for one in registered.federated.get(application["id"], [])
        if keys
    ]


def _permissions(registered: Registered, application: Document) -> list[str]:
    graph: Any = registered.principal("appId", GRAPH_APP_ID)
    names = {role["id"]: role["value"] for role in graph["appRoles"]}
    return [
        names[access["id"]]
        for resource in application["requiredResourceAccess"]
        if resource["resourceAppId"] == GRAPH_APP_ID
        for access in resource["resourceAccess"]
    ]


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", rf"applications{_KEY}", _get_application),
    ("PATCH", rf"applications{_KEY}", _put_application),
    ("GET", rf"applications{_KEY}/federatedIdentityCredentials", _list_federated),
    ("POST", rf"applications{_KEY}/federatedIdentityCredentials", _add_federated),
    ("PATCH", rf"applications{_KEY}/federatedIdentityCredentials/[^/]+", _change_federated),
    ("GET", rf"servicePrincipals{_KEY}", _get_principal),
    ("PATCH", rf"servicePrincipals{_KEY}", _put_principal),
    ("GET", rf"servicePrincipals{_KEY}/appRoleAssignedTo", _list_assigned),
    ("POST", rf"servicePrincipals{_KEY}/appRoleAssignedTo", _assign),
)
