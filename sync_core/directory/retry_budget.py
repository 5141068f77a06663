"""How long calls to Graph are retried: seconds end it, not attempts; the only place that retries."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sync_core.domain.errors import RetryLater, Throttled


@dataclass(slots=True)
class RetryBudget:
    """How long a run waits for Graph; `budget_s` is shared by all calls of the run.

    A wait is as long as Graph asks (Retry-After), and never shorter than our own growing pause: Graph
    has been seen to ask for 0, 0.124 or 1 second again and again (microsoft-graph-docs issue 3877,
    msgraph-sdk-javascript issue 297), and who keeps to that is refused again and again.

    `spent_s` are the seconds of trouble so far: of attempts that failed, and of the waits after them.
    Calls wait side by side, and a second in which several of them wait is one second.
    """

    budget_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    spent_s: float = field(default=0.0, init=False)
    _counted_until: float = field(default=float("-inf"), init=False)

    async def wait(self, attempt: int, error: RetryLater, *, begun: float | None = None) -> None:
        """Wait before the next attempt, or raise the error when the budget is used up.

        `begun` is when the attempt that failed began, by this budget's clock.
        """
        now = self.clock()
        wait_s = self._wait_s(attempt, error)
        since = max(now if begun is None else begun, self._counted_until)
        spent_s = self.spent_s + max(0.0, now + wait_s - since)
        if spent_s > self.budget_s:
            raise error
        self.spent_s = spent_s
        self._counted_until = max(self._counted_until, now + wait_s)
        await self.sleep(wait_s)

    def _wait_s(self, attempt: int, error: RetryLater) -> float:
        # 30 doublings are more than any budget, and no number too large to be one.
        grown = self.first_wait_s * 2 ** min(attempt - 1, 30)
        pause_s: float = min(self.longest_wait_s, grown)
        pause_s *= random.uniform(0.75, 1.25)  # noqa: S311 -- spreads load, no secret
        asked_s = error.retry_after_s if isinstance(error, Throttled) else None
        return max(asked_s or 0.0, pause_s)
