"""When a connection is due: its schedule and last start in, yes or no out. Pure."""

import hashlib
from datetime import UTC, datetime, timedelta

from sync_core.domain.documents.connection import Connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_due(connection: Connection, last_started: datetime | None, now: datetime) -> bool:
    """Whether a new interval of this connection has begun since its last run started.

    Intervals are shifted by the connection's id, so a hundred connections do not start together.
    """
    if not (connection.enabled and connection.schedule.automatic):
        return False
    if last_started is None:
        return True
    interval = timedelta(minutes=connection.schedule.every_minutes)
    return has_begun(connection.id, interval, last_started, now)


def has_begun(connection_id: str, interval: timedelta, last: datetime, now: datetime) -> bool:
    """Whether an interval of this connection has begun after `last` and by now."""
    shift = spread(connection_id, interval)
    return (now - EPOCH - shift) // interval > (last - EPOCH - shift) // interval


def spread(connection_id: str, interval: timedelta) -> timedelta:
    """Return the connection's place within the interval, the same on every instance."""
    digest = hashlib.blake2b(connection_id.encode(), digest_size=4).digest()
    return interval * (int.from_bytes(digest) / 2**32)
