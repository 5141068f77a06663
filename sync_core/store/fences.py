"""In each partition one row that says which hold may write there; every batch of a hold carries it.

A lease alone cannot stop a worker that sleeps between its last look at the clock and its write. So each
batch begins with the row `~fence` of its partition, in the same transaction: it names the hold and the
epoch of its lease, and is replaced only as it was last seen. The first batch of a newer hold changes it,
and what an older one sends from then on is refused as a whole.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from azure.data.tables.aio import TableClient

from sync_core.domain.errors import RetryLater
from sync_core.domain.model import StillHeld
from sync_core.store.leases import LeaseStore
from sync_core.store.rows import HISTORY
from sync_core.store.tables import Tables
from sync_core.store.wire import (
    MAX_OPERATIONS,
    BatchRefused,
    Entity,
    Operation,
    Verb,
    point,
    submit,
)

FENCE = f"{HISTORY}fence"
# One operation of a batch is the fence; with all its columns it takes less than this.
FENCED_OPERATIONS = MAX_OPERATIONS - 1
FENCE_BYTES = 512
# Of another hold that writes at the same moment; the older one of the two finds out at once.
ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Claim:
    """What a hold has taken: the lease of a connection, under its own name, at an epoch."""

    connection_id: str
    holder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class _Standing:
    """A fence as it stands: by whom, at which epoch, and which batch of that hold; no ETag, no row."""

    etag: str | None = None
    epoch: int = 0
    holder: str = ""
    batch: int = 0


@dataclass(slots=True)
class _Place:
    """A partition that a hold writes to; `seen` is None until its fence was read, or may be another."""

    table: TableClient
    partition: str
    seen: _Standing | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fence:
    """One hold's way to write rows that only the holder of a connection may write."""

    def __init__(
        self, tables: Tables, leases: LeaseStore, claim: Claim, still_held: StillHeld
    ) -> None:
        self._tables = tables
        self._leases = leases
        self._claim = claim
        self._still_held = still_held
        self._batches = 0
        self._places: defaultdict[str, dict[str, _Place]] = defaultdict(dict)

    async def check(self) -> None:
        """Raise when the holder must stop writing; `submit` does so itself."""
        await self._still_held()

    async def submit(self, table: str, operations: Sequence[Operation]) -> None:
        """Write up to 99 operations of one partition: all of them, or none and `BatchRefused`.

        Raises `LeaseLost`, and what the hold's check raises, before anything is written.
        """
        place = await self._place(table, operations[0].entity["PartitionKey"])
        async with place.lock:
            await self._still_held()
            await self._write(place, Verb.REPLACE, operations)

    async def recall(self, table: str, partition: str, row: Entity | None) -> None:
        """Take the fence of a partition as it was loaded with other rows, which saves to ask for it.

        If it is another by now, the next batch is refused and finds out.
        """
        place = await self._place(table, partition)
        if place.seen is None:
            place.seen = _standing(row)

    async def remove(self, table: str, partition: str) -> None:
        """Delete the fence of a partition from which all that it kept has gone."""
        place = await self._place(table, partition)
        async with place.lock:
            await self._still_held()
            await self._write(place, Verb.DELETE, [])

    async def _place(self, name: str, partition: str) -> _Place:
        places = self._places[name]
        if partition not in places:
            table = await self._tables.table(name)
            places.setdefault(partition, _Place(table, partition))
        return places[partition]

    async def _write(self, place: _Place, verb: Verb, operations: Sequence[Operation]) -> None:
        for _ in range(ATTEMPTS):
            seen = await self._passable(place)
            if verb is Verb.DELETE and seen.etag is None:
                return
            if await self._sent(place, seen, verb, operations):
                return
        raise RetryLater(
            "run.fenceBusy",
            "The rows of the connection are being written by another worker at the same moment.",
            "Nothing to do: the next run goes on.",
        )

    async def _passable(self, place: _Place) -> _Standing:
        """Return the fence as it stands; raise `LeaseLost` where a newer hold has put it up.

        Where there is none, it may have been deleted with the connection; and an older release may have
        deleted the lease, whose epoch then began again. In both cases the lease itself says who holds it.
        """
        seen = place.seen or await _read(place)
        is_own = seen.holder == self._claim.holder
        if not is_own and (seen.etag is None or seen.epoch >= self._claim.epoch):
            epoch = await self._leases.confirm(
                self._claim.connection_id, self._claim.holder, seen.epoch
            )
            self._claim = replace(self._claim, epoch=epoch)
        return seen

    async def _sent(
        self, place: _Place, seen: _Standing, verb: Verb, operations: Sequence[Operation]
    ) -> bool:
        """Send a batch; false if the fence is not what it was, and the batch has to be sent again."""
        claim, place.seen = self._claim, None
        self._batches += 1
        sent = _Standing(epoch=claim.epoch, holder=claim.holder, batch=self._batches)
        try:
            etag = await submit(place.table, [self._fence(place, sent, seen, verb), *operations])
        except BatchRefused as refused:
            if refused.index:
                place.seen = seen
                raise BatchRefused(refused.status, refused.code, refused.index - 1) from refused
            place.seen = await _read(place)
            if place.seen == seen:
                raise BatchRefused(refused.status, refused.code, None) from refused
            # Written, and sent again by the SDK because its answer was lost.
            return _is(place.seen, sent)
        except RetryLater:
            # Nothing but the fence can tell whether it was written.
            await self._still_held()
            place.seen = await _read(place)
            if not _is(place.seen, sent):
                raise
            return True
        if verb is Verb.DELETE:
            place.seen = _Standing()
        elif etag is not None:
            place.seen = replace(sent, etag=etag)
        return True

    def _fence(self, place: _Place, sent: _Standing, seen: _Standing, verb: Verb) -> Operation:
        row: Entity = {
            "PartitionKey": place.partition,
            "RowKey": FENCE,
            "ConnectionId": self._claim.connection_id,
            "Epoch": sent.epoch,
            "Holder": sent.holder,
            "Batch": sent.batch,
        }
        return Operation(verb, row, seen.etag) if seen.etag else Operation(Verb.INSERT, row)


def _is(seen: _Standing, sent: _Standing) -> bool:
    return replace(seen, etag=None) == sent


async def _read(place: _Place) -> _Standing:
    return _standing(await point(place.table, place.partition, FENCE))


def _standing(row: Entity | None) -> _Standing:
    if row is None:
        return _Standing()
    return _Standing(
        row["odata.etag"], row.get("Epoch") or 0, row.get("Holder") or "", row.get("Batch") or 0
    )
