"""Timers that have died while HTTP lives: requests do their work, and nothing is done twice for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from local.azurite import Azurite
from local.graph import GraphEmulator
from sync_core import triggers
from sync_core.domain.clock import Clock, Timer, Wake
from sync_core.domain.documents.run import Trigger
from sync_core.health import clock
from sync_core.services import Looked, Services, process
from sync_core.store.queue import QUEUE
from sync_core.store.tables import CLOCKS
from tests.api.conftest import READER, app_over, calling
from tests.runs.events import Skipping, forget_others, stop_clock
from tests.system import Rig, active, group_scope, rows_of, stored_connection

NOBODYS = b'{"value": []}'
Ask = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="module")
def own_rig(rig: Rig) -> Iterator[Rig]:
    """Give storage of its own: what others left behind is due there as well."""
    with Azurite() as azurite:
        yield replace(rig, azurite=azurite)


@pytest.fixture
async def alone(
    own_rig: Rig, emulator: GraphEmulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    async with own_rig.services(emulator) as opened:
        await forget_others(opened)
        monkeypatch.setattr(process, "_services", opened)
        yield opened


async def tick(now: Skipping) -> None:
    """Let both timers fire, as the host does: it tells when they fire next."""
    minutes, hour = (now.now + timedelta(minutes=one) for one in (5, 60))
    await triggers.scheduled(past_due=False, next_at=minutes.isoformat())
    await triggers.maintained(past_due=False, next_at=hour.isoformat())


async def work(rig: Rig) -> int:
    """Do all that the queue holds, as `run_sync` does; return how many messages those were."""
    done = 0
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        while message := await queue.receive_message():
            await queue.delete_message(message)
            await triggers.requested(message.content.encode())
            done += 1
    return done


async def messages(rig: Rig) -> int | None:
    """Return how many messages the queue holds, also those that are not visible yet."""
    async with QueueClient.from_connection_string(rig.azurite.connection_string, QUEUE) as queue:
        return (await queue.get_queue_properties()).approximate_message_count


def told(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Count the looks of both timers by whose they are."""
    names = ("schedule.checked", "maintenance.done", "clock.woken")
    lines = (entry.getMessage().split(" ") for entry in caplog.records)
    return Counter(" ".join(line[:2]) for line in lines if line[0] in names)


async def test_three_hours_without_timers(
    alone: Services, own_rig: Rig, emulator: GraphEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Runs come as often as they would, people are right, and the maintenance is done each hour.

    Its first tick is missing for certain after an hour and a quarter.
    """
    caplog.set_level("INFO")
    services, now = alone, stop_clock(alone)
    now.now = datetime(2036, 11, 30, 7, 0, tzinfo=UTC)
    ann, bob, *more = [
        emulator.control.create_person({"displayName": f"Person {number}"})["id"]
        for number in range(12)
    ]
    group = emulator.control.create_group("Staff", members=[ann, *more])["id"]
    await stored_connection(services, "staff", scope=group_scope(group))
    await tick(now)
    await work(own_rig)
    first = active(await rows_of(services, "staff"))
    caplog.clear()
    async with calling(app_over(services), READER) as reader:
        for minute in range(0, 180, 3):
            now.skip(minutes=3)
            if minute == 30:
                emulator.control.add_members(group, bob)
                emulator.control.remove_members(group, ann)
            await (
                reader.get("/api/health")
                if minute % 2
                else triggers.notified(NOBODYS, "application/json")
            )
            await work(own_rig)

    runs = await services.store.runs.page("staff", top=99, after=None)
    looks = told(caplog)
    assert first == {ann, *more}
    assert active(await rows_of(services, "staff")) == {bob, *more}
    assert {run.trigger for run in runs} == {Trigger.TIMER}
    assert len(runs) == 3, "the first one, and one in each interval that begins meanwhile"
    assert looks == {
        "clock.woken timer=scheduled_sync": looks["schedule.checked clock=request"],
        "schedule.checked clock=request": looks["clock.woken timer=scheduled_sync"],
        "clock.woken timer=maintenance": 2,
        "maintenance.done clock=request": 2,
    }
    assert 25 <= looks["schedule.checked clock=request"] <= 36


async def by_notification(_: httpx.AsyncClient) -> None:
    assert (await triggers.notified(NOBODYS, "application/json"))[0] == 202


async def by_key(_: httpx.AsyncClient) -> None:
    assert (await triggers.sync_now(None))[0] == 202


async def by_reader(reader: httpx.AsyncClient) -> None:
    assert (await reader.get("/api/health")).status_code == 200


@pytest.mark.parametrize("ask", [by_notification, by_key, by_reader])
async def test_a_silent_timer_is_woken_once_however_many_ask(
    alone: Services, own_rig: Rig, ask: Ask
) -> None:
    """By several processes, at the same moment."""
    now = stop_clock(alone)
    await tick(now)
    async with calling(app_over(alone), READER) as reader:
        now.skip(minutes=19)
        await ask(reader)
        patient = await work(own_rig)
        now.skip(minutes=2)
        others = (replace(alone, looked=Looked()) for _ in range(4))
        await asyncio.gather(ask(reader), *(clock.wake(one) for one in others))
        woken = await work(own_rig)
        now.skip(minutes=2)
        await ask(reader)
        again = await work(own_rig)

    assert (patient, woken, again) == (0, 1, 0)


async def test_a_timer_of_another_release_is_not_missed(alone: Services) -> None:
    """After a rollback nothing of this app fires it."""
    now = stop_clock(alone)
    await alone.store.clocks.put(Clock(name="anotherTimer", seen_at=now.now, fired_at=now.now))
    now.skip(hours=5)
    await tick(now)

    assert await clock.silent_timer(alone) is None


async def test_what_cannot_be_noted_fails_no_request(
    alone: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor a tick: what was noted is worth less than what it is noted of."""
    caplog.set_level("INFO")
    await alone.store.tables.table(CLOCKS)
    monkeypatch.setitem(
        alone.store.tables._clients, CLOCKS, alone.store.tables._service.get_table_client("Gone")
    )
    await tick(stop_clock(alone))
    answer = await triggers.sync_now(None)

    assert answer[0] == 202
    assert "clock.notKept code=storage.unavailable" in caplog.text
    assert "schedule.checked clock=timer" in caplog.text


async def test_a_wake_that_is_given_up_is_told(
    alone: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await triggers.poisoned(Wake(wake=Timer.MAINTENANCE).model_dump_json().encode())

    assert "request.poisoned purpose=wake timer=maintenance" in caplog.text


async def test_a_process_that_ends_hands_the_work_on(alone: Services, own_rig: Rig) -> None:
    wake = Wake(wake=Timer.SCHEDULE).model_dump_json().encode()
    alone.draining._begun = True
    await triggers.requested(wake)
    handed_on = await messages(own_rig)

    assert handed_on == 1
