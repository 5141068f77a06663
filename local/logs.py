"""The rig's log: lines of many processes in, one readable stream out, and a copy in a file."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

# One colour for each process; red is left for what is wrong.
_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95)
_RED = 31
_WRONG = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")


class Log:
    """Writes whole lines, each with the name of its process; colours only on a terminal."""

    def __init__(self, file: Path, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty()
        self._file = file.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._names: dict[str, int] = {}
        self._shown = False

    def show(self) -> None:
        """From now on on the screen as well; the noise of the start stays in the file."""
        self._shown = True

    def hide(self) -> None:
        """How storage closes its files is for the file again."""
        self._shown = False

    def writer(self, name: str) -> Callable[[str], None]:
        """Takes the lines of one process."""
        colour = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])

        def write(line: str) -> None:
            with self._lock:
                if self._file.closed:
                    return
                self._file.write(f"{name} | {line}\n")
                self._file.flush()
                if self._shown:
                    self._stream.write(f"{self._prefix(name, colour)} {self._body(line)}\n")
                    self._stream.flush()

        return write

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _prefix(self, name: str, colour: int) -> str:
        text = f"{name:<{max(map(len, self._names))}} |"
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _body(self, line: str) -> str:
        is_wrong = self._coloured and any(mark in line for mark in _WRONG)
        return f"\x1b[{_RED}m{line}\x1b[0m" if is_wrong else line
