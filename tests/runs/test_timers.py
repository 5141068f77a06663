"""What nobody asks for costs little, however many connections there are, and serves them in turn."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from local.graph import GraphEmulator
from sync_core import triggers
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import RunStatus, Trigger
from sync_core.domain.health import LOOK_EVERY
from sync_core.domain.schedule import has_begun
from sync_core.runs import worker
from sync_core.runs.request import request_due
from sync_core.services import Services, process
from sync_core.store.leases import Next
from sync_core.store.queue import QUEUE
from sync_core.store.runs import new_run_id
from tests.queue_of_requests import request_in, requests_of
from tests.runs.by_hand import asked_for
from tests.runs.events import forget_others, stop_clock
from tests.system import Rig, connection, group_scope, stored_connection

# Connections, health, leases, verifications, deletions; and the tick.
LISTS = 6
# The lists above but the last two, thrice the first and twice the second, subscriptions, consents, refused
# plans, imports that wait, two passes, and the tick.
MAINTENANCE = 13


@pytest.fixture(scope="module")
def own_rig(rig: Rig) -> Rig:
    """Give storage of its own: the lists of the others' are long, and something is always due there."""
    return rig.apart()


@pytest.fixture
async def alone(
    own_rig: Rig, emulator: GraphEmulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    async with own_rig.services(emulator) as opened:
        await forget_others(opened)
        monkeypatch.setattr(process, "_services", opened)
        yield opened


async def ran(services: Services, connection_id: str) -> None:
    """Note that a run has begun now, and is over."""
    run = Next(new_run_id(services.clock()), "timer", "auto")
    await services.store.leases.acquire(connection_id, run, "worker", services.clock())
    await services.store.leases.release(connection_id, "worker")


@contextmanager
def asked(services: Services) -> Iterator[Counter[str]]:
    """Count what is sent to storage, to Key Vault, and to anybody else."""
    hosts = {
        services.settings.key_vault_url.rstrip("/"): "vault",
        str(services.store.tables._service.url): "tables",
        str(services.queue._client.primary_endpoint): "queue",
    }
    counted: Counter[str] = Counter()
    send = AioHttpTransport.send

    async def counting(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        names = [name for host, name in hosts.items() if request.url.startswith(host)]
        counted[names[0] if names else "others"] += 1
        return await send(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AioHttpTransport, "send", counting)
        yield counted


async def test_a_look_of_a_timer_that_finds_nothing_due(
    alone: Services, emulator: GraphEmulator
) -> None:
    """Nor does the hourly one ask Key Vault, Entra or Graph before a day is over."""
    services, clock = alone, stop_clock(alone)
    connections = [f"c{number}" for number in range(12)]
    for one in connections:
        await stored_connection(services, one)
        await ran(services, one)
    await triggers.maintained(past_due=False)

    before = len(emulator.requests)
    with asked(services) as looks:
        await triggers.scheduled(past_due=False)
    with asked(services) as maintenance:
        await triggers.maintained(past_due=False)
    of_graph = len(emulator.requests) - before
    clock.skip(days=1)
    with asked(services) as a_day_later:
        await triggers.maintained(past_due=False)

    assert looks == {"tables": LISTS}
    assert maintenance == {"tables": MAINTENANCE}
    assert of_graph == 0
    assert a_day_later["vault"] >= len(connections)


async def test_an_import_that_has_waited_for_half_an_hour_is_asked_for_again(
    alone: Services, own_rig: Rig
) -> None:
    """Its message was lost; a person who is to be looked at again later is asked for when that is over."""
    services, clock = alone, stop_clock(alone)
    await stored_connection(services, "c0")
    run = await asked_for(services, "c0", [str(uuid4())])
    [named] = await services.store.named.waiting("c0")
    later = {"run_id": "later", "not_before": clock.now + timedelta(minutes=20)}
    await services.store.named.save(named.model_copy(update=later))
    found: list[set[str | None]] = []
    async with requests_of(own_rig) as queue:
        for minutes in (29, 2, 20):
            clock.skip(minutes=minutes)
            await triggers.maintained(past_due=False)
            imports = [one for one in await queue.all() if one.trigger is Trigger.IMPORT]
            found.append({one.run_id for one in imports})

    assert found == [set(), {run.id}, {run.id, "later"}]


def without_daily_looks(now: datetime, names: Iterable[str], how_long: timedelta) -> datetime:
    """Return the next full hour after which no expiry of these connections is asked for, for so long."""
    hours = (
        now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=n) for n in range(1, 49)
    )
    return next(
        hour
        for hour in hours
        if not any(has_begun(one, LOOK_EVERY, hour, hour + how_long) for one in names)
    )


async def test_what_was_overdue_is_looked_at_by_itself(alone: Services) -> None:
    services, clock = alone, stop_clock(alone)
    names = ("never", "often")
    clock.now = without_daily_looks(clock.now, names, timedelta(hours=3))
    for one in names:
        await stored_connection(services, one)
    await ran(services, "often")
    await triggers.maintained(past_due=False)
    clock.now += timedelta(hours=2, minutes=1)
    await ran(services, "often")
    with asked(services) as once:
        await triggers.maintained(past_due=False)

    known = {one.connection_id: one.overdue async for one in services.store.health.all()}
    assert known["often"] is None
    assert known["never"] is not None
    # Its state is read and written, and the incident as well.
    assert once == {"tables": MAINTENANCE + 3}


async def test_a_process_that_begins_makes_sure_of_all_tables_in_one_request(
    alone: Services,
) -> None:
    await alone.store.leases.read("c1")
    alone.store.tables._made = False
    with asked(alone) as counted:
        await alone.store.leases.read("c1")

    assert counted == {"tables": 2}


# --- who comes next -------------------------------------------------------------------------------


async def taken(rig: Rig) -> list[SyncRequest]:
    """Take every message off the queue, the first one first."""
    found: list[SyncRequest] = []
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        async for message in queue.receive_messages(messages_per_page=32):
            if request := request_in(message.content):
                found.append(request)
            await queue.delete_message(message)
    return found


async def test_two_hundred_that_are_due_at_once_are_asked_for_once_the_longest_wait_first(
    alone: Services, own_rig: Rig
) -> None:
    """Order and number of the messages; how many a worker takes at once is the host's matter."""
    services, clock = alone, stop_clock(alone)
    names = [f"due{number:03d}" for number in range(200)]
    waited = random.Random(1).sample(names, 20)
    for name in names:
        await services.store.connections.create(connection(name))
    for name in waited:
        clock.skip(seconds=1)
        await ran(services, name)
    clock.skip(hours=1)
    requested = await request_due(services)
    first = await taken(own_rig)

    assert requested == len(first) == 200
    assert [one.connection_id for one in first[180:]] == waited
    assert {one.connection_id for one in first[:180]} == set(names) - set(waited)


async def test_a_run_serves_every_message_that_the_timer_sent_before_it_began(
    alone: Services, own_rig: Rig, emulator: GraphEmulator
) -> None:
    """A queue that takes longer than a tick holds several; none of them is a second run."""
    services, clock = alone, stop_clock(alone)
    group = emulator.control.create_group("Nobody", members=[])["id"]
    await stored_connection(services, "busy", scope=group_scope(group))
    await stored_connection(services, "long", scope=group_scope(group))
    for _ in range(3):
        await request_due(services)
        clock.skip(minutes=5)
    now = Next(new_run_id(clock.now), "timer", "auto")
    await services.store.leases.acquire("long", now, "a worker with much to do", clock.now)
    messages = await taken(own_rig)
    runs = [await worker.handle(services, one) for one in messages if one.connection_id == "busy"]
    for one in messages:
        if one.connection_id == "long":
            await worker.handle(services, one)
    served = await taken(own_rig)
    clock.skip(hours=1)
    await request_due(services)
    [again] = [one for one in await taken(own_rig) if one.connection_id == "busy"]
    later = await worker.handle(services, again)

    assert [run is not None for run in runs] == [True, False, False]
    assert served == []
    assert (await services.store.leases.read("long")).next is None, "nor does one wait"
    assert later is not None


async def test_a_message_that_comes_again_is_not_served_by_its_own_try(
    alone: Services, own_rig: Rig, emulator: GraphEmulator
) -> None:
    """Storage failed before the run had a record; the connection must not wait for the next hour."""
    services, clock = alone, stop_clock(alone)
    group = emulator.control.create_group("Nobody", members=[])["id"]
    await stored_connection(services, "again", scope=group_scope(group))
    await request_due(services)
    [message] = await taken(own_rig)
    await ran(services, "again")
    body = message.model_dump_json(by_alias=True).encode()
    await triggers.requested(body, triggers.Delivery("a-message", clock.now, 2))

    [run] = await services.store.runs.page("again", top=5, after=None)
    assert run.status is RunStatus.SUCCEEDED
