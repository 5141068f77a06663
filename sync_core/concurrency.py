"""Turns and threads: what keeps one piece of work from holding up everything else in the process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from sync_core.domain.expressions import EvaluationError

# A page of 999 people takes some 30 ms to judge; a webhook, and the heartbeat of a run, must not wait for it.
TURN_S = 0.02

P = ParamSpec("P")
T = TypeVar("T")
_END = object()


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do in a thread what takes long in one piece: Python lets the loop have its turn every few milliseconds.

    What the work reads and writes must be in no other hands meanwhile. Whoever is cancelled, even twice,
    waits for its end, since the files and tables that it works on may be closed next.
    """
    task = asyncio.ensure_future(asyncio.to_thread(partial(work, *args, **kwargs)))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


async def produced(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items that take long to make; each is made in a thread when it is asked for."""
    onward = iter(items)
    while (item := await in_thread(next, onward, _END)) is not _END:
        yield item  # type: ignore[misc]


class TimeLimit:
    """Raises `EvaluationError` when it is asked after its time: a step that has begun is finished first."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._until = clock() + limit_s

    def __call__(self) -> None:
        if self._clock() > self._until:
            raise EvaluationError(
                "evaluation.outOfTime", f"It takes longer than {self._limit_s:g} seconds"
            )


class Turns:
    """Lets others in this process have their turn as soon as work has gone on for long enough.

    By the time and not by the number of people: one person may take as long as thousands.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()

    async def take(self) -> None:
        if self._clock() - self._since >= TURN_S:
            await asyncio.sleep(0)
            self._since = self._clock()
