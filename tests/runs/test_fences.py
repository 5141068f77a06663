"""Who has lost a connection without knowing it cannot write where the new holder has written."""

import asyncio
import itertools
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from azure.data.tables.aio import TableClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from local.graph import GraphEmulator
from sync_core.connections import delete
from sync_core.connections.refusals import NeedsConfirmation
from sync_core.domain.connections.deletion import Users
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import RunStatus, Trigger
from sync_core.domain.errors import LeaseLost, RetryLater
from sync_core.domain.model import HEX_DIGITS
from sync_core.people.sync_now import sync_person
from sync_core.runs import apply, removal, worker
from sync_core.runs import hold as holds
from sync_core.services import Services, open_services, utc_now
from sync_core.settings import Settings
from sync_core.store import fences, wire
from sync_core.store import people as rows_of_people
from sync_core.store.fences import FENCE, Claim, Fence
from sync_core.store.leases import DURATION, Next
from sync_core.store.store import Store
from sync_core.store.tables import LEASES, MATCHES, USERS, Tables
from sync_core.store.wire import BatchRefused, Entity, Operation, Verb, point, query, quoted
from tests.runs.events import stop_clock
from tests.system import (
    BY_HAND,
    Clock,
    Rig,
    active,
    group_scope,
    histories_of,
    impatient,
    rows_of,
    run_now,
    stored_connection,
)

Send = Callable[[TableClient, Sequence[Operation]], Awaitable[str | None]]
_names = itertools.count(1)


async def in_time() -> None:
    """Say what the clock of a worker says that slept: its lease still stands."""


class Term:
    """Holders of one connection, one after another; each believes to the end that it is the holder."""

    def __init__(self, store: Store, connection_id: str) -> None:
        self._store = store
        self._connection_id = connection_id
        self._begins = utc_now()

    async def taken_over(self) -> Fence:
        """Let the lease end, and give the fence of the holder who takes it."""
        self._begins += DURATION + timedelta(seconds=1)
        holder = f"worker {next(_names)}"
        wanted = Next(f"run {holder}", "timer", "auto")
        chosen, before = await self._store.leases.acquire(
            self._connection_id, wanted, holder, self._begins
        )
        assert chosen is not None
        return self._store.fence(Claim(self._connection_id, holder, before.epoch + 1), in_time)


@pytest.fixture
def term(services: Services, connection_id: str) -> Term:
    return Term(services.store, connection_id)


def written(partition: str, key: str, **columns: object) -> Operation:
    return Operation(Verb.UPSERT, {"PartitionKey": partition, "RowKey": key, **columns})


async def rows_in(tables: Tables, name: str, partition: str) -> dict[str, Entity]:
    """Return the rows of a partition by key, and its fence."""
    table = await tables.table(name)
    condition = f"PartitionKey eq {quoted(partition)}"
    return {row["RowKey"]: row async for page in query(table, condition) for row in page}


async def fence_of(services: Services, partition: str) -> Entity:
    row = await point(await services.store.tables.table(USERS), partition, FENCE)
    assert row is not None
    return row


@dataclass
class Interrupting:
    """Sends batches as they come, and does something else first when it is told to."""

    send: Send
    first: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    async def __call__(self, table: TableClient, operations: Sequence[Operation]) -> str | None:
        while self.first:
            await self.first.pop()()
        return await self.send(table, operations)


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Interrupting:
    sender = Interrupting(wire.submit)
    monkeypatch.setattr(fences, "submit", sender)
    return sender


# --- the row ----------------------------------------------------------------------------------------


async def test_the_first_batch_of_a_holder_raises_the_fence(
    services: Services, connection_id: str, term: Term
) -> None:
    partition = f"{connection_id}-a"
    epochs = []
    for number in range(3):
        fence = await term.taken_over()
        await fence.submit(USERS, [written(partition, f"a{number}")])
        epochs.append((await fence_of(services, partition))["Epoch"])

    rows = await rows_in(services.store.tables, USERS, partition)
    assert epochs == [1, 2, 3]
    assert rows.keys() == {"a0", "a1", "a2", FENCE}


async def test_a_fence_is_read_once_however_many_batches_follow(
    connection_id: str, term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new ETag is in the answer to the batch."""
    reads: list[str] = []

    async def counted(table: TableClient, partition: str, row: str) -> Entity | None:
        reads.append(partition)
        return await point(table, partition, row)

    monkeypatch.setattr(fences, "point", counted)
    fence, partitions = await term.taken_over(), [f"{connection_id}-{digit}" for digit in "ab"]
    for number in range(5):
        for partition in partitions:
            await fence.submit(USERS, [written(partition, f"a{number}")])

    assert sorted(reads) == partitions


async def test_a_fence_that_was_loaded_with_other_rows_need_not_be_the_newest(
    services: Services, connection_id: str, term: Term
) -> None:
    """Whoever was overtaken since is refused all the same."""
    partition = f"{connection_id}-a"
    older = await term.taken_over()
    await older.submit(USERS, [written(partition, "a1")])
    loaded = await fence_of(services, partition)
    newer = await term.taken_over()
    await newer.recall(USERS, partition, loaded)
    await newer.submit(USERS, [written(partition, "a2")])
    late = await term.taken_over()
    await late.recall(USERS, partition, loaded)

    await late.submit(USERS, [written(partition, "a3")])
    with pytest.raises(LeaseLost):
        await older.submit(USERS, [written(partition, "a4")])

    rows = await rows_in(services.store.tables, USERS, partition)
    assert rows.keys() == {"a1", "a2", "a3", FENCE}


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_refusal_names_the_callers_own_operation(
    services: Services, connection_id: str, term: Term, place: int
) -> None:
    """And a batch that is refused for another reason changes nothing: the next one goes through."""
    partition = f"{connection_id}-a"
    operations = [written(partition, f"a{number}") for number in range(3)]
    gone = Operation(Verb.REPLACE, operations[place].entity, 'W/"another"')
    fence = await term.taken_over()
    await fence.submit(USERS, operations)
    with pytest.raises(BatchRefused) as caught:
        await fence.submit(USERS, [*operations[:place], gone, *operations[place + 1 :]])
    await fence.submit(USERS, [written(partition, "b")])

    assert (caught.value.status, caught.value.index) == (412, place)
    assert (await fence_of(services, partition))["Batch"] == 3


async def test_a_fence_that_was_deleted_is_put_up_again_by_who_has_the_lease_only(
    services: Services, connection_id: str, term: Term
) -> None:
    """A deletion takes it away at its end, and nothing may come back into what is left."""
    partition = f"{connection_id}-a"
    old = await term.taken_over()
    await old.submit(USERS, [written(partition, "a")])
    new = await term.taken_over()
    await new.submit(USERS, [Operation(Verb.DELETE, written(partition, "a").entity)])
    await new.remove(USERS, partition)
    with pytest.raises(LeaseLost):
        await old.submit(USERS, [written(partition, "a")])
    nothing = await rows_in(services.store.tables, USERS, partition)
    await new.submit(USERS, [written(partition, "b")])

    assert nothing == {}
    assert (await rows_in(services.store.tables, USERS, partition)).keys() == {"b", FENCE}


async def test_batches_of_one_hold_in_one_partition_do_not_disturb_each_other(
    services: Services, connection_id: str, term: Term
) -> None:
    """A row that is taken over may be marked while its partition is being written to."""
    fence, partition = await term.taken_over(), f"{connection_id}-a"
    await asyncio.gather(
        *(fence.submit(USERS, [written(partition, f"a{number}")]) for number in range(20))
    )

    assert (await fence_of(services, partition))["Batch"] == 20


async def test_an_epoch_counts_on_when_a_connection_is_deleted(
    services: Services, connection_id: str, term: Term
) -> None:
    """Or who held the first connection of this id would be newer than who holds the second."""
    await term.taken_over()
    await services.store.leases.clear(connection_id)
    cleared = await services.store.leases.read(connection_id)
    await term.taken_over()
    lease = await services.store.leases.read(connection_id)

    assert (cleared.epoch, cleared.holder, cleared.last_started_at) == (1, None, None)
    assert lease.epoch == 2


async def test_a_fence_of_a_life_that_an_older_release_has_ended_is_outgrown(
    services: Services, connection_id: str, term: Term
) -> None:
    """It deletes the lease with the connection, and leaves the fences of the people whom it keeps."""
    partition, other = f"{connection_id}-a", f"{connection_id}-b"
    _, _, old = [await term.taken_over() for _ in range(3)]
    await old.submit(USERS, [written(partition, "a")])
    leases = await services.store.tables.table(LEASES)
    await leases.delete_entity("lease", connection_id)
    new = await term.taken_over()
    await new.submit(USERS, [written(other, "b")])
    await new.submit(USERS, [written(partition, "b")])
    with pytest.raises(LeaseLost):
        await old.submit(USERS, [written(partition, "a")])

    assert (await fence_of(services, partition))["Epoch"] == 4
    assert (await services.store.leases.read(connection_id)).epoch == 4


# --- holders at odds --------------------------------------------------------------------------------

HOLDERS, PARTITIONS = 4, "abc"
WRITES = st.tuples(st.integers(0, HOLDERS - 1), st.sampled_from(PARTITIONS))
STEPS = st.lists(st.lists(WRITES, min_size=1, max_size=3), max_size=10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.sampled_from([USERS, MATCHES]),
    takes=st.lists(st.integers(0, 10), max_size=HOLDERS - 1),
    steps=STEPS,
)
async def test_no_batch_of_an_older_holder_follows_one_of_a_newer(
    services: Services,
    interrupting: Interrupting,
    table: str,
    takes: list[int],
    steps: list[list[tuple[int, str]]],
) -> None:
    """Each step is a batch; the batches behind it are sent when it has looked, and is not sent yet."""
    connection_id = f"odds{next(_names)}"
    term = Term(services.store, connection_id)
    holders = [await term.taken_over()]
    accepted: defaultdict[str, list[int]] = defaultdict(list)
    under_way: set[int] = set()

    async def write(number: int, digit: str, key: str) -> None:
        index = min(number, len(holders) - 1)
        if index in under_way:
            return  # a hold sends its batches of a partition one after another
        under_way.add(index)
        try:
            batch = [written(f"{connection_id}-{digit}", f"{key}{n}", By=index) for n in (1, 2)]
            await holders[index].submit(table, batch)
        except LeaseLost:
            assert index < len(holders) - 1, "the newest holder can always write"
        else:
            accepted[digit].append(index)
        under_way.remove(index)

    for at, (first, *between) in enumerate(steps):
        holders += [await term.taken_over() for _ in range(takes.count(at))]
        interrupting.first = [
            partial(write, *one, f"{at}-{number}-") for number, one in enumerate(between)
        ]
        await write(*first, f"{at}-")
        interrupting.first = []

    for digit in PARTITIONS:
        assert accepted[digit] == sorted(accepted[digit])
        rows = await rows_in(services.store.tables, table, f"{connection_id}-{digit}")
        rows.pop(FENCE, None)
        by = sorted(row["By"] for row in rows.values())
        assert by == sorted([*accepted[digit], *accepted[digit]])


# --- whoever sleeps through a lease -----------------------------------------------------------------


@pytest.fixture
async def people(services: Services, emulator: GraphEmulator, connection_id: str) -> list[str]:
    """Give the people of a connection that has run: one in each partition."""
    control = emulator.control
    people = [
        control.create_person({"id": f"{digit}{str(uuid4())[1:]}"})["id"] for digit in HEX_DIGITS
    ]
    scope = group_scope(control.create_group("All", members=people)["id"])
    await stored_connection(services, connection_id, scope=scope)
    await run_now(services, connection_id)
    return people


Work = Callable[[Services, str, str], Awaitable[object]]


async def a_run(services: Services, connection_id: str, _: str) -> None:
    request = SyncRequest(connection_id=connection_id, trigger=Trigger.TIMER)
    await worker.handle(services, request)


async def one_person(services: Services, connection_id: str, person: str) -> None:
    await sync_person(services, connection_id, person, BY_HAND)


async def a_deletion(services: Services, connection_id: str, users: Users) -> None:
    stored = await services.store.connections.get(connection_id)
    with pytest.raises(NeedsConfirmation) as refused:
        await delete.delete(services, stored, users, [], BY_HAND)
    [plan_hash] = [refused.value.members["planHash"]]
    await delete.delete(services, stored, users, [str(plan_hash)], BY_HAND)


async def disabling(services: Services, connection_id: str, _: str) -> None:
    await a_deletion(services, connection_id, Users.DISABLE)


async def erasing(services: Services, connection_id: str, _: str) -> None:
    await a_deletion(services, connection_id, Users.DELETE)


@pytest.mark.parametrize("sleeping", [a_run, one_person, disabling, erasing])
async def test_who_sleeps_through_a_lease_changes_nothing_of_what_came_since(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    interrupting: Interrupting,
    monkeypatch: pytest.MonkeyPatch,
    sleeping: Work,
) -> None:
    """It sleeps in the worst place: its batch is on its way, and by its own clock it is in time."""
    monkeypatch.setattr(holds, "TRUST", timedelta(days=1))
    monkeypatch.setattr(holds, "HEARTBEAT_S", 3600.0)
    monkeypatch.setattr(delete, "ANSWER_BUDGET", timedelta(days=1))
    # One partition after another: the first batch is stopped before any is sent.
    for module in (apply, removal, rows_of_people):
        monkeypatch.setattr(module, "PARTITIONS_AT_ONCE", 1)
    clock, control = stop_clock(services), emulator.control
    written_since: list[list[dict[str, Entity]]] = []

    async def meanwhile() -> None:
        clock.skip(seconds=DURATION.total_seconds() + 1)
        control.change_many("patch", keys=people, values={"jobTitle": "Later"})
        control.remove_members(group, newcomer)
        if sleeping in (disabling, erasing):
            await delete.go_on(services, connection_id)
            await stored_connection(services, connection_id, scope=scope)
        run = await run_now(services, connection_id)
        assert run.status is RunStatus.SUCCEEDED
        assert len(active(await rows_of(services, connection_id))) == len(people)
        written_since.append(await everything_of(services, connection_id))

    scope = (await services.store.connections.get(connection_id)).connection.to_json()["scope"]
    [group] = scope["filters"][0]["clauses"][0]["value"]
    control.change_many("patch", keys=people, values={"jobTitle": "Sooner"})
    newcomer = control.create_person()["id"]
    control.add_members(group, newcomer)
    interrupting.first = [meanwhile]
    with suppress(LeaseLost):
        await sleeping(services, connection_id, newcomer)

    assert [await everything_of(services, connection_id)] == written_since


async def everything_of(services: Services, connection_id: str) -> list[dict[str, Entity]]:
    """Return the rows, histories, marks and fences of a connection's people, with their ETags."""
    tables = services.store.tables
    return [await rows_in(tables, USERS, f"{connection_id}-{digit}") for digit in HEX_DIGITS]


async def test_no_reader_takes_a_fence_for_a_person_or_a_change(
    services: Services, connection_id: str, people: list[str]
) -> None:
    store = services.store.people(connection_id)
    listed, after = await store.page(top=100)
    index = await services.store.users(connection_id).load_index()
    histories = [await store.history(one, top=100) for one in people]

    assert ([one.object_id for one in listed], after) == (sorted(people), None)
    assert (sorted(index.people), sorted(index.foreign)) == (sorted(people), [])
    assert [len(changes) for changes, _ in histories] == [1] * len(people)
    assert await store.find(FENCE) is None


# --- answers that are lost --------------------------------------------------------------------------

# How a batch fares: whether it is written, and what comes back: an answer, or the end of the connection.
ANSWERED, ANSWER_LOST, CUT_AFTER, CUT_BEFORE = "answered", "503 after", "cut after", "cut before"


class Losing:
    """Azurite's tables over a line that loses the first answer to each batch."""

    def __init__(self, target: str, session: ClientSession) -> None:
        self._target, self._session = target, session
        self._known: set[bytes] = set()
        self.trouble = ANSWERED

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_lost = request.path.endswith("$batch") and body not in self._known
        trouble = self.trouble if is_lost else ANSWERED
        self._known |= {body} if is_lost else set()
        if trouble == CUT_BEFORE:
            return self._cut(request)
        url = URL(f"{self._target}{request.raw_path}", encoded=True)
        async with self._session.request(
            request.method, url, headers=_passed(request.headers), data=body or None
        ) as answer:
            content = await answer.read()
        if trouble == CUT_AFTER:
            return self._cut(request)
        if trouble == ANSWER_LOST:
            return web.Response(status=503)
        return web.Response(status=answer.status, headers=_passed(answer.headers), body=content)

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    own = {"host", "connection", "content-length", "transfer-encoding"}
    return {name: value for name, value in headers.items() if name.lower() not in own}


@pytest.fixture
async def losing(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[tuple[Losing, Services]]:
    """Give such a line, and services that write over it."""
    storage = rig.azurite.connection_string
    [target] = re.findall(r"TableEndpoint=(http://[^/;]+)", storage)
    async with ClientSession(auto_decompress=False) as session:
        line = Losing(target, session)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", line.handle)
        async with TestServer(app) as server:
            here = f"http://127.0.0.1:{server.port}"
            environment = rig.environment(emulator)
            environment["AzureWebJobsStorage"] = storage.replace(target, here)
            of_the_line = Settings.from_env(environment)
            async with open_services(
                of_the_line, clock=Clock(), retry_budget=impatient
            ) as services:
                yield line, services


@pytest.mark.parametrize("trouble", [ANSWER_LOST, CUT_AFTER])
async def test_a_batch_whose_answer_is_lost_is_written_once(
    losing: tuple[Losing, Services], emulator: GraphEmulator, connection_id: str, trouble: str
) -> None:
    """The SDK sends a batch again after a 503; nothing was told of a connection that was cut."""
    line, services = losing
    policy = {"guard": {"maxRewrittenPercent": None}}
    await stored_connection(services, connection_id, policy=policy)
    line.trouble = trouble
    created = await run_now(services, connection_id)
    people = sorted(await rows_of(services, connection_id))
    emulator.control.change_many("patch", keys=people, values={"department": "Moved"})
    updated = await run_now(services, connection_id)
    histories = await histories_of(services, connection_id)

    assert (created.status, updated.status) == (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED)
    assert created.counts.created == updated.counts.updated == len(people) > 0
    assert updated.errors == []
    for person in people:
        assert [row["Action"] for row in histories[person]] == ["update", "create"]


async def test_a_batch_that_did_not_arrive_is_not_taken_for_written(
    losing: tuple[Losing, Services], connection_id: str
) -> None:
    line, services = losing
    fence, partition = await Term(services.store, connection_id).taken_over(), f"{connection_id}-a"
    await fence.submit(USERS, [written(partition, "a")])
    line.trouble = CUT_BEFORE
    with pytest.raises(RetryLater, match="did not answer"):
        await fence.submit(USERS, [written(partition, "b")])
    line.trouble = ANSWERED
    between = await rows_in(services.store.tables, USERS, partition)
    await fence.submit(USERS, [written(partition, "c")])

    assert between.keys() == {"a", FENCE}
    assert (await rows_in(services.store.tables, USERS, partition)).keys() == {"a", "c", FENCE}
