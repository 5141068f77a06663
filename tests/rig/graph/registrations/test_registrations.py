"""What administrators register with a token of a person, and what Entra refuses in it."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.graph.directory.registered import GRAPH_APP_ID, GRAPH_ROLES
from local.sample import SAMPLE_TENANT_ID
from tests.rig.graph.conftest import Application

EMPLOYEE, APP_ADMIN = "employee@contoso.com", "app-admin@contoso.com"
ADMIN = "admin@contoso.com"
ROLE = {
    "id": str(uuid.UUID(int=1)),
    "value": "A",
    "isEnabled": True,
    "allowedMemberTypes": ["User"],
}
SCOPE = {"id": str(uuid.UUID(int=2)), "value": "s", "isEnabled": True, "type": "User"}
WHOLE = {
    "displayName": "Ours",
    "appRoles": [ROLE],
    "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [SCOPE]},
}
TRUST = {"name": "identity", "issuer": "https://i", "subject": "s", "audiences": ["api://x"]}
NAMED = "/applications(uniqueName='ours')"
CREATE = {"Prefer": "create-if-missing"}

As = Callable[..., httpx.Response]


@pytest.fixture
def ask(application: Application) -> As:
    """Ask as the Azure CLI does for somebody."""

    def asked(method: str, path: str, body: Any = None, **changes: Any) -> httpx.Response:
        account, scopes = changes.pop("account", EMPLOYEE), changes.pop("scopes", None)
        control = application.emulator.control
        application.token = control.administrator_token(account, scopes=scopes)
        return application.ask(path, method=method, json=body, **changes)

    return asked


@pytest.fixture
def made(ask: As) -> dict[str, Any]:
    """A registration with its enterprise application, of an employee."""
    document: dict[str, Any] = ask("PATCH", NAMED, WHOLE, **CREATE).json()
    principal = ask("PATCH", f"/servicePrincipals(appId='{document['appId']}')", {}, **CREATE)
    return document | {"principal": principal.json()["id"]}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"] if answer.content else ""


def test_a_registration_is_made_once_and_then_changed(ask: As) -> None:
    """learn.microsoft.com/graph/api/application-upsert: 404 without the header, 201, then 204."""
    without = ask("PATCH", NAMED, WHOLE)
    first, second = (ask("PATCH", NAMED, WHOLE, **CREATE) for _ in range(2))

    assert code(without) == (404, "Request_ResourceNotFound")
    assert (first.status_code, second.status_code) == (201, 204)
    assert first.json()["uniqueName"] == "ours"
    assert ask("GET", NAMED).json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({**WHOLE, "displayName": ""}, id="no name"),
        pytest.param({**WHOLE, "signInAudience": "Everybody"}, id="an audience that there is not"),
        pytest.param({**WHOLE, "passwordCredentials": [{}]}, id="a secret"),
        pytest.param({**WHOLE, "appRoles": [ROLE, {**ROLE, "id": "x"}]}, id="a value twice"),
        pytest.param({**WHOLE, "identifierUris": ["https://contoso.example"]}, id="a domain of others"),
        pytest.param(
            {"displayName": "x", "api": {"preAuthorizedApplications": [
                {"appId": "y", "delegatedPermissionIds": [SCOPE["id"]]}]}},
            id="a client before its scope",
        ),
    ],
)  # fmt: skip
def test_a_registration_that_makes_no_sense_is_refused(ask: As, wrong: dict[str, Any]) -> None:
    assert ask("PATCH", NAMED, wrong, **CREATE).status_code == 400


def test_an_enabled_role_is_neither_changed_nor_removed(ask: As, made: dict[str, Any]) -> None:
    removed = ask("PATCH", NAMED, {"appRoles": []})
    changed = ask("PATCH", NAMED, {"appRoles": [{**ROLE, "value": "B"}]})

    assert code(removed) == code(changed) == (400, "CannotDeleteOrUpdateEnabledEntitlement")
    assert ask("PATCH", NAMED, {"appRoles": [ROLE, {**ROLE, "id": "2", "value": "B"}]}).is_success


def test_a_change_merges_objects_and_replaces_lists(ask: As, made: dict[str, Any]) -> None:
    client = {"appId": "c", "delegatedPermissionIds": [SCOPE["id"]]}
    ask("PATCH", NAMED, {"api": {"preAuthorizedApplications": [client]}})

    api = ask("GET", NAMED).json()["api"]
    assert (api["requestedAccessTokenVersion"], api["oauth2PermissionScopes"]) == (2, [SCOPE])
    assert api["preAuthorizedApplications"] == [client]


def test_a_service_principal_needs_its_application(ask: As) -> None:
    answer = ask("PATCH", f"/servicePrincipals(appId='{uuid.uuid4()}')", {}, **CREATE)

    assert code(answer) == (400, "Request_BadRequest")
    assert "does not reference a valid application object" in answer.text


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"name": "other", "subject": "other"}, 201, id="another one"),
        pytest.param({"name": "other"}, 409, id="the same issuer and subject"),
        pytest.param({"subject": "other"}, 409, id="the same name"),
        pytest.param({"audiences": ["a", "b"]}, 400, id="two audiences"),
        pytest.param({"issuer": ""}, 400, id="no issuer"),
    ],
)
def test_federated_credentials(
    ask: As, made: dict[str, Any], changes: dict[str, Any], status: int
) -> None:
    path = f"/applications/{made['id']}/federatedIdentityCredentials"
    first = ask("POST", path, TRUST)

    assert first.status_code == 201
    assert ask("POST", path, {**TRUST, **changes}).status_code == status


def test_a_federated_credential_is_changed_in_its_place(ask: As, made: dict[str, Any]) -> None:
    path = f"/applications/{made['id']}/federatedIdentityCredentials"
    first = ask("POST", path, TRUST).json()
    second = ask("POST", path, {**TRUST, "name": "other", "subject": "other"}).json()

    changed = ask("PATCH", f"{path}/{first['id']}", {"subject": "a new one"})
    doubled = ask("PATCH", f"{path}/{second['id']}", {"subject": "a new one"})

    assert (changed.status_code, doubled.status_code) == (204, 409)
    assert [one["subject"] for one in ask("GET", path).json()["value"]] == ["a new one", "other"]
    assert ask("PATCH", f"{path}/nowhere", {}).status_code == 404


def test_more_than_twenty_federated_credentials_are_refused(ask: As, made: dict[str, Any]) -> None:
    path = f"/applications/{made['id']}/federatedIdentityCredentials"
    answers = [ask("POST", path, {**TRUST, "name": f"{n}", "subject": f"{n}"}) for n in range(21)]

    assert [one.status_code for one in answers] == [201] * 20 + [400]


def assignment(
    ask: As, made: dict[str, Any], account: str = EMPLOYEE, **changes: str
) -> httpx.Response:
    me = ask("GET", "/me", account=account).json()["id"]
    wanted = {
        "principalId": me,
        "resourceId": made["principal"],
        "appRoleId": ROLE["id"],
        **changes,
    }
    path = f"/servicePrincipals/{wanted['resourceId']}/appRoleAssignedTo"
    return ask("POST", path, wanted, account=account)


def test_a_role_is_assigned_once(ask: As, made: dict[str, Any]) -> None:
    first, second = assignment(ask, made), assignment(ask, made)

    assert (first.status_code, second.status_code) == (201, 400)
    assert "already exists" in second.json()["error"]["message"]
    assert first.json()["principalType"] == "User"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"appRoleId": str(uuid.UUID(int=9))}, 400, id="a role that there is not"),
        pytest.param({"principalId": str(uuid.UUID(int=9))}, 404, id="nobody"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(
    ask: As, made: dict[str, Any], changes: dict[str, str], status: int
) -> None:
    assert assignment(ask, made, **changes).status_code == status


@pytest.mark.parametrize(
    ("account", "status"),
    [(EMPLOYEE, 403), (APP_ADMIN, 403), ("role-admin@contoso.com", 201), (ADMIN, 201)],
)
def test_permissions_of_graph_are_granted_by_two_roles_only(
    ask: As, made: dict[str, Any], account: str, status: int
) -> None:
    """Application administrators grant everything but these."""
    graph = ask("GET", f"/servicePrincipals(appId='{GRAPH_APP_ID}')").json()["id"]

    answer = assignment(
        ask,
        made,
        account,
        principalId=made["principal"],
        resourceId=graph,
        appRoleId=GRAPH_ROLES["User.Read.All"],
    )

    assert answer.status_code == status


def test_only_owners_and_administrators_change_what_is_there(ask: As, made: dict[str, Any]) -> None:
    by_owner = ask("PATCH", NAMED, {"web": {"redirectUris": ["https://x"]}})
    theirs = ask("PATCH", "/applications(uniqueName='t')", WHOLE, account=ADMIN, **CREATE).json()
    by_stranger = ask("PATCH", f"/applications/{theirs['id']}", {"web": {}})
    by_administrator = ask("PATCH", NAMED, {"web": {}}, account=APP_ADMIN)

    assert by_owner.status_code == by_administrator.status_code == 204
    assert code(by_stranger) == (403, "Authorization_RequestDenied")


def test_a_tenant_may_let_administrators_register_only(ask: As, application: Application) -> None:
    application.emulator.control.set_registering(users_may=False)

    assert ask("PATCH", NAMED, WHOLE, **CREATE).status_code == 403
    assert ask("PATCH", NAMED, WHOLE, account=APP_ADMIN, **CREATE).status_code == 201


@pytest.mark.parametrize("scopes", [[], ["User.Read.All"], ["Application.Read.All"]])
def test_a_token_for_something_else_writes_nothing(ask: As, scopes: list[str]) -> None:
    answer = ask("PATCH", NAMED, WHOLE, account=ADMIN, scopes=scopes, **CREATE)

    assert code(answer) == (403, "Authorization_RequestDenied")


def test_what_is_new_is_not_everywhere_at_once(ask: As, application: Application) -> None:
    application.emulator.control.set_registering(lag_requests=2)
    made = ask("PATCH", NAMED, WHOLE, **CREATE).json()

    found = [ask("GET", f"/applications/{made['id']}").status_code for _ in range(3)]
    assert found == [404, 404, 200]


@pytest.mark.parametrize("roles", [[], ["Application.ReadWrite.All", "Directory.ReadWrite.All"]])
def test_no_application_writes_whatever_it_may(application: Application, roles: list[str]) -> None:
    """The product has such a token: it cannot register or assign anything."""
    application.emulator.control.set_roles(roles)
    application.sign_in()

    answers = [
        application.ask(NAMED, method="PATCH", json=WHOLE, **CREATE),
        application.ask("/applications", method="POST", json=WHOLE),
        application.ask(f"/servicePrincipals(appId='{uuid.uuid4()}')", method="PATCH", json={}),
    ]

    assert all(one.status_code in (400, 404, 405) for one in answers)
    registered = application.emulator.control.registered(tenant=SAMPLE_TENANT_ID)
    assert registered["applications"] == []
