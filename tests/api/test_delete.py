"""Deleting a connection: with its people or without, and never with somebody else's."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from sync_core.domain.documents import RunStatus
from sync_core.domain.errors import RetryLater
from sync_core.domain.health import Step
from sync_core.domain.matching.decide import Wait, Why
from sync_core.domain.model import Action, Change
from sync_core.domain.names import BoundName
from sync_core.services import Services
from sync_core.store.leases import Next
from sync_core.store.matches import Match
from sync_core.store.people import People
from sync_core.store.runs import new_run_id
from sync_core.store.tables import (
    APPROVALS,
    BINDINGS,
    CONNECTIONS,
    CONSENTS,
    HEALTH,
    LEASES,
    MATCHES,
    PLANS,
    RUNS,
    TABLES,
    TENANT_CLAIMS,
    USERS,
    VERIFICATIONS,
)
from sync_core.store.wire import MAX_OPERATIONS
from tests.api.conftest import Create, document
from tests.api.stored import apply, creation, disabling, object_id, people, planned, saved_run

ANN = object_id("a", 1)
BEN = object_id("b", 2)


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


# What `lived_in` leaves of a connection; people have history, and an application's rows are not theirs.
EVERYTHING = dict.fromkeys(TABLES, 1) | {USERS: 5}
NOTHING = dict.fromkeys(TABLES, 0)
# How a table names the rows of the connection "c".
ROWS_OF_C = {
    USERS: " or ".join(f"PartitionKey eq 'c-{digit}'" for digit in "0123456789abcdef"),
    RUNS: "PartitionKey eq 'c'",
    PLANS: "PartitionKey ge 'c|' and PartitionKey lt 'c}'",
    MATCHES: "PartitionKey eq 'c'",
    CONSENTS: "PartitionKey eq 'c'",
    APPROVALS: "PartitionKey eq 'c'",
    CONNECTIONS: "RowKey eq 'c'",
    LEASES: "RowKey eq 'c'",
    HEALTH: "RowKey eq 'c'",
    VERIFICATIONS: "RowKey eq 'c'",
    # A row a tenant, which names its connections.
    TENANT_CLAIMS: "PartitionKey eq 'tenantClaim'",
    BINDINGS: "RowKey eq 'c'",
}


async def lived_in(services: Services, connection_id: str) -> None:
    """Fill every table with rows of a stored connection, as a while of syncing does."""
    now, store = services.clock(), services.store
    run = await saved_run(services, connection_id)
    await store.plans.save(connection_id, run.id, [planned(ANN)])
    await apply(services, connection_id, creation(ANN), creation(BEN), run_id=run.id)
    await apply(services, connection_id, disabling(ANN), minutes=5, run_id=run.id)
    await apply(services, connection_id, Change(Action.DELETE, BEN), minutes=6, run_id=run.id)
    waiting = Match(BEN, "ben@contoso.com", Wait(Why.SEVERAL_PEOPLE, "email"), now)
    await store.matches(connection_id).save_waits([waiting], {})
    await store.approvals.remember(connection_id, "moves", "an administrator", now)
    await store.consents.open(connection_id, "digest", now)
    await store.health.change(connection_id, lambda known: Step(known.replaced(failures=1)))
    await store.verifications.change(connection_id, lambda known: known.replaced(attempts=1))
    named = [BoundName(name="ann@contoso.com", object_id=ANN, bound_at=now)]
    await store.bindings.change(
        connection_id, lambda known: known.model_copy(update={"names": named})
    )
    await store.leases.acquire(connection_id, Next(run.id, "timer", "auto"), "worker", now)
    await store.leases.release(connection_id, "worker")


async def left(services: Services, connection_id: str) -> dict[str, int]:
    """Count the rows of a connection in every table there is."""
    counts = {}
    for name in TABLES:
        table = await services.store.tables.table(name)
        condition = ROWS_OF_C[name].replace("'c", f"'{connection_id}")
        rows = [str(row) async for row in table.query_entities(condition)]
        is_whole = name != TENANT_CLAIMS
        counts[name] = len([row for row in rows if is_whole or f'"{connection_id}"' in row])
    return counts


async def test_people_and_runs_stay_unless_asked_otherwise(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    await lived_in(services, connection_id)
    before = await left(services, connection_id)
    answer = await admin.delete(url)
    gone = await admin.get(url)

    assert (answer.status_code, answer.content) == (204, b"")
    assert gone.status_code == 404
    assert before == EVERYTHING
    assert await left(services, connection_id) == NOTHING | {USERS: 5, RUNS: 1, PLANS: 1}


async def test_a_connection_made_anew_has_its_people_again(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    await lived_in(services, connection_id)
    await admin.delete(url, params={"users": "keep"})
    await create()
    users = (await admin.get(f"{url}/users")).json()["items"]

    assert [person["objectId"] for person in users] == [ANN]


async def test_everything_goes_when_asked(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    await lived_in(services, connection_id)
    answer = await admin.delete(url, params={"users": "delete"})

    assert answer.status_code == 204
    assert (await admin.get(url)).status_code == 404
    assert await left(services, connection_id) == NOTHING


@pytest.mark.parametrize(("users", "rows"), [("keep", 6), ("delete", 1)])
async def test_nothing_of_another_connection_goes(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
    rows: int,
) -> None:
    """Ids that begin alike share no partition, but a range over one's would hold the other's."""
    await create()
    neighbours = [f"{connection_id}-a", f"{connection_id}0"]
    for one in neighbours:
        await admin.post("/api/connections", json=document(one))
        await lived_in(services, one)
    await lived_in(services, connection_id)
    table = await services.store.tables.table(USERS)
    await table.create_entity({"PartitionKey": f"{connection_id}-a", "RowKey": "a-session"})
    await admin.delete(url, params={"users": users})

    assert (await left(services, connection_id))[USERS] == rows
    for one in neighbours:
        assert await left(services, one) == EVERYTHING


async def test_more_people_than_a_batch_holds_go(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    many = [creation(object_id("c", number)) for number in range(MAX_OPERATIONS)]
    await apply(services, connection_id, *many)
    await admin.delete(url, params={"users": "delete"})

    assert (await left(services, connection_id))[USERS] == 0


@pytest.mark.parametrize("users", ["keep", "delete"])
async def test_while_a_run_is_under_way_nothing_is_deleted(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
) -> None:
    """A run in its last batch would bring people back."""
    created = await create()
    await lived_in(services, connection_id)
    before = await left(services, connection_id)
    wanted = Next(new_run_id(services.clock()), "timer", "auto")
    await services.store.leases.acquire(connection_id, wanted, "worker", services.clock())
    lease = await services.store.leases.read(connection_id)
    answer = await admin.delete(url, params={"users": users})

    assert answer.status_code == 409
    assert answer.json()["code"] == "connection.runUnderWay"
    assert (await admin.get(url)).json() == created.json()
    assert await left(services, connection_id) == before
    assert await services.store.leases.read(connection_id) == lease, (
        "a refused deletion asks for no run"
    )


async def test_a_run_that_died_does_not_stand_in_the_way(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    wanted = Next(new_run_id(services.clock()), "timer", "auto")
    long_ago = services.clock() - timedelta(minutes=5)
    await services.store.leases.acquire(connection_id, wanted, "worker", long_ago)

    assert (await admin.delete(url, params={"users": "delete"})).status_code == 204


async def test_a_run_that_waited_is_told_that_it_will_not_come(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    run = (await admin.post(f"{url}/sync")).json()
    await admin.delete(url)
    stored = await services.store.runs.get(connection_id, run["id"])

    assert stored.status is RunStatus.REJECTED
    assert stored.error is not None
    assert stored.error.code == "connection.deleted"


async def test_no_run_begins_while_people_are_deleted(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()
    deleting, go_on = asyncio.Event(), asyncio.Event()
    delete_all = People.delete_all

    async def slowly(self: People, still_held: object) -> int:
        deleting.set()
        await go_on.wait()
        return await delete_all(self, still_held)  # type: ignore[arg-type]

    monkeypatch.setattr(People, "delete_all", slowly)
    deletion = asyncio.create_task(admin.delete(url, params={"users": "delete"}))
    async with asyncio.timeout(30):  # a deletion that fails earlier never sets it
        await deleting.wait()
    wanted = Next(new_run_id(services.clock()), "timer", "auto")
    taken, _ = await services.store.leases.acquire(
        connection_id, wanted, "worker", services.clock()
    )
    stored = await services.store.connections.get(connection_id)
    go_on.set()

    assert (await deletion).status_code == 204
    assert taken is None
    assert stored.connection.enabled is False


async def test_a_deletion_that_broke_off_can_be_done_again(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is half deleted is disabled, so that no run fills it again."""
    await create()
    await lived_in(services, connection_id)

    async def broken(*_: object) -> None:
        raise RetryLater("storage.unavailable", "Table Storage did not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(services.store.runs, "delete_all", broken)
        refused = await admin.delete(url, params={"users": "delete"})
    between = (await admin.get(url)).json()
    again = await admin.delete(url, params={"users": "delete"})

    assert refused.status_code == 503
    assert between["enabled"] is False
    assert again.status_code == 204
    assert await left(services, connection_id) == NOTHING


async def test_rows_that_somebody_else_deletes_meanwhile_are_no_obstacle(
    create: Create, connection_id: str, services: Services
) -> None:
    """A batch with one row that is gone is refused as a whole; the others must go all the same."""
    await create()
    ids = await people(services, connection_id, 16)
    await apply(services, connection_id, *(creation(object_id("0", n)) for n in range(20, 30)))
    table = await services.store.tables.table(USERS)
    vanishing = [ids[0]]

    async def still_held() -> None:
        while vanishing:
            key = vanishing.pop()
            await table.delete_entity(f"{connection_id}-{key[0]}", key)

    await services.store.people(connection_id).delete_all(still_held)

    assert (await left(services, connection_id))[USERS] == 0


async def test_a_word_that_is_neither_keep_nor_delete(
    admin: httpx.AsyncClient, create: Create, url: str
) -> None:
    await create()
    answer = await admin.delete(url, params={"users": "all"})

    assert answer.status_code == 422
    assert (await admin.get(url)).status_code == 200


async def test_deleting_what_is_not_there(admin: httpx.AsyncClient, url: str) -> None:
    assert (await admin.delete(url)).status_code == 404
