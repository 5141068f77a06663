"""A limit is taken away with a reason only; new limits, and what cannot be undone, are told."""

from typing import Any

import httpx
import orjson
import pytest

from sync_core.services import Services
from sync_core.store.rows import joined
from sync_core.store.tables import AUDIT, CONNECTIONS
from tests.api.conftest import Create, Json, document, paths
from tests.system import run_now

OPEN = {"guard": {"maxRemovals": None, "maxCreatePercent": 100}}


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


async def test_a_limit_is_taken_away_with_a_reason_only(
    admin: httpx.AsyncClient, create: Create, url: str
) -> None:
    await create()
    refused = await admin.patch(url, json={"policy": OPEN})
    why = {"reason": "the merger of two schools"}
    saved = await admin.patch(url, json={"policy": OPEN}, params=why)
    later = await admin.patch(url, json={"displayName": "Renamed"})

    assert (refused.status_code, refused.json()["code"]) == (422, "guard.reasonNeeded")
    # In a merge patch null puts back the default.
    assert paths(refused) == ["policy.guard.maxCreatePercent"]
    assert "?reason=" in refused.json()["remedy"]
    assert (saved.status_code, later.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("enabled", "disables"),
    [
        pytest.param(True, False, id="in use"),
        pytest.param(False, False, id="not in use"),
        pytest.param(True, True, id="switched off by it"),
    ],
)
async def test_who_took_a_limit_away_and_why_is_told_for_good(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    services: Services,
    connection_id: str,
    url: str,
    enabled: bool,
    disables: bool,
) -> None:
    await create(enabled=enabled)
    change = {"policy": OPEN} | ({"enabled": False} if disables else {})
    await admin.patch(url, json=change)
    refused = await audited(services, connection_id)
    await admin.patch(url, json=change, params={"reason": "the merger of two schools"})
    await admin.patch(url, json={"displayName": "Renamed"})
    [row] = await audited(services, connection_id)

    assert refused == []
    assert (row["Action"], row["By"]) == ("guard.limitTakenAway", "local Sync.Admin")
    assert orjson.loads(row["Details"]) == {
        "limits": ["maxCreatePercent"],
        "reason": "the merger of two schools",
    }


async def test_a_save_that_has_to_be_confirmed_first_is_told_once_it_is(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    services: Services,
    connection_id: str,
    url: str,
    wide: Json,
    narrow: Json,
) -> None:
    await create(scope=wide)
    await run_now(services, connection_id)
    change, why = {"scope": narrow, "policy": OPEN}, {"reason": "the merger of two schools"}
    refused = await admin.patch(url, json=change, params=why)
    before = await audited(services, connection_id)
    params = why | {"confirm": refused.json()["planHash"]}
    saved = await admin.patch(url, json=change, params=params)

    assert (refused.status_code, before) == (409, [])
    assert saved.status_code == 200, saved.text
    assert len(await audited(services, connection_id)) == 1


async def audited(services: Services, connection_id: str) -> list[dict[str, Any]]:
    table = await services.store.tables.table(AUDIT)
    rows = table.query_entities(f"ConnectionId eq '{connection_id}'")
    return [dict(row) async for row in rows]


async def test_a_new_connection_without_a_limit_needs_a_reason_too(
    admin: httpx.AsyncClient, connection_id: str, url: str
) -> None:
    refused = await admin.put(url, json=document(connection_id, policy=OPEN))

    assert (refused.status_code, refused.json()["code"]) == (422, "guard.reasonNeeded")
    assert paths(refused) == ["policy.guard.maxCreatePercent", "policy.guard.maxRemovals"]
    assert (await admin.get(url)).status_code == 404


async def test_a_connection_of_an_older_release_takes_the_new_limits_and_says_so_once(
    admin: httpx.AsyncClient, create: Create, services: Services, connection_id: str, url: str
) -> None:
    made = await create()
    await store_as_before(services, connection_id)
    found = (await admin.get(url)).json()
    saved = (await admin.patch(url, json={"displayName": "Renamed"})).json()
    again = (await admin.get(url)).json()

    assert codes(made.json()) & {"guard.newLimits"} == set()
    assert found["policy"]["guard"]["maxCreates"] == 500
    assert "guard.newLimits" in codes(found)
    assert "guard.newLimits" not in codes(saved) | codes(again)
    assert again["policy"]["guard"]["maxCreates"] == 500


async def store_as_before(services: Services, connection_id: str) -> None:
    """Put a connection's document as the release before stored it: three limits, one of them null."""
    table = await services.store.tables.table(CONNECTIONS)
    row = await table.get_entity("connection", connection_id)
    kept = orjson.loads(joined("Document", row))
    kept["policy"]["guard"] = {
        "maxRemovals": 500, "maxRemovalPercent": 20, "maxCreates": None,
    }  # fmt: skip
    row["Document"] = orjson.dumps(kept).decode()
    await table.update_entity(row)


def codes(answer: dict[str, Any]) -> set[str]:
    return {one["code"] for one in answer["warnings"]}


@pytest.mark.parametrize(
    ("policy", "warned"),
    [
        pytest.param({"leftScope": "delete"}, True, id="who leaves the scope"),
        pytest.param({"softDeleted": "delete"}, True, id="who may be restored"),
        pytest.param({"hardDeleted": "delete"}, False, id="who is gone for good"),
        pytest.param({}, False, id="nobody"),
    ],
)
async def test_a_save_warns_of_rows_that_will_be_deleted(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    policy: dict[str, str],
    warned: bool,
) -> None:
    """So does the plan of a file, which is a save as well."""
    answer = await create(policy=policy)
    file = (await admin.get("/api/config", params={"connection": connection_id})).json()
    file["connections"][0]["displayName"] = "Renamed"
    planned = (await admin.post("/api/config/plan", json=file)).json()

    assert ("policy.deletes" in codes(answer.json())) is warned
    assert ("policy.deletes" in codes(planned["changes"][0])) is warned
