"""What a piece of work costs the process that does it: CPU, wall time, peak memory, table calls, turns."""

import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
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
    with counted_calls() as calls, held_loop() as held:
        yield cost
    cost.cpu_s, cost.wall_s = time.process_time() - cpu, time.perf_counter() - wall
    cost.table_calls, cost.peak_mib, cost.held_s = calls["tables"], _peak_mib(), held.longest_s


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Count what is sent to `tables`, `queues`, `vault`, `tokens` and `graph`, retries included."""
    account = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 -- the name that Functions gives it
    addresses = {
        "vault": os.environ["KEY_VAULT_URL"].rstrip("/"),
        "tokens": os.environ["AZURE_AUTHORITY_HOST"],
        "graph": os.environ["GRAPH_ENDPOINT"],
    }
    for name, kind in (("tables", "Table"), ("queues", "Queue")):
        found = re.search(rf"{kind}Endpoint=([^;]+)", account)
        addresses[name] = found[1] if found else "no endpoint"
    calls: Counter[str] = Counter()
    send, ask_graph = AioHttpTransport.send, httpx.AsyncHTTPTransport.handle_async_request

    def count(url: str) -> None:
        calls.update(name for name, address in addresses.items() if url.startswith(address))

    async def counted(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        count(str(request.url))
        return await send(self, request, **options)

    async def counted_graph(
        self: httpx.AsyncHTTPTransport, request: httpx.Request
    ) -> httpx.Response:
        count(str(request.url))
        return await ask_graph(self, request)

    AioHttpTransport.send = counted
    httpx.AsyncHTTPTransport.handle_async_request = counted_graph  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        AioHttpTransport.send = send
        httpx.AsyncHTTPTransport.handle_async_request = ask_graph  # type: ignore[method-assign]


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kilobytes on Linux, bytes on macOS.
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
