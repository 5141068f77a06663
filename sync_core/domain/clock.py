"""Whether the app's timers fire, as it can tell by itself, and what a request may do if not. Pure.

The timers of an app have stopped for good while its HTTP went on, after an update of the platform, and
neither a restart nor a deployment brought them back
(github.com/Azure/azure-functions-host/issues/11828). So each tick is noted with the time of the next one;
where that is long past, a request has the timer's work done.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sync_core.domain.documents.base import Document

# What a tick may be late by: a cold start, and one that a deployment has cost.
PATIENCE = timedelta(minutes=15)
# Where the host did not tell of the next tick, or no tick was ever seen.
LONGEST_INTERVAL = timedelta(hours=1)


class Timer(StrEnum):
    """The timers, by the names of their functions."""

    SCHEDULE = "scheduled_sync"
    MAINTENANCE = "maintenance"

    @property
    def wake_every(self) -> timedelta:
        """Return how often its work is done in its place."""
        return timedelta(minutes=5) if self is Timer.SCHEDULE else timedelta(hours=1)


class Clock(Document):
    """What is known of one timer: since when it is watched, its last tick, the next one, and the last wake.

    `fired_at` is None where it has never fired.
    """

    name: str
    seen_at: datetime | None = None
    fired_at: datetime | None = None
    next_at: datetime | None = None
    woken_at: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Whether it should have fired by now, and has not."""
        since = self.fired_at or self.seen_at
        return since is not None and now > (self.next_at or since + LONGEST_INTERVAL) + PATIENCE

    @property
    def message(self) -> str:
        """Say for how long it is silent, without names."""
        if self.fired_at is None:
            return "The timer has never fired."
        return f"The timer has not fired since {self.fired_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."


class Wake(Document):
    """A message of the queue that asks for a timer's work in its place."""

    wake: Timer


class Look(NamedTuple):
    """What is known of a timer after a look, and whether its work is to be done now."""

    clock: Clock
    is_due: bool


def fired(timer: Timer, now: datetime, next_at: datetime | None) -> Clock:
    """Note a tick: whatever was known before is over."""
    future = next_at if next_at is not None and next_at > now else None
    return Clock(name=timer.value, seen_at=now, fired_at=now, next_at=future)


def looked(clock: Clock, timer: Timer, now: datetime) -> Look:
    """Begin to watch a timer that was never seen, and wake one that is silent."""
    if clock.seen_at is None:
        return Look(clock.model_copy(update={"seen_at": now}), is_due=False)
    is_woken = clock.woken_at is not None and now - clock.woken_at < timer.wake_every
    if not clock.is_silent(now) or is_woken:
        return Look(clock, is_due=False)
    return Look(clock.model_copy(update={"woken_at": now}), is_due=True)


def next_tick(told: str | None) -> datetime | None:
    """Read when the host says that a timer fires next; None where it says nothing that can be read.

    `ScheduleStatus.Next` of the host: local time with its offset, seven digits of a second, or year 1.
    """
    try:
        moment = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
