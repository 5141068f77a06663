"""Whether the app answers, and for a reader whether what it needs does, too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import LocalCaller, Role, ServicesHere
from sync_core.api.http.version import VERSION
from sync_core.api.shapes import Check, ConnectionCounts, Health, LastRun
from sync_core.domain.documents import Connection
from sync_core.domain.errors import SyncError
from sync_core.services import Services

# Whoever watches an app asks often and waits little; the clients of Azure would try for much longer.
RETRY_BUDGET_S = 5.0
# Enough to see at a glance; the whole list is GET /api/connections/{id}/runs.
LAST_RUNS = 20
# Asked for, not expected to be there: "not found" proves that Key Vault answers and lets us read.
PROBE = "entra-user-sync-health-probe"


async def get_health(services: ServicesHere, caller: LocalCaller) -> Response:
    """Tell that the app is alive; a reader is told about storage, Key Vault and the last runs."""
    if caller is None or not caller.may(Role.READER):
        return json_answer({"status": "ok"})
    report = Health(status="ok", version=VERSION)
    connections: list[Connection] = []
    last_runs: list[LastRun] = []

    async def look_into_storage() -> None:
        connections.extend([one async for one in services.store.connections.all()])
        last_runs.extend(await _last_runs(services, connections))

    async def look_into_vault() -> None:
        await services.vault.find(PROBE)

    checks = await asyncio.gather(
        _check("storage", look_into_storage), _check("keyVault", look_into_vault)
    )
    enabled = sum(one.enabled for one in connections)
    counts = ConnectionCounts(total=len(connections), enabled=enabled)
    return json_answer(
        report.model_copy(
            update={
                "status": "ok" if all(one.ok for one in checks) else "degraded",
                "checks": checks,
                "connections": counts,
                "last_runs": last_runs,
            }
        )
    )


async def _check(
    name: Literal["storage", "keyVault"], look: Callable[[], Awaitable[None]]
) -> Check:
    try:
        async with asyncio.timeout(RETRY_BUDGET_S):
            await look()
    except TimeoutError:
        return Check(name=name, ok=False, message=f"No answer within {RETRY_BUDGET_S:g} seconds.")
    except SyncError as error:
        return Check(name=name, ok=False, message=error.message, remedy=error.remedy)
    return Check(name=name, ok=True)


async def _last_runs(services: Services, connections: list[Connection]) -> list[LastRun]:
    found = []
    for connection in connections[:LAST_RUNS]:
        runs = await services.store.runs.page(connection.id, top=1, after=None)
        found += [
            LastRun(
                connection_id=run.connection_id,
                run_id=run.id,
                status=run.status,
                finished_at=run.finished_at,
            )
            for run in runs
        ]
    return found
