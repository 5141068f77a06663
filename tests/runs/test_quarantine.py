"""A connection that fails is left alone longer and longer, says why, and comes back by itself."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from azure.data.tables.aio import TableClient

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.errors import RetryLater
from sync_core.domain.health import Cause, Failure, Health, Status, Step, back_off, failed
from sync_core.health import journal
from sync_core.health.overdue import report_overdue
from sync_core.runs import record, worker
from sync_core.runs.request import ask_for_run, request_now
from sync_core.services import Services
from sync_core.store import states
from sync_core.store.leases import Next
from sync_core.store.runs import new_run_id
from sync_core.store.tables import HEALTH
from tests.runs.events import asked_for, events_of, forget_others, health_of, stop_clock
from tests.system import ADMINISTRATOR, Rig, rows_of, run_now, stored_connection

INCIDENTS = ("incident.opened", "incident.resolved", "incident.closed", "connection.released")
# The timer looks every five minutes.
LOOK = timedelta(minutes=5)
EXPIRED = Failure(
    code="credential.secretExpired",
    message="The client secret has expired.",
    cause=Cause.ADMINISTRATOR,
)


@pytest.fixture(autouse=True)
async def alone(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """The timer looks at every connection there is: those of other tests only take time here."""
    caplog.set_level("INFO", logger="entra_user_sync")
    await forget_others(services)


async def quarantined(services: Services, connection_id: str, **changes: Any) -> None:
    """Store a connection whose last run failed by an expired secret."""
    await stored_connection(services, connection_id, **changes)
    await services.store.health.change(
        connection_id, lambda known: failed(known, EXPIRED, services.clock())
    )


async def test_an_expired_secret_from_the_first_failure_to_its_end(
    services: Services,
    emulator: GraphEmulator,
    rig: Rig,
    connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The whole story: one incident, few tries, and a release by the try that works."""
    clock = stop_clock(services)
    await stored_connection(services, connection_id, schedule={"everyMinutes": 5})
    emulator.control.expire_secrets()
    began = clock.now
    tried_at = [began]
    await run_now(services, connection_id)
    assert events_of(caplog, connection_id, *INCIDENTS) == [
        "incident.opened credential.secretExpired"
    ]

    while clock.now - began < timedelta(hours=3):
        clock.now += LOOK
        for request in await asked_for(services, rig, connection_id):
            tried_at.append(clock.now)
            await worker.handle(services, request)
    health = await health_of(services, connection_id)
    repeated = events_of(caplog, connection_id, *INCIDENTS)
    emulator.control.add_secret(value=SAMPLE_CLIENT_SECRET)
    clock.skip(hours=2, minutes=30)
    [request] = await asked_for(services, rig, connection_id)
    run = await worker.handle(services, request)

    waits = [later - earlier for earlier, later in pairwise(tried_at)]
    assert len(waits) == 3
    for number, wait in enumerate(waits, 1):
        assert back_off(connection_id, number) <= wait < back_off(connection_id, number) + LOOK
    assert repeated == []
    assert (health.failures, health.status) == (4, Status.QUARANTINED)
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert await health_of(services, connection_id) == Health(connection_id=connection_id)
    assert events_of(caplog, connection_id, *INCIDENTS) == [
        "incident.resolved credential.secretExpired",
        "connection.released",
    ]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param("unavailable", "graph.unavailable", id="Graph is away"),
        pytest.param("loopingLink", "graph.pageLoop", id="incomplete reading"),
    ],
)
async def test_a_trouble_that_may_pass_is_given_three_runs(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    fault: str,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await stored_connection(services, connection_id, scope={"everyone": True})
    emulator.control.add_fault(fault, path="/v1.0/users")

    seen = []
    for _ in range(4):
        await run_now(services, connection_id)
        seen.append((await health_of(services, connection_id)).status)

    assert seen == [Status.FAILING, Status.FAILING, Status.QUARANTINED, Status.QUARANTINED]
    assert events_of(caplog, connection_id, *INCIDENTS) == [f"incident.opened {code}"]


async def test_a_run_that_works_between_failures_keeps_the_connection_out_of_quarantine(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id, scope={"everyone": True})
    for _ in range(3):
        emulator.control.add_fault("unavailable", path="/v1.0/users")
        await run_now(services, connection_id)
        emulator.control.clear_faults()
        await run_now(services, connection_id)

    assert (await health_of(services, connection_id)).status is Status.OK


async def test_an_error_that_the_program_does_not_know_may_pass(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored_connection(services, connection_id)
    monkeypatch.setattr(record, "planned", None)

    run = await run_now(services, connection_id)

    health = await health_of(services, connection_id)
    assert run.error is not None
    assert run.error.code == "run.unexpected"
    assert run.counts_at_least, "nobody knows how far it came"
    assert health.last_failure is not None
    assert health.last_failure.cause is Cause.PASSING


@pytest.mark.parametrize(
    ("status", "released"),
    [
        (RunStatus.SUCCEEDED, True),
        (RunStatus.PARTIAL, True),
        (RunStatus.HELD, True),
        (RunStatus.REJECTED, False),
        (RunStatus.QUEUED, False),
    ],
)
async def test_which_ends_of_a_run_release(
    services: Services, connection_id: str, status: RunStatus, released: bool
) -> None:
    """A held run has read everything and waits for a person; that is no trouble of the connection."""
    await quarantined(services, connection_id)
    run = Run(
        id="r1",
        connection_id=connection_id,
        trigger=Trigger.MANUAL,
        status=status,
        requested_at=services.clock(),
    )

    await journal.run_ended(services, run, None)

    assert ((await health_of(services, connection_id)).quarantine is None) is released


# --- who may try ----------------------------------------------------------------------------------


async def test_a_restart_forgets_no_quarantine(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    await quarantined(services, connection_id)

    async with rig.services(emulator) as restarted:
        health = await health_of(restarted, connection_id)
        requests = await asked_for(restarted, rig, connection_id)

    assert health.status is Status.QUARANTINED
    assert requests == []


async def test_sync_now_does_not_wait_for_the_next_try(
    services: Services, rig: Rig, connection_id: str
) -> None:
    await quarantined(services, connection_id)
    await request_now(services, connection_id)

    [request] = await asked_for(services, rig, connection_id)
    run = await worker.handle(services, request)

    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert (await health_of(services, connection_id)).status is Status.OK


async def test_a_run_asked_for_over_the_api_does_not_wait(
    services: Services, rig: Rig, connection_id: str
) -> None:
    """Also where its message was lost and the timer has to ask for what waits."""
    connection = await stored_connection(services, connection_id)
    await services.store.health.change(
        connection_id, lambda known: failed(known, EXPIRED, services.clock())
    )
    asked = await ask_for_run(services, connection, "auto", ADMINISTRATOR)
    requests = await asked_for(services, rig, connection_id)

    run = await worker.handle(services, requests[-1])

    assert [one.trigger for one in requests] == [Trigger.MANUAL, Trigger.TIMER]
    assert run is not None
    assert (run.id, run.status) == (asked.id, RunStatus.SUCCEEDED)


async def test_a_person_who_joins_a_waiting_webhook_request_does_not_wait(
    services: Services, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await services.store.health.change(
        connection_id, lambda known: failed(known, EXPIRED, services.clock())
    )
    waiting = Next(new_run_id(services.clock()), "webhook", "auto")
    await services.store.leases.request(connection_id, waiting)
    asked = await ask_for_run(services, connection, "auto", ADMINISTRATOR)

    run = await worker.handle(
        services,
        SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK, run_id=asked.id),
    )

    assert asked.id == waiting.run_id
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("trigger", [Trigger.WEBHOOK, Trigger.LIFECYCLE])
async def test_notifications_wait_for_the_next_try(
    services: Services, connection_id: str, trigger: Trigger
) -> None:
    """A busy group would otherwise try a refused secret all day long."""
    clock = stop_clock(services)
    await quarantined(services, connection_id)
    request = SyncRequest(connection_id=connection_id, trigger=trigger)

    early = await worker.handle(services, request)
    clock.now += back_off(connection_id, 1)
    due = await worker.handle(services, request)

    assert early is None
    assert due is not None
    assert due.status is RunStatus.SUCCEEDED


async def test_notifications_of_a_sound_connection_do_not_wait(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    run = await worker.handle(
        services, SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK)
    )

    assert run is not None


@pytest.mark.parametrize(
    ("waiting", "asked"),
    [
        pytest.param(None, False, id="nobody waits"),
        pytest.param("timer", False, id="another look waits"),
        pytest.param("webhook", False, id="a notification waits"),
        pytest.param("manual", True, id="a person waits"),
    ],
)
async def test_whom_the_timer_asks_for_before_the_next_try(
    services: Services,
    rig: Rig,
    connection_id: str,
    waiting: str | None,
    asked: bool,
) -> None:
    clock = stop_clock(services)
    await quarantined(services, connection_id)
    if waiting is not None:
        await services.store.leases.request(connection_id, Next("r1", waiting, "auto"))
    clock.now += back_off(connection_id, 1) - timedelta(seconds=1)

    assert bool(await asked_for(services, rig, connection_id)) is asked


@pytest.mark.parametrize(
    ("waiting", "schedule", "asked"),
    [
        pytest.param(None, {"everyMinutes": 1440}, True, id="daily, before its day is over"),
        pytest.param(None, {"automatic": False}, False, id="only by hand"),
        pytest.param("webhook", {"automatic": False}, True, id="a notification waits"),
    ],
)
async def test_whom_the_timer_asks_for_at_the_next_try(
    services: Services,
    rig: Rig,
    connection_id: str,
    waiting: str | None,
    schedule: dict[str, Any],
    asked: bool,
) -> None:
    clock = stop_clock(services)
    await stored_connection(services, connection_id, schedule=schedule)
    await run_now(services, connection_id)
    await services.store.health.change(
        connection_id, lambda known: failed(known, EXPIRED, clock.now)
    )
    if waiting is not None:
        await services.store.leases.request(connection_id, Next("r1", waiting, "auto"))
    clock.now += back_off(connection_id, 1)

    assert bool(await asked_for(services, rig, connection_id)) is asked


async def test_a_check_in_order_releases_and_the_timer_tries_at_once(
    services: Services, rig: Rig, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop_clock(services)
    await quarantined(services, connection_id, schedule={"everyMinutes": 1440})

    await journal.check_passed(services, connection_id)
    events = events_of(caplog, connection_id, *INCIDENTS)
    [request] = await asked_for(services, rig, connection_id)
    await worker.handle(services, request)

    assert events == ["incident.resolved credential.secretExpired", "connection.released"]
    assert await asked_for(services, rig, connection_id) == []


# --- keeping the state ----------------------------------------------------------------------------


async def test_workers_at_one_state_lose_no_incident(
    services: Services, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What one of them writes is never overwritten by another who read before that."""
    connection = await stored_connection(services, connection_id)
    error = EXPIRED.model_dump(include={"code", "message", "remedy"})
    run = Run.model_validate(
        {
            "id": "r1",
            "connectionId": connection_id,
            "trigger": "timer",
            "status": "failed",
            "requestedAt": services.clock(),
            "error": error,
        }
    )

    await asyncio.gather(
        *(journal.run_ended(services, run, Cause.ADMINISTRATOR) for _ in range(6)),
        journal.expect_runs(services, connection, services.clock() - timedelta(days=3)),
    )

    health = await health_of(services, connection_id)
    opened = events_of(caplog, connection_id, "incident.opened")
    assert health.failures == 6
    assert opened.count("incident.opened credential.secretExpired") == 1


async def test_a_state_that_everybody_changes_at_once_is_given_up_with_a_word(
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(states, "ATTEMPTS", 1)
    store = services.store.health
    await store.read(connection_id)

    async def change() -> Step:
        return await store.change(
            connection_id, lambda known: failed(known, EXPIRED, services.clock())
        )

    results = await asyncio.gather(*(change() for _ in range(4)), return_exceptions=True)

    refused = [one for one in results if isinstance(one, RetryLater)]
    assert {one.code for one in refused} == {"health.busy"}
    assert (await health_of(services, connection_id)).failures == 4 - len(refused) > 0


async def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(
    services: Services, connection_id: str
) -> None:
    await quarantined(services, connection_id)

    await services.store.health.delete(connection_id)
    await services.store.health.delete(connection_id)

    assert await health_of(services, connection_id) == Health(connection_id=connection_id)
    assert connection_id not in await journal.read_all(services)


async def test_a_state_that_is_forgotten_while_it_is_changed_begins_anew(
    services: Services, connection_id: str
) -> None:
    await quarantined(services, connection_id)
    store = services.store.health
    read, row = await store._read(connection_id)
    await store.delete(connection_id)

    assert not await store._write(connection_id, read, read, row)


async def test_a_state_that_cannot_be_read_begins_anew(
    services: Services, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = await services.store.tables.table(HEALTH)
    await table.create_entity(
        {"PartitionKey": "health", "RowKey": connection_id, "Document": '{"failures": "many"}'}
    )

    assert (await health_of(services, connection_id)).status is Status.OK
    assert (await journal.read_all(services))[connection_id].status is Status.OK
    assert events_of(caplog, connection_id, "health.unreadable") == ["health.unreadable"] * 2
    await quarantined(services, connection_id)
    assert (await health_of(services, connection_id)).status is Status.QUARANTINED


@pytest.fixture(params=["deleted", "forbidden"])
async def without_health(
    services: Services, rig: Rig, request: pytest.FixtureRequest
) -> AsyncIterator[Services]:
    """Services whose Health table somebody deleted, or took away from the app."""
    await services.store.tables.table(HEALTH)
    wrong_key = base64.b64encode(b"not the key").decode()
    account = re.sub("AccountKey=[^;]+", f"AccountKey={wrong_key}", rig.azurite.connection_string)
    deleted = TableClient.from_connection_string(rig.azurite.connection_string, "HealthLost")
    forbidden = TableClient.from_connection_string(account, HEALTH)
    async with deleted, forbidden:
        services.store.tables._clients[HEALTH] = (
            deleted if request.param == "deleted" else forbidden
        )
        yield services


async def test_a_lost_table_fails_no_run(
    without_health: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Remembering is never worth a run."""
    await stored_connection(without_health, connection_id)

    run = await run_now(without_health, connection_id)
    emulator.control.expire_secrets()
    refused = await run_now(without_health, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert refused.error is not None
    assert refused.error.code == "credential.secretExpired"
    assert len(await rows_of(without_health, connection_id)) == run.counts.created


async def test_a_lost_table_is_told_and_everything_goes_on(
    without_health: Services,
    rig: Rig,
    emulator: GraphEmulator,
    connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await stored_connection(without_health, connection_id)
    emulator.control.expire_secrets()

    [request] = await asked_for(without_health, rig, connection_id)
    await worker.handle(without_health, request)
    lines = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    overdue = await report_overdue(without_health)

    assert "health.notKept code=storage.unavailable" in lines
    assert f"health.notKept connection={connection_id} code=storage.unavailable" in lines
    assert connection_id not in overdue


async def test_a_notification_runs_where_nobody_knows_of_a_quarantine(
    without_health: Services, connection_id: str
) -> None:
    await stored_connection(without_health, connection_id)

    run = await worker.handle(
        without_health, SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK)
    )

    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


async def test_a_state_that_cannot_be_written_is_an_error_of_ours(
    without_health: Services, connection_id: str
) -> None:
    store = without_health.store.health
    health = Health(connection_id=connection_id)

    with pytest.raises(RetryLater) as refused:
        await store._write(connection_id, health, health, None)

    assert refused.value.code == "storage.unavailable"


async def test_nothing_of_a_secret_is_kept(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    emulator.control.remove_secrets()
    await run_now(services, connection_id)

    table = await services.store.tables.table(HEALTH)
    kept = str(await table.get_entity("health", connection_id))

    assert "credential.secretInvalid" in kept
    assert SAMPLE_CLIENT_SECRET not in kept
