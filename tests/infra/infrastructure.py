"""What the templates make: compiled where a Bicep compiler is, and as it was compiled last everywhere.

The compiler is that of BICEP in the environment, else the one in the PATH. The evaluated resources of each
scenario are kept beside it, so that every test of them runs without a compiler as well.
"""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.sources import ROOT

INFRA = ROOT / "infra"
SCENARIOS = ROOT / "tests" / "infra" / "scenarios"
FROM_CODE = INFRA / "app" / "from_code.json"
# What the snapshots were made of: says without a compiler whether they are of today.
DIGEST = SCENARIOS / "sources.sha256"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
WHERE = ("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT)
DEPLOYMENT = (*WHERE, "--location", "westeurope", "--deployment-name", "test")

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


def compiled(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the compiler; it unpacks itself into a folder that it may write to."""
    program = compiler()
    assert program is not None
    unpacked = ROOT / ".local" / "bicep"
    unpacked.mkdir(parents=True, exist_ok=True)
    environment = {"DOTNET_BUNDLE_EXTRACT_BASE_DIR": str(unpacked)} | os.environ
    command = [str(program), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def snapshot(scenario: str, mode: str) -> subprocess.CompletedProcess[str]:
    """Compare the kept snapshot of a scenario with what the templates make today, or write it anew."""
    return compiled(
        "snapshot", str(SCENARIOS / f"{scenario}.bicepparam"), "--mode", mode, *DEPLOYMENT
    )


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
    kept = json.loads((SCENARIOS / f"{scenario}.snapshot.json").read_text("utf-8"))
    return Deployment(
        tuple(kept["predictedResources"]), kept.get("outputs", {}), tuple(kept["diagnostics"])
    )
