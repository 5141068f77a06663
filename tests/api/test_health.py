"""Health: alive for everybody, details for readers."""

import asyncio
import os
import signal
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from local.azurite import Azurite
from local.graph import GraphEmulator
from sync_core.api.http.version import VERSION
from sync_core.api.routes import health
from sync_core.domain.clock import Timer
from sync_core.health import clock
from sync_core.health.overdue import report_overdue
from sync_core.services import Services, utc_now
from sync_core.store import patience
from tests.api.conftest import ADMIN, READER, Create, app_over, calling, document, the_app
from tests.api.stored import saved_run
from tests.system import Rig, connection, set_clock


@pytest.fixture(autouse=True)
def no_pulse() -> None:
    """What one test saw is not told to the next: the app stands for a process, and is kept."""
    the_app().state.pulse = health.Pulse()


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


async def test_a_signed_in_reader_has_the_details_at_an_address_of_its_own(
    create: Create, reader: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    """In Azure who signed in is told by a header, which is not read where everybody may call."""
    await create()
    details = await reader.get("/api/health/details")

    assert details.json() == (await reader.get("/api/health")).json()
    assert (await nobody.get("/api/health/details")).status_code == 401


async def test_a_run_that_is_missing_is_told_to_everybody(
    *, create: Create, reader: httpx.AsyncClient, services: Services, app: ASGIApp
) -> None:
    """Also if the very timer that would note it does not run."""
    await create()
    await report_overdue(services)
    now = services.clock()
    set_clock(services, lambda: now + timedelta(hours=3))
    await both_fire(services)
    async with calling(app, {}) as nobody:
        answer = await nobody.get("/api/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "overdue"})
    assert (await reader.get("/api/health")).json()["status"] == "overdue"


async def both_fire(services: Services) -> None:
    for timer in Timer:
        await clock.note_tick(services, timer, None)


async def test_timers_that_do_not_fire_are_told_to_everybody(
    *, reader: httpx.AsyncClient, services: Services, app: ASGIApp
) -> None:
    """Without names, and on the page that needs no sign-in: a monitor of anybody's sees it."""
    last = datetime(2036, 11, 30, 7, 5, tzinfo=UTC)
    set_clock(services, lambda: last)
    await both_fire(services)
    set_clock(services, lambda: last + timedelta(hours=3))
    told = {"status": "overdue", "message": "The timer has not fired since 2036-11-30 07:05 UTC."}
    async with calling(app, {}) as nobody:
        answer = await nobody.get("/api/health")
    detailed = (await reader.get("/api/health")).json()
    set_clock(services, utc_now)
    await both_fire(services)

    assert (answer.status_code, answer.json()) == (200, told)
    assert {name: detailed[name] for name in told} == told


async def test_what_everybody_is_told_is_looked_up_once_in_a_while(
    app: ASGIApp, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask, as often as they like."""
    looks: list[Services] = []

    async def look(services: Services) -> bool:
        looks.append(services)
        return False

    monkeypatch.setattr(health, "is_any_overdue", look)
    await both_fire(services)
    async with calling(app, {}) as nobody:
        answers = await asyncio.gather(*(nobody.get("/api/health") for _ in range(20)))

    assert [answer.json() for answer in answers] == [{"status": "ok"}] * 20
    assert len(looks) == 1


async def test_settings_that_are_not_used_are_told(services: Services) -> None:
    settings = replace(services.settings, warnings=("SYNC_TABLES is not used; remove it",))
    async with calling(app_over(replace(services, settings=settings)), READER) as reader:
        answer = await reader.get("/api/health")

    assert answer.json()["warnings"] == ["SYNC_TABLES is not used; remove it"]


# --- storage that does not answer -----------------------------------------------------------------


@pytest.fixture(params=["frozen", "gone"])
async def stopped(
    request: pytest.FixtureRequest, rig: Rig, emulator: GraphEmulator
) -> AsyncIterator[ASGIApp]:
    """The app over a storage that takes requests and never answers, or that is not there at all."""
    with Azurite() as azurite:
        async with replace(rig, azurite=azurite).services(emulator) as services:
            await services.store.connections.create(connection("contoso"))
            os.kill(azurite.pid, signal.SIGSTOP if request.param == "frozen" else signal.SIGKILL)
            yield app_over(services)
            with suppress(ProcessLookupError):
                os.kill(azurite.pid, signal.SIGCONT)


async def test_without_storage_health_says_so_within_seconds(
    stopped: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RETRY_BUDGET_S", 1.0)
    began = time.monotonic()
    async with calling(stopped, {}) as nobody, calling(stopped, READER) as reader:
        told = await nobody.get("/api/health")
        detailed = await reader.get("/api/health")

    assert (told.status_code, told.json()) == (503, {"status": "degraded"})
    assert detailed.status_code == 503
    assert (detailed.json()["connections"], detailed.json()["lastRuns"]) == (None, None)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/connections"),
        ("GET", "/api/connections/contoso"),
        ("GET", "/api/connections/contoso/users"),
        ("PATCH", "/api/connections/contoso"),
        ("POST", "/api/connections/contoso/sync"),
    ],
)
async def test_without_storage_no_call_hangs(
    stopped: ASGIApp, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    """Azure's clients would wait for five minutes, four times."""
    monkeypatch.setattr(patience, "CALLER_WAITS_S", 1.0)
    began = time.monotonic()
    async with calling(stopped, ADMIN) as admin:
        async with asyncio.timeout(30):
            answer = await admin.request(method, path, json={} if method != "GET" else None)

    assert (answer.status_code, answer.json()["code"]) == (503, "storage.unavailable")
    assert answer.headers["Retry-After"]
    assert time.monotonic() - began < 20


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

    assert project["project"]["version"] == VERSION
