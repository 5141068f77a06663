"""A run that has to stop ends at once, also while it reads; the next one does what is left, and only that."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from azure.data.tables.aio import TableClient

from local.graph import GraphEmulator
from local.processes import Child
from sync_core import triggers
from sync_core.connections import delete
from sync_core.connections.refusals import NeedsConfirmation
from sync_core.domain.connections.deletion import Users
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.draining import Draining
from sync_core.people.sync_now import sync_person
from sync_core.runs import hold as holds
from sync_core.runs import worker
from sync_core.services import Services, utc_now
from sync_core.store import fences, wire
from sync_core.store.leases import DURATION, Next
from sync_core.store.wire import Operation
from tests.runs.recovery import assert_history_is_whole
from tests.runs.test_one_at_a_time import messages
from tests.system import BY_HAND, Rig, active, group_scope, rows_of, run_now, stored_connection

REPOSITORY = Path(__file__).parents[2]
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
MEMBERS = "/v1.0/groups/*/members**"
# A page takes longer than anybody waits here.
SLOW_S, SOON_S = 120, 60
PEOPLE = 12


@pytest.fixture
def group(emulator: GraphEmulator) -> str:
    """Give a group of some people."""
    people = [emulator.control.create_person()["id"] for _ in range(PEOPLE)]
    return str(emulator.control.create_group("Small", members=people)["id"])


async def until(true: Callable[[], bool]) -> None:
    for _ in range(10 * SOON_S):
        if true():
            return
        await asyncio.sleep(0.1)
    raise TimeoutError


async def asked_slowly(emulator: GraphEmulator) -> None:
    """Wait until the list has been asked for that takes so long."""
    await until(lambda: all(fault["hits"] for fault in emulator.control.faults()))


def slowly(emulator: GraphEmulator) -> None:
    emulator.control.add_fault("slow", path=MEMBERS, milliseconds=SLOW_S * 1000, times=1)


# --- in this process ------------------------------------------------------------------------------


async def drained(services: Services, _: str) -> None:
    services.draining.begin()


async def out_of_time(_: Services, __: str) -> None:
    await asyncio.sleep(1)


async def taken_over(services: Services, connection_id: str) -> None:
    later = utc_now() + DURATION + timedelta(seconds=1)
    await services.store.leases.acquire(connection_id, Next("r2", "timer", "auto"), "w2", later)


@pytest.mark.parametrize(
    ("cause", "code"),
    [(drained, "run.drained"), (out_of_time, "run.outOfTime"), (taken_over, None)],
)
async def test_a_reading_ends_where_its_run_has_to_stop(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    group: str,
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    cause: Callable[[Services, str], Awaitable[None]],
    code: str | None,
) -> None:
    """Without waiting for the page that it has asked for."""
    monkeypatch.setattr(holds, "HEARTBEAT_S", 0.1)
    if cause is out_of_time:
        monkeypatch.setattr(worker, "RUN_BUDGET", timedelta(seconds=1))
    await stored_connection(services, connection_id, scope=group_scope(group))
    slowly(emulator)
    request = SyncRequest(connection_id=connection_id, trigger=Trigger.MANUAL)
    async with asyncio.timeout(SOON_S):
        running = asyncio.create_task(worker.handle(services, request))
        await asked_slowly(emulator)
        await cause(services, connection_id)
        run = await running
    asked = await messages(rig, connection_id)

    assert await rows_of(services, connection_id) == {}
    if code is None:
        assert (run, asked) == (None, [])
        return
    assert run is not None
    assert (run.status, run.error.code if run.error else None) == (RunStatus.PARTIAL, code)
    assert [one.trigger for one in asked] == [Trigger.MANUAL]
    assert (await services.store.leases.read(connection_id)).run_id is None


@pytest.fixture
def after_a_batch(monkeypatch: pytest.MonkeyPatch) -> list[Draining]:
    """Take the process that is asked to end behind the next batch."""
    ending: list[Draining] = []

    async def send(table: TableClient, operations: Sequence[Operation]) -> str | None:
        etag = await wire.submit(table, operations)
        while ending:
            ending.pop().begin()
        return etag

    monkeypatch.setattr(fences, "submit", send)
    monkeypatch.setattr("sync_core.runs.apply.PARTITIONS_AT_ONCE", 1)
    monkeypatch.setattr("sync_core.runs.removal.PARTITIONS_AT_ONCE", 1)
    return ending


async def test_a_run_that_is_drained_between_two_batches_goes_on_elsewhere(
    *,
    services: Services,
    connection_id: str,
    group: str,
    rig: Rig,
    after_a_batch: list[Draining],
) -> None:
    await stored_connection(services, connection_id, scope=group_scope(group))
    after_a_batch.append(services.draining)
    first = await run_now(services, connection_id)
    written = await rows_of(services, connection_id)
    [message] = await messages(rig, connection_id)
    second = await worker.handle(replace(services, draining=Draining()), message)

    assert (first.status, first.counts.created) == (RunStatus.PARTIAL, len(written))
    assert len({object_id[0] for object_id in written}) == 1, "one batch, of one partition"
    assert second is not None
    assert second.status is RunStatus.SUCCEEDED
    assert second.counts.created == PEOPLE - len(written)
    assert len(await rows_of(services, connection_id)) == PEOPLE
    await assert_history_is_whole(services, connection_id)


async def test_a_deletion_that_is_drained_goes_on_elsewhere(
    *,
    services: Services,
    connection_id: str,
    group: str,
    rig: Rig,
    after_a_batch: list[Draining],
) -> None:
    await stored_connection(services, connection_id, scope=group_scope(group))
    await run_now(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    with pytest.raises(NeedsConfirmation) as refused:
        await delete.delete(services, stored, Users.DISABLE, [], BY_HAND)
    after_a_batch.append(services.draining)
    run = await delete.delete(
        services, stored, Users.DISABLE, [refused.value.members["planHash"]], BY_HAND
    )
    left = active(await rows_of(services, connection_id))
    [message] = await messages(rig, connection_id)
    await triggers._do(replace(services, draining=Draining()), message)

    assert run is not None
    assert message.purpose is Purpose.DELETE
    assert 0 < len(left) < PEOPLE
    assert active(await rows_of(services, connection_id)) == set()
    assert await services.store.connections.find(connection_id) is None


async def test_a_person_whom_a_caller_waits_for_is_synced_to_the_end(
    services: Services, emulator: GraphEmulator, connection_id: str, group: str
) -> None:
    await stored_connection(services, connection_id, scope=group_scope(group))
    person = emulator.control.members(group)[0]
    services.draining.begin()
    synced = await sync_person(services, connection_id, person, BY_HAND)

    assert synced.run.status is RunStatus.SUCCEEDED
    assert (await rows_of(services, connection_id)).keys() == {person}


async def test_a_process_that_ends_takes_nothing_new(
    services: Services, connection_id: str, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "HANDED_ON_S", 0)
    await stored_connection(services, connection_id)
    services.draining.begin()
    request = SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK, mode="full")
    await triggers._do(services, request)

    assert await messages(rig, connection_id) == [request]
    assert await services.store.runs.page(connection_id, top=5, after=None) == []


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture
def own_rig(rig: Rig) -> Rig:
    """Give storage of its own: a host takes every message that it finds."""
    return rig.apart()


@pytest.fixture
async def elsewhere(own_rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    async with own_rig.services(emulator) as opened:
        yield opened


@contextmanager
def host(rig: Rig, emulator: GraphEmulator, name: str) -> Iterator[Child]:
    """Run a Functions host over the app."""
    bundle = str(rig.tls.bundle_file)
    environment = {one: os.environ[one] for one in INHERITED if one in os.environ}
    environment |= rig.environment(emulator)
    environment |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}
    environment |= {"SYNC_SCHEDULE": "0 0 0 1 1 *"}
    command = [sys.executable, "-m", "local.host", "--port", "0", "--root", str(REPOSITORY)]
    with Child(name, command, env=environment, cwd=REPOSITORY) as child:
        child.wait_for_lines("Host is ready", timeout_s=60)
        yield child


async def ended(services: Services, connection_id: str, number: int) -> list[Run]:
    """Wait until so many runs have ended, and give them, the first one first."""
    while True:
        runs = await services.store.runs.page(connection_id, top=10, after=None)
        if len(runs) == number and all(run.status.is_final for run in runs):
            return sorted(runs, key=lambda run: run.started_at or run.requested_at)
        await asyncio.sleep(0.2)


async def test_another_worker_goes_on_at_once_with_the_run_of_one_that_is_ended(
    elsewhere: Services, own_rig: Rig, emulator: GraphEmulator, connection_id: str, group: str
) -> None:
    """SIGTERM comes in the middle of a page; the lease would have stood for a minute."""
    services = elsewhere
    await stored_connection(services, connection_id, scope=group_scope(group))
    slowly(emulator)
    await services.queue.send(SyncRequest(connection_id=connection_id, trigger=Trigger.MANUAL))
    with host(own_rig, emulator, "worker 1") as one:
        await asked_slowly(emulator)
        with host(own_rig, emulator, "worker 2"):
            one.terminate()
            async with asyncio.timeout(SOON_S):
                first, second = await ended(services, connection_id, 2)
                await until(lambda: one.returncode is not None)

    assert first.finished_at is not None
    assert second.started_at is not None
    assert (first.status, first.error.code if first.error else None) == (
        RunStatus.PARTIAL,
        "run.drained",
    )
    assert (second.status, second.counts.created) == (RunStatus.SUCCEEDED, PEOPLE)
    assert second.started_at - first.finished_at < DURATION / 3
    assert one.returncode == 0
    assert (await services.store.leases.read(connection_id)).run_id is None
    assert len(await rows_of(services, connection_id)) == PEOPLE
    await assert_history_is_whole(services, connection_id)
