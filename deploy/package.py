"""The package that goes to Azure: source and wheels in, one folder out, the same for azd and the tests.

Nothing is built in Azure: what was tested is what runs, byte by byte. The wheels are those of
`requirements.txt`, checked by their hashes, for Linux and the Python of the function app, whatever machine
this is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from deploy.places import PACKAGE, ROOT

SHIPPED = ("function_app.py", "host.json", "requirements.txt", "LICENSE", "sync_core")
"""All of the repository that goes to Azure; `.funcignore` says the same by what it leaves out."""

SITE = Path(".python_packages", "lib", "site-packages")
"""Where the worker of Azure looks for packages that came with the app."""

# Linux of App Service has a newer glibc; every wheel that we pin exists for this one.
LINUX = "x86_64-manylinux_2_28"
PYTHON = "3.13"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOCK = ROOT / "requirements.txt"
UV_LOCK = ROOT / "requirements-uv.txt"
LEFT_OUT = frozenset(("__pycache__", ".DS_Store"))


@dataclass(frozen=True, slots=True)
class Target:
    """For whom the wheels are: a Python version, and a platform as uv calls it (None: this machine)."""

    python: str = PYTHON
    platform: str | None = LINUX


DEPLOYED = Target()


@dataclass(frozen=True, slots=True)
class Size:
    """How large a folder is, unpacked."""

    files: int
    size_bytes: int


def build(folder: Path = PACKAGE, target: Target = DEPLOYED) -> Path:
    """Fill a folder with the package; wheels that are there already, and the right ones, stay."""
    _install(folder, target)
    for old in folder.iterdir():
        if old.name != SITE.parts[0]:
            _remove(old)
    for source in sources():
        copied = folder / source.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copied)
    return folder


def sources() -> Iterator[Path]:
    """Yield every file of the repository that goes to Azure."""
    for name in SHIPPED:
        place = ROOT / name
        if place.is_file():
            yield place
            continue
        for path in sorted(place.rglob("*")):
            if path.is_file() and not LEFT_OUT & set(path.relative_to(ROOT).parts):
                yield path


def measure(folder: Path) -> Size:
    """Count what a package weighs, without byte code that this machine may have written."""
    found = [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    return Size(len(found), sum(path.stat().st_size for path in found))


def note_of(folder: Path) -> Path:
    """Return the file that tells of which wheels a package was made; it stays outside of the package."""
    return folder.with_name(f"{folder.name}.wheels")


def digest_of_wheels(target: Target) -> str:
    """Return what stands in that file: two packages with the same one hold the same wheels."""
    return _digest(LOCK.read_bytes(), UV_LOCK.read_bytes(), repr(target).encode())


def install_wheels(site: Path, target: Target, lock: Path) -> None:
    """Put the wheels of a lock file into a folder; raises `DeployError` where one is missing or changed."""
    platform = ["--python-platform", target.platform] if target.platform else []
    command = [
        *(str(find_uv()), "pip", "install", "--quiet", "--require-hashes", "--no-deps"),
        *("--only-binary", ":all:", "--python-version", target.python, *platform),
        *("--target", str(site), "-r", str(lock)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(
            f"The packages of {lock.name} could not be put together for Python {target.python}: "
            f"{done.stderr.strip()}",
            "See whether this machine reaches the package index, then run it again. If a package has no "
            "wheel for this Python, choose another one with --python.",
        )
    # Programs that wheels bring name the Python of this machine; the app starts none of them.
    _remove(site / "bin")
    _remove(site / ".lock")


def find_uv() -> Path:
    """Return the pinned uv: of this environment, or of one that is made for it at the first use."""
    beside = _uv_beside(Path(sys.executable))
    return beside if beside.exists() else _uv_of_its_own()


def _uv_beside(python: Path) -> Path:
    return python.with_name("uv.exe" if os.name == "nt" else "uv")


def _uv_of_its_own() -> Path:
    folder = ROOT / ".local" / f"uv-{_digest(UV_LOCK.read_bytes())}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv = _uv_beside(python)
    if not uv.exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([*pip, "--require-hashes", "-r", str(UV_LOCK)], check=True)
        except subprocess.CalledProcessError as error:
            raise DeployError(
                "uv, which puts the package together, could not be installed.",
                "On Debian and Ubuntu Python makes no environment without the package python3-venv: "
                "install it. Else see whether this machine reaches the package index. Then run it again.",
            ) from error
    return uv


def _install(folder: Path, target: Target) -> None:
    """Install the wheels, unless the note beside the folder says that these are there."""
    note, wanted, site = note_of(folder), digest_of_wheels(target), folder / SITE
    if site.is_dir() and note.exists() and note.read_text() == wanted:
        return
    note.unlink(missing_ok=True)
    _remove(folder)
    site.mkdir(parents=True)
    install_wheels(site, target, LOCK)
    note.write_text(wanted)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
