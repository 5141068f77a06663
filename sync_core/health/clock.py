"""The second clock: a request has the work of a timer done that does not fire any more.

Looked at once a minute a process, and handed to the queue, so that a request waits for no work; who claims
it by the ETag of the timer's row is one. That the work is done twice, as the timer fires at the same
moment, does no harm: it is that of two ticks.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from sync_core.domain.clock import Clock, Look, Timer, Wake, fired, looked
from sync_core.domain.errors import SyncError
from sync_core.logs import log_event
from sync_core.services import Services

LOOK_EVERY = timedelta(minutes=1)


async def note_tick(services: Services, timer: Timer, next_at: datetime | None) -> None:
    """Note that a timer fires; where that cannot be stored its work is done all the same."""
    try:
        await services.store.clocks.put(fired(timer, services.clock(), next_at))
    except SyncError as error:
        _not_kept(error)


async def silent_timer(services: Services) -> Clock | None:
    """Return the timer that has been silent for longest; None if all fire.

    One that was never seen is watched from now on: in a new deployment it may never have fired.
    """
    now = services.clock()
    # Another release may have a timer more.
    known = {one.name: one async for one in services.store.clocks.all() if one.name in {*Timer}}
    for timer in Timer:
        if timer not in known:
            await _look(services, timer, now)
    silent = [one for one in known.values() if one.is_silent(now)]
    return min(silent, key=lambda one: one.fired_at or one.seen_at or now, default=None)


async def wake(services: Services) -> None:
    """Ask the queue for the work of each timer that is silent; a request never fails because of it."""
    now, last = services.clock(), services.looked.at
    if last is not None and timedelta(0) <= now - last < LOOK_EVERY:
        return
    services.looked.at = now
    try:
        for timer in Timer:
            await _wake(services, timer, now)
    except SyncError as error:
        _not_kept(error)


async def _look(services: Services, timer: Timer, now: datetime) -> Look:
    look = partial(looked, timer=timer, now=now)
    return await services.store.clocks.update(timer.value, look, lambda one: one.clock)


async def _wake(services: Services, timer: Timer, now: datetime) -> None:
    found = await _look(services, timer, now)
    if found.is_due:
        last = found.clock.fired_at
        moment = last.isoformat(timespec="seconds") if last else None
        log_event("clock.woken", level=logging.WARNING, timer=timer.value, last_fired=moment)
        await services.queue.send(Wake(wake=timer))


def _not_kept(error: SyncError) -> None:
    log_event("clock.notKept", level=logging.WARNING, code=error.code)
