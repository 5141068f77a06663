"""How long calls to Graph are retried: attempts and seconds, both bounded; the only place that retries."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sync_core.domain.errors import RetryLater, Throttled


@dataclass(slots=True)
class RetryBudget:
    """How long a run waits for Graph; `budget_s` is shared by all calls of the run.

    Graph's own wish (Retry-After) wins over the arithmetic: retrying earlier counts against the app.
    """

    attempts: int = 6
    budget_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    waited_s: float = field(default=0.0, init=False)

    async def wait(self, attempt: int, error: RetryLater) -> None:
        """Wait before the next attempt, or raise the error when the budget is used up."""
        wait_s = self._wait_s(attempt, error)
        if attempt >= self.attempts or self.waited_s + wait_s > self.budget_s:
            raise error
        self.waited_s += wait_s
        await self.sleep(wait_s)

    def _wait_s(self, attempt: int, error: RetryLater) -> float:
        if isinstance(error, Throttled) and error.retry_after_s is not None:
            return error.retry_after_s
        wait_s: float = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
        return wait_s * random.uniform(0.75, 1.25)  # noqa: S311 -- spreads load, no secret
