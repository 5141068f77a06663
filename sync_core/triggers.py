"""What each trigger asks for: plain values in, a status and a body out; no Functions types in here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Self

import orjson
from pydantic import ValidationError

from sync_core.api.http.refusals import TooLarge, WrongMediaType
from sync_core.connections import binding, delete, verify
from sync_core.connections.impact import SaveGuard
from sync_core.domain.compatibility import read
from sync_core.domain.documents import Purpose, SyncRequest, Trigger
from sync_core.domain.errors import FixConnection, Invalid, NotUnderstood, RequestRefused, SyncError
from sync_core.health import journal
from sync_core.health.overdue import report_overdue
from sync_core.logs import log_event
from sync_core.runs import by_name, worker
from sync_core.runs.notifications import Deliveries
from sync_core.runs.poison import give_up
from sync_core.runs.request import request_due, request_now
from sync_core.runs.retention import forget_old
from sync_core.services import Services, process
from sync_core.store.patience import caller_waits
from sync_core.store.runs import run_id_of

if TYPE_CHECKING:
    from fastapi import FastAPI

Answer = tuple[int, bytes]

# Of a delivery. One notification has less than a kilobyte, and anybody may call the webhooks: a body
# takes about forty times its size once it is parsed.
MAX_DELIVERY_BYTES = 1024 * 1024
# learn.microsoft.com/graph/change-notifications-delivery-webhooks
DELIVERED_AS = "application/json"

# Until then a process that ends has ended.
HANDED_ON_S = 5

# As long-lived as the services of the process.
deliveries = Deliveries()


async def scheduled(*, past_due: bool) -> None:
    """The timer: ask for what is due, nothing more."""
    if past_due:
        log_event("schedule.pastDue")
    services = await process.services()
    await request_due(services)
    await verify.request_due(services)
    await delete.request_unfinished(services)


async def maintained(*, past_due: bool) -> None:
    """The hourly timer: say which connections have not run for too long, and what expires; forget the old."""
    if past_due:
        log_event("maintenance.pastDue")
    services = await process.services()
    await report_overdue(services)
    await journal.warn_of_expiry(services)
    await binding.confirm_pending(services)
    await services.store.refused_plans.forget_old(services.clock())
    await by_name.request_left(services)
    await forget_old(services)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the queue says of a message: its id, when it was sent, and how often it was delivered by now."""

    message_id: str
    sent_at: datetime
    count: int

    @classmethod
    def of(cls, message_id: str | None, sent_at: datetime | None, count: int | None) -> Self | None:
        """Return what the host told of a message; None where it did not tell all."""
        if message_id is None or sent_at is None or count is None:
            return None
        return cls(message_id, sent_at, count)

    @property
    def run_id(self) -> str:
        """The run that the message asks for if it names none."""
        return run_id_of(self.message_id, self.sent_at)


async def requested(body: bytes, delivery: Delivery | None = None) -> None:
    """One message of the queue. One that is no request is told and done with: no further try would help."""
    services = await process.services()
    try:
        request = read(SyncRequest, body)
    except ValidationError:
        await give_up(services, body)
        return
    try:
        await _do(services, request, delivery)
    except NotUnderstood as error:
        # Only another release can do it. The message need not come again: that release's timer asks.
        log_event(error.code, connection=request.connection_id)


async def poisoned(body: bytes) -> None:
    """One message that the host gave up: close the run that it asked for, and say so."""
    await give_up(await process.services(), body)


async def _do(services: Services, request: SyncRequest, delivery: Delivery | None = None) -> None:
    if services.draining.begun:
        # This process ends within seconds; another one takes it.
        await services.queue.send(request, delay_s=HANDED_ON_S)
    elif request.purpose is Purpose.VERIFY:
        await binding.confirm_again(services, request.connection_id)
        await verify.retry(services, request.connection_id, SaveGuard(services).check_waiting)
    elif request.purpose is Purpose.DELETE:
        await delete.go_on(services, request.connection_id)
    elif delivery is None:
        await worker.handle(services, request)
    else:
        if delivery.count > 1:
            # The run may have ended since, or have been given up; one that began and had to stop before
            # its record was written has served nobody.
            run_id = request.run_id or delivery.run_id
            request = request.model_copy(update={"run_id": run_id, "asked_at": None})
        await worker.handle(services, request, run_id=delivery.run_id)


async def sync_now(connection_id: str | None) -> Answer:
    """HTTP "sync now": 202 with the connections that were asked for."""

    async def ask() -> Answer:
        asked = await request_now(await process.services(), connection_id)
        return 202, orjson.dumps({"requested": asked})

    return await _answered(ask)


async def notified(body: bytes, media_type: str | None) -> Answer:
    """Change notifications: one request a connection that they name."""
    return await _answered(lambda: _deliver(body, media_type, Trigger.WEBHOOK))


async def lifecycle_notified(body: bytes, media_type: str | None) -> Answer:
    """Lifecycle notifications mean that changes may have been missed: look at the connection."""
    return await _answered(lambda: _deliver(body, media_type, Trigger.LIFECYCLE))


async def _deliver(body: bytes, media_type: str | None, trigger: Trigger) -> Answer:
    _check_delivery(body, media_type or "")
    await deliveries.take(await process.services(), body, trigger)
    return 202, b""


def _check_delivery(body: bytes, media_type: str) -> None:
    """Refuse what Graph does not send, before any of it is parsed or anything is asked of others."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind != DELIVERED_AS:
        raise WrongMediaType(
            "request.mediaType",
            f"The body is not sent as {DELIVERED_AS}.",
            f"Send the header Content-Type: {DELIVERED_AS}.",
        )
    if len(body) > MAX_DELIVERY_BYTES:
        raise TooLarge(
            "request.tooLarge",
            f"The body has {len(body)} bytes; at most {MAX_DELIVERY_BYTES} are taken.",
            "Send the notifications in several requests.",
        )


async def _answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        with caller_waits():
            return await ask()
    except SyncError as error:
        log_event("trigger.refused", code=error.code)
        return _status(error), orjson.dumps(
            {
                "type": "about:blank",
                "title": "The request could not be taken.",
                "status": _status(error),
                "detail": error.message,
                "code": error.code,
                "remedy": error.remedy,
            }
        )


def _status(error: SyncError) -> int:
    if isinstance(error, Invalid):
        return 400
    if isinstance(error, RequestRefused):
        return error.status
    return 500 if isinstance(error, FixConnection) else 503


@cache
def api() -> "FastAPI":
    """Return the REST API of this process; FastAPI is imported at its first request."""
    from sync_core.api.app import create_app

    return create_app(process.services)
