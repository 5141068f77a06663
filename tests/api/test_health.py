"""Health: alive for everybody, details for readers."""

import tomllib
from pathlib import Path

import httpx
import pytest

from sync_core.api.http.version import VERSION
from sync_core.api.routes import health
from sync_core.services import Services
from tests.api.conftest import Create, document
from tests.api.stored import saved_run
from tests.system import Rig


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"X-MS-CLIENT-PRINCIPAL": "x"}]
)
async def test_a_stranger_learns_that_the_app_is_alive(
    nobody: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await nobody.get("/api/health", headers=headers)

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


async def test_a_reader_learns_how_it_is(
    *,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "LAST_RUNS", 1_000)
    before = (await reader.get("/api/health")).json()["connections"]
    await admin.post("/api/connections", json=document(connection_id))
    await admin.post("/api/connections", json=document(f"{connection_id}-off", enabled=False))
    await saved_run(services, connection_id, minutes=1)
    run = await saved_run(services, connection_id, minutes=2)
    answer = (await reader.get("/api/health")).json()
    mine = [one for one in answer["lastRuns"] if one["connectionId"].startswith(connection_id)]

    assert answer["status"] == "ok"
    assert answer["version"] == VERSION
    assert [(check["name"], check["ok"]) for check in answer["checks"]] == [
        ("storage", True),
        ("keyVault", True),
    ]
    assert answer["connections"] == {
        "total": before["total"] + 2,
        "enabled": before["enabled"] + 1,
    }
    assert mine == [
        {
            "connectionId": connection_id,
            "runId": run.id,
            "status": "succeeded",
            "finishedAt": "2026-03-01T12:02:03Z",
        }
    ]


async def test_a_key_vault_that_refuses_is_told_with_the_remedy(
    reader: httpx.AsyncClient, rig: Rig
) -> None:
    rig.vault.faults.forbidden = True
    answer = await reader.get("/api/health")
    rig.vault.faults.forbidden = False
    storage, vault = answer.json()["checks"]

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert (storage["ok"], vault["ok"]) == (True, False)
    assert "Key Vault Secrets Officer" in vault["remedy"]


async def test_a_key_vault_that_is_slow_is_not_waited_for(
    reader: httpx.AsyncClient, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RETRY_BUDGET_S", 0.3)
    rig.vault.faults.slow_seconds = 1.0
    answer = await reader.get("/api/health")
    rig.vault.faults.slow_seconds = 0.0

    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"][1]["message"] == "No answer within 0.3 seconds."


async def test_a_new_deployment_without_connections_is_healthy(
    create: Create, reader: httpx.AsyncClient
) -> None:
    await create()

    assert (await reader.get("/api/health")).json()["status"] == "ok"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

    assert project["project"]["version"] == VERSION
