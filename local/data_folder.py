"""What a data folder keeps between two starts of the rig: random keys, and who uses the folder."""

import fcntl
import json
import secrets
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local import loopback
from local.tls import write_private

REPOSITORY = Path(__file__).resolve().parents[1]
DEFAULT_DATA = REPOSITORY / ".local"


@dataclass(frozen=True)
class Keys:
    """Made once for each data folder, so that a script that has them works again tomorrow."""

    admin_token: str
    reader_token: str
    function_key: str
    master_key: str
    identity_header: str


def keep_keys(data: Path) -> Keys:
    file = data / "keys.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    keys = Keys(**{f.name: kept.get(f.name) or secrets.token_urlsafe(32) for f in fields(Keys)})
    write_private(file, json.dumps(asdict(keys), indent=1).encode())
    return keys


@dataclass(frozen=True)
class Ports:
    """Kept because links and addresses with these ports lie in the storage of the same folder."""

    graph: int
    authority: int
    vault: int


def keep_ports(data: Path) -> Ports:
    """Those of the last start, as far as nobody else uses them now."""
    file = data / "ports.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    with ExitStack() as held:
        bound = {f.name: _listen(kept.get(f.name, 0), held) for f in fields(Ports)}
    ports = Ports(**bound)
    write_private(file, json.dumps(asdict(ports)).encode())
    return ports


def _listen(port: int, held: ExitStack) -> int:
    try:
        bound = loopback.listen(port)
    except loopback.PortInUseError:
        bound = loopback.listen()
    held.callback(bound.close)
    return loopback.port_of(bound)


class InUseError(RuntimeError):
    """Another rig runs over the same folder."""


class DataLock:
    """Held while a rig uses a data folder: two of them would spoil each other's storage."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._stream: IO[str] | None = None

    def __enter__(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True)
        stream = (self._data / "lock").open("a")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.close()
            raise InUseError(
                f"Another rig is running over {self._data}. Stop it, or choose another folder "
                "with --data."
            ) from error
        self._stream = stream
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream:
            self._stream.close()
