"""The commands as processes of their own, over programs that answer in the place of Azure's."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.places import ROOT
from local.graph import GraphEmulator
from local.processes import Child
from local.sample import SAMPLE_TENANT_ID
from tests.deploy.programs import Programs, programs_in
from tests.system import Rig

CLIENT_ID = "0a1b2c3d-1111-4222-8333-444455556666"
Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return programs_in(tmp_path / "bin")


@pytest.fixture
def deploy(programs: Programs) -> Deploy:
    """Run `python -m deploy` with these words, in a Python that has no package at all."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-m", "deploy", *words],
            cwd=ROOT,
            env=programs.env | env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="package")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=60, groups=12, seed=7, tls=rig.tls) as running:
        yield running


@pytest.fixture(scope="package")
def app_url(rig: Rig, emulator: GraphEmulator) -> Iterator[str]:
    """The app in the local host; who calls with the token `admin-token` is an administrator."""
    env = {
        "PATH": str(Path(sys.executable).parent),
        "SYNC_SCHEDULE": "0 */5 * * * *",
        "SSL_CERT_FILE": str(rig.tls.bundle_file),
        # Storage of its own: a host takes every message that it finds.
        **rig.apart().environment(emulator),
    }
    command = [sys.executable, "-m", "local.host", "--port", "0", "--root", str(ROOT)]
    with Child("host", command, env=env, cwd=ROOT) as child:
        [ready] = child.wait_for_lines(r"Host is ready at (\S+)", timeout_s=60)
        yield ready[1]


def deployed(url: str, **values: str) -> dict[str, str]:
    """Return what azd knows after a provisioning."""
    return {
        "AZURE_ENV_NAME": "prod",
        "AZURE_SUBSCRIPTION_ID": "5ab5c91d-0000-4000-8000-000000000001",
        "AZURE_RESOURCE_GROUP": "rg-prod",
        "AZURE_TENANT_ID": SAMPLE_TENANT_ID,
        "AZURE_FUNCTION_APP_NAME": "func-abc",
        "AZURE_FUNCTION_APP_URL": url,
        "AZURE_IDENTITY_NAME": "id-abc",
        "AZURE_IDENTITY_PRINCIPAL_ID": "c2a9e1d4-7b58-4f36-9e0d-3a1b5c7d9e2f",
        "AZURE_LOG_WORKSPACE_NAME": "log-abc",
        **values,
    }


def azure_answers(programs: Programs, *, ticks: int = 3) -> None:
    """Let `az` tell of an app that is as it should be, and whose timer has fired."""
    names = [
        *("admin", "graph_lifecycle", "graph_notifications", "maintenance", "poisoned"),
        *("run_sync", "scheduled_sync", "sync_now"),
    ]
    programs.install("azd", "az")
    programs.answer("az account get-access-token --scope", {"accessToken": "admin-token"})
    programs.answer("az functionapp function list", [f"func-abc/{name}" for name in names])
    programs.answer(
        "az monitor log-analytics workspace show", '"f4e1b0a2-0000-4000-8000-000000000002"'
    )
    programs.answer("az cloud show", '"https://api.loganalytics.io"')
    programs.answer("az rest", {"tables": [{"name": "PrimaryResult", "rows": [[ticks]]}]})
