"""A connection is held by one holder, for as long as the work goes on, and is never left behind."""

import asyncio
from datetime import timedelta

import pytest

from sync_core.domain.documents.run import Run, Trigger
from sync_core.domain.errors import LeaseLost, RetryLater
from sync_core.runs import hold as holds
from sync_core.runs.hold import TRUST, Hold, UnderWay, held
from sync_core.services import Services, utc_now
from sync_core.store.leases import DURATION, Lease, Next
from tests.runs.events import Skipping, stop_clock


async def lease_of(services: Services, connection_id: str) -> Lease:
    return await services.store.leases.read(connection_id)


async def sleep_through_the_lease(services: Services, connection_id: str, clock: Skipping) -> None:
    async with held(services, connection_id, budget=None) as hold:
        await hold.check()
        clock.now += TRUST + timedelta(seconds=1)
        await hold.check()


async def test_who_lost_the_lease_stops_writing(services: Services, connection_id: str) -> None:
    """A worker that slept through its lease must not write beside its successor, nor free the lease."""
    clock = stop_clock(services)

    with pytest.raises(LeaseLost):
        await sleep_through_the_lease(services, connection_id, clock)

    assert (await lease_of(services, connection_id)).run_id is not None


async def test_a_hold_is_renewed_while_the_work_goes_on(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = stop_clock(services)
    monkeypatch.setattr(holds, "HEARTBEAT_S", 0.01)
    renewed, renew = asyncio.Event(), services.store.leases.renew

    async def renewing(*given: object) -> None:
        await renew(*given)  # type: ignore[arg-type]
        renewed.set()

    monkeypatch.setattr(services.store.leases, "renew", renewing)
    async with held(services, connection_id, budget=None) as hold:
        clock.now += TRUST + timedelta(seconds=1)
        renewed.clear()
        await renewed.wait()
        await hold.check()
        lease = await lease_of(services, connection_id)

    assert lease.held(clock() + DURATION - timedelta(seconds=1))


async def be_taken_over(services: Services, connection_id: str) -> None:
    later = utc_now() + DURATION + timedelta(seconds=1)
    async with held(services, connection_id, budget=None) as hold:
        await services.store.leases.acquire(connection_id, Next("r2", "timer", "auto"), "w2", later)
        for _ in range(200):
            await hold.check()
            await asyncio.sleep(0.01)


async def test_a_hold_that_another_worker_took_over_ends_the_work(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "HEARTBEAT_S", 0.01)

    with pytest.raises(LeaseLost):
        await be_taken_over(services, connection_id)

    assert (await lease_of(services, connection_id)).holder == "w2"


async def enter(services: Services, connection_id: str, request: Next | None) -> None:
    async with held(services, connection_id, budget=None, request=request):
        pass


@pytest.mark.parametrize(
    "request_", [Next("r2", "timer", "auto"), None], ids=["a run of the schedule", "other work"]
)
async def test_only_a_run_of_the_schedule_waits_where_it_cannot_begin(
    services: Services, connection_id: str, request_: Next | None
) -> None:
    first = Next("r1", "timer", "auto")
    await services.store.leases.acquire(connection_id, first, "worker 1", utc_now())

    with pytest.raises(UnderWay, match="under way"):
        await enter(services, connection_id, request_)

    assert (await lease_of(services, connection_id)).next == request_


async def break_off(services: Services, connection_id: str, *, begin: bool, end: bool) -> Hold:
    async with held(services, connection_id, budget=None) as hold:
        run = Run(
            id=hold.request.run_id,
            connection_id=connection_id,
            trigger=Trigger.MANUAL,
            requested_at=utc_now(),
        )
        if begin:
            await hold.begin(run)
        if end:
            await hold.end(run)
        raise RetryLater("storage.unavailable", "Table Storage did not answer.")


@pytest.mark.parametrize(
    ("begin", "end", "is_free"),
    [
        pytest.param(False, False, True, id="nothing was recorded"),
        pytest.param(True, False, False, id="a record is open: a successor has to close it"),
        pytest.param(True, True, True, id="the record was closed"),
    ],
)
async def test_what_an_error_leaves_of_a_hold(
    *, services: Services, connection_id: str, begin: bool, end: bool, is_free: bool
) -> None:
    with pytest.raises(RetryLater):
        await break_off(services, connection_id, begin=begin, end=end)

    assert ((await lease_of(services, connection_id)).run_id is None) is is_free
