"""The rig's storage: one Azurite, which is started again where it stood when something has ended it.

A storage that stands still (SIGSTOP) is left alone: its clients wait, and go on when it does.
"""

import time
from collections import deque
from pathlib import Path

import psutil

from local import loopback
from local.azurite import Azurite
from local.processes import Child, ChildError, LineHandler

MOST_RESTARTS = 3
"""Within a minute; more of them is no accident, such as a disk that is full."""

MINUTE_S = 60.0

FROZEN = "azurite is stopped (SIGSTOP); everything waits for it. Let it go on: kill -CONT {pid}"
TAKEN = (
    "{how} Port {port} has been taken by another program; azurite is started again when it is free."
)
GOES_ON = "azurite goes on."


class Storage:
    """One Azurite over a folder, with the same ports for as long as the rig runs."""

    def __init__(self, data: Path, on_line: LineHandler) -> None:
        self._data = data
        self._on_line = on_line
        self._azurite = Azurite(data, on_line=on_line)
        self._ports = self._azurite.ports
        self.connection_string = self._azurite.connection_string
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._frozen = False
        self._waits_for_port = False

    @property
    def child(self) -> Child:
        """Another one after each restart."""
        return self._azurite.child

    def check(self) -> str | None:
        """Return what happened since the last check, in a sentence; ChildError if it ends all the time."""
        if self.child.returncode is not None:
            return self._start_again()
        frozen = psutil.Process(self.child.pid).status() == psutil.STATUS_STOPPED
        if frozen == self._frozen:
            return None
        self._frozen = frozen
        return FROZEN.format(pid=self.child.pid) if frozen else GOES_ON

    def _start_again(self) -> str | None:
        obituary = self.child.obituary()
        how = obituary.splitlines()[0]
        if taken := self._taken_port():
            was_told, self._waits_for_port = self._waits_for_port, True
            return None if was_told else TAKEN.format(how=how, port=taken)
        self._count_restart(obituary)
        self._azurite.stop()
        self._azurite = Azurite(self._data, on_line=self._on_line, **self._ports)
        self._frozen = self._waits_for_port = False
        return f"{how} It was started again, on the same ports and with the same data."

    def _taken_port(self) -> int | None:
        for port in self._ports.values():
            try:
                loopback.listen(port).close()
            except loopback.PortInUseError:
                return port
        return None

    def _count_restart(self, obituary: str) -> None:
        now = time.monotonic()
        if len(self._restarts) == MOST_RESTARTS and now - self._restarts[0] < MINUTE_S:
            raise ChildError(
                f"{obituary}\nIt ends again and again; the rig cannot go on without it."
            )
        self._restarts.append(now)
