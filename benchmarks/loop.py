"""How long an event loop was held by one piece of work: everything else in the process waits for that."""

import time
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Held:
    """The longest piece, in seconds of CPU of the loop's own thread.

    CPU and not time: what other processes of the machine take is none of the loop's, nor what other threads
    of this process do while the loop waits for its turn.
    """

    longest_s: float = 0.0


@contextmanager
def held_loop() -> Iterator[Held]:
    """Measure every callback that runs in a loop of this process while the `with` block does."""
    # What runs a callback has no public door.
    found, run = Held(), events.Handle._run  # noqa: SLF001

    def measured(handle: events.Handle) -> None:
        before = time.thread_time()
        run(handle)
        found.longest_s = max(found.longest_s, time.thread_time() - before)

    events.Handle._run = measured  # type: ignore[method-assign, assignment]  # noqa: SLF001
    try:
        yield found
    finally:
        events.Handle._run = run  # type: ignore[method-assign]  # noqa: SLF001
