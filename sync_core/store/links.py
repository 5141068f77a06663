"""Rows of the Users table that somebody else's row takes over: marked first, given to be copied.

The mark goes before the copy. A run that is killed between the two finds the row again by the person's
object id, whatever has become of the keys meanwhile, and goes on; nobody else gets the row.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from azure.data.tables.aio import TableClient

from sync_core.domain.errors import Conflict
from sync_core.domain.matching.registry import (
    LINKED_BY,
    LINKED_TO,
    NO_AUTO_LINK,
    Registry,
    linked_to_of,
    parted,
)
from sync_core.domain.model import Change, Link, Status
from sync_core.store.checkpoints import leave_to_next_run
from sync_core.store.fences import Fence
from sync_core.store.rows import (
    LINKED_FROM,
    Stamp,
    linked_mark,
    partition_key,
    to_stored,
    unlinked,
    without,
)
from sync_core.store.tables import USERS, Tables
from sync_core.store.wire import (
    BatchRefused,
    Entity,
    Operation,
    Verb,
    point,
    storage_unavailable,
    submit_current,
)

READS_AT_ONCE = 16


async def take_over(
    table: TableClient, changes: Iterable[Change], fence: Fence
) -> dict[str, Entity]:
    """Mark the rows that up to 50 people take over, and give each by the person's object id.

    Who is not in the answer has lost the row meanwhile. Rows that stand in place need no mark.
    """
    wanted = {one.object_id: one.link for one in changes if one.link and not one.link.in_place}
    rows = await _read(table, wanted)
    marks: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for object_id, row in rows.items():
        if row.get(LINKED_TO) != object_id:
            mark = linked_mark(wanted[object_id], object_id, row["odata.etag"])
            marks[wanted[object_id].partition][object_id] = mark
    for marked in marks.values():
        written = await submit_current(partial(fence.submit, USERS), list(marked.values()))
        for object_id, mark in marked.items():
            if mark not in written:
                del rows[object_id]
    return rows


async def _read(table: TableClient, wanted: dict[str, Link]) -> dict[str, Entity]:
    """Read the rows that are still there for the taking."""
    rows: dict[str, Entity] = {}
    people = list(wanted)
    for start in range(0, len(people), READS_AT_ONCE):
        some = people[start : start + READS_AT_ONCE]
        found = await asyncio.gather(
            *(point(table, wanted[one].partition, wanted[one].row_key) for one in some)
        )
        rows |= _free(some, found)
    return rows


def _free(people: Sequence[str], rows: Sequence[Entity | None]) -> dict[str, Entity]:
    return {
        object_id: row
        for object_id, row in zip(people, rows, strict=True)
        if row is not None and linked_to_of(row) in {"", object_id} and not _lives(row)
    }


def _lives(row: Entity) -> bool:
    """Whether a former person has come back meanwhile."""
    return bool(row.get("ConnectionId")) and row.get("Status") != Status.DISABLED.value


class Links:
    """One connection's links, for those who look at them and break wrong ones."""

    def __init__(self, tables: Tables, connection_id: str) -> None:
        self._tables = tables
        self._connection_id = connection_id

    async def look_at(self, registry: Registry, addresses: Iterable[str]) -> None:
        """Tell the registry of the rows at these addresses, as they stand now."""
        table = await self._tables.table(USERS)
        for address in sorted(set(addresses)):
            partition, row_key = parted(address)
            row = await point(table, partition, row_key)
            if row is not None:
                registry.add(partition, row, to_stored(row, self._connection_id))

    async def break_link(
        self, object_id: str, tenant_id: str, now: datetime, fence: Fence
    ) -> Link | None:
        """Undo the marks of a link; None if the person has none.

        The person's row stays with all it has; the other row is linked again by a decision only. Its
        mark goes first, so that a break that is broken off can be done again.
        """
        table = await self._tables.table(USERS)
        row = await point(table, partition_key(self._connection_id, object_id), object_id)
        if row is None or LINKED_FROM not in row or to_stored(row, self._connection_id) is None:
            return None
        link = _link_of(row)
        if link.in_place:
            raise Conflict(
                "match.inPlace",
                f"The row of {object_id} stood at the person's own address when it was linked.",
                "There is no other row to give back; correct the person's row, or leave the person out.",
            )
        source = await point(table, link.partition, link.row_key)
        if source is not None and linked_to_of(source) == object_id:
            link = replace(link, former=bool(source.get("ConnectionId")))
            await _write(fence, [Operation(Verb.REPLACE, _freed(source), source["odata.etag"])])
        stamp = Stamp(self._connection_id, tenant_id, "", now)
        # First, as a break that is broken off after the last write is not done again; no run is between.
        await leave_to_next_run(self._tables, self._connection_id, object_id, now)
        await _write(fence, unlinked(row, link, stamp))
        return link


def _link_of(row: Entity) -> Link:
    partition, row_key = parted(row[LINKED_FROM])
    in_place = (partition, row_key) == (row["PartitionKey"], row["RowKey"])
    return Link(partition, row_key, row.get(LINKED_BY) or "", in_place)


def _freed(source: Entity) -> Entity:
    freed = without(source, {LINKED_TO, LINKED_BY})
    return freed if source.get("ConnectionId") else freed | {NO_AUTO_LINK: True}


async def _write(fence: Fence, operations: Sequence[Operation]) -> None:
    """Write operations that belong together, or raise `Conflict` where a row was changed meanwhile."""
    try:
        await fence.submit(USERS, operations)
    except BatchRefused as refused:
        if refused.status not in {404, 412}:
            raise storage_unavailable(refused) from refused
        raise Conflict(
            "match.changedMeanwhile",
            "One of the two rows was changed by a run or by somebody else.",
            "Try again.",
        ) from refused
