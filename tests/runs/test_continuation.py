"""A full reading that takes longer than a run may goes on in the next one, and asks for nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables.aio import TableClient

from local.graph import GraphEmulator
from sync_core.directory import requests
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.errors import RetryLater, Unconfirmed
from sync_core.domain.incremental.kept_reading import READING_LIFE
from sync_core.domain.incremental.open_people import Cause
from sync_core.draining import Draining
from sync_core.people.sync_now import sync_person
from sync_core.runs import continuation, worker
from sync_core.runs.apply import apply
from sync_core.services import Services, utc_now
from sync_core.store import fences, readings, wire
from sync_core.store.tables import READINGS
from sync_core.store.wire import Operation
from tests.runs.by_hand import imported, released
from tests.runs.recovery import assert_history_is_whole, essence
from tests.runs.test_draining import asked_slowly
from tests.system import (
    BY_HAND,
    active,
    group_scope,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)

EVERYONE = {"everyone": True}
USERS = "/v1.0/users"
A_PAGE, PAGES = 10, 6
SLOW_S, SOON_S = 120, 60


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the sixty people in pages of ten, of which each is worth to be kept, in rows of a kilobyte."""
    monkeypatch.setattr(requests, "MAX_PAGE", A_PAGE)
    monkeypatch.setattr(continuation, "LEAST_PAGES", 1)
    monkeypatch.setattr(readings, "ROW_BYTES", 1024)


async def stopped(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    after: int,
    mode: str = "auto",
    **fault: Any,
) -> Run:
    """Run until so many pages have been read, and end the process in the middle of the next one."""
    where = {"path": USERS, "after": after} | fault
    emulator.control.add_fault("slow", milliseconds=SLOW_S * 1000, times=1, **where)
    wanted = {"connectionId": connection_id, "trigger": "manual", "mode": mode}
    request = SyncRequest.model_validate(wanted)
    ending = replace(services, draining=Draining())
    async with asyncio.timeout(SOON_S):
        running = asyncio.create_task(worker.handle(ending, request))
        await asked_slowly(emulator)
        ending.draining.begin()
        run = await running
    emulator.control.clear_faults()
    emulator.control.reset_requests()
    assert run is not None
    assert (run.status, run.error and run.error.code) == (RunStatus.PARTIAL, "run.drained")
    return run


def pages_asked(emulator: GraphEmulator) -> int:
    """Count the pages of people that were asked for since the last run was stopped."""
    return sum(one.path == USERS and not one.inside_batch for one in emulator.control.requests())


def batches_asked(emulator: GraphEmulator) -> int:
    return sum(one.path == "/v1.0/$batch" for one in emulator.control.requests())


async def kept_rows(services: Services, connection_id: str) -> list[str]:
    table = await services.store.tables.table(READINGS)
    found = table.query_entities(f"PartitionKey eq '{connection_id}' and RowKey lt '~'")
    return [row["RowKey"] async for row in found]


async def wanted_rows(services: Services, connection_id: str, **changes: Any) -> dict[str, Any]:
    """Return what a run that nothing stops makes of the directory as it is."""
    beside = f"{connection_id}-beside"
    await stored_connection(services, beside, **{"scope": EVERYONE} | changes)
    await run_now(services, beside)
    return essence(await rows_of(services, beside))


async def test_a_reading_goes_on_where_each_run_had_to_stop(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=2)
    await stopped(services, emulator, connection_id, after=2)
    kept = (await services.store.checkpoints.load(connection_id)).reading
    nothing_written = await rows_of(services, connection_id)
    last = await run_now(services, connection_id)
    pages = pages_asked(emulator)
    left = await services.store.checkpoints.load(connection_id)

    assert kept is not None
    assert len(kept.parts) == 2
    assert nothing_written == {}
    assert last.status is RunStatus.SUCCEEDED
    assert pages == PAGES - 4
    assert left.reading is None
    assert left.checkpoint is not None
    assert (left.checkpoint.users, left.checkpoint.first_at) == (kept.users, kept.began_at)
    assert left.checkpoint.reading_requests > last.graph.requests
    assert await kept_rows(services, connection_id) == []
    assert essence(await rows_of(services, connection_id)) == await wanted_rows(
        services, connection_id
    )


async def test_a_run_that_has_read_everything_leaves_that_to_the_one_that_writes(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await stored_connection(services, connection_id, scope=EVERYONE)
    ending = replace(services, draining=Draining())

    async def too_late(*arguments: Any) -> None:
        ending.draining.begin()
        await apply(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("sync_core.runs.worker.apply", too_late)
        first = await run_now(ending, connection_id)
    emulator.control.reset_requests()
    second = await run_now(services, connection_id)

    assert first.error is not None
    assert (first.error.code, first.counts.created) == ("run.drained", 0)
    assert (second.status, pages_asked(emulator)) == (RunStatus.SUCCEEDED, 0)
    assert second.counts.created == len(await rows_of(services, connection_id)) > 40
    await assert_history_is_whole(services, connection_id)


async def test_what_changes_while_a_reading_is_left_is_seen_afterwards(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """By the delta that began before the reading: pages that were read long ago are played back."""
    control = emulator.control
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)
    people = [one["id"] for one in control.people()]
    renamed, gone = people[:2]
    control.patch_person(renamed, {"displayName": "Renamed since"})
    control.change_many("softDelete", keys=[gone])
    hired = str(control.create_person({"displayName": "Hired since"})["id"])
    finished = await run_now(services, connection_id)
    played_back = await rows_of(services, connection_id)
    set_clock(services, lambda: utc_now() + timedelta(minutes=6))
    followed = await run_now(services, connection_id, mode="incremental")
    rows = await rows_of(services, connection_id)

    assert (finished.mode, followed.mode) == ("full", "incremental")
    assert gone in active(played_back)
    assert played_back[renamed]["displayName"] != "Renamed since"
    assert gone not in active(rows)
    assert rows[renamed]["displayName"] == "Renamed since"
    assert rows[hired]["displayName"] == "Hired since"


async def test_who_was_told_of_before_a_reading_is_looked_at_after_it_also_by_the_run_that_ends_it(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The lists may show what was before: of somebody in no group that is read, only the delta told."""
    control = emulator.control
    people = [control.create_person()["id"] for _ in range(30)]
    group = control.create_group("Read in parts", members=people)["id"]
    passer_by = control.create_person()["id"]
    await stored_connection(services, connection_id, scope=group_scope(group))
    await run_now(services, connection_id)
    control.add_members(group, passer_by)
    control.remove_members(group, passer_by)
    members = f"/v1.0/groups/{group}/members/**user"
    await stopped(services, emulator, connection_id, after=2, mode="full", path=members)
    run = await run_now(services, connection_id, mode="full")
    kept = await services.store.checkpoints.load(connection_id)

    assert (run.mode, run.status) == ("full", RunStatus.SUCCEEDED)
    assert (passer_by, Cause.RECENT) in kept.cases


async def test_who_was_synced_alone_while_a_reading_is_left_stays_as_that_has_made_them(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """An account is blocked and synced at once: the pages that were read before say that it is not."""
    control = emulator.control
    await stored_connection(services, connection_id, scope=EVERYONE)
    await run_now(services, connection_id)
    dismissed = control.people()[0]["id"]
    await stopped(services, emulator, connection_id, after=3, mode="full")
    control.patch_person(dismissed, {"accountEnabled": False})
    hired = str(control.create_person({"displayName": "Hired since"})["id"])
    for one in (dismissed, hired):
        await sync_person(services, connection_id, one, BY_HAND)
    await stopped(services, emulator, connection_id, after=1)
    before = active(await rows_of(services, connection_id))
    run = await run_now(services, connection_id)
    after = active(await rows_of(services, connection_id))
    kept = await services.store.checkpoints.load(connection_id)

    assert (run.status, pages_asked(emulator) > 0) == (RunStatus.SUCCEEDED, True)
    assert run.counts.reenabled == 0
    assert before == after
    assert {hired} == {hired, dismissed} & after
    assert {(dismissed, Cause.RECENT), (hired, Cause.RECENT)} <= kept.cases.keys()


async def test_who_was_given_back_to_the_rules_while_a_reading_is_left_does_not_come_back_by_it(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The pages that were read before say that the account was in scope."""
    control = emulator.control
    everyone_of = {"attribute": "department", "operator": "NOT EQUALS", "value": "Left"}
    await stored_connection(
        services, connection_id, scope={"filters": [{"clauses": [everyone_of]}]}
    )
    dismissed = control.people()[0]["id"]
    await imported(services, connection_id, [dismissed])
    await run_now(services, connection_id)
    await stopped(services, emulator, connection_id, after=3, mode="full")
    control.patch_person(dismissed, {"department": "Left"})
    with pytest.raises(Unconfirmed) as refused:
        await released(services, connection_id, dismissed)
    await released(services, connection_id, dismissed, refused.value.members["planHash"])
    run = await run_now(services, connection_id)

    assert (run.mode, run.counts.reenabled) == ("full", 0)
    assert dismissed not in active(await rows_of(services, connection_id))


async def change_mapping(services: Services, _: GraphEmulator, connection_id: str) -> None:
    stored = await services.store.connections.get(connection_id)
    mapping = [{"target": "name", "source": "displayName"}]
    document = stored.connection.to_json() | {"mapping": mapping}
    changed = type(stored.connection).model_validate(document)
    await services.store.connections.replace(changed, stored)


async def let_it_grow_old(services: Services, _: GraphEmulator, __: str) -> None:
    set_clock(services, lambda: utc_now() + READING_LIFE + timedelta(minutes=1))


async def lose_a_row(services: Services, _: GraphEmulator, connection_id: str) -> None:
    table = await services.store.tables.table(READINGS)
    await table.delete_entity(connection_id, (await kept_rows(services, connection_id))[-1])


async def refuse_the_link(_: Services, emulator: GraphEmulator, __: str) -> None:
    emulator.control.add_fault("badRequest", path=USERS, times=1)


Spoil = Callable[[Services, GraphEmulator, str], Awaitable[None]]


@pytest.mark.parametrize(
    ("spoil", "more"),
    [(change_mapping, 0), (let_it_grow_old, 0), (lose_a_row, 0), (refuse_the_link, 1)],
)
async def test_a_reading_that_cannot_go_on_begins_anew(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    spoil: Spoil,
    more: int,
) -> None:
    """Settings were changed, a day is over, a row is gone, Graph does not go on from a link."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)
    await spoil(services, emulator, connection_id)
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert pages_asked(emulator) == PAGES + more
    assert len(await rows_of(services, connection_id)) == run.counts.created > 40
    assert await kept_rows(services, connection_id) == []


async def test_what_is_kept_by_half_is_not_gone_on_with(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Storage fails while the second batch of a part is written: as after a kill, no row says it is whole."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    batches: list[str] = []

    async def send(table: TableClient, operations: Sequence[Operation]) -> str | None:
        batches.extend([table.table_name] * (table.table_name == READINGS))
        if len(batches) > 1:
            raise RetryLater("storage.unavailable", "Gone.", "Wait.")
        return await wire.submit(table, operations)

    with monkeypatch.context() as patch:
        patch.setattr(fences, "submit", send)
        await stopped(services, emulator, connection_id, after=3)
    half = await kept_rows(services, connection_id)
    run = await run_now(services, connection_id)

    assert half
    assert pages_asked(emulator) == PAGES
    assert run.status is RunStatus.SUCCEEDED
    assert await kept_rows(services, connection_id) == []


async def test_what_was_read_before_graph_failed_is_not_asked_for_again(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A tenant that throttles for ten minutes, each time after twenty, would never be read."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    emulator.control.add_fault("unavailable", path=USERS, after=3)
    failed = await run_now(services, connection_id)
    emulator.control.clear_faults()
    emulator.control.reset_requests()
    run = await run_now(services, connection_id)

    assert failed.status is RunStatus.FAILED
    assert (run.status, pages_asked(emulator)) == (RunStatus.SUCCEEDED, PAGES - 3)


async def test_a_page_at_which_graph_fails_again_and_again_is_not_asked_for_until_the_reading_is_old(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A link that Graph answers with 500 for ever; a new reading has another one."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)
    emulator.control.add_fault("unavailable", path=USERS)
    idle = []
    for _ in range(continuation.MOST_IDLE):
        assert (await run_now(services, connection_id)).status is RunStatus.FAILED
        reading = (await services.store.checkpoints.load(connection_id)).reading
        idle.append(reading and reading.idle)
    emulator.control.clear_faults()
    emulator.control.reset_requests()
    run = await run_now(services, connection_id)

    assert idle == [1, 2, None]
    assert (run.status, pages_asked(emulator)) == (RunStatus.SUCCEEDED, PAGES)
    assert await kept_rows(services, connection_id) == []


async def test_nothing_is_kept_of_a_reading_whose_run_fails(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """What fails for good, such as a permission that is missing, would fail the next run as well."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)
    emulator.control.add_fault("denied", path=f"{USERS}**")
    failed = await run_now(services, connection_id)

    assert failed.status is RunStatus.FAILED
    assert (await services.store.checkpoints.load(connection_id)).reading is None
    assert await kept_rows(services, connection_id) == []


async def test_a_run_that_has_ended_well_does_not_fail_for_want_of_clearing_up(
    services: Services, emulator: GraphEmulator, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is its reading kept once more: the next run would go on with it, and read nobody."""
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)

    async def fail(*_: Any) -> None:
        raise RetryLater("storage.unavailable", "Gone.", "Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(readings.ReadingStore, "clear", fail)
        run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert (await services.store.checkpoints.load(connection_id)).reading is None


async def test_a_few_pages_are_not_worth_to_be_kept(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(continuation, "LEAST_PAGES", 4)
    await stored_connection(services, connection_id, scope=EVERYONE)
    await stopped(services, emulator, connection_id, after=3)

    assert (await services.store.checkpoints.load(connection_id)).reading is None
    assert await kept_rows(services, connection_id) == []


async def test_managers_are_not_asked_for_again(
    services: Services, emulator: GraphEmulator, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a million people they take three times as long as the people themselves."""
    monkeypatch.setattr("sync_core.directory.managers.REQUEST", 5)
    mapping = [{"target": "name", "source": "displayName"}, {"target": "boss", "source": "manager"}]
    people = [one["id"] for one in emulator.control.people()]
    emulator.control.change_many("patch", keys=people[1:], values={"manager": people[0]})
    await stored_connection(services, connection_id, scope=EVERYONE, mapping=mapping)
    await stopped(services, emulator, connection_id, after=2, path="/v1.0/$batch")
    told = (await services.store.checkpoints.load(connection_id)).reading
    run = await run_now(services, connection_id)
    batches = batches_asked(emulator)
    emulator.control.reset_requests()
    wanted = await wanted_rows(services, connection_id, mapping=mapping)

    assert told is not None
    assert run.status is RunStatus.SUCCEEDED
    assert 0 < batches < batches_asked(emulator)
    assert essence(await rows_of(services, connection_id)) == wanted
