"""What each trigger asks for: plain values in, a status and a body out; no Functions types in here."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Self

import orjson
from pydantic import ValidationError

from sync_core.api.http.refusals import TooLarge, WrongMediaType
from sync_core.connections import binding, delete, lifecycle, silence, verify
from sync_core.connections.impact import SaveGuard
from sync_core.connections.subscriptions import tend
from sync_core.domain.clock import Timer, Wake, next_tick
from sync_core.domain.compatibility import read
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.errors import FixConnection, Invalid, NotUnderstood, RequestRefused, SyncError
from sync_core.health import clock, journal
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

# Of the seconds in which Graph wants an answer, after what has come was kept.
WAKES_WITHIN_S = 0.5

# Until then a process that ends has ended.
HANDED_ON_S = 5

# As long-lived as the services of the process.
deliveries = Deliveries()


async def scheduled(*, past_due: bool, next_at: str | None = None) -> None:
    """The timer: ask for what is due, nothing more. The host says in `next_at` when it fires next."""
    if past_due:
        log_event("schedule.pastDue")
    services = await process.services()
    await clock.note_tick(services, Timer.SCHEDULE, next_tick(next_at))
    await _ask_for_due(services, "timer")


async def maintained(*, past_due: bool, next_at: str | None = None) -> None:
    """The hourly timer: look after what nobody asks for."""
    if past_due:
        log_event("maintenance.pastDue")
    services = await process.services()
    await clock.note_tick(services, Timer.MAINTENANCE, next_tick(next_at))
    await _maintain(services, "timer")


async def _woken(services: Services, timer: Timer) -> None:
    """Do the work of a timer that does not fire."""
    await (_ask_for_due if timer is Timer.SCHEDULE else _maintain)(services, "request")


async def _ask_for_due(services: Services, by: str) -> None:
    await request_due(services, by)
    await verify.request_due(services)
    await delete.request_unfinished(services)


async def _maintain(services: Services, by: str) -> None:
    """Say what has not run for too long, and what expires; renew; forget the old."""
    began = services.clock()
    await report_overdue(services)
    await journal.warn_of_expiry(services)
    await binding.confirm_pending(services)
    await services.store.refused_plans.forget_old(services.clock())
    await tend.tend_all(services)
    await by_name.request_left(services)
    await forget_old(services)
    took_s = (services.clock() - began).total_seconds()
    log_event("maintenance.done", clock=by, took_s=round(took_s, 1))


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
        await _no_request(services, body)
        return
    try:
        await _do(services, request, delivery)
    except NotUnderstood as error:
        # Only another release can do it. The message need not come again: that release's timer asks.
        log_event(error.code, connection=request.connection_id)


async def _no_request(services: Services, body: bytes) -> None:
    """What is no request for a connection asks for a timer's work, or is given up."""
    try:
        wake = read(Wake, body)
    except ValidationError:
        await give_up(services, body)
        return
    if services.draining.begun:
        await services.queue.send(wake, delay_s=HANDED_ON_S)
    else:
        await _woken(services, wake.wake)


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
    elif request.purpose is Purpose.SUBSCRIBE:
        await _look_after_subscriptions(services, request)
    elif request.purpose is Purpose.LISTEN:
        work = partial(silence.look, services, request.connection_id)
        await tend.guarded(request.connection_id, work)
    elif delivery is None:
        await worker.handle(services, request)
    else:
        if delivery.count > 1:
            # The run may have ended since, or have been given up; one that began and had to stop before
            # its record was written has served nobody.
            run_id = request.run_id or delivery.run_id
            request = request.model_copy(update={"run_id": run_id, "asked_at": None})
        await worker.handle(services, request, run_id=delivery.run_id)


async def _look_after_subscriptions(services: Services, request: SyncRequest) -> None:
    connection_id = request.connection_id
    if request.events:
        work = partial(lifecycle.heed, services, connection_id, request.events)
    else:
        work = partial(tend.tend_now, services, connection_id)
    await tend.guarded(connection_id, work)


async def sync_now(connection_id: str | None) -> Answer:
    """HTTP "sync now": 202 with the connections that were asked for."""

    async def ask() -> Answer:
        services = await process.services()
        asked = await request_now(services, connection_id)
        await clock.wake(services)
        return 202, orjson.dumps({"requested": asked})

    return await _answered(ask)


async def notified(body: bytes, media_type: str | None) -> Answer:
    """Change notifications: whom they name is kept, and looked at."""

    async def take() -> Answer:
        _check_delivery(body, media_type or "")
        services = await process.services()
        await deliveries.take(services, body)
        # Graph waits for three seconds, and the next request asks again.
        with suppress(TimeoutError):
            async with asyncio.timeout(WAKES_WITHIN_S):
                await clock.wake(services)
        return 202, b""

    # Anybody may post anything; how much of it came is told now and then.
    return await _answered(take, told=False)


async def lifecycle_notified(body: bytes, media_type: str | None) -> Answer:
    """Lifecycle notifications: checked and put on the queue, one message a connection that they name."""

    async def take() -> Answer:
        _check_delivery(body, media_type or "")
        await lifecycle.take(await process.services(), deliveries.known, body)
        return 202, b""

    return await _answered(take)


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


async def _answered(ask: Callable[[], Awaitable[Answer]], *, told: bool = True) -> Answer:
    """Return the answer, or what an error makes of it; not `told`: the caller's own errors are not logged."""
    try:
        with caller_waits():
            return await ask()
    except SyncError as error:
        if told or _status(error) >= 500:
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
