"""Whether the app answers, and for a reader whether what it needs does, too."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from fastapi import Request, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import LocalCaller, Role, ServicesHere
from sync_core.api.http.version import VERSION
from sync_core.api.shapes import Check, ConnectionCounts, Health, LastRun
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.domain.secret_names import HEALTH_PROBE
from sync_core.health import clock
from sync_core.health.overdue import is_any_overdue
from sync_core.services import Services

# Whoever watches an app asks often and waits little; the clients of Azure would try for much longer.
RETRY_BUDGET_S = 5.0
# So long the answer for everybody stands: anybody may ask, and each look reads three tables.
PULSE_LIFE_S = 5.0
# Enough to see at a glance; the whole list is GET /api/connections/{id}/runs.
LAST_RUNS = 20
OK, UNAVAILABLE = 200, 503


@dataclass
class Pulse:
    """What this process tells everybody, and until when."""

    status: Literal["ok", "overdue", "degraded"] = "degraded"
    message: str | None = None
    until_s: float = 0.0
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


async def get_health(request: Request, services: ServicesHere, caller: LocalCaller) -> Response:
    """Tell that the app is alive, that its timers fire, that no run is missing, and that storage answers.

    503 where storage does not answer. The rig's tokens are told the details, too; App Service's sign-in is
    not looked at on open paths.
    """
    if caller is not None and caller.may(Role.READER):
        return await get_health_details(services)
    pulse = await _taken(request.app.state.pulse, services)
    told = {"status": pulse.status} | ({"message": pulse.message} if pulse.message else {})
    return json_answer(told, UNAVAILABLE if pulse.status == "degraded" else OK)


async def _taken(pulse: Pulse, services: Services) -> Pulse:
    """Take the pulse, or tell the last one; who asks meanwhile waits for the same look."""
    seconds = asyncio.get_running_loop().time
    async with pulse.looking:
        if seconds() >= pulse.until_s:
            found: list[Missing] = []

            async def look() -> None:
                found.append(await _missing(services))

            answers = (await _check("storage", look)).ok
            missing = found[0] if answers else Missing()
            pulse.status = _word(missing) if answers else "degraded"
            pulse.message = missing.message
            pulse.until_s = seconds() + PULSE_LIFE_S
        return pulse


@dataclass(frozen=True, slots=True)
class Missing:
    """What should have happened and has not: a run, or a tick of a timer, of which `message` tells."""

    is_run_overdue: bool = False
    message: str | None = None


async def _missing(services: Services) -> Missing:
    silent = await clock.silent_timer(services)
    overdue = await is_any_overdue(services)
    return Missing(overdue, silent.message if silent is not None else None)


def _word(missing: Missing) -> Literal["ok", "overdue"]:
    return "overdue" if missing.is_run_overdue or missing.message else "ok"


async def get_health_details(services: ServicesHere) -> Response:
    """Tell a reader about storage, Key Vault and the last runs; 503 if storage does not answer.

    Where a timer is silent, its work is asked for.
    """
    connections: list[Connection] = []
    last_runs: list[LastRun] = []
    found: list[Missing] = []

    async def look_into_storage() -> None:
        connections.extend([one async for one in services.store.connections.all()])
        last_runs.extend(await _last_runs(services, connections))
        found.append(await _missing(services))
        await clock.wake(services)

    async def look_into_vault() -> None:
        await services.vault.find(HEALTH_PROBE)

    storage, vault = await asyncio.gather(
        _check("storage", look_into_storage), _check("keyVault", look_into_vault)
    )
    enabled = sum(one.enabled for one in connections)
    counts = ConnectionCounts(total=len(connections), enabled=enabled)
    report = Health(
        status=_status(storage, vault, missing=found[0] if storage.ok else Missing()),
        message=found[0].message if storage.ok else None,
        version=VERSION,
        checks=[storage, vault],
        # What could not be counted is not said to be none.
        connections=counts if storage.ok else None,
        last_runs=last_runs if storage.ok else None,
        warnings=list(services.settings.warnings),
    )
    return json_answer(report, OK if storage.ok else UNAVAILABLE)


def _status(*checks: Check, missing: Missing) -> Literal["ok", "overdue", "degraded"]:
    return _word(missing) if all(one.ok for one in checks) else "degraded"


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
