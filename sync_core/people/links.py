"""A person's link to another row, broken at an administrator's word."""

from sync_core.domain.documents.connection import Connection
from sync_core.domain.model import Link
from sync_core.runs.hold import held
from sync_core.services import Services

# Most runs of an hour in which nothing changed end within this.
WAIT_S = 5.0


async def break_link(services: Services, connection: Connection, object_id: str) -> Link | None:
    """Break a link; None if the person has none. Raises `Conflict` while a run is under way."""
    tenant_id = connection.tenant_id or ""
    async with held(services, connection.id, budget=None, wait_s=WAIT_S) as hold:
        links = services.store.links(connection.id)
        return await links.break_link(object_id, tenant_id, services.clock(), hold.fence)
