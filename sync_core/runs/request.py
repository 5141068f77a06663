"""Ask for a run: by hand, because it is due, or for every connection; and wait for its end.

The request is noted on the connection's lease, then recorded, then sent to the queue. Noted first,
because a request that waits already serves this one, too; sent last, because a message must find its
record. When sending fails the request stays noted, and the next message for the connection serves it:
the timer sends one within minutes, and so does whoever asks again. A run that has ended ignores its
own messages, so sending one too many is harmless.
"""

import asyncio
from datetime import datetime
from typing import Literal

from sync_core.domain.compatibility import word
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor, Mode, Run, RunStatus, Trigger
from sync_core.domain.errors import Conflict, RetryLater
from sync_core.domain.health import UNATTENDED, Health
from sync_core.domain.schedule import EPOCH, is_due
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.leases import Lease, Next
from sync_core.store.runs import new_run_id

FIRST_LOOK_S = 0.1
LONGEST_LOOK_S = 1.0

RequestMode = Literal["auto", "full", "incremental"]
# Who has the function key is known to nobody.
WITH_KEY = Actor(name="function key")


async def ask_for_run(
    services: Services, connection: Connection, mode: RequestMode, by: Actor
) -> Run:
    """Ask for a run. Where a request waits already, its run is returned and serves both."""
    if not connection.enabled:
        raise Conflict(
            "connection.disabled",
            f"The connection {connection.id!r} is disabled; it is not synced.",
            'Enable it first: PATCH it with {"enabled": true}.',
        )
    wanted = Next(new_run_id(services.clock()), Trigger.MANUAL.value, mode, by)
    waiting = await services.store.leases.request(connection.id, wanted)
    run = await services.store.runs.find(connection.id, waiting.run_id)
    # Rejected while it waited (the connection was disabled meanwhile), and still the next one.
    if run is None or run.status is RunStatus.REJECTED:
        run = _queued(services, connection.id, waiting)
        await services.store.runs.save(run)
    await _send(services, connection.id, waiting)
    return run


def _queued(services: Services, connection_id: str, waiting: Next) -> Run:
    return Run(
        id=waiting.run_id,
        connection_id=connection_id,
        trigger=word(Trigger, waiting.trigger),
        by=waiting.by,
        mode=Mode.INCREMENTAL if waiting.mode == "incremental" else Mode.FULL,
        requested_at=services.clock(),
    )


async def _send(services: Services, connection_id: str, waiting: Next) -> None:
    try:
        await services.queue.send(waiting.message(connection_id))
    except RetryLater as error:
        raise RetryLater(
            error.code,
            f"{error.message} The request is noted and has not started.",
            f"Ask again, or wait: the timer starts it within minutes. {error.remedy}",
        ) from error


async def wait_for_end(services: Services, run: Run, wait_s: float) -> Run:
    """Return the run as soon as it has ended, or as it stands when the time is over."""
    clock = asyncio.get_running_loop().time
    until, pause_s = clock() + wait_s, FIRST_LOOK_S
    while not run.status.is_final and (left_s := until - clock()) > 0:
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
        run = await services.store.runs.find(run.connection_id, run.id) or run
    return run


async def request_now(services: Services, connection_id: str | None) -> list[str]:
    """Ask for a run of one connection, or of all that are enabled; returns their ids."""
    if connection_id is not None:
        connection = (await services.store.connections.get(connection_id)).connection
        if not connection.enabled:
            raise Conflict(
                "connection.notEnabled",
                f"The connection {connection_id!r} is disabled.",
                "Enable it, and ask again.",
            )
        chosen = [connection]
    else:
        chosen = [known async for known in services.store.connections.all() if known.enabled]
    for connection in chosen:
        await services.queue.send(
            SyncRequest(connection_id=connection.id, trigger=Trigger.MANUAL, by=WITH_KEY)
        )
    return [connection.id for connection in chosen]


async def request_due(services: Services, by: str = "timer") -> int:
    """Ask for a run of every connection that is due, that waits, or whose run died; returns how many.

    Who has waited longest comes first. Where the queue takes longer than a tick, a connection is asked for
    again; the run that begins first serves all of its messages. `by` tells the log whose look it is: the
    timer's, or that of a request in its place.
    """
    now = services.clock()
    known, leases = await journal.read_all(services), await services.store.leases.all_by_id()
    enabled = [one async for one in services.store.connections.all() if one.enabled]
    due = []
    for connection in enabled:
        lease = leases.get(connection.id) or Lease(connection.id)
        health = known.get(connection.id) or Health(connection_id=connection.id)
        if not lease.held(now) and _should_run(connection, lease, health, now):
            due.append(lease)
    for lease in sorted(due, key=lambda one: one.last_started_at or EPOCH):
        await services.queue.send(
            SyncRequest(connection_id=lease.connection_id, trigger=Trigger.TIMER, asked_at=now)
        )
    _log_look(enabled, len(due), by)
    return len(due)


def _log_look(enabled: list[Connection], requested: int, by: str) -> None:
    """Log the look, and what is to run by itself: an alert goes by it where no run ends well."""
    intervals = [one.schedule.every_minutes for one in enabled if one.schedule.automatic]
    log_event(
        "schedule.checked",
        clock=by,
        requested=requested,
        watched=len(intervals),
        shortest_min=min(intervals, default=None),
    )


def _should_run(connection: Connection, lease: Lease, health: Health, now: datetime) -> bool:
    waiting, died = lease.next, lease.run_id is not None
    if waiting is not None and waiting.trigger not in UNATTENDED:
        return True
    if health.held_back(now):
        return False
    if died or waiting is not None:
        return True
    if health.next_try_at is not None:
        return connection.schedule.automatic
    return is_due(connection, lease.last_started_at, now)
