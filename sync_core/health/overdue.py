"""Which connections should have run and have not: the dead man's switch."""

from collections.abc import Mapping
from datetime import datetime

from sync_core.domain.documents.connection import Connection
from sync_core.domain.health import Health, Step, watched
from sync_core.health import journal
from sync_core.services import Services
from sync_core.store.leases import Lease


async def report_overdue(services: Services) -> list[str]:
    """Return the connections that have not run for twice their interval; each is logged once.

    Everything is known from three lists; a state is looked at, and written, only where it changes.
    """
    now, overdue = services.clock(), []
    known, leases = await journal.read_all(services), await services.store.leases.all_by_id()
    async for connection in services.store.connections.all():
        before, step = _watched(connection, known, leases, now)
        is_overdue = step.health.overdue is not None
        if step.health != before:
            started = _last_started(leases.get(connection.id), now)
            is_overdue = await journal.expect_runs(services, connection, started)
        if is_overdue:
            overdue.append(connection.id)
    return overdue


async def is_any_overdue(services: Services) -> bool:
    """Whether a connection has not run for twice its interval, as things stand now; notes nothing.

    What is noted comes from a timer of this app, and may be the very thing that does not run.
    """
    now = services.clock()
    known = {one.connection_id: one async for one in services.store.health.all()}
    leases = await services.store.leases.all_by_id()
    async for connection in services.store.connections.all():
        _, step = _watched(connection, known, leases, now)
        if step.health.overdue is not None:
            return True
    return False


def _watched(
    connection: Connection,
    known: Mapping[str, Health],
    leases: Mapping[str, Lease],
    now: datetime,
) -> tuple[Health, Step]:
    """Return what is remembered of a connection, and what it comes to now."""
    health = known.get(connection.id) or Health(connection_id=connection.id)
    started = _last_started(leases.get(connection.id), now)
    return health, watched(health, connection, started, now)


def _last_started(lease: Lease | None, now: datetime) -> datetime | None:
    if lease is None:
        return None
    return now if lease.held(now) else lease.last_started_at
