"""The Checkpoints table: one partition a connection, with its checkpoint and its open cases.

In one partition, so that a run loads all of it by one query, and moves the checkpoint together with the
cases that it leaves open. Rows: `checkpoint|000` and on, `window|000`, `interest|000`, `reading|000` (a full
reading that is not finished), `dirty`, `open|{object id}|{cause}`, and those of `store.realtime`.
"""

import base64
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from uuid import UUID

import orjson
from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode
from pydantic import ValidationError

from sync_core.concurrency import in_thread
from sync_core.domain.compatibility import read
from sync_core.domain.incremental.checkpoint import Checkpoint, TrackedGroups
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.kept_reading import KeptReading
from sync_core.domain.incremental.notified import last_word
from sync_core.domain.incremental.open_people import (
    Cause,
    Key,
    OpenCase,
    Settlement,
    Word,
    opened,
)
from sync_core.domain.model import Reason
from sync_core.domain.plan.window import Marks
from sync_core.domain.realtime import Channel, RealtimeState
from sync_core.logs import log_event
from sync_core.store.fences import FENCE, FENCE_BYTES, FENCED_OPERATIONS, Fence
from sync_core.store.packing import delete, left_over, packed, piece_of, unpacked, upsert
from sync_core.store.realtime import Heard, heard_rows, kept_state
from sync_core.store.rows import moment
from sync_core.store.tables import CHECKPOINTS, Tables, asked
from sync_core.store.wire import (
    MAX_OPERATIONS,
    BatchRefused,
    Entity,
    Operation,
    Verb,
    query,
    quoted,
    split,
    storage_unavailable,
    submit,
    submit_current,
)

DIRTY = "dirty"
UUID_BYTES = 16
# So many people are named in one binary column of 64 KiB.
MOST_TOUCHED = 4_000
OPEN = "open|"
READING = "reading"
KINDS = ("checkpoint", "window", "interest", READING)
# What a notification says of a group stands in a column of the group and of what it says, so that several
# add up, and an old word that comes last takes the place of no newer one that says otherwise.
WORDS = {"Left_": True, "Came_": False, "Told_": None}
PREFIXES = {left: prefix for prefix, left in WORDS.items()}
# Opened by whoever changes something, or is told of a change, while a run may be under way.
OPENED_OUTSIDE = frozenset({Cause.BY_HAND, Cause.NOTIFIED})


@dataclass(slots=True)
class Kept:
    """What is stored of a connection for its incremental runs.

    `is_dirty`: people were written since the checkpoint, so its numbers have to be counted again; `touched`
    are those whom an earlier run was about to write, None for more than are named.
    `rows` are the row keys of what is packed, `fence` is the fence of the partition as it stood. `by_hand`
    are the ETags of cases that are opened outside of runs, by hand or by a notification. `heard` is what is
    known of notifications.
    """

    checkpoint: Checkpoint | None = None
    cases: dict[Key, OpenCase] = field(default_factory=dict)
    marks: list[Marks] = field(default_factory=list)
    interest: InterestSet | None = None
    reading: KeptReading | None = None
    is_dirty: bool = False
    touched: frozenset[str] | None = frozenset()
    rows: set[str] = field(default_factory=set)
    fence: Entity | None = None
    by_hand: dict[Key, str] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)


@dataclass(frozen=True, slots=True)
class Move:
    """What a run leaves: the settled cases, and the next checkpoint with its marks, if it moves.

    `interest` is a changed interest set, `realtime` what was learned of notifications, if anything was.
    `counts_again`: the next run has to count from the tables, as after a kill. `corrected` is the checkpoint
    of before with other groups: all that was written since is still to be counted.
    """

    settlement: Settlement
    checkpoint: Checkpoint | None = None
    marks: Sequence[Marks] = ()
    interest: InterestSet | None = None
    counts_again: bool = False
    realtime: RealtimeState | None = None
    corrected: Checkpoint | None = None


def with_touched(known: frozenset[str] | None, more: Iterable[str]) -> frozenset[str] | None:
    """Return the people whom runs were about to write, with those whom one more is; None for too many."""
    if known is None:
        return None
    found = known.union(islice(more, MOST_TOUCHED + 1))
    return found if len(found) <= MOST_TOUCHED else None


class CheckpointStore:
    """Checkpoints and open cases by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def load(self, connection_id: str) -> Kept:
        """Load all that is stored of a connection; a checkpoint that cannot be read is none."""
        table = await self._tables.table(CHECKPOINTS)
        pieces: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        kept = Kept()
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}", typed=True):
            for row in page:
                _take(kept, row, pieces)
        try:
            _unpack(kept, pieces)
        except (ValidationError, ValueError, zlib.error):
            log_event("checkpoint.unreadable", connection=connection_id)
            kept.checkpoint = None
        return kept

    async def tree(self, connection_id: str) -> TrackedGroups | None:
        """Load the tree of groups alone; None where there is no checkpoint that can be read."""
        table = await self._tables.table(CHECKPOINTS)
        mine = f"PartitionKey eq {quoted(connection_id)}"
        pieces: list[bytes] = []
        async for page in query(
            table, f"{mine} and RowKey ge 'checkpoint|' and RowKey lt 'checkpoint}}'", typed=True
        ):
            pieces += [piece_of(row) for row in page]
        try:
            return read(Checkpoint, unpacked(pieces)).tree if pieces else None
        except (ValidationError, ValueError, zlib.error):
            return None

    async def soil(self, connection_id: str, touched: Collection[str] | None) -> None:
        """Note that people are about to be written, and who; None for more than are named.

        Whoever is killed before the checkpoint moves leaves to the next run whom to look at again: what has
        happened to them since may be told by no delta.
        """
        table = await self._tables.table(CHECKPOINTS)
        people = b"".join(UUID(one).bytes for one in sorted(touched or ()))
        row: Entity = {"PartitionKey": connection_id, "RowKey": DIRTY, "People": people}
        try:
            await table.upsert_entity(row | {"Many": touched is None}, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def open(self, connection_id: str, cases: Iterable[OpenCase]) -> None:
        """Leave people to the next run; for who changes a row or a decision outside of a run."""
        table = await self._tables.table(CHECKPOINTS)
        written = [_opened(connection_id, case) for case in cases]
        for start in range(0, len(written), MAX_OPERATIONS):
            await submit_current(partial(submit, table), written[start : start + MAX_OPERATIONS])

    async def notify(
        self,
        connection_id: str,
        cases: Iterable[OpenCase],
        heard: Mapping[Channel, datetime] | None = None,
    ) -> None:
        """Leave notified people to the next run; raises `RetryLater` unless all of them were written.

        What is known of a person already is added to: two notifications may tell of two groups. `heard` says
        when notifications of which kind came, whomever they are about.
        """
        table = await self._tables.table(CHECKPOINTS)
        written = [_notified(connection_id, case) for case in cases]
        written += heard_rows(connection_id, heard or {})
        for start in range(0, len(written), MAX_OPERATIONS):
            try:
                await submit(table, written[start : start + MAX_OPERATIONS])
            except BatchRefused as refused:
                raise storage_unavailable(refused) from refused

    async def use_up(self, connection_id: str, kept: Kept, cases: Iterable[OpenCase]) -> None:
        """Close notified people's cases outside of a run, but those who were notified again since."""
        table = await self._tables.table(CHECKPOINTS)
        closed = [_closed(connection_id, case, kept.by_hand[case.key]) for case in cases]
        for start in range(0, len(closed), MAX_OPERATIONS):
            await submit_current(partial(submit, table), closed[start : start + MAX_OPERATIONS])

    async def move(self, connection_id: str, kept: Kept, move: Move, fence: Fence) -> None:
        """Write the open cases, and last the checkpoint; raises `LeaseLost` if another holder is there.

        One that does not fit into one transaction is not kept: every run is full then.
        """
        await fence.recall(CHECKPOINTS, connection_id, kept.fence)
        for batch in await in_thread(_batches, connection_id, kept, move):
            await fence.submit(CHECKPOINTS, [one for group in batch for one in group])
        # A decision that was made about the same person meanwhile is left to the next run.
        closed = [
            _closed(connection_id, case, kept.by_hand[case.key])
            for case in move.settlement.closed
            if case.key in kept.by_hand
        ]
        for start in range(0, len(closed), FENCED_OPERATIONS):
            write = partial(fence.submit, CHECKPOINTS)
            await submit_current(write, closed[start : start + FENCED_OPERATIONS])

    async def keep(
        self, connection_id: str, kept: Kept, reading: KeptReading, fence: Fence
    ) -> None:
        """Write where a reading stands that is not finished."""
        content = reading.model_dump_json(by_alias=True).encode()
        rows = _replaced(connection_id, kept, READING, content)
        await fence.submit(CHECKPOINTS, rows)
        kept.reading = reading
        kept.rows |= {row.entity["RowKey"] for row in rows}

    async def drop(self, connection_id: str, kept: Kept, fence: Fence) -> None:
        """Forget a reading that nothing can go on with."""
        if rows := left_over(connection_id, kept.rows, (), (READING,)):
            await fence.submit(CHECKPOINTS, rows)
            kept.rows -= {row.entity["RowKey"] for row in rows}

    async def forget(self, connection_id: str) -> None:
        """Delete all that is stored of a connection: one of the same id must not go on from it."""
        table = await self._tables.table(CHECKPOINTS)
        for partition in (connection_id, reports_of(connection_id)):
            async for page in query(table, f"PartitionKey eq {quoted(partition)}", ["RowKey"]):
                for row in page:
                    await asked(partial(table.delete_entity, partition, row["RowKey"]))


async def leave_to_next_run(
    tables: Tables, connection_id: str, object_id: str, now: datetime
) -> None:
    """Have the next run look at a person whose row or decision was changed by hand."""
    case = opened(object_id, Cause.BY_HAND, now)
    await CheckpointStore(tables).open(connection_id, [case])


def reports_of(connection_id: str) -> str:
    """Return the partition that holds who reports to whom."""
    return f"{connection_id}|reports"


def _batches(connection_id: str, kept: Kept, move: Move) -> list[list[Sequence[Operation]]]:
    before = _cases(connection_id, move.settlement, kept.by_hand)
    if move.interest is not None:
        before += _replaced(connection_id, kept, "interest", bytes(move.interest.bits))
    if move.realtime is not None:
        before.append(kept_state(connection_id, move.realtime))
    groups = [[one] for one in before]
    # A reading ends with the run that has come to its end, whether that moves the checkpoint or not.
    last = left_over(connection_id, kept.rows, (), (READING,))
    if move.checkpoint is not None:
        moved = _last(connection_id, kept, move, move.checkpoint)
        if len(split([[one] for one in moved], spare=1, spare_bytes=FENCE_BYTES)) > 1:
            log_event("checkpoint.tooLarge", connection=connection_id)
            moved = _none(connection_id, kept)
        last += moved
    if move.corrected is not None:
        last += _of_checkpoint(connection_id, kept, move.corrected)
    groups += [last] if last else []
    return split(groups, spare=1, spare_bytes=FENCE_BYTES)


def _last(connection_id: str, kept: Kept, move: Move, checkpoint: Checkpoint) -> list[Operation]:
    """Return the operations that move the checkpoint; they are written together, and last."""
    window = orjson.dumps([tuple(marks) for marks in move.marks])
    counts_again = move.counts_again or len(packed(connection_id, "window", window)) > 1
    rows = _of_checkpoint(connection_id, kept, checkpoint)
    rows += _replaced(connection_id, kept, "window", b"[]" if counts_again else window)
    if counts_again:
        return [*rows, upsert(connection_id, DIRTY)]
    return [*rows, delete(connection_id, DIRTY)] if kept.is_dirty else rows


def _of_checkpoint(connection_id: str, kept: Kept, checkpoint: Checkpoint) -> list[Operation]:
    content = checkpoint.model_dump_json(by_alias=True).encode()
    return _replaced(connection_id, kept, "checkpoint", content)


def _none(connection_id: str, kept: Kept) -> list[Operation]:
    """Return the operations that take the checkpoint away: there is nothing to go on from."""
    kinds = ("checkpoint", "window")
    return [*left_over(connection_id, kept.rows, (), kinds), upsert(connection_id, DIRTY)]


def _replaced(connection_id: str, kept: Kept, kind: str, content: bytes) -> list[Operation]:
    rows = packed(connection_id, kind, content)
    return [*rows, *left_over(connection_id, kept.rows, rows, (kind,))]


def _take(kept: Kept, row: Entity, pieces: Mapping[str, list[bytes]]) -> None:
    if kept.heard.take(row):
        return
    key = str(row["RowKey"])
    kind = key.partition("|")[0]
    if key == FENCE:
        kept.fence = row
    elif key == DIRTY:
        kept.is_dirty, kept.touched = True, _touched(row)
    elif key.startswith(OPEN):
        case = _case(row)
        if case is not None:
            kept.cases[case.key] = case
            if case.cause in OPENED_OUTSIDE:
                kept.by_hand[case.key] = row["odata.etag"]
    elif kind in pieces:
        # Rows come sorted by their keys, so the pieces are in order.
        pieces[kind].append(piece_of(row))
        kept.rows.add(key)


def _touched(row: Entity) -> frozenset[str] | None:
    if row.get("Many"):
        return None
    people = base64.b64decode(row.get("People", ""))
    starts = range(0, len(people), UUID_BYTES)
    return frozenset(str(UUID(bytes=people[start : start + UUID_BYTES])) for start in starts)


def _case(row: Entity) -> OpenCase | None:
    """Read a case; None for a cause that only another release knows: it stays as it is."""
    _, object_id, word = str(row["RowKey"]).split("|")
    reason = row.get("Reason")
    try:
        return OpenCase(
            object_id,
            Cause(word),
            datetime.fromisoformat(row["Since"]),
            datetime.fromisoformat(row["DueAt"]),
            Reason(reason) if reason else None,
            datetime.fromisoformat(row["ToldAt"]) if row.get("ToldAt") else None,
            bool(row.get("Itself")),
            tuple(_words(row)),
        )
    except ValueError:
        return None


def _words(row: Entity) -> Iterator[Word]:
    """Yield what was said of each group last."""
    found: dict[str, Word] = {}
    for column, at in row.items():
        prefix, group = column[:5], column[5:]
        if prefix in WORDS and "@" not in column:
            time = datetime.fromisoformat(at) if at else None
            word = Word(str(UUID(group)), WORDS[prefix], time)
            found[word.group] = last_word(found.get(word.group), word)
    yield from found.values()


def _unpack(kept: Kept, pieces: Mapping[str, list[bytes]]) -> None:
    found = {kind: unpacked(some) for kind, some in pieces.items() if some}
    if "checkpoint" in found:
        kept.checkpoint = read(Checkpoint, found["checkpoint"])
    kept.marks = [
        Marks(datetime.fromisoformat(at), run_id, tuple(marks), first)
        for at, run_id, marks, first in orjson.loads(found.get("window", b"[]"))
    ]
    if READING in found:
        kept.reading = read(KeptReading, found[READING])
    if "interest" in found:
        kept.interest = InterestSet(bytearray(found["interest"]))


def _cases(
    connection_id: str, settlement: Settlement, by_hand: Mapping[Key, str]
) -> list[Operation]:
    written = [_opened(connection_id, case) for case in settlement.written]
    closed = [_closed(connection_id, case) for case in settlement.closed if case.key not in by_hand]
    return [*written, *closed]


def _closed(connection_id: str, case: OpenCase, etag: str = "*") -> Operation:
    row = {"PartitionKey": connection_id, "RowKey": _case_key(case)}
    return Operation(Verb.DELETE, row, etag)


def _notified(connection_id: str, case: OpenCase) -> Operation:
    columns = moment("Since", case.since) | moment("DueAt", case.due_at)
    if case.told_at is not None:
        columns |= moment("ToldAt", case.told_at)
    if case.itself:
        columns["Itself"] = True
    for word in case.words:
        at = word.at.astimezone(UTC).isoformat() if word.at is not None else ""
        columns[PREFIXES[word.left] + UUID(word.group).hex] = at
    keys = {"PartitionKey": connection_id, "RowKey": _case_key(case)}
    return Operation(Verb.ADD, keys | columns)


def _opened(connection_id: str, case: OpenCase) -> Operation:
    reason = {"Reason": case.reason.value} if case.reason is not None else {}
    times = moment("Since", case.since) | moment("DueAt", case.due_at)
    return upsert(connection_id, _case_key(case), **times, **reason)


def _case_key(case: OpenCase) -> str:
    return f"{OPEN}{case.object_id}|{case.cause.value}"
