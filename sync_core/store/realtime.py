"""What is known of a connection's notifications: rows beside its checkpoint, in the same partition.

There, since a run loads that partition anyway and writes into it at its end: to keep the latency clock costs
no call of its own. Rows: `realtime` (what runs have learned, packed) and `realtime|{channel}` (when the last
notification of a kind came, by whoever took it).
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from sync_core.domain.compatibility import read_partly
from sync_core.domain.realtime import Channel, RealtimeState
from sync_core.logs import log_event
from sync_core.store.packing import columns_of, piece_of, unpacked, upsert
from sync_core.store.rows import moment
from sync_core.store.tables import CHECKPOINTS, Tables
from sync_core.store.wire import Entity, Operation, query, quoted

REALTIME = "realtime"
HEARD = "realtime|"


@dataclass(slots=True)
class Heard:
    """What is stored: what runs have learned, and when the last notification of each channel came."""

    state: RealtimeState = field(default_factory=RealtimeState)
    at: dict[Channel, datetime] = field(default_factory=dict)

    def take(self, row: Entity) -> bool:
        """Learn from a row of the partition; false for one that tells of something else.

        A state that cannot be read is begun anew: nothing but figures is lost.
        """
        key = str(row["RowKey"])
        if key == REALTIME:
            self.state = _state(row)
        elif key.startswith(HEARD):
            self._take_channel(key.removeprefix(HEARD), row)
        else:
            return False
        return True

    def _take_channel(self, name: str, row: Entity) -> None:
        if name in set(Channel):
            self.at[Channel(name)] = datetime.fromisoformat(row["At"])


class RealtimeStore:
    """What is known of notifications, by connection, for who does not load a checkpoint."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, connection_id: str) -> Heard:
        """Return what is known of a connection; of one that was never told of anything it is nothing."""
        table, found = await self._tables.table(CHECKPOINTS), Heard()
        keys = f"RowKey ge {quoted(REALTIME)} and RowKey lt {quoted(f'{REALTIME}}}')}"
        condition = f"PartitionKey eq {quoted(connection_id)} and {keys}"
        async for page in query(table, condition):
            for row in page:
                found.take(row)
        return found


def kept_state(connection_id: str, state: RealtimeState) -> Operation:
    """Return the operation that keeps what a run has learned."""
    content = zlib.compress(state.model_dump_json(by_alias=True).encode())
    return upsert(connection_id, REALTIME, **columns_of(content))


def heard_rows(connection_id: str, heard: Mapping[Channel, datetime]) -> list[Operation]:
    """Return the operations that note when notifications came."""
    return [
        upsert(connection_id, f"{HEARD}{channel.value}", **moment("At", at))
        for channel, at in sorted(heard.items())
    ]


def _state(row: Entity) -> RealtimeState:
    try:
        return read_partly(RealtimeState, unpacked([piece_of(row)]))
    except (ValidationError, ValueError, zlib.error):
        log_event("realtime.unreadable", connection=row["PartitionKey"])
        return RealtimeState()
