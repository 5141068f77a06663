"""Deleting a connection: what becomes of its people is asked for first, and nobody else's are touched."""

import asyncio
import csv
import io
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from local.sample import SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID
from sync_core import triggers
from sync_core.connections import delete
from sync_core.domain.connections.deletion import Deletion, Users
from sync_core.domain.documents.request import NamedPeople, Purpose, SyncRequest
from sync_core.domain.documents.run import Actor, Run, RunStatus, Trigger
from sync_core.domain.errors import RetryLater
from sync_core.domain.health import Incident, Step
from sync_core.domain.incremental.open_people import Cause, opened
from sync_core.domain.matching.decide import Wait, Why
from sync_core.domain.model import Action, Change
from sync_core.domain.names import BoundName
from sync_core.domain.plan.groups import KnownSize, KnownSizes
from sync_core.domain.subscriptions import Place, Subscription
from sync_core.runs.hold import held
from sync_core.services import Services
from sync_core.store.fences import Fence
from sync_core.store.leases import Next
from sync_core.store.matches import Match
from sync_core.store.people import People
from sync_core.store.runs import new_run_id
from sync_core.store.tables import (
    APPROVALS,
    AUDIT,
    BINDINGS,
    CHECKPOINTS,
    CLOCKS,
    CONNECTIONS,
    CONSENTS,
    DELETIONS,
    GROUPS,
    HEALTH,
    INCIDENTS,
    LEASES,
    LEFTOVERS,
    MATCHES,
    NAMED,
    PLANS,
    READINGS,
    REFUSED_PLANS,
    RETENTION,
    RUNS,
    SPENDING,
    SUBSCRIPTIONS,
    TABLES,
    TENANT_CLAIMS,
    USERS,
    VERIFICATIONS,
)
from sync_core.store.users import UserStore
from sync_core.store.wire import MAX_OPERATIONS
from tests.api.conftest import Create, document
from tests.api.description import mismatches
from tests.api.stored import (
    apply,
    creation,
    disabling,
    lose_answers,
    object_id,
    people,
    planned,
    saved_run,
)
from tests.system import active, history_of, rows_of, run_now

ANN = object_id("a", 1)
BEN = object_id("b", 2)
CAT = object_id("c", 3)
OF_CAT = f"{CAT[:8]}@contoso.com"
DAN = object_id("d", 4)


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


@pytest.fixture
async def made(create: Create) -> None:
    """Make the test's connection; it has no people yet."""
    await create()


@pytest.fixture
async def used(made: None, services: Services, connection_id: str) -> None:
    """Make it, and fill every table with what a while of syncing leaves."""
    await lived_in(services, connection_id)


# What `lived_in` leaves of a connection: people with history, and the fences of three partitions.
FENCES = 3
EVERYTHING = dict.fromkeys(TABLES, 1) | {
    USERS: 7 + FENCES,
    PLANS: 2,
    DELETIONS: 0,
    LEFTOVERS: 0,
    AUDIT: 0,
    RETENTION: 0,
    SPENDING: 0,
    CLOCKS: 0,
}
# Who deleted it is told for good, and how often it was held counts on.
NOTHING = dict.fromkeys(TABLES, 0) | {AUDIT: 1, LEASES: 1}
# How a table names the rows of the connection "c".
ROWS_OF_C = {
    USERS: " or ".join(f"PartitionKey eq 'c-{digit}'" for digit in "0123456789abcdef"),
    RUNS: "PartitionKey eq 'c'",
    PLANS: "PartitionKey ge 'c|' and PartitionKey lt 'c}'",
    MATCHES: "PartitionKey eq 'c'",
    CONSENTS: "PartitionKey eq 'c'",
    APPROVALS: "PartitionKey eq 'c'",
    GROUPS: "RowKey eq 'c'",
    INCIDENTS: "PartitionKey eq 'c'",
    CONNECTIONS: "RowKey eq 'c'",
    LEASES: "RowKey eq 'c'",
    HEALTH: "RowKey eq 'c'",
    VERIFICATIONS: "RowKey eq 'c'",
    # A row a tenant, which names its connections.
    TENANT_CLAIMS: "PartitionKey eq 'tenantClaim'",
    DELETIONS: "RowKey eq 'c'",
    REFUSED_PLANS: "PartitionKey eq 'c'",
    AUDIT: "ConnectionId eq 'c'",
    LEFTOVERS: "RowKey eq 'c'",
    # A row for each pass over all connections.
    RETENTION: "RowKey eq 'c'",
    # A row for each run that uses much of Graph, while it lasts.
    SPENDING: "RowKey eq 'c'",
    # A row a timer.
    CLOCKS: "RowKey eq 'c'",
    BINDINGS: "RowKey eq 'c'",
    CHECKPOINTS: "PartitionKey eq 'c'",
    READINGS: "PartitionKey eq 'c'",
    SUBSCRIPTIONS: "PartitionKey eq 'c'",
    NAMED: "PartitionKey eq 'c'",
}


def named_people(connection_id: str, run_id: str, now: datetime) -> NamedPeople:
    return NamedPeople(
        connection_id=connection_id,
        run_id=run_id,
        trigger=Trigger.IMPORT,
        who=[ANN],
        by=Actor(name="an administrator"),
        asked_at=now,
    )


async def lived_in(services: Services, connection_id: str) -> None:
    """Fill every table with rows of a stored connection, as a while of syncing does."""
    now, store = services.clock(), services.store
    run = await saved_run(services, connection_id)
    await store.plans.save(connection_id, run.id, [planned(ANN)])
    await apply(services, connection_id, creation(ANN), creation(BEN), creation(CAT), run_id=run.id)
    await apply(services, connection_id, disabling(ANN), minutes=5, run_id=run.id)
    await apply(services, connection_id, Change(Action.DELETE, BEN), minutes=6, run_id=run.id)
    waiting = Match(BEN, "ben@contoso.com", Wait(Why.SEVERAL_PEOPLE, "email"), now)
    await store.matches(connection_id).save_waits([waiting], {})
    await store.named.save(named_people(connection_id, run.id, now))
    await store.approvals.remember(connection_id, "moves", "an administrator", now)
    size = KnownSizes(connection_id=connection_id, groups={"g": KnownSize(people=10)})
    await store.group_sizes.note(size)
    incident = Incident(code="guard.held", message="Too many.", remedy="Look.", since=now)
    await store.incidents.put(connection_id, incident)
    await store.refused_plans.save(connection_id, "1f", [planned(ANN)], now)
    await store.consents.open(connection_id, "digest", now)
    await store.health.change(connection_id, lambda known: Step(known.replaced(failures=1)))
    await store.verifications.change(connection_id, lambda known: known.replaced(attempts=1))
    named = [BoundName(name="ann@contoso.com", object_id=ANN, bound_at=now)]
    await store.bindings.change(
        connection_id, lambda known: known.model_copy(update={"names": named})
    )
    await store.checkpoints.open(connection_id, [opened(ANN, Cause.HELD, now)])
    table = await store.tables.table(READINGS)
    await table.upsert_entity({"PartitionKey": connection_id, "RowKey": "1f|000|00000"})
    place = Place("public", SAMPLE_TENANT_ID, SAMPLE_CLIENT_ID)
    await store.subscriptions.put(Subscription(connection_id, "users", place, "an address"))
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


async def confirmed(admin: httpx.AsyncClient, url: str, **params: str) -> httpx.Response:
    """Delete a connection as somebody who has looked at what that does."""
    refused = await admin.delete(url, params=params)
    assert refused.status_code == 409, refused.text
    assert mismatches(refused.json(), "Problem") == []
    return await admin.delete(url, params=params | {"confirm": refused.json()["planHash"]})


@pytest.mark.usefixtures("used")
async def test_people_are_disabled_with_their_history_unless_asked_otherwise(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    """Nobody who leaves later is noticed any more: an application must not let them in for ever."""
    await apply(services, connection_id, creation(DAN, displayName="Dan"), minutes=7)
    refused = await admin.delete(url)
    problem = refused.json()
    whole = await admin.get(problem["planUrl"])
    untouched = await rows_of(services, connection_id)
    answer = await admin.delete(url, params={"confirm": problem["planHash"]})
    rows = await rows_of(services, connection_id)
    [run] = await byhand_runs(services, connection_id)
    changes = (await admin.get(f"{url}/runs/{run.id}/changes")).json()["items"]
    newest = (await history_of(services, connection_id, DAN))[0]

    assert (refused.status_code, problem["code"]) == (409, "connection.needsConfirmation")
    assert "would disable 2 people" in problem["detail"]
    assert (problem["counts"]["disabled"], problem["counts"]["deleted"]) == (2, 0)
    assert [one["displayName"] for one in problem["changes"]] == [None, "Dan"]
    assert [one["objectId"] for one in whole.json()["items"]] == [CAT, DAN]
    assert active(untouched) == {CAT, DAN}
    assert (answer.status_code, answer.content) == (204, b"")
    assert active(rows) == set()
    assert {one: rows[one]["DisabledReason"] for one in (ANN, CAT, DAN)} == {
        ANN: "leftScope",
        CAT: "connectionDeleted",
        DAN: "connectionDeleted",
    }
    assert (run.status, run.counts.disabled) == (RunStatus.SUCCEEDED, 2)
    assert not run.counts_at_least
    assert run.by == Actor(name="local Sync.Admin")
    assert (newest["Action"], newest["Reason"], newest["RunId"]) == (
        "disable",
        "connectionDeleted",
        run.id,
    )
    assert {one["objectId"] for one in changes} == {CAT, DAN}
    assert (await left(services, connection_id))[RUNS] == 2


async def byhand_runs(services: Services, connection_id: str) -> list[Run]:
    runs = await services.store.runs.page(connection_id, top=10, after=None)
    return [run for run in runs if run.trigger is Trigger.BY_HAND]


@pytest.mark.usefixtures("used")
async def test_people_who_are_kept_are_left_as_they_are(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    before = await left(services, connection_id)
    answer = await admin.delete(url, params={"users": "keep"})
    gone = await admin.get(url)

    assert (answer.status_code, answer.content) == (204, b"")
    assert gone.status_code == 404
    assert before == EVERYTHING
    assert await left(services, connection_id) == NOTHING | {
        USERS: 7 + FENCES,
        RUNS: 1,
        PLANS: 1,
        LEFTOVERS: 1,
    }
    assert active(await rows_of(services, connection_id)) == {CAT}


async def test_a_connection_made_anew_has_its_people_again(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, url: str
) -> None:
    await create()
    await lived_in(services, connection_id)
    await admin.delete(url, params={"users": "keep"})
    await create(enabled=False)
    users = (await admin.get(f"{url}/users")).json()["items"]

    assert [person["objectId"] for person in users] == [ANN, CAT]


@pytest.mark.parametrize("users", ["disable", "keep", "delete"])
@pytest.mark.usefixtures("made")
async def test_the_preview_of_another_connection_says_whose_rows_stand_already(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
) -> None:
    """Made again under another id, it would bring in everybody a second time."""
    await run_now(services, connection_id)
    number = len(await rows_of(services, connection_id))
    other = document(f"{connection_id}-again", enabled=False)
    await admin.post("/api/connections", json=other)
    while_it_is_there = await admin.post(f"{url}-again/preview")
    if users == "keep":
        await admin.delete(url, params={"users": "keep"})
    else:
        await confirmed(admin, url, users=users)
    afterwards = await admin.post(f"{url}-again/preview")

    assert number > 1
    assert said(while_it_is_there, connection_id) == []
    expected = [] if users == "delete" else [number]
    assert [one["people"] for one in said(afterwards, connection_id)] == expected
    seen = [
        (one["connection"], one["standing"], one["people"], one["coming"], one["here"])
        for one in afterwards.json()["takeovers"]
    ]
    assert seen == [(connection_id, "open", number, number, 0) for number in expected]
    assert mismatches(afterwards.json(), "Preview") == []


def said(answer: httpx.Response, connection_id: str) -> list[dict[str, Any]]:
    """Return what a preview says of rows of a connection that was deleted."""
    return [
        one
        for one in answer.json()["warnings"]
        if one["code"] == "people.ofDeletedConnection" and repr(connection_id) in one["message"]
    ]


@pytest.mark.usefixtures("used")
async def test_everything_goes_when_asked_and_confirmed(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    """But the run that did it, and a row of the audit: who, when, and how many."""
    refused = await admin.delete(url, params={"users": "delete"})
    problem = refused.json()
    stays = await left(services, connection_id)
    disabling_is_another = await admin.delete(url, params={"confirm": problem["planHash"]})
    params = {"users": "delete", "confirm": problem["planHash"]}
    answer = await admin.delete(url, params=params)
    [run] = await byhand_runs(services, connection_id)
    table = await services.store.tables.table(AUDIT)
    [row] = [dict(one) async for one in table.query_entities(f"ConnectionId eq '{connection_id}'")]

    assert (refused.status_code, problem["code"]) == (409, "connection.needsConfirmation")
    assert "2 people (1 of them active)" in problem["detail"]
    assert problem["counts"]["deleted"] == 2
    assert stays == EVERYTHING | {REFUSED_PLANS: 2, PLANS: 3}
    assert disabling_is_another.status_code == 409
    assert "not the plan that was confirmed" in disabling_is_another.json()["detail"]
    assert answer.status_code == 204
    assert (await admin.get(url)).status_code == 404
    assert await left(services, connection_id) == NOTHING | {RUNS: 1}
    assert (await admin.get(f"{url}/runs/{run.id}")).json()["counts"]["deleted"] == 2
    assert (row["PartitionKey"], row["Action"]) == (
        f"{services.clock():%Y-%m}",
        "connection.deleted",
    )
    assert row["By"] == "local Sync.Admin"
    assert orjson.loads(row["Details"])["users"] == "delete"
    assert orjson.loads(row["Details"])["people"] == 2


@pytest.mark.usefixtures("made")
async def test_histories_of_people_who_have_gone_are_not_lost_unasked(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    run = await saved_run(services, connection_id)
    await apply(services, connection_id, creation(BEN), run_id=run.id)
    await apply(services, connection_id, Change(Action.DELETE, BEN), minutes=6, run_id=run.id)

    assert (await admin.delete(url, params={"users": "delete"})).status_code == 409


@pytest.mark.parametrize("users", ["disable", "delete"])
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"policy": {"protected": [CAT.upper()]}}, "connection.peopleProtected"),
        ({"assertions": [{"in": CAT}]}, "assertion.failed"),
        ({"assertions": [{"atLeast": 1}]}, "assertion.failed"),
        ({"assertions": [{"in": ANN}, {"atLeast": 0}]}, None),
        ({"assertions": [{"atLeast": 9}]}, None),
        ({"assertions": [{"atLeast": 1, "where": {"userName": OF_CAT}}]}, "assertion.failed"),
        ({"assertions": [{"atLeast": 1, "where": {"userName": "nobody"}}]}, None),
    ],
    ids=[
        "protected",
        "asserted",
        "number",
        "of somebody who is out already",
        "not true today",
        "counted",
        "counted, nobody",
    ],
)
async def test_the_connection_is_asked_whether_its_people_may_go(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
    settings: dict[str, object],
    code: str | None,
) -> None:
    """No confirmation overrules `protected` and the assertions, as in a run."""
    await create(**settings)
    await lived_in(services, connection_id)
    refused = await admin.delete(url, params={"users": users})
    params = {"users": users, "confirm": refused.json().get("planHash", "1f")}
    again = await admin.delete(url, params=params)

    assert refused.status_code == 409
    assert refused.json()["code"] == (code or "connection.needsConfirmation")
    assert again.status_code == (409 if code else 204)
    if code:
        assert (await admin.delete(url, params={"users": "keep"})).status_code == 204


@pytest.mark.parametrize(
    ("users", "rows"), [("keep", 8 + FENCES), ("disable", 9 + FENCES), ("delete", 1)]
)
@pytest.mark.usefixtures("made")
async def test_nothing_of_another_connection_goes(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
    rows: int,
) -> None:
    """Ids that begin alike share no partition, but a range over one's would hold the other's."""
    neighbours = [f"{connection_id}-a", f"{connection_id}0"]
    for one in neighbours:
        await admin.post("/api/connections", json=document(one))
        await lived_in(services, one)
    await lived_in(services, connection_id)
    table = await services.store.tables.table(USERS)
    await table.create_entity({"PartitionKey": f"{connection_id}-a", "RowKey": "a-session"})
    if users == "keep":
        await admin.delete(url, params={"users": users})
    else:
        await confirmed(admin, url, users=users)

    assert (await left(services, connection_id))[USERS] == rows
    for one in neighbours:
        assert await left(services, one) == EVERYTHING


@pytest.mark.usefixtures("made")
async def test_more_people_than_a_batch_holds_go(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    many = [creation(object_id("c", number)) for number in range(MAX_OPERATIONS)]
    await apply(services, connection_id, *many)
    await confirmed(admin, url, users="delete")

    assert (await left(services, connection_id))[USERS] == 0


@pytest.mark.parametrize("users", ["keep", "disable", "delete"])
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


@pytest.mark.usefixtures("made")
async def test_a_run_that_died_does_not_stand_in_the_way(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    wanted = Next(new_run_id(services.clock()), "timer", "auto")
    long_ago = services.clock() - timedelta(minutes=5)
    await services.store.leases.acquire(connection_id, wanted, "worker", long_ago)

    assert (await admin.delete(url, params={"users": "delete"})).status_code == 204


@pytest.mark.usefixtures("made")
async def test_a_run_that_waited_is_told_that_it_will_not_come(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
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
    await people(services, connection_id, 1)
    deleting, go_on = asyncio.Event(), asyncio.Event()
    delete_all = People.delete_all

    async def slowly(self: People, fence: Fence) -> int:
        deleting.set()
        await go_on.wait()
        return await delete_all(self, fence)

    monkeypatch.setattr(People, "delete_all", slowly)
    deletion = asyncio.create_task(confirmed(admin, url, users="delete"))
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


@pytest.mark.usefixtures("used")
async def test_a_deletion_that_broke_off_can_be_done_again(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is half deleted is disabled, so that no run fills it again."""

    async def broken(*_: object) -> None:
        raise RetryLater("storage.unavailable", "Table Storage did not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(services.store.runs, "delete_all_but", broken)
        refused = await confirmed(admin, url, users="delete")
    between = (await admin.get(url)).json()
    enabled = await admin.patch(url, json={"enabled": True})
    otherwise = await admin.delete(url, params={"users": "keep"})
    again = await admin.delete(url, params={"users": "delete"})

    assert refused.status_code == 503
    assert between["enabled"] is False
    assert [answer.json()["code"] for answer in (enabled, otherwise)] == [
        "connection.beingDeleted"
    ] * 2
    assert again.status_code == 204
    assert await left(services, connection_id) == NOTHING | {RUNS: 1}


@pytest.mark.parametrize("users", ["disable", "delete"])
@pytest.mark.usefixtures("used")
async def test_a_deletion_that_takes_long_goes_on_in_the_queue(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    users: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer comes after 30 seconds; a message that gets lost is sent again by the timer."""
    sent: list[SyncRequest] = []

    async def note(request: SyncRequest) -> None:
        sent.append(request)

    monkeypatch.setattr(services.queue, "send", note)
    with monkeypatch.context() as patch:
        patch.setattr(delete, "ANSWER_BUDGET", timedelta(seconds=-1))
        answer = await confirmed(admin, url, users=users)
    run = await admin.get(answer.headers["Location"])
    between = (await admin.get(url)).json()
    made = await admin.post("/api/connections", json=document(connection_id))
    await delete.request_unfinished(services)
    await triggers._do(services, sent[1])
    await triggers._do(services, sent[0])
    ended = (await admin.get(answer.headers["Location"])).json()

    assert answer.status_code == 202
    assert mismatches(answer.json(), "Run") == []
    assert answer.json() == run.json()
    assert (run.json()["status"], run.json()["trigger"]) == ("running", "byHand")
    assert between["enabled"] is False
    assert "connection.beingDeleted" in {one["code"] for one in between["warnings"]}
    assert made.status_code == 409
    assert [one.purpose for one in sent] == [Purpose.DELETE] * 2
    assert (await admin.get(url)).status_code == 404
    assert (ended["status"], ended["counts"]["disabled"], ended["counts"]["deleted"]) == (
        "succeeded",
        1 if users == "disable" else 0,
        2 if users == "delete" else 0,
    )
    assert active(await rows_of(services, connection_id)) == set()
    assert (await left(services, connection_id))[DELETIONS] == 0


@pytest.mark.usefixtures("made")
async def test_who_was_disabled_is_counted_or_it_says_at_least(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The storage freezes in the middle: a batch was written, and nobody heard of it."""
    await apply(services, connection_id, creation(ANN), creation(BEN))
    with monkeypatch.context() as patch:
        lose_answers(patch)
        broken_off = await confirmed(admin, url)
    [between] = await byhand_runs(services, connection_id)
    written = 2 - len(active(await rows_of(services, connection_id)))
    again = await admin.delete(url)
    [ended] = await byhand_runs(services, connection_id)

    assert (broken_off.status_code, again.status_code) == (503, 204)
    assert between.counts.disabled < written
    assert between.counts_at_least
    assert (ended.status, ended.counts_at_least) == (RunStatus.SUCCEEDED, True)
    assert active(await rows_of(services, connection_id)) == set()


@pytest.mark.usefixtures("made")
async def test_a_message_leaves_a_deletion_alone_that_another_worker_has_in_hand(
    *, connection_id: str, services: Services
) -> None:
    deletion = Deletion(connection_id, Users.DELETE, "an administrator", "8228000000000-1f", 0)
    await services.store.deletions.begin(deletion)
    wanted = Next(new_run_id(services.clock()), "manual", "auto")
    await services.store.leases.acquire(connection_id, wanted, "worker", services.clock())
    await delete.go_on(services, connection_id)
    found = await services.store.connections.find(connection_id)
    await services.store.leases.release(connection_id, "worker")
    await delete.go_on(services, connection_id)
    await delete.go_on(services, connection_id)

    assert found is not None
    assert await services.store.connections.find(connection_id) is None
    assert await services.store.deletions.find(connection_id) is None


@pytest.mark.usefixtures("made")
async def test_a_person_whose_row_changes_meanwhile_is_disabled_all_the_same(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An application writes its own columns into the same rows."""
    await apply(services, connection_id, creation(CAT))
    table = await services.store.tables.table(USERS)
    load_rows, touched = UserStore.load_rows, [0]

    async def and_then_changed(self: UserStore, *args: Any) -> dict[str, Any]:
        rows = await load_rows(self, *args)
        touched[0] += CAT in rows
        if CAT in rows and touched[0] == 4:  # the plans of both requests, and of the writing
            keys = {"PartitionKey": f"{connection_id}-c", "RowKey": CAT}
            await table.update_entity(keys | {"lastSeen": "today"})
        return rows

    monkeypatch.setattr(UserStore, "load_rows", and_then_changed)
    answer = await confirmed(admin, url)
    row = (await rows_of(services, connection_id))[CAT]

    assert answer.status_code == 204
    assert (row["Status"], row["lastSeen"]) == ("disabled", "today")


@pytest.mark.usefixtures("made")
async def test_a_plan_that_was_refused_is_complete_in_pages_and_as_csv(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    ids = await people(services, connection_id, 30)
    named = creation(object_id("f", 99), displayName='=HYPERLINK("http://x")')
    await apply(services, connection_id, named)
    problem = (await admin.delete(url)).json()
    first = (await admin.get(problem["planUrl"], params={"top": 25})).json()
    second = (await admin.get(problem["planUrl"], params={"cursor": first["next"]})).json()
    table = await admin.get(problem["planUrl"], headers={"Accept": "text/csv"})
    same = await admin.get(problem["planUrl"], params={"format": "csv"})
    lines = list(csv.DictReader(io.StringIO(table.text)))
    foreign = await admin.get(f"{url}/plans/{problem['planHash']}0")

    assert len(problem["changes"]) == 20
    assert mismatches(first, "PlanChangeList") == []
    listed = [one["objectId"] for one in first["items"] + second["items"]]
    assert listed == sorted([*ids, named.object_id])
    assert second["next"] is None
    assert table.headers["Content-Type"].startswith("text/csv")
    assert table.text == same.text
    assert [line["objectId"] for line in lines] == listed
    assert {line["reason"] for line in lines} == {"connectionDeleted"}
    assert "'=HYPERLINK" in table.text, "a spreadsheet would run it"
    assert (foreign.status_code, foreign.json()["code"]) == (404, "plan.notFound")


@pytest.mark.usefixtures("made")
async def test_refused_plans_are_forgotten_after_a_week(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, url: str
) -> None:
    await people(services, connection_id, 1)
    path = (await admin.delete(url)).json()["planUrl"]
    now = services.clock()
    await services.store.refused_plans.forget_old(now + timedelta(days=6))
    kept = await admin.get(path)
    await services.store.refused_plans.forget_old(now + timedelta(days=8))

    assert kept.status_code == 200
    assert (await admin.get(path)).status_code == 404
    assert (await left(services, connection_id))[PLANS] == 0


@pytest.mark.usefixtures("made")
async def test_rows_that_somebody_else_deletes_meanwhile_are_no_obstacle(
    connection_id: str, services: Services
) -> None:
    """A batch with one row that is gone is refused as a whole; the others must go all the same."""
    ids = await people(services, connection_id, 16)
    await apply(services, connection_id, *(creation(object_id("0", n)) for n in range(20, 30)))
    table = await services.store.tables.table(USERS)
    vanishing = [ids[0]]

    async def still_held() -> None:
        while vanishing:
            key = vanishing.pop()
            await table.delete_entity(f"{connection_id}-{key[0]}", key)

    async with held(services, connection_id, budget=None) as hold:
        hold.fence._still_held = still_held
        await services.store.people(connection_id).delete_all(hold.fence)

    assert (await left(services, connection_id))[USERS] == 0


@pytest.mark.usefixtures("made")
async def test_a_word_that_says_nothing_of_what_becomes_of_people(
    admin: httpx.AsyncClient, url: str
) -> None:
    answer = await admin.delete(url, params={"users": "all"})

    assert answer.status_code == 422
    assert (await admin.get(url)).status_code == 200


async def test_deleting_what_is_not_there(admin: httpx.AsyncClient, url: str) -> None:
    assert (await admin.delete(url)).status_code == 404
