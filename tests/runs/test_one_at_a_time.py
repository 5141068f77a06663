"""One run a connection at a time, on any number of workers; nothing asked for is lost."""

import asyncio
from datetime import timedelta

import pytest
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from local.graph import GraphEmulator
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Mode, Run, RunStatus, Trigger
from sync_core.domain.errors import LeaseLost
from sync_core.health.overdue import report_overdue
from sync_core.runs import worker
from sync_core.runs.hold import UnderWay
from sync_core.runs.request import request_due
from sync_core.services import Services, utc_now
from sync_core.store.leases import DURATION, Next
from sync_core.store.queue import QUEUE
from sync_core.store.runs import new_run_id
from tests.queue_of_requests import request_in
from tests.runs.events import stop_clock
from tests.system import ADMINISTRATOR, Rig, rows_of, run_now, stored_connection


def asking(connection_id: str, trigger: Trigger = Trigger.WEBHOOK, **more: str) -> SyncRequest:
    return SyncRequest.model_validate({"connectionId": connection_id, "trigger": trigger, **more})


async def messages(rig: Rig, connection_id: str) -> list[SyncRequest]:
    """Take what waits in the queue for a connection."""
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        found = []
        async for message in queue.receive_messages(messages_per_page=32):
            request = request_in(message.content)
            if request and request.connection_id == connection_id:
                found.append(request)
                await queue.delete_message(message)
        return found


async def test_two_workers_one_run(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    """A request that meets a run ends at once, and one more run follows, however many there were."""
    await stored_connection(services, connection_id)
    emulator.control.add_fault("slow", path="/v1.0/$batch", milliseconds=1_000, times=1)

    runs = await asyncio.gather(*(worker.handle(services, asking(connection_id)) for _ in range(5)))

    finished = [run for run in runs if run is not None]
    assert len(finished) == 1
    assert finished[0].status is RunStatus.SUCCEEDED
    assert len(await messages(rig, connection_id)) == 1
    assert await services.store.runs.page(connection_id, top=10, after=None) == finished


async def test_a_request_that_waited_runs_next_under_its_own_name(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    emulator.control.add_fault("slow", path="/v1.0/$batch", milliseconds=1_000, times=1)
    running = asyncio.create_task(worker.handle(services, asking(connection_id)))
    while not (await services.store.leases.read(connection_id)).held(utc_now()):
        continue
    waiting = Next(new_run_id(utc_now()), "manual", "auto")
    await services.store.leases.request(connection_id, waiting)
    await running

    [message] = await messages(rig, connection_id)
    run = await worker.handle(services, message)

    assert run is not None
    assert (run.id, run.trigger) == (waiting.run_id, Trigger.MANUAL)


async def test_a_message_that_comes_twice_runs_once(services: Services, connection_id: str) -> None:
    await stored_connection(services, connection_id)
    request = asking(connection_id, runId=new_run_id(utc_now()))
    first = await worker.handle(services, request)

    second = await worker.handle(services, request)

    assert first is not None
    assert second is None


async def test_a_dead_run_is_taken_over_when_its_lease_ends(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    long_ago = utc_now() - DURATION - timedelta(seconds=1)
    dead = Next(new_run_id(long_ago), "timer", "auto")
    await services.store.leases.acquire(connection_id, dead, "a worker that died", long_ago)
    await services.store.runs.save(
        Run(
            id=dead.run_id,
            connection_id=connection_id,
            trigger=Trigger.TIMER,
            mode=Mode.FULL,
            status=RunStatus.RUNNING,
            requested_at=long_ago,
        )
    )

    run = await run_now(services, connection_id)

    interrupted = await services.store.runs.get(connection_id, dead.run_id)
    assert run.status is RunStatus.SUCCEEDED
    assert interrupted.status is RunStatus.FAILED
    assert interrupted.error is not None
    assert interrupted.error.code == "run.interrupted"


async def arriving(rig: Rig, connection_id: str) -> SyncRequest:
    """Wait for a message of the connection that is not visible yet."""
    for _ in range(100):
        if found := await messages(rig, connection_id):
            return found[0]
        await asyncio.sleep(0.2)
    raise TimeoutError


@pytest.mark.parametrize(
    "own", [True, False], ids=["the dead run's own message", "another request"]
)
async def test_whoever_meets_a_worker_that_was_killed_takes_over_as_soon_as_its_lease_ends(
    *, services: Services, rig: Rig, connection_id: str, own: bool
) -> None:
    """The message of a killed worker comes back while the lease still stands; it must not be used up."""
    await stored_connection(services, connection_id)
    nearly_over = utc_now() - DURATION + timedelta(seconds=1)
    dead = Next(new_run_id(nearly_over), "manual", "auto")
    await services.store.leases.acquire(connection_id, dead, "killed", nearly_over)
    record = Run(
        id=dead.run_id,
        connection_id=connection_id,
        trigger=Trigger.MANUAL,
        status=RunStatus.RUNNING,
        requested_at=nearly_over,
    )
    await services.store.runs.save(record)

    request = asking(connection_id, runId=dead.run_id) if own else asking(connection_id)
    met = await worker.handle(services, request)
    run = await worker.handle(services, await arriving(rig, connection_id))

    closed = await services.store.runs.get(connection_id, dead.run_id)
    assert met is None
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert (run.id == dead.run_id) is own
    assert closed.status.is_final


async def test_a_request_that_is_joined_to_one_that_waits_does_not_come_back(
    services: Services, connection_id: str
) -> None:
    """Or every notification of a long run would come back once a minute."""
    first, waiting = Next("r1", "timer", "auto"), Next("r2", "webhook", "auto")
    await services.store.leases.acquire(connection_id, first, "worker 1", utc_now())
    await services.store.leases.request(connection_id, waiting)
    lease = await services.store.leases.read(connection_id)

    assert UnderWay(connection_id, lease, waiting).is_awaited
    assert UnderWay(connection_id, lease, first).is_awaited
    assert not UnderWay(connection_id, lease, Next("r3", "webhook", "auto")).is_awaited


async def test_a_live_run_is_not_taken_over(services: Services, connection_id: str) -> None:
    await stored_connection(services, connection_id)
    now = utc_now()
    await services.store.leases.acquire(connection_id, Next("r1", "timer", "auto"), "worker 1", now)

    run = await worker.handle(services, asking(connection_id))

    assert run is None
    assert await rows_of(services, connection_id) == {}


async def test_a_lease_that_another_worker_holds_cannot_be_renewed(
    services: Services, connection_id: str
) -> None:
    now = utc_now()
    await services.store.leases.acquire(connection_id, Next("r1", "timer", "auto"), "worker 1", now)
    later = now + DURATION + timedelta(seconds=1)
    await services.store.leases.acquire(
        connection_id, Next("r2", "timer", "auto"), "worker 2", later
    )

    with pytest.raises(LeaseLost):
        await services.store.leases.renew(connection_id, "worker 1", later)

    assert (await services.store.leases.release(connection_id, "worker 1")).next is None
    assert (await services.store.leases.read(connection_id)).holder == "worker 2"


async def test_many_workers_at_one_lease_agree(services: Services, connection_id: str) -> None:
    now = utc_now()

    taken = await asyncio.gather(
        *(
            services.store.leases.acquire(
                connection_id, Next(f"r{n}", "timer", "auto"), f"w{n}", now
            )
            for n in range(8)
        )
    )

    winners = [chosen for chosen, _ in taken if chosen is not None]
    lease = await services.store.leases.read(connection_id)
    assert [lease.run_id] == [winner.run_id for winner in winners]
    assert lease.next is not None


async def test_the_timer_asks_for_what_is_due_and_nothing_else(
    services: Services, rig: Rig, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    disabled, by_hand = f"{connection_id}-off", f"{connection_id}-hand"
    await stored_connection(services, disabled, enabled=False)
    await stored_connection(services, by_hand, schedule={"automatic": False})

    await request_due(services)
    first = await messages(rig, connection_id)
    await run_now(services, connection_id)
    await request_due(services)

    assert [request.trigger for request in first] == [Trigger.TIMER]
    assert await messages(rig, connection_id) == []
    assert await messages(rig, disabled) == []
    assert await messages(rig, by_hand) == []


async def test_the_timer_revives_a_run_that_died(
    services: Services, rig: Rig, connection_id: str
) -> None:
    await stored_connection(services, connection_id, schedule={"automatic": False})
    long_ago = utc_now() - DURATION - timedelta(seconds=1)
    await services.store.leases.acquire(
        connection_id, Next("r1", "timer", "auto"), "dead", long_ago
    )

    await request_due(services)

    assert len(await messages(rig, connection_id)) == 1


async def test_a_connection_that_has_not_run_for_too_long_is_named(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await run_now(services, connection_id)

    assert connection_id not in await report_overdue(services)
    stop_clock(services).skip(minutes=121)
    assert connection_id in await report_overdue(services)


async def test_a_disabled_connection_rejects_a_waiting_run(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id, enabled=False)
    queued = Run(
        id=new_run_id(utc_now()),
        connection_id=connection_id,
        trigger=Trigger.MANUAL,
        requested_at=utc_now(),
    )
    await services.store.runs.save(queued)

    run = await worker.handle(services, asking(connection_id, runId=queued.id))

    assert run is not None
    assert run.status is RunStatus.REJECTED
    assert await rows_of(services, connection_id) == {}


async def test_a_run_out_of_time_goes_on_in_the_next(
    services: Services, rig: Rig, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored_connection(services, connection_id)
    monkeypatch.setattr(worker, "RUN_BUDGET", timedelta(0))
    run = await run_now(services, connection_id, by=ADMINISTRATOR.to_json())
    monkeypatch.undo()

    [message] = await messages(rig, connection_id)
    rest = await worker.handle(services, message)

    assert run.status is RunStatus.PARTIAL
    assert run.error is not None
    assert run.error.code == "run.outOfTime"
    assert rest is not None
    assert rest.counts.created == len(await rows_of(services, connection_id)) > 0
    assert (run.by, rest.by) == (ADMINISTRATOR, ADMINISTRATOR), (
        "both were asked for by one question"
    )


@pytest.mark.parametrize("trigger", ["timer", "webhook", "lifecycle"])
async def test_nobody_asks_for_the_runs_that_come_by_themselves(
    services: Services, connection_id: str, trigger: str
) -> None:
    await stored_connection(services, connection_id)

    assert (await run_now(services, connection_id, trigger=trigger)).by is None
