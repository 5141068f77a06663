"""The Deletions table: deletions of connections that have begun and not come to their end.

A row is written before the first person is touched and goes last: until then nobody saves a connection
of this id, and whoever finds the row goes on with the deletion.
"""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError

from sync_core.domain.connections.deletion import Deletion, Users
from sync_core.store.tables import DELETIONS, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable

PARTITION = "deletion"


class DeletionStore:
    """Deletions under way, by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def find(self, connection_id: str) -> Deletion | None:
        table = await self._tables.table(DELETIONS)
        row = await asked(partial(table.get_entity, PARTITION, connection_id))
        return _deletion(row) if row is not None else None

    async def all(self) -> AsyncIterator[Deletion]:
        table = await self._tables.table(DELETIONS)
        async for page in query(table, f"PartitionKey eq {quoted(PARTITION)}"):
            for row in page:
                yield _deletion(row)

    async def begin(self, deletion: Deletion) -> None:
        table = await self._tables.table(DELETIONS)
        row = {
            "PartitionKey": PARTITION,
            "RowKey": deletion.connection_id,
            "Users": deletion.users.value,
            "By": deletion.by,
            "RunId": deletion.run_id,
            "People": deletion.people,
        }
        try:
            await table.upsert_entity(row)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def end(self, connection_id: str) -> None:
        table = await self._tables.table(DELETIONS)
        await asked(partial(table.delete_entity, PARTITION, connection_id))


def _deletion(row: Mapping[str, Any]) -> Deletion:
    return Deletion(row["RowKey"], Users(row["Users"]), row["By"], row["RunId"], row["People"])
