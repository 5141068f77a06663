"""Child processes of the rig: a command goes in, a child that cannot outlive us comes out.

Every child gets a session of its own, so that Ctrl-C in the terminal reaches the rig only, which
then stops its children in order. If the rig itself is killed, the kernel stops them (Linux).
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

# Runs between fork and the real program, in a process of its own: `preexec_fn` is not safe in a
# program with threads. The program keeps the pid. A parent that died before prctl was called is
# noticed by comparing getppid. PR_SET_PDEATHSIG is 1: prctl(2).
_TRAMPOLINE = """
import os, signal, sys
parent, program = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)
os.execvp(program[0], program)
"""

LINES_KEPT = 40
"""The last lines of a child, for the message when it dies."""

LineHandler = Callable[[str], None]


class ChildError(RuntimeError):
    """A child died or did not answer; the message says what it wrote last."""


class Child:
    """One running program and the lines it writes (standard output and error together).

    Start it from a thread that lives as long as the child should: Linux ties the child to the
    thread that started it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_line: LineHandler | None = None,
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._last: deque[str] = deque(maxlen=LINES_KEPT)
        self._seen: list[str] | None = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), *command],
            env=dict(env) if env is not None else None,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_for_lines(
        self, pattern: str, *, count: int = 1, timeout_s: float
    ) -> list[re.Match[str]]:
        """The first ``count`` lines that match; ChildError if it ends or takes too long.

        Can be asked once: afterwards lines are no longer collected.
        """
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = [match for line in self._seen or [] if (match := wanted.search(line))]
                if len(found) >= count:
                    self._seen = None
                    return found[:count]
                if self._ended:
                    raise ChildError(self.obituary())
                if not self._changed.wait(deadline - time.monotonic()):
                    raise ChildError(
                        f"{self.name} did not get ready within {timeout_s:.0f} s.\n{self.tail()}"
                    )

    def obituary(self) -> str:
        """How it ended, and its last words."""
        code = self._process.wait()
        how = (
            f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        return f"{self.name} {how}.\n{self.tail()}".rstrip()

    def terminate(self) -> None:
        """Ask it to end, and do not wait."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask, wait, then insist. Fine to call again."""
        if self._process.poll() is None:
            self.terminate()
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._reader.join(timeout=1)
        if self._process.stdout and not self._reader.is_alive():
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tail(self) -> str:
        """What it wrote last, indented."""
        return "\n".join(f"  {line}" for line in self._last)

    def _read(self) -> None:
        for line in map(str.rstrip, self._process.stdout or ()):
            with self._changed:
                self._last.append(line)
                if self._seen is not None:
                    self._seen.append(line)
                self._changed.notify_all()
            if self._on_line:
                self._on_line(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
