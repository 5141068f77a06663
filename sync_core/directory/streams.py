"""Several streams read at once, given on as one; the first error ends all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


@asynccontextmanager
async def merged(
    streams: Sequence[AsyncIterator[T]], *, at_once: int
) -> AsyncIterator[AsyncIterator[T]]:
    """Read up to `at_once` streams in parallel and a little ahead of whoever takes the items."""
    queue: asyncio.Queue[object] = asyncio.Queue(maxsize=at_once)
    gate = asyncio.Semaphore(at_once)

    async def drain(stream: AsyncIterator[T]) -> None:
        async with gate:
            async for item in stream:
                await queue.put(item)

    async def drain_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(drain(stream))
        except BaseExceptionGroup as errors:
            await queue.put(errors.exceptions[0])
        else:
            await queue.put(_END)

    async def items() -> AsyncIterator[T]:
        while (item := await queue.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield cast("T", item)

    task = asyncio.create_task(drain_all())
    try:
        yield items()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
