"""The pace of one run in Graph: what answers cost is counted, and bulk reading waits before it is made to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import httpx

from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.trouble import Usage
from sync_core.domain.errors import RetryLater
from sync_core.domain.throttling import Allowance, units_of

COST = "x-ms-resource-unit"
USED = "x-ms-throttle-limit-percentage"
# A run that uses less than this between two looks at the others' pays nothing for them; the smallest limit is
# seven times as much.
WORTH_SHARING = 500


class Sharing(Protocol):
    """What other workers use of the same allowance; the room of the store has it."""

    async def exchange(self, level: float, limit: int) -> float:
        """Note what this run holds, and return what the others hold."""


class Pace:
    """Counts units, and lets bulk reading pause; a token, a lease and one person's look never wait for it."""

    def __init__(self, budget: RetryBudget, usage: Usage) -> None:
        self._sleep: Callable[[float], Awaitable[None]] = budget.sleep
        self._clock: Callable[[], float] = budget.clock
        self._one_at_a_time = asyncio.Lock()
        self._shared_at = 0
        self._usage = usage
        self.allowance = Allowance()
        self.sharing: Sharing | None = None

    async def hear(self, response: httpx.Response) -> None:
        """Count one answer; those of a `$batch` are its items'."""
        url = response.request.url
        if url.path.endswith("/$batch"):
            return
        self._count(str(url), response.headers)

    def hear_batch(self, urls: Mapping[str, str], body: Any) -> None:
        """Count the items of a `$batch`, whose urls are given by id."""
        responses = body.get("responses") if isinstance(body, dict) else None
        for item in responses if isinstance(responses, list) else []:
            url = urls.get(str(item.get("id"))) if isinstance(item, dict) else None
            if url is not None:
                headers = item.get("headers")
                self._count(url, httpx.Headers(headers if isinstance(headers, dict) else {}))

    def _count(self, url: str, headers: Mapping[str, str]) -> None:
        cost = headers.get(COST, "")
        units = int(cost) if cost.isdecimal() else units_of(url)
        self._usage.units += units
        self.allowance.spend(units, self._clock(), _share(headers.get(USED, "")))

    async def turn(self) -> None:
        """Return when more may be asked for in bulk."""
        async with self._one_at_a_time:
            await self._share()
            pause_s = self.allowance.pause_s(self._clock())
            if pause_s > 0:
                self._usage.waited_s += pause_s
                await self._sleep(pause_s)

    async def _share(self) -> None:
        allowance = self.allowance
        if self.sharing is None or allowance.spent - self._shared_at < WORTH_SHARING:
            return
        self._shared_at = allowance.spent
        try:
            level = allowance.level(self._clock())
            allowance.others = await self.sharing.exchange(level, allowance.limit)
        except RetryLater:
            # What others use is good to know; a run does not fail for want of it.
            allowance.others = 0.0


def _share(told: str) -> float | None:
    try:
        return float(told)
    except ValueError:
        return None
