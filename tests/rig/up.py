"""``python -m local up`` as a process of its own."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.processes import Child
from tests.ports import free_port
from tests.rig.conftest import REPOSITORY


def start(data: Path, *options: str, port: int | None = None) -> Child:
    command = [sys.executable, "-m", "local", "up", "--data", str(data), "--people", "40"]
    return Child("up", [*command, "--port", str(port or free_port()), *options], cwd=REPOSITORY)


@dataclass(frozen=True)
class Running:
    up: Child
    data: Path
    ready: dict[str, Any]
    """What the ready file says."""


@contextmanager
def running(data: Path, *options: str) -> Iterator[Running]:
    ready_file = data / "for-scripts.json"
    up = start(data, "--ready-file", str(ready_file), *options)
    try:
        deadline = time.monotonic() + 60
        while not ready_file.exists():
            assert up.returncode is None, up.obituary()
            assert time.monotonic() < deadline, up.tail()
            time.sleep(0.1)
        yield Running(up, data, json.loads(ready_file.read_text()))
    finally:
        up.stop(grace_s=20)
