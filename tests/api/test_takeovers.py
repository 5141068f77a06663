"""Rows that a deleted connection has left go to another one: who may say so, when, and what is kept of it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from local.sample import SAMPLE_TENANT_ID
from sync_core.domain.connections.deletion import Deletion, Users
from sync_core.domain.matching.takeover import Leftover
from sync_core.runs.hold import held
from sync_core.services import Services
from sync_core.store.tables import AUDIT
from tests.api.conftest import Create, document
from tests.api.description import mismatches
from tests.api.stored import apply, creation, disabling, object_id
from tests.system import rows_of

ANN, BEN = object_id("a", 1), object_id("b", 2)
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"

Leave = Callable[..., Awaitable[str]]


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


@pytest.fixture
def old(connection_id: str) -> str:
    return f"{connection_id}-old"


@pytest.fixture
async def leave(services: Services, old: str, create: Create) -> Leave:
    """Make the test's connection, and leave two rows of another that was deleted, to a tenant of choice."""

    async def left(tenant_id: str = "", **changes: Any) -> str:
        answer = await create(enabled=False, **changes)
        await apply(services, old, creation(ANN), creation(BEN))
        await apply(services, old, disabling(BEN), minutes=1)
        tenant_id = tenant_id or answer.json()["tenantId"]
        await services.store.leftovers.note(tenant_id, old, services.clock())
        return old

    return left


async def noted(services: Services, connection_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what the table Audit tells of a connection's takeovers, oldest first."""
    table = await services.store.tables.table(AUDIT)
    condition = (
        f"ConnectionId eq '{connection_id}' and Action ge 'takeover' and Action lt 'takeovers'"
    )
    rows = [dict(row) async for row in table.query_entities(condition)]
    rows.sort(key=lambda row: str(row["RowKey"]), reverse=True)
    return [(row["Action"], orjson.loads(row["Details"])) for row in rows]


async def leftover(services: Services, old: str) -> Leftover:
    [found] = await services.store.leftovers.of_connection(old)
    return found


async def test_a_takeover_is_confirmed_once_seen_by_all_and_taken_back(
    *,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    url: str,
    leave: Leave,
) -> None:
    old = await leave()
    [listed] = (await reader.get(f"{url}/takeovers")).json()["items"]
    refused = await reader.post(f"{url}/takeovers/{old}")
    confirmed = await admin.post(f"{url}/takeovers/{old}", params={"reason": "a new name"})
    again = await admin.post(f"{url}/takeovers/{old}", params={"reason": "another"})
    stands = (await reader.get(f"{url}/takeovers")).json()
    not_yours = await reader.delete(f"{url}/takeovers/{old}")
    back = await admin.delete(f"{url}/takeovers/{old}")
    nothing = await admin.delete(f"{url}/takeovers/{old}")
    [open_again] = (await reader.get(f"{url}/takeovers")).json()["items"]

    assert (listed["connection"], listed["standing"], listed["taker"]) == (old, "open", None)
    assert (listed["people"], listed["active"]) == (2, 1)
    assert {refused.status_code, not_yours.status_code} == {403}
    assert confirmed.status_code == 200
    assert (confirmed.json()["standing"], confirmed.json()["taker"]) == ("confirmed", connection_id)
    assert again.json() == confirmed.json() == stands["items"][0]
    assert mismatches(stands, "TakeoverList") == []
    assert (back.status_code, open_again) == (204, listed)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "takeover.notConfirmed")
    assert await noted(services, connection_id) == [
        ("takeover.confirmed", {"of": old, "people": 2, "reason": "a new name"}),
        ("takeover.takenBack", {"of": old}),
    ]
    assert (await rows_of(services, old)).keys() == {ANN, BEN}, "nothing moves before a run"


async def test_a_takeover_is_taken_back_though_the_connection_has_another_tenant_now(
    admin: httpx.AsyncClient, services: Services, connection_id: str, url: str, leave: Leave
) -> None:
    old = await leave(OTHER_TENANT)
    confirmed = replace(
        await leftover(services, old), taker=connection_id, confirmed_at=services.clock()
    )
    await services.store.leftovers.save(confirmed)

    assert (await admin.delete(f"{url}/takeovers/{old}")).status_code == 204
    assert (await leftover(services, old)).taker == ""


async def test_what_cannot_be_taken_over_is_refused_with_a_way_out(
    *, admin: httpx.AsyncClient, services: Services, connection_id: str, url: str, leave: Leave
) -> None:
    old = await leave(OTHER_TENANT)
    found = {
        "takeover.otherTenant": old,
        "takeover.connectionExists": connection_id,
        "takeover.unknown": f"{connection_id}-never",
    }
    answers = {code: await admin.post(f"{url}/takeovers/{name}") for code, name in found.items()}
    await services.store.leftovers.note(SAMPLE_TENANT_ID, old, services.clock())
    await admin.post("/api/connections", json=document(f"{connection_id}-b", enabled=False))
    await admin.post(f"{url}-b/takeovers/{old}")
    answers["takeover.confirmedElsewhere"] = await admin.post(f"{url}/takeovers/{old}")
    [elsewhere] = (await admin.get(f"{url}/takeovers")).json()["items"]
    deletion = Deletion(f"{connection_id}-gone", Users.KEEP, "me", "run", 0)
    await services.store.deletions.begin(deletion)
    answers["connection.beingDeleted"] = await admin.post(f"{url}/takeovers/{connection_id}-gone")
    await services.store.deletions.end(f"{connection_id}-gone")

    for code, answer in answers.items():
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert answer.json()["remedy"]
    assert (elsewhere["standing"], elsewhere["taker"]) == ("elsewhere", f"{connection_id}-b")
    assert await noted(services, connection_id) == []


async def test_of_two_who_confirm_at_once_one_is_refused(
    *, services: Services, leave: Leave, connection_id: str
) -> None:
    old = await leave()
    read = await leftover(services, old)
    await services.store.leftovers.save(replace(read, taker=connection_id))
    with pytest.raises(Exception, match="changed by a run or by somebody else"):
        await services.store.leftovers.save(replace(read, taker="another"))

    assert (await leftover(services, old)).taker == connection_id


async def test_what_was_done_is_not_taken_back_and_is_confirmed_again_for_rows_that_stayed(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    url: str,
    leave: Leave,
) -> None:
    old = await leave()
    await admin.post(f"{url}/takeovers/{old}")
    done_at = services.clock() + timedelta(seconds=1)
    await services.store.leftovers.save(replace(await leftover(services, old), done_at=done_at))
    refused = await admin.delete(f"{url}/takeovers/{old}")
    again = await admin.post(f"{url}/takeovers/{old}")
    async with held(services, old.removesuffix("-old"), budget=None):
        busy = await admin.delete(f"{url}/takeovers/{old}")

    assert (refused.status_code, refused.json()["code"]) == (409, "takeover.done")
    assert (again.json()["standing"], again.json()["doneAt"]) == ("confirmed", None)
    assert (busy.status_code, busy.json()["code"]) == (409, "connection.runUnderWay")


async def test_an_id_whose_rows_go_to_another_connection_is_not_given_again_before_they_are_there(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    url: str,
    leave: Leave,
) -> None:
    """Deleting the one that takes over forgets what was confirmed for it, and so does a new deletion."""
    old = await leave()
    await admin.post(f"{url}/takeovers/{old}")
    made = await admin.post("/api/connections", json=document(old, enabled=False))
    deleted = await admin.delete(url, params={"users": "keep"})
    free = await leftover(services, old)
    made_again = await admin.post("/api/connections", json=document(old, enabled=False))

    assert (made.status_code, made.json()["code"]) == (409, "connection.beingTakenOver")
    assert deleted.status_code == 204
    assert free.taker == ""
    assert made_again.status_code == 201
