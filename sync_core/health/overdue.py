"""Which connections should have run and have not: the dead man's switch."""

from datetime import datetime

from sync_core.domain.health import Health, watched
from sync_core.health.journal import expect_runs
from sync_core.services import Services
from sync_core.store.leases import Lease


async def report_overdue(services: Services) -> list[str]:
    """Return the connections that have not run for twice their interval; each is logged once."""
    now, overdue = services.clock(), []
    async for connection in services.store.connections.all():
        lease = await services.store.leases.read(connection.id)
        if await expect_runs(services, connection, _last_started(lease, now)):
            overdue.append(connection.id)
    return overdue


async def is_any_overdue(services: Services) -> bool:
    """Whether a connection has not run for twice its interval, as things stand now; notes nothing.

    What is noted comes from a timer of this app, and may be the very thing that does not run.
    """
    now = services.clock()
    known = {one.connection_id: one async for one in services.store.health.all()}
    leases = {one.connection_id: one async for one in services.store.leases.all()}
    async for connection in services.store.connections.all():
        lease = leases.get(connection.id) or Lease(connection.id)
        health = known.get(connection.id) or Health(connection_id=connection.id)
        step = watched(health, connection, _last_started(lease, now), now)
        if step.health.overdue is not None:
            return True
    return False


def _last_started(lease: Lease, now: datetime) -> datetime | None:
    return now if lease.held(now) else lease.last_started_at
