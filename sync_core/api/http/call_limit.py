"""How often one caller may have Graph asked about one connection: calls and times in, seconds to wait out.

A call for a person costs up to some twenty requests, and all of a connection share what Graph allows the
app in that tenant: who asks in a loop would throttle the runs. Counted in each process for itself.
"""

import math
from collections import deque
from typing import Annotated

from fastapi import Path, Request

from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.refusals import TooManyCalls

MOST_CALLS = 30
SPAN_S = 60.0


class CallLimit:
    """At most so many calls of each kind of key within any minute."""

    def __init__(self, most: int = MOST_CALLS, span_s: float = SPAN_S) -> None:
        self._most = most
        self._span_s = span_s
        self._calls: dict[tuple[str, str], deque[float]] = {}
        self._cleared_at = 0.0

    def wait_s(self, key: tuple[str, str], now_s: float) -> int | None:
        """Count a call; return None if it may be made, or after how many seconds one may be."""
        self._clear(now_s)
        calls = self._calls.setdefault(key, deque())
        if calls and calls[-1] > now_s:
            # The clock was set back: nobody has to wait for the time that it had before.
            calls.clear()
        while calls and calls[0] <= now_s - self._span_s:
            calls.popleft()
        if len(calls) >= self._most:
            return math.ceil(calls[0] + self._span_s - now_s)
        calls.append(now_s)
        return None

    def _clear(self, now_s: float) -> None:
        """Forget who has not called for a while, or the keys would grow without an end."""
        if now_s - self._cleared_at < self._span_s:
            return
        self._cleared_at = now_s
        ended = [key for key, calls in self._calls.items() if calls[-1] <= now_s - self._span_s]
        for key in ended:
            del self._calls[key]


async def limit_calls(
    request: Request,
    services: ServicesHere,
    caller: CallerHere,
    connection: Annotated[str, Path(alias="id")],
) -> None:
    """Raise `TooManyCalls` where this caller has had Graph asked too often about this connection."""
    limit: CallLimit = request.app.state.call_limit
    wait_s = limit.wait_s((caller.name, connection), services.clock().timestamp())
    if wait_s is not None:
        raise TooManyCalls(
            "request.tooMany",
            f"At most {MOST_CALLS} calls a minute ask Microsoft Graph about one connection.",
            f"Wait {wait_s} seconds, then go on more slowly.",
            headers={"Retry-After": str(wait_s)},
        )
