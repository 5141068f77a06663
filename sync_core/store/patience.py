"""How long a call of storage may take: as long as its client tries, or briefly where a caller waits.

The clients of Azure wait five minutes for an answer and try four times. That is right for a run, and a
storage that hangs would hold every caller of the API for twenty minutes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport

from sync_core.domain.errors import RetryLater

# Storage answers within milliseconds, and ends a query itself after 5 seconds
# (learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination).
CALLER_WAITS_S = 8.0

_limit_s: ContextVar[float | None] = ContextVar("storage_limit_s", default=None)

Unanswered = Callable[[Exception], RetryLater]


@contextmanager
def caller_waits() -> Iterator[None]:
    """Let each call of storage inside of this block fail soon rather than late."""
    before = _limit_s.set(CALLER_WAITS_S)
    try:
        yield
    finally:
        _limit_s.reset(before)


@asynccontextmanager
async def limited(unanswered: Unanswered) -> AsyncIterator[None]:
    """Raise what `unanswered` makes of it if this takes too long for a caller who waits."""
    try:
        async with asyncio.timeout(_limit_s.get()):
            yield
    except TimeoutError as error:
        raise unanswered(error) from error


# azure-core gives this name by a module's `__getattr__`, so types do not know it.
class PatientTransport(AioHttpTransport):  # type: ignore[misc]
    """The transport of a storage client; who waits for a call is not made to wait for its retries.

    Our error passes through the client's retries, which know Azure's own errors only.
    """

    def __init__(self, unanswered: Unanswered) -> None:
        super().__init__()
        self._unanswered = unanswered

    async def send(self, request: Any, **config: Any) -> Any:
        async with limited(self._unanswered):
            return await super().send(request, **config)
