"""What the tests of the rig share: certificates, an identity, storage, and hosts over small apps."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from local.azurite import Account, Azurite
from local.identity import IdentityInThread
from local.processes import Child
from local.tls import TlsFiles
from tests.system import Rig
from tests.trust import TLS

REPOSITORY = Path(__file__).parents[2]
FUNCTION_KEY = "key-of-functions"
MASTER_KEY = "key-of-the-master"


@pytest.fixture(scope="session")
def tls() -> TlsFiles:
    return TLS


@pytest.fixture(scope="session")
def identity(rig: Rig) -> IdentityInThread:
    return rig.identity


@pytest.fixture(scope="session")
def azurite(rig: Rig) -> Azurite | Account:
    return rig.azurite


@dataclass(frozen=True)
class RunningHost:
    """A Functions host in a process of its own, and the folder that its app may write to."""

    url: str
    child: Child
    notes: Path

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=60, **options)

    def by_hand(self, function: str, given: str = "", key: str = MASTER_KEY) -> httpx.Response:
        return self.request(
            "POST",
            f"/admin/functions/{function}",
            headers={"x-functions-key": key},
            json={"input": given},
        )

    def noted(self) -> list[Any]:
        """What the functions have written down."""
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


StartHost = Callable[..., RunningHost]

# What every app of the tests begins with.
HEAD = """
import asyncio, json, os, time
import azure.functions as func

app = func.FunctionApp()

def note(**what):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(what) + "\\n")
"""


@pytest.fixture(scope="module")
def start_host(
    azurite: Azurite | Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartHost]:
    """``start_host(source, host_json, port=0, lease=30, **settings)``; ended with the module."""
    with ExitStack() as stack:

        def start(
            source: str,
            host_json: dict[str, Any] | None = None,
            *,
            folder: Path | None = None,
            lease: int = 30,
            **settings: str,
        ) -> RunningHost:
            root = folder or write_app(tmp_path_factory.mktemp("app"), source, host_json)
            notes = root / "notes.jsonl"
            notes.touch()
            env = os.environ | {
                "AzureWebJobsStorage": azurite.connection_string,
                "LOCAL_HOST_FUNCTION_KEY": FUNCTION_KEY,
                "LOCAL_HOST_MASTER_KEY": MASTER_KEY,
                "NOTES": str(notes),
            }
            command = [sys.executable, "-m", "local.host", "--port", "0", "--root", str(root)]
            child = Child(
                "host",
                [*command, "--message-lease", str(lease)],
                env=env | settings,
                cwd=REPOSITORY,
            )
            stack.enter_context(child)
            ready = child.wait_for_lines(r"ready at (http://\S+)", timeout_s=60)
            return RunningHost(ready[0][1], child, notes)

        yield start


def write_app(root: Path, source: str, host_json: dict[str, Any] | None = None) -> Path:
    (root / "function_app.py").write_text(HEAD + dedent(source))
    (root / "host.json").write_text(json.dumps({"version": "2.0"} | (host_json or {})))
    return root
