"""What the API tells of real time: subscriptions, notifications and the latency clock, from three tables."""

from collections.abc import Sequence
from functools import partial

from sync_core.domain.documents.connection import Connection
from sync_core.domain.realtime_status import RealtimeStatus, realtime_status
from sync_core.health import journal
from sync_core.services import Services
from sync_core.store.realtime import Heard
from sync_core.store.users import bounded

READ_AT_ONCE = 8


async def status_of(services: Services, connection: Connection) -> RealtimeStatus | None:
    """Return the state of a connection's real time; of most there is nothing to read."""
    if not connection.realtime:
        return None
    rows = await services.store.subscriptions.of(connection.id)
    heard = await services.store.realtime.read(connection.id)
    health = await journal.read(services, connection.id)
    return realtime_status(connection, rows, heard.state, heard.at, health)


async def heard_by(services: Services, connections: Sequence[Connection]) -> dict[str, Heard]:
    """Return what is known of notifications, by connection, for those that are to be told of any."""
    found = {one.id: Heard() for one in connections}

    async def read(connection_id: str) -> None:
        found[connection_id] = await services.store.realtime.read(connection_id)

    await bounded(READ_AT_ONCE, (partial(read, one.id) for one in connections if one.realtime))
    return found
