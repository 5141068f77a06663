"""The control interface over HTTP: what somebody at a terminal does with curl."""

from typing import Any

import httpx
import pytest

from local.sample import (
    COST_CENTER,
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    sample_group_id,
)
from tests.rig.graph.conftest import Application

SALES = sample_group_id(4)


@pytest.fixture
def control(application: Application) -> "Control":
    return Control(application)


class Control:
    def __init__(self, application: Application) -> None:
        self.base = f"{application.emulator.graph_url}/_control"
        self.http = application.http

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, self.base + path, json=body)

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_people_can_be_searched_without_signing_in(control: Control) -> None:
    everybody = control.get("/people?top=999")
    name = everybody[0]["displayName"]

    found = control.get(f"/people?search={name.upper()}")

    assert len(everybody) == 50
    assert everybody[0] in found
    assert len(control.get("/people?top=7&skip=48")) == 2


def test_a_person_is_changed_and_graph_tells_it(application: Application, control: Control) -> None:
    person = control.get("/people?top=1")[0]["id"]

    changed = control.send(
        "PATCH", f"/people/{person}", {"department": "Moon", "jobTitle": None, COST_CENTER: "CC-7"}
    )

    seen = application.ask(f"/users/{person}?$select=department,jobTitle,{COST_CENTER}").json()
    assert changed.json()["department"] == "Moon"
    assert seen["department"] == "Moon"
    assert seen["jobTitle"] is None
    assert seen[COST_CENTER] == "CC-7"


def test_a_new_principal_name_replaces_the_old_one(
    application: Application, control: Control
) -> None:
    person = control.get("/people?top=1")[0]
    control.send("PATCH", f"/people/{person['id']}", {"userPrincipalName": "neu@contoso.com"})

    assert application.ask("/users/neu@contoso.com").status_code == 200
    assert application.ask(f"/users/{person['userPrincipalName']}").status_code == 404


def test_a_person_is_created_deleted_restored_and_deleted_for_good(
    application: Application, control: Control
) -> None:
    created = control.send("POST", "/people", {"displayName": "Ada Neu"}).json()
    path = f"/people/{created['id']}"
    statuses = [application.ask(f"/users/{created['id']}").status_code]
    for method, step in [
        ("DELETE", path),
        ("POST", f"{path}/restore"),
        ("DELETE", f"{path}?permanent=true"),
    ]:
        assert control.send(method, step).status_code == 200
        statuses.append(application.ask(f"/users/{created['id']}").status_code)

    assert statuses == [200, 404, 200, 404]
    assert control.send("GET", path).status_code == 404


def test_a_created_person_is_listed_and_counted(application: Application, control: Control) -> None:
    created = control.send("POST", "/people", {"displayName": "Ada Neu"}).json()

    assert created["id"] in {user["id"] for user in application.items("/users?$select=id&$top=20")}
    assert application.eventual("/users/$count").text == "51"


def test_a_principal_name_is_given_once(control: Control) -> None:
    taken = control.get("/people?top=1")[0]["userPrincipalName"]

    assert control.send("POST", "/people", {"userPrincipalName": taken}).status_code == 400


def test_a_person_tells_manager_and_groups(control: Control) -> None:
    people = control.get("/people?top=2")
    control.send("PATCH", f"/people/{people[1]['id']}", {"manager": people[0]["id"]})
    control.send("POST", f"/groups/{SALES}/members", {"members": [people[1]["id"]]})

    person = control.get(f"/people/{people[1]['id']}")

    assert person["manager"] == people[0]["id"]
    assert SALES in person["memberOf"]


@pytest.mark.parametrize(
    ("action", "left", "blocked"),
    [("block", 50, 20), ("softDelete", 40, None), ("hardDelete", 40, None)],
)
def test_many_people_at_once(
    application: Application, control: Control, action: str, left: int, blocked: int | None
) -> None:
    before = application.emulator.control.people(top=99)
    already = sum(not person["accountEnabled"] for person in before)

    control.send("POST", "/people/bulk", {"action": action, "count": 10})

    after = application.items("/users?$select=accountEnabled&$top=99")
    assert len(after) == left
    if blocked is not None:
        assert sum(not user["accountEnabled"] for user in after) == already + 10


def test_the_members_of_a_group_are_blocked_together(
    application: Application, control: Control
) -> None:
    changed = control.send(
        "POST", "/people/bulk", {"action": "block", "group": SALES, "count": 3}
    ).json()

    assert len(changed) == 3
    assert set(changed) <= set(application.emulator.control.members(SALES))


def test_groups_are_created_changed_and_deleted(application: Application, control: Control) -> None:
    created = control.send(
        "POST", "/groups", {"displayName": "Neu", "members": [SALES], "microsoft365": False}
    ).json()
    control.send("PATCH", f"/groups/{created['id']}", {"displayName": "Newer"})
    seen = application.ask(f"/groups/{created['id']}").json()
    control.send("DELETE", f"/groups/{created['id']}")

    assert created["nested"] == [SALES]
    assert seen["displayName"] == "Newer"
    assert application.ask(f"/groups/{created['id']}").status_code == 404


def test_members_are_added_and_removed_by_number(
    application: Application, control: Control
) -> None:
    before = control.get(f"/groups/{SAMPLE_GROUP_ID}/members")
    removed = control.send("DELETE", f"/groups/{SAMPLE_GROUP_ID}/members", {"count": 5}).json()
    added = control.send(
        "POST", f"/groups/{SAMPLE_GROUP_ID}/members", {"members": removed[:2]}
    ).json()

    after = control.get(f"/groups/{SAMPLE_GROUP_ID}/members")
    assert added == 2
    assert set(before) - set(after) == set(removed[2:])
    assert len(control.get(f"/groups/{SAMPLE_GROUP_ID}/members?transitive=true")) > len(after)


def test_an_app_gets_roles_and_secrets(application: Application, control: Control) -> None:
    control.send("PATCH", "/apps/sample", {"roles": ["User.Read.All"]})
    control.send("POST", "/apps/sample/secrets/expire")
    value = control.send("POST", "/apps/sample/secrets", {"value": "brand-new"}).json()["value"]

    app = next(a for a in control.get("/apps") if a["appId"] == SAMPLE_CLIENT_ID)
    assert app["grants"] == {SAMPLE_TENANT_ID: ["User.Read.All"]}
    assert [secret["hint"] for secret in app["secrets"]] == ["smp", "bra"]
    assert application.sign_in().json()["error_codes"] == [7000222]
    assert application.sign_in(client_secret=value).status_code == 200


def test_consent_in_a_second_tenant_makes_the_app_known_there(
    application: Application, control: Control
) -> None:
    before = application.sign_in(tenant=FABRIKAM_TENANT_ID).json()["error_codes"]
    control.send("PATCH", f"/apps/sample?tenant={FABRIKAM_TENANT_ID}", {"roles": ["User.Read.All"]})
    after = application.sign_in(tenant=FABRIKAM_TENANT_ID)
    users = application.items("/users?$select=userPrincipalName")
    control.send("DELETE", f"/apps/sample?tenant={FABRIKAM_TENANT_ID}")

    assert before == [700016]
    assert after.status_code == 200
    assert len(users) == 40
    assert application.sign_in(tenant=FABRIKAM_TENANT_ID).json()["error_codes"] == [700016]


def test_faults_are_set_listed_and_cleared(application: Application, control: Control) -> None:
    fault = control.send("POST", "/faults", {"kind": "unavailable", "path": "/v1.0/users"}).json()
    broken = application.ask("/users").status_code
    listed = control.get("/faults")
    control.send("DELETE", f"/faults/{fault['id']}")

    assert broken == 503
    assert [(f["kind"], f["hits"]) for f in listed] == [("unavailable", 1)]
    assert application.ask("/users").status_code == 200
    assert control.send("DELETE", "/faults").status_code == 204


def test_requests_are_recorded_until_they_are_forgotten(
    application: Application, control: Control
) -> None:
    control.send("DELETE", "/requests")
    application.ask("/users?$top=1")
    application.ask("/users/nobody@contoso.com")
    application.sign_in()

    recorded = [(r["method"], r["path"], r["status"]) for r in control.get("/requests")]
    assert recorded == [
        ("GET", "/v1.0/users", 200),
        ("GET", "/v1.0/users/nobody@contoso.com", 404),
        ("POST", f"/{SAMPLE_TENANT_ID}/oauth2/v2.0/token", 200),
    ]
    assert control.get("/requests/counts")["GET /v1.0/users/{id} 404"] == 1
    assert len(application.emulator.requests) == 3


def test_thirty_days_after_its_deletion_a_person_is_gone(
    application: Application, control: Control
) -> None:
    person = control.get("/people?top=1")[0]["id"]
    control.send("DELETE", f"/people/{person}")
    control.send("POST", "/clock", {"advanceSeconds": 29 * 86400})
    after_29 = application.ask(f"/directory/deletedItems/{person}").status_code
    control.send("POST", "/clock", {"advanceSeconds": 2 * 86400})
    after_31 = application.ask(f"/directory/deletedItems/{person}").status_code

    assert (after_29, after_31) == (200, 404)


def test_the_settings_of_the_rig(control: Control) -> None:
    changed = control.send("PATCH", "/settings", {"delta_page_size": 7}).json()

    assert changed["delta_page_size"] == 7
    assert control.get("/settings") == changed


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "/people/nobody", None, 404, id="no such person"),
        pytest.param("GET", f"/groups/{SALES[::-1]}", None, 404, id="no such group"),
        pytest.param("PATCH", "/apps/nobody", {"roles": []}, 400, id="no such app"),
        pytest.param("GET", "/people?tenant=moon", None, 400, id="no such tenant"),
        pytest.param("GET", "/people?state=asleep", None, 400, id="no such state"),
        pytest.param("POST", "/people", {"shoeSize": 44}, 400, id="no such property"),
        pytest.param("POST", "/people", ["Ada"], 400, id="not an object"),
        pytest.param("POST", "/people/bulk", {"action": "sing"}, 400, id="no such action"),
        pytest.param("POST", "/faults", {"kind": "gremlin"}, 400, id="no such fault"),
        pytest.param("PATCH", "/settings", {"colour": 1}, 400, id="no such setting"),
        pytest.param("PATCH", "/settings", {"delta_page_size": "x"}, 400, id="not a number"),
        pytest.param("POST", "/lifecycle", {"event": "party"}, 400, id="no such event"),
        pytest.param("POST", f"/groups/{SALES}/members", {"members": ["x"]}, 400, id="no member"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    control: Control, method: str, path: str, body: Any, status: int
) -> None:
    answer = control.send(method, path, body)

    assert answer.status_code == status
    assert answer.json()["error"]
