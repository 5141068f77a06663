"""A process that is about to end: SIGTERM is heard, and acts once nothing is in hand any more.

Azure's Python worker has no handler of its own (github.com/Azure/azure-functions-python-worker/issues/578),
and the host gives it no other sign: the worker ignores messages that it does not know, and drain mode is the
host's own state. So what the signal did before, mostly to end the process, is put off until the runs in hand
have ended by themselves; that takes seconds. A platform that waits no longer ends the process by SIGKILL.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sync_core.logs import log_event

# The worker sends the host what a function returned, so that its message is not handled again.
ANSWER_S = 2.0


class Draining:
    """Whether the process is about to end, and how many pieces of work it has in hand until then."""

    def __init__(self) -> None:
        self._begun = False
        self._in_hand = 0
        self._passed_on = True
        self._before: object = None

    @property
    def begun(self) -> bool:
        return self._begun

    def listen(self) -> None:
        """Hear SIGTERM from now on. Only the main thread can; the worker calls functions in it."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()

        def heard(_: int, __: FrameType | None) -> None:
            if loop.is_closed():
                self._pass_on()
            else:
                # Also wakes a loop that sleeps; a signal comes in the middle of anything.
                loop.call_soon_threadsafe(self.begin)

        self._passed_on = False
        self._before = signal.signal(signal.SIGTERM, heard)

    def begin(self) -> None:
        """End what can go on elsewhere, and the process behind it."""
        if not self._begun:
            self._begun = True
            log_event("process.draining", work=self._in_hand)
            self._end_if_idle(0.0)

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Keep the process until this is done."""
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1
            self._end_if_idle(ANSWER_S)

    def _end_if_idle(self, after_s: float) -> None:
        if self._begun and not self._in_hand and not self._passed_on:
            asyncio.get_running_loop().call_later(after_s, self._pass_on_if_idle)

    def _pass_on_if_idle(self) -> None:
        if not self._in_hand:
            self._pass_on()

    def _pass_on(self) -> None:
        """Do what the signal did before it was heard here."""
        if self._passed_on:
            return
        self._passed_on = True
        before = self._before
        if callable(before):
            before(signal.SIGTERM, None)
        elif before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
