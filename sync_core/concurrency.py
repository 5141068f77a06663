"""Turns: what keeps one piece of work from holding up everything else in the process."""

import asyncio
import time
from collections.abc import Callable

from sync_core.domain.expressions import EvaluationError

# A page of 999 people takes some 30 ms to judge; a webhook, and the heartbeat of a run, must not wait for it.
TURN_S = 0.02


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
