"""What the API tells of real time: subscriptions, notifications and the latency clock, from three tables."""

from sync_core.domain.documents import Connection
from sync_core.domain.realtime_status import RealtimeStatus, realtime_status
from sync_core.health import journal
from sync_core.services import Services


async def status_of(services: Services, connection: Connection) -> RealtimeStatus | None:
    """Return the state of a connection's real time; of most there is nothing to read."""
    if not connection.realtime:
        return None
    rows = await services.store.subscriptions.of(connection.id)
    heard = await services.store.realtime.read(connection.id)
    health = await journal.read(services, connection.id)
    return realtime_status(connection, rows, heard.state, heard.at, health)
