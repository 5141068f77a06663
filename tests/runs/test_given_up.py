"""A run that kills its worker every time is given up after five attempts, and tried again with pauses."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from local.graph import GraphEmulator
from sync_core import triggers
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.health import Health, Status, back_off
from sync_core.draining import Draining
from sync_core.runs import poison, worker
from sync_core.runs.hold import MAX_ATTEMPTS, held
from sync_core.runs.request import ask_for_run, request_now
from sync_core.services import Services, process, utc_now
from sync_core.store.leases import Lease, Next
from sync_core.store.runs import new_run_id
from tests.runs.events import asked_for, events_of, forget_others, health_of, stop_clock
from tests.runs.killed import KILLED, run_until_write
from tests.system import ADMINISTRATOR, Rig, group_scope, rows_of, run_now, stored_connection

INCIDENTS = ("incident.opened", "incident.resolved", "incident.closed")
# Writes of a run: its lease, its record, then what it has planned, then people.
READING, WRITING = 3, 5


@pytest.fixture(autouse=True)
async def alone(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="entra_user_sync")
    await forget_others(services)


async def let_go(services: Services, connection_id: str) -> None:
    """Let the lease of a dead worker end now."""

    def ended(lease: Lease) -> Lease:
        return replace(lease, expires_at=services.clock() - timedelta(seconds=1))

    await services.store.leases._change(connection_id, ended)


async def die_unrecorded(services: Services, connection_id: str, dead: Next) -> None:
    now = services.clock()
    taken, _ = await services.store.leases.acquire(connection_id, dead, "dies", now)
    assert taken == dead
    await let_go(services, connection_id)


async def die(
    services: Services, connection_id: str, trigger: str = "timer", run_id: str | None = None
) -> None:
    """Begin a run as a worker does that dies before it has read anything."""
    dead = Next(run_id or new_run_id(services.clock()), trigger, "auto")
    await die_unrecorded(services, connection_id, dead)
    run = Run(
        id=dead.run_id,
        connection_id=connection_id,
        trigger=Trigger(trigger),
        status=RunStatus.RUNNING,
        requested_at=services.clock(),
        started_at=services.clock(),
    )
    await services.store.runs.save(run)


async def given_up(services: Services, connection_id: str) -> None:
    """Let a connection's run die so often that the next message gives it up."""
    for _ in range(MAX_ATTEMPTS):
        await die(services, connection_id)
    assert await worker.handle(services, asking(connection_id)) is None


def asking(connection_id: str, trigger: str = "timer", **more: Any) -> SyncRequest:
    return SyncRequest.model_validate({"connectionId": connection_id, "trigger": trigger, **more})


async def runs_of(services: Services, connection_id: str) -> list[Run]:
    return await services.store.runs.page(connection_id, top=50, after=None)


async def test_a_message_that_kills_its_worker_every_time_is_given_up(
    services: Services,
    rig: Rig,
    emulator: GraphEmulator,
    connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Processes that end in the middle; the last one has stored its plan and written people."""
    people = [emulator.control.create_person()["id"] for _ in range(3)]
    group = emulator.control.create_group("Small", members=people)["id"]
    await stored_connection(services, connection_id, scope=group_scope(group))
    request = {"connectionId": connection_id, "trigger": "manual", "runId": "r1"}
    for deadly in (READING, READING, READING, READING, WRITING):
        environment = rig.environment(emulator)
        code = await asyncio.to_thread(run_until_write, environment, request, deadly)
        assert code == KILLED
        await let_go(services, connection_id)
    caplog.clear()
    served = await worker.handle(services, SyncRequest.model_validate(request))
    [run] = await runs_of(services, connection_id)
    lines = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    anew = await worker.handle(services, asking(connection_id, "manual"))

    assert served is None
    assert run.error is not None
    assert (run.status, run.error.code) == (RunStatus.FAILED, "run.gaveUp")
    assert "5 times in a row, the last time in the phase writing" in run.error.message
    assert lines == [
        f"run.gaveUp connection={connection_id} run=r1 attempts=5 phase=writing",
        f"incident.opened connection={connection_id} code=run.gaveUp cause=administrator failures=1",
    ]
    assert anew is not None, "the lease is free, and who asks anew is served"
    assert anew.status is RunStatus.SUCCEEDED
    assert (await rows_of(services, connection_id)).keys() == set(people)


async def test_four_deaths_are_no_incident_and_the_fifth_attempt_may_succeed(
    services: Services, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(services, connection_id)
    for _ in range(MAX_ATTEMPTS - 1):
        await die(services, connection_id)
    run = await run_now(services, connection_id, trigger="timer")

    lease = await services.store.leases.read(connection_id)
    assert run.status is RunStatus.SUCCEEDED
    assert lease.attempts == 0
    assert events_of(caplog, connection_id, *INCIDENTS) == []


async def test_the_tries_after_it_come_by_themselves_with_growing_pauses(
    services: Services, rig: Rig, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is one attempt and no second incident; the one that ends resolves it."""
    clock = stop_clock(services)
    await stored_connection(services, connection_id, schedule={"everyMinutes": 5})
    await given_up(services, connection_id)

    for number in (1, 2, 3):
        pause = back_off(connection_id, number)
        clock.now += pause - timedelta(seconds=1)
        early = await asked_for(services, rig, connection_id)
        clock.skip(seconds=1)
        due = await asked_for(services, rig, connection_id)
        assert (len(early), len(due)) == (0, 1), number
        await die(services, connection_id)
        [revived] = await asked_for(services, rig, connection_id)
        assert await worker.handle(services, revived) is None
    told = events_of(caplog, connection_id, *INCIDENTS)
    last = (await runs_of(services, connection_id))[0]
    clock.skip(hours=3)
    [request] = await asked_for(services, rig, connection_id)
    run = await worker.handle(services, request)

    assert told == ["incident.opened run.gaveUp"]
    assert last.error is not None
    assert "8 times in a row" in last.error.message
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert events_of(caplog, connection_id, *INCIDENTS) == ["incident.resolved run.gaveUp"]
    assert await health_of(services, connection_id) == Health(connection_id=connection_id)


async def test_work_beside_the_schedule_that_gives_a_run_up_asks_for_no_try_before_its_time(
    services: Services, rig: Rig, connection_id: str
) -> None:
    """One person's sync, a deletion: the quarantine says when the next try is."""
    await stored_connection(services, connection_id)
    for _ in range(MAX_ATTEMPTS):
        await die(services, connection_id)
    async with held(services, connection_id, budget=None):
        pass

    assert (await health_of(services, connection_id)).status is Status.QUARANTINED
    assert await asked_for(services, rig, connection_id) == []


@pytest.mark.parametrize("how", ["function key", "api", "in the very message that gives up"])
async def test_sync_now_is_tried_at_once(
    services: Services, rig: Rig, connection_id: str, how: str
) -> None:
    connection = await stored_connection(services, connection_id)
    if how.startswith("in"):
        for _ in range(MAX_ATTEMPTS):
            await die(services, connection_id)
    else:
        await given_up(services, connection_id)
    if how == "api":
        await ask_for_run(services, connection, "auto", ADMINISTRATOR)
    else:
        await request_now(services, connection_id)
    request = next(
        one
        for one in await asked_for(services, rig, connection_id)
        if one.trigger is Trigger.MANUAL
    )
    run = await worker.handle(services, request)

    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert (await health_of(services, connection_id)).status is Status.OK
    codes = [one.error.code for one in await runs_of(services, connection_id) if one.error]
    assert codes.count("run.gaveUp") == 1


@pytest.mark.parametrize("trigger", ["timer", "webhook", "lifecycle", "manual"])
async def test_a_message_without_a_name_is_known_when_it_comes_again(
    services: Services, connection_id: str, trigger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or "sync now" would be a new question each time that it has killed its worker."""
    monkeypatch.setattr(process, "_services", services)
    await stored_connection(services, connection_id)
    delivery = triggers.Delivery("a-message", utc_now(), 1)
    for _ in range(MAX_ATTEMPTS):
        await die(services, connection_id, trigger, delivery.run_id)
    body = orjson.dumps({"connectionId": connection_id, "trigger": trigger})
    for count in (6, 7):
        await triggers.requested(body, replace(delivery, count=count))

    [run] = await runs_of(services, connection_id)
    assert (run.id, run.error and run.error.code) == (delivery.run_id, "run.gaveUp")
    assert await rows_of(services, connection_id) == {}


async def test_deliveries_count_for_nothing(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host counts one for each instance that it takes away; no worker has died."""
    monkeypatch.setattr(process, "_services", services)
    await stored_connection(services, connection_id)
    body = orjson.dumps({"connectionId": connection_id, "trigger": "timer"})
    await triggers.requested(body, triggers.Delivery("a-message", utc_now(), 40))

    [run] = await runs_of(services, connection_id)
    assert run.status is RunStatus.SUCCEEDED


async def test_runs_that_are_drained_count_for_nothing(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    for _ in range(MAX_ATTEMPTS + 1):
        ending = replace(services, draining=Draining())
        ending.draining.begin()
        left_off = await worker.handle(ending, asking(connection_id))
        assert left_off is not None
        assert left_off.status is RunStatus.PARTIAL

    assert (await services.store.leases.read(connection_id)).attempts == 0
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_run_that_has_ended_and_kept_its_lease_is_not_given_up(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    for number in range(MAX_ATTEMPTS):
        await die(services, connection_id, run_id=f"r{number}")
    ended = await services.store.runs.get(connection_id, "r4")
    await services.store.runs.save(ended.replaced(status=RunStatus.SUCCEEDED))
    run = await worker.handle(services, asking(connection_id))

    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert (await services.store.runs.get(connection_id, "r4")).error is None


async def test_one_that_dies_before_its_record_is_given_up_as_well(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    for _ in range(MAX_ATTEMPTS):
        await die_unrecorded(services, connection_id, Next("r1", "webhook", "auto"))
    await worker.handle(services, asking(connection_id, "webhook", runId="r1"))

    [run] = await runs_of(services, connection_id)
    assert run.error is not None
    assert (run.id, run.trigger) == ("r1", Trigger.WEBHOOK)
    assert "phase queued" in run.error.message


# --- what the host gives up -----------------------------------------------------------------------


@pytest.fixture
async def waiting(services: Services, connection_id: str) -> Run:
    """Give a run that an administrator asked for and that has not begun."""
    connection = await stored_connection(services, connection_id)
    return await ask_for_run(services, connection, "auto", ADMINISTRATOR)


async def test_a_request_that_the_host_gave_up_is_closed_in_its_record(
    services: Services,
    rig: Rig,
    connection_id: str,
    waiting: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = orjson.dumps({"connectionId": connection_id, "trigger": "manual", "runId": waiting.id})
    await asked_for(services, rig, connection_id)
    for _ in range(2):
        await poison.give_up(services, body)

    [run] = await runs_of(services, connection_id)
    lease = await services.store.leases.read(connection_id)
    lines = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert run.error is not None
    assert (run.id, run.status, run.error.code) == (
        waiting.id,
        RunStatus.FAILED,
        "request.poisoned",
    )
    assert run.by == ADMINISTRATOR
    assert lease.next is None, "a run that has failed does not begin after all"
    assert lines[0] == (
        f"request.poisoned connection={connection_id} purpose=sync trigger=manual run={waiting.id}"
    )
    assert events_of(caplog, connection_id, *INCIDENTS) == ["incident.opened request.poisoned"]


async def test_a_request_without_a_name_has_a_record_then(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await poison.give_up(
        services, orjson.dumps({"connectionId": connection_id, "trigger": "timer"})
    )

    [run] = await runs_of(services, connection_id)
    assert (run.status, run.trigger) == (RunStatus.FAILED, Trigger.TIMER)


async def test_a_run_that_is_under_way_is_left_alone(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    now = Next("r1", "timer", "auto")
    await services.store.leases.acquire(connection_id, now, "works", utc_now())
    body = {"connectionId": connection_id, "trigger": "timer", "runId": "r1"}
    await poison.give_up(services, orjson.dumps(body))

    assert await runs_of(services, connection_id) == []


@pytest.mark.parametrize(
    ("body", "line"),
    [
        pytest.param(
            b"\xff not JSON", "request.poisoned code=request.unreadable bytes=10", id="no JSON"
        ),
        pytest.param(
            b'{"connectionId": "gone", "trigger": "timer"}',
            "request.poisoned connection=gone purpose=sync trigger=timer",
            id="a connection that is gone",
        ),
        pytest.param(
            b'{"connectionId": "gone", "trigger": "byHand", "purpose": "delete"}',
            "request.poisoned connection=gone purpose=delete trigger=byHand",
            id="a deletion, which the timer asks for again",
        ),
    ],
)
async def test_what_asks_for_no_run_is_told_in_the_log(
    services: Services, caplog: pytest.LogCaptureFixture, body: bytes, line: str
) -> None:
    await poison.give_up(services, body)

    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [line]
    assert await runs_of(services, "gone") == []
