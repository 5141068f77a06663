"""Record what happened to a connection, and log incidents.

Remembering is never worth a run: where the Health table cannot be read or written that is logged, and
everything goes on as if nothing were remembered.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from sync_core.directory.checks import credential_expiry
from sync_core.domain import health
from sync_core.domain.connections.checks import NEVER_EXPIRES
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.errors import SyncError
from sync_core.domain.health import (
    Cause,
    Expiry,
    ExpirySource,
    Failure,
    Health,
    Step,
    look_is_due,
)
from sync_core.domain.incidents import (
    Ears,
    Finding,
    Turns,
    findings_of,
    noticed,
    silenced,
    turns,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded

WORKED = frozenset({RunStatus.SUCCEEDED, RunStatus.PARTIAL, RunStatus.HELD})
# Each is a token and a few questions; where Entra does not answer, a whole list waits for its turn.
LOOKS_AT_ONCE = 8

FindExpiry = Callable[[Services, Connection], Awaitable[Expiry | None]]


async def read(services: Services, connection_id: str) -> Health:
    """Return what is remembered of a connection; nothing where it cannot be read."""
    try:
        return await services.store.health.read(connection_id)
    except SyncError as error:
        _not_kept(connection_id, error)
        return Health(connection_id=connection_id)


async def read_all(services: Services) -> dict[str, Health]:
    """Return what is remembered of all connections, by id; nothing where it cannot be read."""
    try:
        return {one.connection_id: one async for one in services.store.health.all()}
    except SyncError as error:
        _not_kept(None, error)
        return {}


async def run_ended(
    services: Services, run: Run, cause: Cause | None, ears: Ears | None = None
) -> None:
    """Note how a run ended; `cause` says of a failed one who mends it, `ears` of another what it heard."""
    now, error = services.clock(), run.error
    if run.status in WORKED:
        await _note(services, run.connection_id, partial(_worked, run, ears, now))
    elif error is not None and cause is not None:
        failure = Failure(code=error.code, message=error.message, remedy=error.remedy, cause=cause)
        await _note(services, run.connection_id, lambda known: health.failed(known, failure, now))


async def check_passed(services: Services, connection_id: str) -> None:
    """Note a check that found everything in order: a quarantined connection is released."""
    now = services.clock()
    await _note(services, connection_id, lambda known: health.checked(known, now))


async def expect_runs(
    services: Services, connection: Connection, last_started: datetime | None
) -> bool:
    """Look whether the connection runs as often as it should; true where it is overdue."""
    now = services.clock()
    kept = await _note(
        services,
        connection.id,
        lambda known: health.watched(known, connection, last_started, now),
    )
    return kept is not None and kept.overdue is not None


async def known_expiry(services: Services, connection: Connection) -> Expiry | None:
    """Ask everybody who may know when the credential expires: Entra, Key Vault, the administrator."""
    known = await credential_expiry(services.directory, connection, services.clock())
    if known is None:
        return None
    day = known.expires_on.astimezone(UTC).date()
    return Expiry(expires_on=day, source=ExpirySource(known.source.value))


async def warn_of_expiry(services: Services, find_expiry: FindExpiry = known_expiry) -> None:
    """Look when the credentials of the enabled connections expire, where it is time to, and warn in time."""
    known, now = await read_all(services), services.clock()

    def is_due(connection: Connection) -> bool:
        may_expire = connection.credential.kind not in NEVER_EXPIRES
        health = known.get(connection.id) or Health(connection_id=connection.id)
        return connection.enabled and may_expire and look_is_due(health, connection, now)

    due = [one async for one in services.store.connections.all() if is_due(one)]
    await bounded(
        LOOKS_AT_ONCE, (partial(_look_at_expiry, services, one, find_expiry) for one in due)
    )


async def _look_at_expiry(
    services: Services, connection: Connection, find_expiry: FindExpiry
) -> None:
    now = services.clock()
    try:
        expiry = await find_expiry(services, connection)
    except SyncError as error:
        # What is known stays: a vault that is down does not make a credential good.
        log_event("credential.expiryUnknown", connection=connection.id, code=error.code)
    except Exception:  # noqa: BLE001 -- one connection must not keep the others from being warned of
        log_event(
            "credential.expiryUnknown",
            level=logging.ERROR,
            exc_info=True,
            connection=connection.id,
        )
    else:
        await _note(
            services, connection.id, lambda known: health.aged(known, connection, expiry, now)
        )


async def _note(
    services: Services, connection_id: str, change: Callable[[Health], Step]
) -> Health | None:
    """Change the state and log what there is to tell, once it is kept; None where it cannot be."""
    before: list[Health] = []

    def watched(known: Health) -> Step:
        before[:] = [known]  # tried again where another worker was faster: the last one counts
        return change(known)

    try:
        step = await services.store.health.change(connection_id, watched)
        await _keep(services, connection_id, turns(before[0], step.health))
    except SyncError as error:
        _not_kept(connection_id, error)
        return None
    for event in step.events:
        log_event(event.name, level=event.level, connection=connection_id, **event.fields)
    return step.health


async def fell_silent(
    services: Services, connection_id: str, finding: Finding, since: datetime
) -> None:
    """Open the incident of notifications that do not arrive, unless it is open."""
    await _note(services, connection_id, lambda known: silenced(known, finding, since))


def _worked(run: Run, ears: Ears | None, now: datetime, known: Health) -> Step:
    worked = health.worked(known, now)
    step = noticed(worked.health, findings_of(run), now, ears)
    return Step(step.health, worked.events + step.events)


async def _keep(services: Services, connection_id: str, found: Turns) -> None:
    """Write into the table of incidents what has begun and what has ended."""
    for incident in found.opened:
        await services.store.incidents.put(connection_id, incident)
    for incident in found.ended:
        await services.store.incidents.put(connection_id, incident, services.clock())


def _not_kept(connection_id: str | None, error: SyncError) -> None:
    log_event("health.notKept", level=logging.ERROR, connection=connection_id, code=error.code)
