"""What a piece of work costs the process that does it: CPU, wall time, peak memory, table calls, turns."""

import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport

from benchmarks.loop import held_loop


@dataclass(slots=True)
class Cost:
    """CPU is user and system time of all threads; peak memory is that of the whole process so far.

    `held_s` is the longest time for which the event loop did one thing, in CPU of its thread.
    """

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mib: float = 0.0
    table_calls: int = 0
    held_s: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Fill in what the `with` block cost when it ends."""
    cost = Cost()
    wall, cpu = time.perf_counter(), time.process_time()
    with _counted_table_calls(cost), held_loop() as held:
        yield cost
    cost.cpu_s, cost.wall_s = time.process_time() - cpu, time.perf_counter() - wall
    cost.peak_mib, cost.held_s = _peak_mib(), held.longest_s


@contextmanager
def _counted_table_calls(cost: Cost) -> Iterator[None]:
    """Count what the SDK's transport sends to the table service, retries included."""
    account = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 -- the name that Functions gives it
    found = re.search(r"TableEndpoint=([^;]+)", account)
    tables = found[1] if found else "no table endpoint"
    send = AioHttpTransport.send

    async def counted(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        cost.table_calls += str(request.url).startswith(tables)
        return await send(self, request, **options)

    AioHttpTransport.send = counted
    try:
        yield
    finally:
        AioHttpTransport.send = send


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kilobytes on Linux, bytes on macOS.
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
