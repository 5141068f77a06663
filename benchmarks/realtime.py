"""Changes in the tenant, and how long they take to the row; or an hour of noise. A task as JSON, figures out.

    {"what": "changes", "host": URL, "number": 200}
    {"what": "noise", "changes": 4200, "seconds": 3600}

Changes are made one a second, whatever the ones before take: Graph (the emulator) tells the host, which runs
everything. Noise is an hour of changes of people who are in no group that matters, in this process: its clock
is put forward, and messages of the queue are handled when they become visible.
"""

import asyncio
import heapq
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp

import sync_core.runs.full  # noqa: F401 -- imported at the first run otherwise
from benchmarks.cost import counted_calls
from benchmarks.idle import Clock
from benchmarks.ours import store_connection
from benchmarks.sides import members_of
from sync_core.connections.subscriptions import tend
from sync_core.domain.clock import Wake
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.runs import worker
from sync_core.runs.notifications import Deliveries
from sync_core.services import Services, open_services
from sync_core.settings import Settings
from sync_core.store.queue import RequestQueue
from sync_core.store.rows import partition_key
from sync_core.store.tables import USERS
from sync_core.store.wire import Entity, point
from tests.notified import post, subscribed

CONNECTION = "bench"
MEMBERS = 300
PAUSE_S, POLL_S, GIVE_UP_S = 1.0, 0.05, 120.0
# Of 300 people, a third goes: none of that is to be held.
NO_LIMITS = {"maxRemovals": None, "maxRemovalPercent": None, "maxRewrittenPercent": None}
KINDS = ("joins", "leaves", "is blocked", "is soft-deleted")

Control = Callable[..., Awaitable[Any]]


def control_of(session: aiohttp.ClientSession) -> Control:
    async def control(method: str, path: str, body: Any = None) -> Any:
        url = f"{os.environ['GRAPH_ENDPOINT']}/_control{path}"
        async with session.request(method, url, json=body) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_length != 0 else None

    return control


async def group_with_people(control: Control, services: Services) -> tuple[str, list[str]]:
    """Make a group of people, and a connection to it that has read them."""
    people = [(await control("POST", "/people", {}))["id"] for _ in range(MEMBERS)]
    group = (await control("POST", "/groups", {"displayName": "Bench", "members": people}))["id"]
    await store_connection(services, CONNECTION, members_of(group))
    found = await services.store.connections.get(CONNECTION)
    document = found.connection.to_json() | {"realtime": True, "policy": {"guard": NO_LIMITS}}
    await services.store.connections.replace(Connection.model_validate(document), found)
    await worker.handle(services, SyncRequest(connection_id=CONNECTION, trigger=Trigger.MANUAL))
    return group, people


# --- changes ----------------------------------------------------------------------------------------


async def changes(task: dict[str, Any], services: Services, control: Control) -> dict[str, Any]:
    """Time so many changes, of each kind equally many, in turn."""
    group, people = await group_with_people(control, services)
    there = replace(services, settings=replace(services.settings, public_base_url=task["host"]))
    found = await services.store.connections.get(CONNECTION)
    await tend.tend(there, found.connection)
    waiting = []
    for number, kind in zip(range(task["number"]), itertools.cycle(KINDS), strict=False):
        waiting.append(asyncio.create_task(_timed(services, control, kind, group, people[number])))
        await asyncio.sleep(PAUSE_S)
    return {"seconds": sorted(await asyncio.gather(*waiting)), "kinds": list(KINDS)}


async def _timed(services: Services, control: Control, kind: str, group: str, person: str) -> float:
    """Return the seconds from a change to its row."""
    if kind == "joins":
        person = (await control("POST", "/people", {}))["id"]
    began = asyncio.get_running_loop().time()
    if kind == "joins":
        await control("POST", f"/groups/{group}/members", {"members": [person]})
    elif kind == "leaves":
        await control("DELETE", f"/groups/{group}/members", {"members": [person]})
    elif kind == "is blocked":
        await control("PATCH", f"/people/{person}", {"accountEnabled": False})
    else:
        await control("DELETE", f"/people/{person}")
    wanted = "active" if kind == "joins" else "disabled"
    table = await services.store.tables.table(USERS)
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            row: Entity | None = await point(table, partition_key(CONNECTION, person), person)
            if row is not None and row["Status"] == wanted:
                return round(asyncio.get_running_loop().time() - began, 3)
            await asyncio.sleep(POLL_S)


# --- noise ------------------------------------------------------------------------------------------


async def noise(
    task: dict[str, Any], services: Services, control: Control, clock: Clock
) -> dict[str, Any]:
    """Count what an hour of changes outside of the scope costs, with runs of the timer left out."""
    await group_with_people(control, services)
    clock.now += timedelta(minutes=20)
    await worker.handle(services, SyncRequest(connection_id=CONNECTION, trigger=Trigger.MANUAL))
    told = await subscribed(services, CONNECTION)
    strangers = [
        one["id"] for one in await control("GET", f"/people?top={task['changes']}&skip={MEMBERS}")
    ]
    began, numbers = clock.now, itertools.count()
    coming: list[tuple[Any, int, str | None, SyncRequest | None]] = []
    for place, stranger in enumerate(strangers):
        at = began + timedelta(seconds=place * task["seconds"] / len(strangers))
        heapq.heappush(coming, (at, next(numbers), stranger, None))
    send, sent = RequestQueue.send, 0

    async def scheduled(
        self: RequestQueue, request: SyncRequest | Wake, *, delay_s: int = 0
    ) -> None:
        nonlocal sent
        sent += 1
        at = clock.now + timedelta(seconds=delay_s)
        if isinstance(request, SyncRequest):
            heapq.heappush(coming, (at, next(numbers), None, request))
        await send(self, request, delay_s=delay_s)

    RequestQueue.send = scheduled  # type: ignore[method-assign]
    deliveries, looks, runs = Deliveries(), 0, 0
    with counted_calls() as calls:
        while coming:
            clock.now, _, stranger, request = heapq.heappop(coming)
            if stranger is not None:
                await deliveries.take(services, post(told.user(stranger, clock.now)))
            elif request is not None:
                looks += 1
                runs += await worker.handle(services, request) is not None
    # Each message is sent once, taken once and deleted once.
    return {
        "notifications": len(strangers),
        "messages": sent,
        "queues": 3 * sent,
        "tables": calls["tables"],
        "graph": calls["graph"],
        "looks": looks,
        "runs": runs,
    }


async def main(task: dict[str, Any]) -> None:
    clock = Clock()
    settings = Settings.from_env(os.environ)
    is_noise = task["what"] == "noise"
    opened = open_services(settings, clock=clock) if is_noise else open_services(settings)
    async with opened as services, aiohttp.ClientSession() as session:
        control = control_of(session)
        found = (
            await noise(task, services, control, clock)
            if is_noise
            else await changes(task, services, control)
        )
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
