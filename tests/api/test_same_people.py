"""No two connections bring in the same people of the same tenant."""

from typing import Any

import httpx
import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.scope.overlap import chosen_people
from sync_core.services import Services
from tests.api.conftest import Create, Json, document, paths
from tests.system import connection

ONE = "9D0C5A9E-3c1b-4f0e-8b63-5a1f7e2d4c90"
TWO = "7b3c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c91"
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"


def groups(*ids: str) -> Json:
    return {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": list(ids)}


def department(value: Any, operator: str = "EQUALS") -> Json:
    return {"attribute": "department", "operator": operator, "value": value}


def scope(*filters: list[Json], **changes: Any) -> Json:
    return {"filters": [{"clauses": clauses} for clauses in filters], **changes}


def chosen(scope: Json, **changes: Any) -> bytes | None:
    return chosen_people(connection("contoso", scope=scope, **changes))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            scope([groups(ONE, TWO)]), scope([groups(TWO, ONE, ONE)]), id="order of the groups"
        ),
        pytest.param(scope([groups(ONE)]), scope([groups(ONE.lower())]), id="case of a group"),
        pytest.param(
            scope([groups(ONE), department("Sales")]),
            scope([department("Sales"), groups(ONE)]),
            id="order of the clauses",
        ),
        pytest.param(
            scope([groups(ONE)], [groups(TWO)]),
            scope([groups(TWO)], [groups(ONE)], [groups(TWO)]),
            id="order of the filters",
        ),
        pytest.param(
            scope([department(["Sales"], "IN")]),
            scope([department("Sales", "IN")]),
            id="one value or a list of one",
        ),
        pytest.param(
            scope([groups(ONE)]), scope([groups(ONE)], everyone=True), id="everyone has no effect"
        ),
        pytest.param(
            scope([department("Sales")]),
            scope([department("Sales")], nestedGroups=False),
            id="nesting without groups",
        ),
        pytest.param(
            scope([department("Sales", "NOT EQUALS")]),
            scope([department("Sales", "NOT EQUALS") | {"nullMatches": True}]),
            id="a default that is written out",
        ),
        pytest.param(
            scope([groups(ONE)], exclude=["ann@contoso.com", ONE]),
            scope([groups(ONE)], exclude=[ONE.lower(), "Ann@contoso.com"]),
            id="order and case of the excluded",
        ),
    ],
)
def test_the_same_people_in_other_words(one: Json, other: Json) -> None:
    assert chosen(one) == chosen(other) != None  # noqa: E711 -- None would be nobody


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(scope([groups(ONE)]), scope([groups(TWO)]), id="another group"),
        pytest.param(
            scope([groups(ONE)]), scope([groups(ONE)], nestedGroups=False), id="direct members only"
        ),
        pytest.param(scope([groups(ONE)]), scope([groups(ONE)], guests="only"), id="guests"),
        pytest.param(
            scope([groups(ONE)]), scope([groups(ONE)], exclude=["ann@contoso.com"]), id="exclude"
        ),
        pytest.param(
            scope([department("Sales", "NOT EQUALS")]),
            scope([department("Sales", "NOT EQUALS") | {"nullMatches": False}]),
            id="people without the attribute",
        ),
        pytest.param(
            scope([groups(ONE), groups(TWO)]), scope([groups(ONE)], [groups(TWO)]), id="and, or"
        ),
        pytest.param(scope([department("Sales")]), scope([department("sales")]), id="case counts"),
        pytest.param(scope([department("1")]), scope([department(1)]), id="text and number"),
        pytest.param(scope(everyone=True), scope([groups(ONE)]), id="everyone"),
        pytest.param(
            scope(everyone=True), scope(everyone=True, guests="include"), id="with guests"
        ),
    ],
)
def test_other_people(one: Json, other: Json) -> None:
    assert chosen(one) != chosen(other)


def test_another_tenant_has_other_people_and_an_unknown_one_has_none() -> None:
    everyone = scope(everyone=True)

    assert chosen(everyone) != chosen(everyone, tenantId=OTHER_TENANT)
    assert chosen(everyone, tenantId=None) is None
    assert chosen(scope()) is None


async def test_a_second_connection_to_the_same_people_is_refused(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    first = (await create()).json()
    second = document(f"{connection_id}-2", scope=first["scope"], enabled=False)
    posted = await admin.post("/api/connections", json=second)
    put = await admin.put(f"/api/connections/{connection_id}-2", json=second)

    for answer in (posted, put):
        assert answer.status_code == 422
        assert paths(answer) == ["scope"]
        assert repr(connection_id) in answer.json()["errors"][0]["message"]
        assert answer.json()["remedy"]
    assert await services.vault.find(f"{connection_id}-2-client-secret") is None


async def test_a_change_cannot_lead_to_the_same_people(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    first = (await create()).json()
    second = f"/api/connections/{connection_id}-2"
    etag = (await admin.put(second, json=document(f"{connection_id}-2"))).headers["ETag"]
    answer = await admin.patch(second, json={"scope": first["scope"]})

    assert answer.status_code == 422
    assert paths(answer) == ["scope"]
    assert (await admin.get(second)).headers["ETag"] == etag


async def test_two_that_choose_nobody_yet_are_no_doubles(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(scope={})
    answer = await admin.post("/api/connections", json=document(f"{connection_id}-2", scope={}))

    assert answer.status_code == 201


async def test_doubles_from_before_can_still_be_changed(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """Whoever has two of them must be able to switch one off."""
    first = (await create()).json()
    double = connection(f"{connection_id}-2", scope=first["scope"], tenantId=first["tenantId"])
    await services.store.connections.create(Connection.model_validate(double.to_json()))
    answer = await admin.patch(f"/api/connections/{connection_id}-2", json={"enabled": False})

    assert answer.status_code == 200


@pytest.mark.parametrize("names", [("contoso.com", None), (None, "contoso.com")])
async def test_a_domain_and_the_id_of_one_tenant_are_the_same(
    admin: httpx.AsyncClient, create: Create, connection_id: str, names: tuple[str | None, ...]
) -> None:
    """Only the token tells, so it is a check that fails; what was sent waits, and brings in nobody."""
    one, other = ({"tenantId": name} if name else {} for name in names)
    first = (await create(**one)).json()
    second = document(f"{connection_id}-2", scope=first["scope"], **other)
    answer = await admin.post("/api/connections", json=second)
    (failing,) = (check for check in answer.json()["checks"] if not check["ok"])

    assert answer.status_code == 422
    assert (failing["name"], failing["code"]) == ("people", "scope.samePeople")
    assert repr(connection_id) in failing["message"]
    assert (await admin.get(f"/api/connections/{connection_id}-2")).json()["enabled"] is False
    fixed = await admin.patch(
        f"/api/connections/{connection_id}-2",
        json={"enabled": True, "scope": document(f"{connection_id}-2")["scope"]},
    )
    assert fixed.status_code == 200


async def test_a_double_is_compared_when_it_is_switched_on(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    first = (await create()).json()
    double = connection(
        f"{connection_id}-2", scope=first["scope"], tenantId=first["tenantId"], enabled=False
    )
    await services.store.connections.create(Connection.model_validate(double.to_json()))
    path = f"/api/connections/{connection_id}-2"
    renamed = await admin.patch(path, json={"displayName": "Another"})
    enabled = await admin.patch(path, json={"enabled": True})

    assert renamed.status_code == 200
    assert (enabled.status_code, paths(enabled)) == (422, ["scope"])


async def test_a_connection_can_be_switched_off_whatever_waits_beside_it(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    """The scope that waits has meanwhile become another connection's."""
    await create()
    path = f"/api/connections/{connection_id}"
    wanted = document(f"{connection_id}-2")
    waits = {"scope": wanted["scope"], "credential": {"clientSecret": "not the secret"}}
    kept = await admin.patch(path, json=waits)
    other = await admin.post("/api/connections", json=wanted)
    off = await admin.patch(path, json={"enabled": False})

    assert (kept.status_code, other.status_code) == (422, 201)
    assert (off.status_code, off.json()["enabled"]) == (200, False)


async def test_a_credential_that_works_again_brings_in_no_double(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """Settings that get a token are better than such that do not; the people are another question."""
    first = (await create()).json()
    name = f"{connection_id}-2"
    await admin.post("/api/connections", json=document(name, tenantId="contoso.com"))
    stored = await services.store.connections.get(name)
    version = await services.vault.set(f"{name}-client-secret", "wrong", content_type="text/plain")
    credential = stored.connection.credential.model_copy(update={"secret_version": version})
    broken = stored.connection.model_copy(update={"credential": credential})
    await services.store.connections.replace(broken, stored)
    works = document(name)["credential"]
    path = f"/api/connections/{name}"
    double = await admin.patch(path, json={"credential": works, "scope": first["scope"]})
    mended = await admin.patch(path, json={"credential": works, "scope": document(name)["scope"]})

    assert double.status_code == 422
    assert {one["code"] for one in double.json()["checks"] if not one["ok"]} == {"scope.samePeople"}
    assert mended.status_code == 200
