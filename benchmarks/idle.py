"""An hour in which nothing changes: a number of connections as JSON argument in, what was asked out.

    {"connections": N, "group": ID}

The clock is put forward: twelve ticks of the timer and one of the maintenance, as `SYNC_SCHEDULE` and
`function_app.py` have them by default. What the timer asks for is run as the queue function would. Of the
queue only what the app sends is counted; the host's own looks at it depend on the plan and on `host.json`.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

import sync_core.runs.full  # noqa: F401 -- imported at the first run otherwise
from benchmarks.cost import counted_calls
from benchmarks.ours import store_connection
from sync_core import triggers
from sync_core.services import Services, open_services, process, utc_now
from sync_core.settings import Settings
from sync_core.store.queue import QUEUE
from sync_core.store.users import bounded

TICK = timedelta(minutes=5)
TICKS_AN_HOUR = 12
# As host.json has it.
AT_ONCE = 8
# Requests of a maintenance in which nothing is due are fewer.
ORDINARY = 20


@dataclass
class Hour:
    """What was asked of each service: by the timers, by runs, and by what the maintenance does once a day."""

    timers: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    daily: Counter[str] = field(default_factory=Counter)
    ran: int = 0


class Clock:
    """Time that is put forward; it begins at a full hour."""

    def __init__(self) -> None:
        self.now = utc_now().replace(minute=0, second=0, microsecond=0)

    def __call__(self) -> datetime:
        return self.now


async def main(task: dict[str, Any]) -> None:
    clock = Clock()
    async with open_services(Settings.from_env(os.environ), clock=clock) as services:
        process._services = services  # noqa: SLF001 -- the triggers take theirs from here
        clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [task["group"]]}
        scope = {"filters": [{"clauses": [clause]}]}
        for number in range(task["connections"]):
            await store_connection(services, f"idle-{number}", scope)
        await _ticks(services, clock, 1)  # the first imports
        daily = await _daily()
        hour = await _ticks(services, clock, TICKS_AN_HOUR)
        hour.timers += await _maintained()
        hour.daily = daily
    print(json.dumps(vars(hour)))


async def _ticks(services: Services, clock: Clock, number: int) -> Hour:
    hour = Hour()
    for _ in range(number):
        clock.now += TICK
        with counted_calls() as calls:
            await triggers.scheduled(past_due=False)
        hour.timers += calls
        bodies = await _taken(services)
        with counted_calls() as calls:
            await bounded(AT_ONCE, (partial(triggers.requested, body) for body in bodies))
        hour.runs += calls
        hour.ran += len(bodies)
    return hour


async def _daily() -> Counter[str]:
    """Do what is due once a day, which may take several ticks of the maintenance."""
    daily: Counter[str] = Counter()
    while (calls := await _maintained())["tables"] > ORDINARY:
        daily += calls
    return daily


async def _maintained() -> Counter[str]:
    with counted_calls() as calls:
        await triggers.maintained(past_due=False)
    return calls


async def _taken(services: Services) -> list[bytes]:
    """Take every message off the queue, as the host does."""
    access = services.settings.queues.connection_string or ""
    taken: list[bytes] = []
    async with QueueClient.from_connection_string(
        access, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        async for message in queue.receive_messages(messages_per_page=32):
            taken.append(str(message.content).encode())
            await queue.delete_message(message)
    return taken


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
