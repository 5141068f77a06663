"""Messages of the queue that were given up: by the host, after many tries that failed, or as no requests.

A run whose worker dies is not given up here but under its lease, which counts its attempts (`runs/hold.py`).
The host counts deliveries; a worker that was ended for no fault of the message looks the same to it as one
that the message has ended.
"""

import logging

from pydantic import ValidationError

from sync_core.domain.clock import Wake
from sync_core.domain.compatibility import read
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Run, RunError, RunStatus
from sync_core.domain.health import Cause
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.runs import new_run_id

POISONED = "request.poisoned"
NO_REQUEST = "request.unreadable"
ERROR = RunError(
    code=POISONED,
    message="The request was given up, because every try failed before the run could be recorded.",
    remedy="Look in the log for the errors of the function run_sync; mostly storage did not answer, or an "
    "app setting is wrong. Then ask for a sync.",
)


async def give_up(services: Services, body: bytes) -> None:
    """Say in the log, and in the record of the run that was asked for, that a message was given up.

    What is no run is only logged: the timer asks again for settings that wait and for deletions.
    """
    try:
        request = read(SyncRequest, body)
    except ValidationError:
        _log_no_run(body)
        return
    log_event(
        POISONED,
        level=logging.ERROR,
        connection=request.connection_id,
        purpose=request.purpose.value,
        trigger=request.trigger.value,
        run=request.run_id,
    )
    if request.purpose is Purpose.SYNC:
        await _close(services, request)


def _log_no_run(body: bytes) -> None:
    """Log a message that asked for no run: for a timer's work, or for nothing that this release knows."""
    try:
        woken = read(Wake, body).wake
    except ValidationError:
        log_event(POISONED, level=logging.ERROR, code=NO_REQUEST, bytes=len(body))
    else:
        log_event(POISONED, level=logging.ERROR, purpose="wake", timer=woken.value)


async def _close(services: Services, request: SyncRequest) -> None:
    """Close the run as failed, unless it has ended, is under way, or its connection is gone."""
    store, now, connection_id = services.store, services.clock(), request.connection_id
    if await store.connections.find(connection_id) is None:
        return
    run_id = request.run_id or new_run_id(now)
    lease = await store.leases.read(connection_id)
    if lease.held(now) and lease.run_id == run_id:
        return
    run = await store.runs.find(connection_id, run_id) or Run(
        id=run_id,
        connection_id=connection_id,
        trigger=request.trigger,
        by=request.by,
        requested_at=now,
    )
    if run.status.is_final:
        return
    # It would begin after all as soon as anybody asks, under the name of a run that has failed.
    await store.leases.withdraw(connection_id, run_id)
    failed = run.replaced(status=RunStatus.FAILED, finished_at=now, error=ERROR)
    await store.runs.save(failed)
    await journal.run_ended(services, failed, Cause.ADMINISTRATOR)
