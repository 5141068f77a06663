"""The package as it ships, and interpreters that have nothing else: this one, and Python 3.13.

Azure runs the latter. `-S` leaves out every package of this machine, so one that is missing in the package
is missing here. A package is built once and again when something of it changes.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import package
from deploy.package import SITE, Target

REPOSITORY = Path(__file__).parents[2]
NEWEST = "3.13"
OURS = "{}.{}".format(*sys.version_info)
BUILT = REPOSITORY / ".local" / "packages"
# The library with which Azure's worker runs the app; from 3.13 on the package brings it.
RUNTIME = REPOSITORY / "tests" / "requirements-runtime.txt"


@dataclass(frozen=True)
class Bare:
    """A Python without packages, the package that it loads, and where it finds modules."""

    python: Path
    package: Path
    folders: tuple[Path, ...]

    @property
    def command(self) -> list[str | Path]:
        # -P: nor does it find what lies about in its own folder.
        return [self.python, "-S", "-P", Path(__file__).with_name("worker.py"), *self.folders]


def own() -> Bare:
    return _bare(Path(sys.executable), OURS)


def find_newest() -> Path | None:
    """Return a Python 3.13 of this machine that really runs, or None."""
    return next((found for found in _candidates() if _runs(found)), None)


def newest() -> Bare | None:
    found = find_newest()
    return _bare(found, NEWEST) if found else None


def _bare(python: Path, version: str) -> Bare:
    # Two test runs at once must not build over each other.
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, target = BUILT / version, _target(version)
        _build(folder, target)
        folders = [folder / SITE]
        if tuple(map(int, version.split("."))) < (3, 13):
            folders.append(_runtime(BUILT / f"runtime-{version}"))
    return Bare(python, folder, tuple(folders))


def _build(folder: Path, target: Target) -> None:
    """Build what has changed; a worker of another test run may have loaded what has not."""
    digest = hashlib.sha256(repr(target).encode())
    for source in package.sources():
        digest.update(str(source).encode() + source.read_bytes())
    note = folder.with_name(f"{folder.name}.source")
    if not folder.exists() or not note.exists() or note.read_text() != digest.hexdigest():
        package.build(folder, target)
        note.write_text(digest.hexdigest())


def _runtime(folder: Path) -> Path:
    """Put the worker library beside the package: it asks for 3.13 and runs on 3.11 as well."""
    wanted = hashlib.sha256(RUNTIME.read_bytes()).hexdigest()
    note = folder.with_name(f"{folder.name}.wheels")
    if not note.exists() or note.read_text() != wanted:
        package.install_wheels(folder, Target(NEWEST, None), RUNTIME)
        note.write_text(wanted)
    return folder


def _target(version: str) -> Target:
    """The very wheels that ship, where this machine can load them."""
    is_like_azure = (sys.platform, platform.machine()) == ("linux", "x86_64")
    return Target(version) if is_like_azure else Target(version, None)


def _candidates() -> Iterator[Path]:
    if found := shutil.which(f"python{NEWEST}"):
        yield Path(found)
    # pyenv's shim on the PATH refuses versions that are installed but not chosen:
    # github.com/pyenv/pyenv#understanding-shims
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{NEWEST}.*/bin/python{NEWEST}"), reverse=True)


def _runs(python: Path) -> bool:
    command = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.returncode == 0 and told.stdout.strip() == NEWEST
