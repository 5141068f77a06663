"""What the templates make: compiled where a Bicep compiler is, and as it was compiled last everywhere.

The compiler is that of BICEP in the environment, else the one in the PATH. The evaluated resources of each
scenario are kept beside it, so that every test of them runs without a compiler as well.
"""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.infra.sources import ROOT

INFRA = ROOT / "infra"
SCENARIOS = ROOT / "tests" / "infra" / "scenarios"
FROM_CODE = INFRA / "app" / "from_code.json"
# What the snapshots were made of: says without a compiler whether they are of today.
DIGEST = SCENARIOS / "sources.sha256"
TENANT = "00000000-0000-0000-0000-000000000002"
WHERE = {
    "subscriptionId": "00000000-0000-0000-0000-000000000001",
    "tenantId": TENANT,
    "location": "westeurope",
    "deploymentName": "test",
}

Resource = dict[str, Any]


def scenarios() -> list[str]:
    return sorted(path.stem for path in SCENARIOS.glob("*.bicepparam"))


def sources() -> list[Path]:
    """Return every file that the compiler reads."""
    kept = [path for path in INFRA.rglob("*") if path.suffix in {".bicep", ".json"}]
    return sorted([*kept, *SCENARIOS.glob("*.bicepparam")])


def digest() -> str:
    found = hashlib.sha256()
    for path in sources():
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


@cache
def compiler() -> Path | None:
    """Return the compiler of this machine, if there is one; a wrong BICEP is a fault, no reason to skip."""
    given = os.environ.get("BICEP")
    if given and not os.access(given, os.X_OK):
        raise FileNotFoundError(f"BICEP names no program: {given}")
    found = given or shutil.which("bicep")
    return Path(found) if found else None


class Compiler:
    """The compiler as one process that answers by JSON-RPC: to start takes it longer than to compile.

    The framing is that of the Language Server Protocol; the methods are those of `bicep jsonrpc`,
    src/Bicep.Cli/Rpc/ICliJsonRpcProtocol.cs in github.com/Azure/bicep.
    """

    def __init__(self, program: Path) -> None:
        # It unpacks itself into a folder that it may write to.
        unpacked = ROOT / ".local" / "bicep"
        unpacked.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [str(program), "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"DOTNET_BUNDLE_EXTRACT_BASE_DIR": str(unpacked)} | os.environ,
        )
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def build(self, path: Path) -> dict[str, Any]:
        """Return `success`, `diagnostics` and the template as `contents`."""
        return self._ask("bicep/compile", path=str(path))

    def snapshot(self, path: Path) -> dict[str, Any]:
        """Return what a file of parameters makes; outputs by name, as their order differs each time."""
        answer = self._ask("bicep/getSnapshot", path=str(path), metadata=WHERE)
        made: dict[str, Any] = json.loads(answer["snapshot"])
        return made | {"outputs": dict(sorted(made["outputs"].items()))}

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        body = json.dumps(asked).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise CompilerError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        size = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b": ")
            size = int(value) if name == b"Content-Length" else size
        if not size:
            raise CompilerError("the compiler has ended")
        answer: dict[str, Any] = json.loads(self._process.stdout.read(size))
        return answer


class CompilerError(Exception):
    """The compiler refused a file."""


def kept(scenario: str) -> Path:
    return SCENARIOS / f"{scenario}.snapshot.json"


def text_of(snapshot: dict[str, Any]) -> str:
    """Return a snapshot as it is kept."""
    return json.dumps(snapshot, indent=2) + "\n"


@dataclass(frozen=True)
class Deployment:
    """The evaluated resources of one scenario."""

    resources: tuple[Resource, ...]
    outputs: dict[str, Any]
    diagnostics: tuple[Any, ...]

    def of(self, kind: str) -> list[Resource]:
        return [one for one in self.resources if one["type"] == f"Microsoft.{kind}"]

    def one(self, kind: str) -> Resource:
        (found,) = self.of(kind)
        return found

    def names(self, kind: str) -> list[str]:
        """Return the last part of the names of all resources of a kind."""
        return sorted(one["name"].rpartition("/")[2] for one in self.of(kind))

    def config(self, name: str) -> dict[str, Any]:
        """Return the properties of a `config` of the function app."""
        (found,) = [one for one in self.of("Web/sites/config") if one["name"].endswith(f"/{name}")]
        properties: dict[str, Any] = found["properties"]
        return properties


@cache
def deployment(scenario: str) -> Deployment:
    made = json.loads(kept(scenario).read_text("utf-8"))
    return Deployment(
        tuple(made["predictedResources"]), made["outputs"], tuple(made["diagnostics"])
    )
