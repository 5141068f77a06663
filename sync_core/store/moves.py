"""Rows of people that move from the partitions of a deleted connection to those of the one that takes over.

Two partitions have no transaction in common, so the copy goes first, with its history, and only then the
old row. A run that is ended between the two leaves both, and the next one finds by the mark on the copy
that only the deletion is missing, and what the application has written into the old row since: nobody is
lost, and nobody has two rows for longer than that.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from azure.data.tables.aio import TableClient

from sync_core.domain.errors import RecordRejected
from sync_core.domain.matching.takeover import Here, Step, here, row_taken, step
from sync_core.store.fences import FENCE, FENCE_BYTES, FENCED_OPERATIONS, Fence
from sync_core.store.marks import MARKS
from sync_core.store.rows import (
    HISTORY,
    TAKEN_FROM,
    Stamp,
    joined_row,
    moved_history,
    moved_row,
    partition_key,
    to_stored,
)
from sync_core.store.tables import USERS, Tables
from sync_core.store.wire import (
    BatchRefused,
    Entity,
    Operation,
    Verb,
    point,
    query,
    quoted,
    split,
    storage_unavailable,
    submit_current,
)

# Each is a row and its history.
ROWS_AT_ONCE = FENCED_OPERATIONS // 2
# A row that the application changes at the same moment is read again.
ATTEMPTS = 3


@dataclass(slots=True)
class Moved:
    """What was moved: people, and those whose row was left where it is, each with the reason."""

    people: set[str] = field(default_factory=set)
    left: dict[str, RecordRejected] = field(default_factory=dict)


class Moves:
    """The rows of one deleted connection, on their way to the connection of the stamp.

    `moved` says what has become of them so far.
    """

    def __init__(self, tables: Tables, source: str, stamp: Stamp, fence: Fence) -> None:
        self._tables = tables
        self._source = source
        self._stamp = stamp
        self._fence = fence
        self.moved = Moved()
        self._stays: set[str] = set()

    async def all_of(self, digit: str) -> None:
        """Move everybody of one partition, with the histories of all who were ever there."""
        table = await self._tables.table(USERS)
        partition, found = f"{self._source}-{digit}", False
        people = f"{self._of(partition)} and RowKey lt {quoted(HISTORY)}"
        standing = await self._standing(table, digit)
        async for page in query(table, people, typed=True):
            found |= bool(page)
            for start in range(0, len(page), ROWS_AT_ONCE):
                await self._move(table, page[start : start + ROWS_AT_ONCE], standing)
        beside = f"{self._of(partition)} and RowKey gt {quoted(HISTORY)}"
        async for page in query(table, beside, typed=True):
            found |= bool(page)
            await self._move_beside(page)
        if found or await point(table, partition, FENCE):
            await self._fence.remove(USERS, partition)

    async def one(self, object_id: str) -> Moved:
        """Move one person, with the history."""
        table = await self._tables.table(USERS)
        partition = partition_key(self._source, object_id)
        row = await point(table, partition, object_id)
        if row is None or row.get("ConnectionId") != self._source:
            return self.moved
        await self._move(table, [row], {object_id})
        first = f"{HISTORY}{object_id}{HISTORY}"
        keys = f"RowKey gt {quoted(first)} and RowKey lt {quoted(first + HISTORY)}"
        condition = f"{self._of(partition)} and {keys}"
        async for page in query(table, condition, typed=True):
            await self._move_beside(page)
        return self.moved

    def _of(self, partition: str) -> str:
        return f"PartitionKey eq {quoted(partition)} and ConnectionId eq {quoted(self._source)}"

    async def _standing(self, table: TableClient, digit: str) -> set[str]:
        """Return the keys of the rows in the partition to which people move."""
        own = f"{self._stamp.connection_id}-{digit}"
        condition = f"PartitionKey eq {quoted(own)} and RowKey lt {quoted(HISTORY)}"
        return {row["RowKey"] async for page in query(table, condition, ["RowKey"]) for row in page}

    # --- people ---------------------------------------------------------------------------------

    async def _move(self, table: TableClient, rows: Sequence[Entity], standing: set[str]) -> None:
        """Move rows; one that is changed meanwhile is read again, and what is new in it goes along."""
        for attempt in range(ATTEMPTS):
            groups, deletions = [], []
            async for row, group in self._planned(table, rows, standing, again=attempt > 0):
                groups += [group] if group else []
                deletions.append(_deletion(row))
            refused = await self._write(groups)
            standing |= {one.entity["RowKey"] for one in deletions} - refused
            current = [one for one in deletions if one.entity["RowKey"] not in refused]
            gone = await submit_current(partial(self._fence.submit, USERS), current)
            self.moved.people |= {one.entity["RowKey"] for one in gone}
            waiting = {one.entity["RowKey"] for one in deletions} - self.moved.people
            rows = [row async for row in self._read(table, sorted(waiting))]
            if not rows:
                return
        self._stays |= {row["RowKey"] for row in rows}
        self.moved.left |= {row["RowKey"]: _changed_meanwhile() for row in rows}

    async def _planned(
        self, table: TableClient, rows: Sequence[Entity], standing: set[str], *, again: bool
    ) -> AsyncIterator[tuple[Entity, list[Operation]]]:
        """Yield each row that moves with what has to be written of it first; nothing where that was done."""
        for row in rows:
            object_id = row["RowKey"]
            address = f"{row['PartitionKey']}|{object_id}"
            new = None
            if object_id in standing:
                own = partition_key(self._stamp.connection_id, object_id)
                new = await point(table, own, object_id)
            found = self._here(new, address)
            if to_stored(row, self._source) is None or step(found) is Step.LEAVE:
                self._stays.add(object_id)
                if found is Here.FOREIGN:
                    self.moved.left[object_id] = row_taken(address)
                continue
            if new is None:
                yield row, moved_row(row, address, self._stamp)
            elif again or found is Here.OWN or _is_newer(row, new):
                newer = again or found is Here.MOVED
                yield row, joined_row(row, new, address, self._stamp, newer=newer)
            else:
                yield row, []

    def _here(self, new: Entity | None, address: str) -> Here:
        owner = None if new is None else str(new.get("ConnectionId") or "")
        came_from = (new or {}).get(TAKEN_FROM)
        found = here(owner, came_from, self._stamp.connection_id, address)
        # A status that only another release knows: such a row is left alone.
        if new is not None and to_stored(new, self._stamp.connection_id) is None:
            return Here.FOREIGN
        return found

    async def _write(self, groups: Sequence[list[Operation]]) -> set[str]:
        """Write people with their histories; return the ids of those whose row has changed meanwhile."""
        refused: set[str] = set()
        for batch in split(groups, spare=1, spare_bytes=FENCE_BYTES):
            refused |= await self._submit(batch)
        return refused

    async def _submit(self, groups: Sequence[Sequence[Operation]]) -> set[str]:
        try:
            await self._fence.submit(USERS, [one for group in groups for one in group])
        except BatchRefused as refused:
            if refused.status >= 500 or refused.status == 429:
                raise storage_unavailable(refused) from refused
            if len(groups) == 1:
                return {groups[0][0].entity["RowKey"]}
            half = len(groups) // 2
            return await self._submit(groups[:half]) | await self._submit(groups[half:])
        return set()

    async def _read(self, table: TableClient, object_ids: Sequence[str]) -> AsyncIterator[Entity]:
        for object_id in object_ids:
            row = await point(table, partition_key(self._source, object_id), object_id)
            if row is not None:
                yield row
            else:
                self.moved.people.add(object_id)

    # --- what stands beside them ----------------------------------------------------------------

    async def _move_beside(self, rows: Sequence[Entity]) -> None:
        """Move histories, and delete the marks of a guard that looks at them no more."""
        histories = [row for row in rows if self._goes_along(row)]
        marks = [row for row in rows if row["RowKey"].startswith(MARKS)]
        copies = [[moved_history(row, self._stamp)] for row in histories]
        for batch in split(copies, spare=1, spare_bytes=FENCE_BYTES):
            await self._fence.submit(USERS, [one for group in batch for one in group])
        deletions = list(map(_deletion, histories + marks))
        for start in range(0, len(deletions), FENCED_OPERATIONS):
            some = deletions[start : start + FENCED_OPERATIONS]
            await submit_current(partial(self._fence.submit, USERS), some)

    def _goes_along(self, row: Entity) -> bool:
        """Whether a row is the history of a person whose row does not stay."""
        object_id = row.get("ObjectId")
        is_history = str(row["RowKey"]).startswith(f"{HISTORY}{object_id}{HISTORY}")
        return is_history and object_id not in self._stays


def _deletion(row: Entity) -> Operation:
    keys = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
    return Operation(Verb.DELETE, keys, row["odata.etag"])


def _is_newer(row: Entity, copy: Entity) -> bool:
    """Whether a row was changed after its copy was: the application may not know of the copy yet."""
    changed, copied = (datetime.fromisoformat(one["Timestamp"]) for one in (row, copy))
    return changed > copied


def _changed_meanwhile() -> RecordRejected:
    return RecordRejected(
        "record.changedMeanwhile",
        "The row of the deleted connection was changed again and again while it was to be moved.",
        "Confirm the takeover again: the next run moves it.",
    )
