"""The interpreters under which the app is loaded: this one, and Python 3.13, which Azure runs.

Python 3.13 gets an environment of its own beside `.venv`, with the packages that ship and the worker
library, and nothing else: a package that is missing in requirements.txt is missing there too. It is
made once and again when one of its lists changes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NEWEST = "3.13"
LISTS = (REPOSITORY / "requirements.txt", REPOSITORY / "tests" / "requirements-runtime.txt")
ENVIRONMENT = REPOSITORY / f".venv-{NEWEST}"
LOCK = REPOSITORY / ".local" / f"{ENVIRONMENT.name}.lock"


def own() -> Path:
    return Path(sys.executable)


def find_newest() -> Path | None:
    """A Python 3.13 of this machine that really runs, or None."""
    return next((found for found in _candidates() if _runs(found)), None)


def prepare(base: Path) -> Path:
    """Make the environment over `base` where it is missing or out of date, and give its Python."""
    # Two test runs at once must not make it over each other.
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare(base)


def _prepare(base: Path) -> Path:
    python, ready = ENVIRONMENT / "bin" / "python", ENVIRONMENT / ".ready"
    wanted = hashlib.sha256(b"".join(one.read_bytes() for one in LISTS)).hexdigest()
    if ready.exists() and ready.read_text() == wanted and python.exists():
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "--quiet", "--clear", "--python", str(base), str(ENVIRONMENT)])
    lists = [part for one in LISTS for part in ("-r", str(one))]
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(python)]
    _run([*install, *lists])
    ready.write_text(wanted)
    return python


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


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr.strip()}")
