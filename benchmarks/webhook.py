"""The webhook under load, and how long a change takes: the sender's side, in a process of its own.

A task as JSON argument in; the times of the answers, and what became of the notifications, out.

    {"host": URL, "perSecond": 100, "seconds": 10, "changes": 5}

Nine of ten notifications name people of a connection whose lease is held all the while, each another person,
so that a lost one is missed: their cases are counted. The others name the sample connection. With `changes`
the host has to run the queue function too: it then makes runs of that connection meanwhile.
"""

import asyncio
import json
import os
import sys
import uuid
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from benchmarks.ours import store_connection
from local.sample import SAMPLE_GROUP_ID
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.services import Services, open_services, utc_now
from sync_core.settings import Settings
from sync_core.store.leases import Next
from sync_core.store.rows import partition_key
from sync_core.store.tables import USERS
from sync_core.store.wire import point
from tests.notified import Subscribed, post, subscribed

CONNECTION = "bench"
FLOOD = "flood"
POLL_S = 0.02
# A busy machine takes its time; a run that never comes is an error all the same.
RETRY_BUDGET_S = 300
SCOPE = {
    "filters": [
        {
            "clauses": [
                {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [SAMPLE_GROUP_ID]}
            ]
        }
    ]
}


class Sender:
    """Plays Microsoft Graph; `last_sent` is when it last named the sample connection."""

    last_sent: datetime

    def __init__(self, session: aiohttp.ClientSession, host: str, told: Subscribed) -> None:
        self._session = session
        self._url = f"{host}/api/graph/notifications"
        self._told = told

    async def notify(self) -> int:
        """Say that the sample group has changed, and return the status of the answer."""
        self.last_sent = utc_now()
        return await self.send(post(self._told.members(SAMPLE_GROUP_ID)))

    async def send(self, body: bytes) -> int:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            await answer.read()
            return answer.status


async def flood(
    sender: Sender, told: Subscribed, *, per_second: int, seconds: int
) -> dict[str, Any]:
    """Send at a steady rate, whatever the answers take; times count from the planned moment."""
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.1

    async def one(number: int) -> tuple[int, float]:
        planned = start + number / per_second
        await asyncio.sleep(planned - loop.time())
        known = number % 10 == 0
        body = post(told.user(str(uuid.uuid4())))
        status = await (sender.notify() if known else sender.send(body))
        return status, loop.time() - planned

    answers = await asyncio.gather(*map(one, range(per_second * seconds)))
    return {
        "milliseconds": sorted(round(1000 * took_s, 2) for _, took_s in answers),
        "refused": sum(status != 202 for status, _ in answers),
        "unknown": sum(number % 10 != 0 for number in range(len(answers))),
    }


async def time_change(session: aiohttp.ClientSession, sender: Sender, services: Services) -> float:
    """Put a new person into the group, notify, and wait for the row; gives the seconds."""
    loop = asyncio.get_running_loop()
    control = f"{os.environ['GRAPH_ENDPOINT']}/_control"
    async with session.post(f"{control}/people", json={}) as answer:
        object_id = (await answer.json())["id"]
    members = f"{control}/groups/{SAMPLE_GROUP_ID}/members"
    async with session.post(members, json={"members": [object_id]}) as answer:
        answer.raise_for_status()
    table, began = await services.store.tables.table(USERS), loop.time()
    await sender.notify()
    partition = partition_key(CONNECTION, object_id)
    async with asyncio.timeout(RETRY_BUDGET_S):
        while await point(table, partition, object_id) is None:  # noqa: ASYNC110 -- a table calls nobody
            await asyncio.sleep(POLL_S)
    return loop.time() - began


async def wait_for_run(services: Services, since: datetime) -> None:
    """Wait until a run of the sample connection that started after `since` is over, and none waits."""
    async with asyncio.timeout(RETRY_BUDGET_S):
        while True:
            lease = await services.store.leases.read(CONNECTION)
            started = lease.last_started_at is not None and lease.last_started_at >= since
            if started and lease.run_id is None and lease.next is None:
                return
            await asyncio.sleep(POLL_S)


async def time_changes(
    session: aiohttp.ClientSession, sender: Sender, services: Services, number: int
) -> list[float]:
    """Make the sample connection, and time some changes one after another."""
    await store_connection(services, CONNECTION, SCOPE)
    began = utc_now()
    await services.queue.send(SyncRequest(connection_id=CONNECTION, trigger=Trigger.MANUAL))
    await wait_for_run(services, began)
    seconds = []
    for _ in range(number):
        seconds.append(round(await time_change(session, sender, services), 3))
        await wait_for_run(services, sender.last_sent)
    return seconds


async def main(task: dict[str, Any]) -> None:
    async with (
        open_services(Settings.from_env(os.environ)) as services,
        aiohttp.ClientSession() as session,
    ):
        loop = asyncio.get_running_loop()
        sender = Sender(session, task["host"], await subscribed(services, CONNECTION))
        told = await subscribed(services, FLOOD)
        held = Next("bench", Trigger.MANUAL.value, "auto")
        until = utc_now() + timedelta(hours=1)
        await services.store.leases.acquire(FLOOD, held, "bench", until)
        began = loop.time()
        await sender.notify()
        result: dict[str, Any] = {"firstSeconds": round(loop.time() - began, 3)}
        if task["changes"]:
            result["changeSeconds"] = await time_changes(session, sender, services, task["changes"])
        result |= await flood(sender, told, per_second=task["perSecond"], seconds=task["seconds"])
        if task["changes"]:
            # None for the sample connection is lost if a run starts after the last of them.
            await wait_for_run(services, sender.last_sent)
        result["kept"] = len((await services.store.checkpoints.load(FLOOD)).cases)
        print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
