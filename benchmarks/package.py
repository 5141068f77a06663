"""``python -m benchmarks.package``: how large the package is, and how it starts, without byte code and with.

Azure mounts the package read-only, so nothing that Python compiles there is kept: "cold" is the first start
of a package without byte code, "warm" the second one with what the first has written. Each start is a process
of its own, in which Microsoft's worker library loads the app as Azure does.
"""

import os
import shutil
import sys
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy import package
from deploy.package import SITE
from tests.loading import interpreters
from tests.loading.driver import WorkerProcess
from tests.loading.interpreters import Bare

MB, MIB = 1_000_000, 1024 * 1024
HANDSHAKE = "/api/graph/notifications?validationToken=abc"
PARTS = {"all": ".", "of which msgraph": f"{SITE}/msgraph", "source": "sync_core"}


@dataclass(frozen=True)
class Start:
    """One start: when `function_app` was imported and indexed, when the first answers had come."""

    indexed_s: float
    handshake_s: float
    memory_mib: float
    api_s: float
    api_memory_mib: float


def main() -> None:
    bare = interpreters.newest() or interpreters.own()
    with TemporaryDirectory() as temporary:
        copied = _copied(bare, Path(temporary))
        for name, path in PARTS.items():
            size = package.measure(copied.package / path)
            sys.stdout.write(f"{name:18} {size.size_bytes / MB:7.1f} MB {size.files:7,} files\n")
        zipped = _zipped(copied.package, Path(temporary, "app.zip"))
        sys.stdout.write(f"{'zipped':18} {zipped / MB:7.1f} MB\n")
        for name in ("cold", "warm"):
            sys.stdout.write(f"{name:5} {_start(copied, Path(temporary, f'{name}.log'))}\n")


def _copied(bare: Bare, folder: Path) -> Bare:
    """Copy the package without byte code."""
    copied = folder / "app"
    shutil.copytree(bare.package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return replace(bare, package=copied, folders=(copied / SITE, *bare.folders[1:]))


def _zipped(folder: Path, archive: Path) -> int:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in folder.rglob("*"):
            zipped.write(path, path.relative_to(folder))
    return archive.stat().st_size


def _start(bare: Bare, log: Path) -> Start:
    began = time.perf_counter()
    settings = {"PATH": os.environ["PATH"], "PUBLIC_BASE_URL": "http://localhost:7071"}
    with WorkerProcess(bare, settings, log) as worker:
        indexed_s = worker.load().seconds
        worker.http("graph_notifications", "POST", HANDSHAKE)
        handshake_s, memory = time.perf_counter() - began, worker.memory_bytes() / MIB
        # Settings are missing, so it is refused; FastAPI and everything behind it have been imported.
        worker.http("admin", "GET", "/api/connections", route={"rest": "connections"})
        api_s = time.perf_counter() - began
        last = worker.memory_bytes() / MIB
    return Start(*(round(one, 2) for one in (indexed_s, handshake_s, memory, api_s, last)))


if __name__ == "__main__":
    main()
