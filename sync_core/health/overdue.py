"""Which connections should have run and have not: the dead man's switch."""

from sync_core.health.journal import expect_runs
from sync_core.services import Services


async def report_overdue(services: Services) -> list[str]:
    """Return the connections that have not run for twice their interval; each is logged once."""
    now, overdue = services.clock(), []
    async for connection in services.store.connections.all():
        lease = await services.store.leases.read(connection.id)
        last_started = now if lease.held(now) else lease.last_started_at
        if await expect_runs(services, connection, last_started):
            overdue.append(connection.id)
    return overdue
