"""The Users table: what is stored of a connection's people, and changes written to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from sync_core.concurrency import in_thread
from sync_core.domain.errors import RecordRejected, RetryLater
from sync_core.domain.matching.registry import Registry
from sync_core.domain.model import (
    HEX_DIGITS,
    Change,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.window import NOTHING, WindowLog
from sync_core.store.fences import FENCE_BYTES, FENCED_OPERATIONS, Fence
from sync_core.store.index import IndexBuilder, Watch
from sync_core.store.links import take_over
from sync_core.store.marks import (
    MARK_COLUMNS,
    MARKS_BYTES,
    marks_before,
    marks_of,
    note_marks,
)
from sync_core.store.rows import (
    DISABLED_REASON,
    HISTORY,
    INDEX_COLUMNS,
    RETURNS,
    Stamp,
    needs_row,
    operations,
    partition_key,
    to_be_taken,
    to_stored,
)
from sync_core.store.tables import USERS, Tables
from sync_core.store.wire import (
    BatchRefused,
    Entity,
    Operation,
    point,
    query,
    quoted,
    split,
)

PARTITIONS_AT_ONCE = 4
# A change and its history row are two operations; with fence and marks, one full batch.
CHANGES_AT_ONCE = (FENCED_OPERATIONS - 1) // 2
POINT_READS_AT_ONCE = 16
# A few MiB of them, for runs that look at few people.
ROWS_KEPT = 1_000
# Beyond this share of a partition, reading all of it is cheaper than asking for rows one by one.
POINT_READ_SHARE = 0.05

# Takes the marks that were written since a moment.
Before = tuple[WindowLog, datetime]
Mark = Callable[[Change], str]


def unmarked(_: Change) -> str:
    """Return the mark of what the guard does not count at all."""
    return NOTHING


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change with the operations that write it, and the letter that marks it."""

    change: Change
    operations: Sequence[Operation]
    letter: str


class UserStore:
    """One connection's people in the Users table.

    The rows of `sources`, deleted connections, are seen as if they had been moved to this one already.
    `has_taken`: rows were moved before, and people among them may return.
    """

    def __init__(
        self,
        tables: Tables,
        connection_id: str,
        sources: Sequence[str] = (),
        *,
        has_taken: bool = False,
    ) -> None:
        self._tables = tables
        self._connection_id = connection_id
        self._sources = sources
        self._has_taken = has_taken
        self._asked: dict[str, Entity] = {}

    async def load_index(
        self,
        registry: Registry | None = None,
        watch: Watch | None = None,
        before: Before | None = None,
    ) -> StoredIndex:
        """Read what planning needs of everybody stored, whatever their status.

        Matching has a `registry`: it is told of every row, and free rows are then not foreign. `watch`
        is told of everybody, `before` of the marks of the guard's window.
        """
        table = await self._tables.table(USERS)
        index = IndexBuilder(self._connection_id, registry, watch)
        columns = {*INDEX_COLUMNS, *(registry.columns if registry else ())}
        columns |= watch.needs if watch else frozenset()
        of_taken = sorted(columns | {DISABLED_REASON})
        columns |= MARK_COLUMNS if before else set()
        columns |= {RETURNS} if self._has_taken else set()

        async def load(digit: str) -> None:
            partition = f"{self._connection_id}-{digit}"
            condition = _people_of(partition, before[1] if before else None)
            async for page in query(table, condition, sorted(columns)):
                for row in page:
                    if before and row["RowKey"].startswith(HISTORY):
                        note_marks(before[0], row)
                    else:
                        index.add(partition, row)
            for source in self._sources:
                async for page in query(table, _people_of(f"{source}-{digit}"), of_taken):
                    for row in page:
                        index.take(partition, row, source)

        await bounded(PARTITIONS_AT_ONCE, (partial(load, digit) for digit in HEX_DIGITS))
        return index.built()

    async def load_one(self, object_id: str) -> StoredIndex:
        """Return what planning needs to know of one person; the index is empty without a row."""
        return await self.load_some([object_id])

    async def load_some(self, object_ids: Iterable[str]) -> StoredIndex:
        """Return what planning needs to know of these people, by one request each.

        Their rows are kept for `load_rows` as far as they are few.
        """
        table = await self._tables.table(USERS)
        people: dict[str, StoredPerson] = {}
        foreign: set[str] = set()
        taken: set[str] = set()

        async def load(object_id: str) -> None:
            row = await point(table, partition_key(self._connection_id, object_id), object_id)
            if row is not None and len(self._asked) < ROWS_KEPT:
                self._asked[object_id] = row
            stored = to_stored(row, self._connection_id) if row is not None else None
            if row is not None and stored is None:
                foreign.add(object_id)
                return
            for source in self._sources:
                old = await point(table, partition_key(source, object_id), object_id)
                if old is not None and (to_take := to_be_taken(old, source)):
                    taken.add(object_id)
                    stored = stored or to_take
            if stored is not None:
                people[object_id] = stored

        await bounded(POINT_READS_AT_ONCE, (partial(load, oid) for oid in object_ids))
        return StoredIndex(people, frozenset(foreign), frozenset(taken))

    async def load_rows(
        self, digit: str, changes: Iterable[Change], stored: int
    ) -> dict[str, Entity]:
        """Read the rows with which changes of a partition are shown; `stored` is how many people it holds.

        Rows as `load_some` found them in this run will do.
        """
        wanted = await in_thread(_with_rows, changes)
        rows = {oid: self._asked[oid] for oid in wanted & self._asked.keys()}
        rows |= await self._rows(self._connection_id, digit, wanted - rows.keys(), stored)
        for source in self._sources:
            rows = await self._rows(source, digit, wanted - rows.keys(), stored) | rows
        return rows

    async def load_own_rows(
        self, digit: str, changes: Iterable[Change], stored: int
    ) -> dict[str, Entity]:
        """Read the rows that changes of one partition are written to."""
        wanted = await in_thread(_with_rows, changes)
        return await self._rows(self._connection_id, digit, wanted, stored)

    async def _rows(
        self, connection_id: str, digit: str, wanted: AbstractSet[str], stored: int
    ) -> dict[str, Entity]:
        if not wanted:
            return {}
        table = await self._tables.table(USERS)
        rows: dict[str, Entity] = {}
        if len(wanted) > max(POINT_READS_AT_ONCE, stored * POINT_READ_SHARE):
            async for page in query(table, _people_of(f"{connection_id}-{digit}"), typed=True):
                rows |= {row["RowKey"]: row for row in page if row["RowKey"] in wanted}
            return rows

        async def load(object_id: str) -> None:
            row = await point(table, partition_key(connection_id, object_id), object_id)
            if row is not None:
                rows[object_id] = row

        await bounded(POINT_READS_AT_ONCE, (partial(load, oid) for oid in wanted))
        return rows

    async def apply(
        self,
        changes: Iterable[Change],
        rows: dict[str, Entity],
        stamp: Stamp,
        fence: Fence,
        mark: Mark = unmarked,
    ) -> AsyncIterator[tuple[Change, RecordRejected | None]]:
        """Write changes of one partition in batches; give each with what went wrong with it, if anything.

        The `fence` raises before a batch when this run must stop writing. `mark` says how the guard's
        window counts a change; that is written with it.
        """
        table = await self._tables.table(USERS)
        onward = iter(changes)
        while chunk := list(islice(onward, CHANGES_AT_ONCE)):
            rows |= await take_over(table, chunk, fence)
            present = [one for one in chunk if one.object_id in rows or not needs_row(one)]
            prepared = [
                Prepared(one, operations(one, rows.get(one.object_id), stamp), mark(one))
                for one in present
            ]
            for batch in _batches(prepared):
                for done in await _write(fence, batch, stamp):
                    yield done
            for vanished in (one for one in chunk if one not in present):
                yield vanished, _changed_meanwhile()


def _with_rows(changes: Iterable[Change]) -> set[str]:
    return {change.object_id for change in changes if change.has_row}


def _people_of(partition: str, since: datetime | None = None) -> str:
    """Return the condition for the people of a partition, and for the marks since a moment."""
    end = HISTORY if since is None else marks_before(since)
    return f"PartitionKey eq {quoted(partition)} and RowKey lt {quoted(end)}"


def _batches(prepared: Sequence[Prepared]) -> list[list[Prepared]]:
    batches, start = [], 0
    groups_of = [one.operations for one in prepared]
    for groups in split(groups_of, spare=2, spare_bytes=MARKS_BYTES + FENCE_BYTES):
        batches.append(list(prepared[start : start + len(groups)]))
        start += len(groups)
    return batches


async def _write(
    fence: Fence, batch: Sequence[Prepared], stamp: Stamp
) -> list[tuple[Change, RecordRejected | None]]:
    """Write a batch; where one record is at fault, write the others without it."""
    try:
        marks = marks_of([(one.letter, one.change.object_id) for one in batch], stamp)
        await fence.submit(USERS, [*(each for one in batch for each in one.operations), *marks])
    except BatchRefused as refused:
        if refused.status >= 500 or refused.status == 429:
            raise RetryLater(
                "storage.unavailable",
                f"Table Storage refused a batch for now ({refused.code}).",
                "Nothing to do: the next run goes on.",
            ) from refused
        if len(batch) == 1:
            return [(batch[0].change, _rejected(refused))]
        culprit = _culprit(batch, refused.index)
        if culprit is None:
            halves = batch[: len(batch) // 2], batch[len(batch) // 2 :]
            return [done for half in halves for done in await _write(fence, half, stamp)]
        others = [one for one in batch if one is not culprit]
        return [(culprit.change, _rejected(refused)), *await _write(fence, others, stamp)]
    return [(one.change, None) for one in batch]


def _culprit(batch: Sequence[Prepared], index: int | None) -> Prepared | None:
    if index is None:
        return None
    for one in batch:
        index -= len(one.operations)
        if index < 0:
            return one
    return None


def _rejected(refused: BatchRefused) -> RecordRejected:
    if refused.status in {404, 412}:
        return _changed_meanwhile()
    return RecordRejected(
        "record.refused",
        f"Table Storage refuses this person's row ({refused.code}).",
        "Look at the mapped values of this person: one is too long or not allowed in a table.",
    )


def _changed_meanwhile() -> RecordRejected:
    return RecordRejected(
        "record.changedMeanwhile",
        "The stored row was changed by somebody else while the run was under way.",
        "Nothing to do: the next run reads it again.",
    )


async def bounded(limit: int, calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Make many calls with at most `limit` under way; the first error ends all of them."""
    gate = asyncio.Semaphore(limit)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await call()

    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(one(call))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
