"""The Plans table: the changes a run decided on, compressed, as they are shown and approved.

Written before the first change is applied: what was planned can be read whatever happens next.
"""

import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial

import orjson
from azure.core.exceptions import AzureError

from sync_core.concurrency import produced
from sync_core.store.tables import PLANS, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable

# A binary column holds 64 KiB and an entity 1 MiB; compressed JSON of this many changes stays below.
CHANGES_A_CHUNK = 500
COLUMN_BYTES = 65_536
MAX_COLUMNS = 15

Document = dict[str, object]


class PlanTooLarge(Exception):
    """A chunk of changes does not fit one entity even when it is compressed."""


class PlanStore:
    """Plans by run."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, connection_id: str, run_id: str, changes: Iterable[Document]) -> None:
        table = await self._tables.table(PLANS)
        number = 0
        packed = (columns for chunk in _chunks(changes) for columns in _columns(chunk))
        async for columns in produced(packed):
            entity = {
                "PartitionKey": _partition(connection_id, run_id),
                "RowKey": f"{number:08d}",
                **columns,
            }
            try:
                await table.upsert_entity(entity)
            except AzureError as error:
                raise storage_unavailable(error) from error
            number += 1

    async def load(
        self, connection_id: str, run_id: str, *, skip: int = 0
    ) -> AsyncIterator[Document]:
        """Return the changes of a run in the plan's order, without the first `skip`."""
        table = await self._tables.table(PLANS)
        condition = f"PartitionKey eq {quoted(_partition(connection_id, run_id))}"
        async for page in query(table, condition, ["RowKey", "Count"]):
            for row in page:
                if skip >= row["Count"]:
                    skip -= row["Count"]
                    continue
                for change in (await self._chunk(connection_id, run_id, row["RowKey"]))[skip:]:
                    yield change
                skip = 0

    async def has(self, connection_id: str, run_id: str) -> bool:
        """Whether a run has stored its plan, or some of it."""
        table = await self._tables.table(PLANS)
        condition = f"PartitionKey eq {quoted(_partition(connection_id, run_id))}"
        async for page in query(table, condition, ["RowKey"], top=1):
            if page:
                return True
        return False

    async def _chunk(self, connection_id: str, run_id: str, key: str) -> list[Document]:
        table = await self._tables.table(PLANS)
        entity = await asked(partial(table.get_entity, _partition(connection_id, run_id), key))
        if entity is None:
            return []
        packed = b"".join(
            entity[f"Data{number}"] for number in range(MAX_COLUMNS) if f"Data{number}" in entity
        )
        changes: list[Document] = orjson.loads(zlib.decompress(packed))
        return changes

    async def delete(self, connection_id: str, run_id: str) -> None:
        table = await self._tables.table(PLANS)
        partition = _partition(connection_id, run_id)
        async for page in query(table, f"PartitionKey eq {quoted(partition)}", ["RowKey"]):
            for row in page:
                await asked(partial(table.delete_entity, partition, row["RowKey"]))


def _partition(connection_id: str, run_id: str) -> str:
    return f"{connection_id}|{run_id}"


def _chunks(changes: Iterable[Document]) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    for change in changes:
        chunk.append(change)
        if len(chunk) == CHANGES_A_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _columns(chunk: list[Document]) -> Iterator[dict[str, object]]:
    """Pack a chunk into the columns of one entity, or of several where the values are very long."""
    packed = zlib.compress(orjson.dumps(chunk), level=1)
    if len(packed) > MAX_COLUMNS * COLUMN_BYTES:
        if len(chunk) == 1:
            raise PlanTooLarge
        half = len(chunk) // 2
        yield from _columns(chunk[:half])
        yield from _columns(chunk[half:])
        return
    pieces = [packed[start : start + COLUMN_BYTES] for start in range(0, len(packed), COLUMN_BYTES)]
    yield {"Count": len(chunk), **{f"Data{number}": piece for number, piece in enumerate(pieces)}}
