"""Timer triggers: fires a function whenever its NCRONTAB schedule says so, in UTC.

Of several hosts over the same storage only one fires. The real host holds a blob lease for that;
here it is a lock on a file, which the kernel lets go when its holder dies.
"""

import asyncio
import datetime as dt
import fcntl
import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from azure.functions.meta import Datum
from croniter import CroniterError, croniter

from local.host.application import Function
from local.host.configuration import ConfigurationError, expand
from local.host.invocation import Invoker, Occasion

logger = logging.getLogger("host")

FIELDS = 6
"""NCRONTAB begins with seconds."""

LOCK_RETRY_S = 1.0


class Schedule:
    """Ticks of an NCRONTAB expression."""

    def __init__(self, expression: str) -> None:
        if len(expression.split()) != FIELDS:
            raise ConfigurationError(
                f"The schedule {expression!r} must have six fields (NCRONTAB, seconds first)."
            )
        try:
            croniter(expression, second_at_beginning=True)
        except CroniterError as error:
            raise ConfigurationError(f"The schedule {expression!r} is wrong: {error}") from error
        self._expression = expression

    def after(self, moment: dt.datetime) -> dt.datetime:
        ticks = croniter(self._expression, moment, second_at_beginning=True)
        following: dt.datetime = ticks.get_next(dt.datetime)
        return following


class Timer:
    """One timer function, from ``run`` until cancelled."""

    def __init__(self, function: Function, settings: Mapping[str, str], invoker: Invoker) -> None:
        self._function = function
        self._schedule = Schedule(expand(function.trigger.properties["schedule"], settings))
        self._invoker = invoker

    async def run(self) -> None:
        last: dt.datetime | None = None
        if self._function.trigger.properties.get("runOnStartup"):
            last = await self._fire(last)
        while True:
            following = self._schedule.after(dt.datetime.now(dt.UTC))
            await _sleep_until(following)
            last = await self._fire(last)

    async def _fire(self, last: dt.datetime | None) -> dt.datetime:
        now = dt.datetime.now(dt.UTC)
        occasion = Occasion(f"Timer fired at {now.isoformat()}")
        try:
            data = request(last, self._schedule.after(now))
            await self._invoker.invoke(self._function, data, occasion)
        except Exception:  # noqa: BLE001 - in the log already; the next tick comes whatever happened
            return now
        return now


async def _sleep_until(moment: dt.datetime) -> None:
    remaining_s = (moment - dt.datetime.now(dt.UTC)).total_seconds()
    if remaining_s > 0:
        await asyncio.sleep(remaining_s)
        await _sleep_until(moment)


def request(last: dt.datetime | None, following: dt.datetime | None) -> Datum:
    """What a timer function gets."""
    status = {
        "Last": last.isoformat() if last else "0001-01-01T00:00:00",
        "Next": following.isoformat() if following else "0001-01-01T00:00:00",
        "LastUpdated": last.isoformat() if last else "0001-01-01T00:00:00",
    }
    content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
    return Datum(type="json", value=json.dumps(content))


class TimerLock:
    """Held by the one host that fires timers for this app and storage."""

    def __init__(self, root: Path, storage: str) -> None:
        identity = hashlib.sha256(f"{root}|{storage}".encode()).hexdigest()[:24]
        self._file = Path(tempfile.gettempdir()) / f"local-functions-host-{identity}.lock"
        self._stream: IO[str] | None = None

    async def __aenter__(self) -> Self:
        stream = self._file.open("a")
        try:
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(LOCK_RETRY_S)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream:
            self._stream.close()


async def run_timers(timers: list[Timer], lock: TimerLock) -> None:
    """Fire all of them, once it is our turn."""
    if not timers:
        return
    async with lock, asyncio.TaskGroup() as group:
        for timer in timers:
            group.create_task(timer.run())
