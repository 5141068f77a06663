"""The Readings table: what Graph has answered in a reading that is not finished, one partition a connection.

Rows `{reading}|{part}|{number}`; a part is what one run has left, compressed as a whole. The checkpoint's
partition says which of them are valid: rows that it does not name are what a killed run has left.
"""

import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial

from sync_core.concurrency import in_thread, produced
from sync_core.domain.errors import SyncError
from sync_core.domain.incremental.kept_reading import KeptReading
from sync_core.store.fences import FENCED_OPERATIONS, Fence
from sync_core.store.packing import COLUMN_BYTES, columns_of, delete, piece_of, upsert
from sync_core.store.rows import HISTORY
from sync_core.store.tables import READINGS, Tables, asked
from sync_core.store.wire import query, quoted

# A batch holds 4 MiB of the letters in which bytes are sent, four for three; an entity 1 MiB of bytes, or of
# letters where the service is Azurite.
ROW_BYTES = 11 * COLUMN_BYTES
ROWS_A_BATCH = 3
# Speed matters, as the process may be about to end: a third of the CPU time for a quarter more bytes.
LEVEL = 1


class ReadingBroken(SyncError):
    """What was kept of a reading is not all there."""


class ReadingStore:
    """Kept readings by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(
        self, connection_id: str, reading: KeptReading, content: Iterable[bytes], fence: Fence
    ) -> int:
        """Write the next part of a reading; return the number of its rows, which make it valid."""
        rows = 0
        batches = _batches(_pressed(content))
        async for pieces in produced(batches):
            await fence.submit(
                READINGS,
                [
                    upsert(connection_id, _key(reading, rows + place), **columns_of(piece))
                    for place, piece in enumerate(pieces)
                ],
            )
            rows += len(pieces)
        return rows

    async def load(self, connection_id: str, reading: KeptReading) -> AsyncIterator[bytes]:
        """Yield the content of a reading in chunks; raises `ReadingBroken` if a part of it is missing."""
        table = await self._tables.table(READINGS)
        for part, rows in enumerate(reading.parts):
            prefix, found, unpack = f"{reading.id}|{part:03d}|", 0, zlib.decompressobj()
            # A killed run may have left rows behind those of the part that was then written again.
            keys = f"RowKey ge {quoted(prefix)} and RowKey lt {quoted(f'{prefix}{rows:05d}')}"
            condition = f"PartitionKey eq {quoted(connection_id)} and {keys}"
            async for page in query(table, condition, top=ROWS_A_BATCH):
                for row in page:
                    found += 1
                    yield await in_thread(_unpacked, unpack, piece_of(row))
            if found != rows or not unpack.eof:
                raise ReadingBroken(
                    "reading.broken",
                    f"Of the part {part} of a reading {found} of {rows} rows are there.",
                    "Nothing to do: the directory is read from the beginning.",
                )

    async def clear(self, connection_id: str, fence: Fence) -> None:
        """Delete all rows of a connection, as the holder of it."""
        table = await self._tables.table(READINGS)
        condition = f"PartitionKey eq {quoted(connection_id)} and RowKey lt {quoted(HISTORY)}"
        async for page in query(table, condition, ["RowKey"], top=FENCED_OPERATIONS):
            if page:
                await fence.submit(READINGS, [delete(connection_id, row["RowKey"]) for row in page])

    async def forget(self, connection_id: str) -> None:
        """Delete all that is kept of a connection that is deleted."""
        table = await self._tables.table(READINGS)
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}", ["RowKey"]):
            for row in page:
                await asked(partial(table.delete_entity, connection_id, row["RowKey"]))


def _key(reading: KeptReading, number: int) -> str:
    return f"{reading.id}|{len(reading.parts):03d}|{number:05d}"


def _pressed(content: Iterable[bytes]) -> Iterator[bytes]:
    """Compress a content of any size into pieces, each for one row."""
    press, waiting = zlib.compressobj(LEVEL), b""
    for chunk in content:
        waiting += press.compress(chunk)
        while len(waiting) >= ROW_BYTES:
            yield waiting[:ROW_BYTES]
            waiting = waiting[ROW_BYTES:]
    waiting += press.flush()
    for start in range(0, len(waiting), ROW_BYTES):
        yield waiting[start : start + ROW_BYTES]


def _batches(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for piece in pieces:
        batch.append(piece)
        if len(batch) == ROWS_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _unpacked(unpack: "zlib._Decompress", piece: bytes) -> bytes:
    try:
        return unpack.decompress(piece)
    except zlib.error as error:
        raise ReadingBroken(
            "reading.broken",
            "What was kept of a reading cannot be unpacked.",
            "Nothing to do: the directory is read from the beginning.",
        ) from error
