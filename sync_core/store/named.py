"""The NamedPeople table: who was named for a run of their own that has not ended; one row a run.

Written before the queue is told, and deleted when the run has ended. Who handles a message does all that
waits for the connection, so neither a lost message nor a killed worker loses what was asked for.
"""

from collections.abc import AsyncIterator
from functools import partial

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from sync_core.domain.compatibility import read
from sync_core.domain.documents.request import NamedPeople
from sync_core.store.rows import joined, pieces
from sync_core.store.tables import NAMED, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable


class NamedStore:
    """People who were named, by connection and run."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, named: NamedPeople) -> None:
        table = await self._tables.table(NAMED)
        keys = {"PartitionKey": named.connection_id, "RowKey": named.run_id}
        row = keys | pieces("Document", named.model_dump_json(by_alias=True))
        try:
            await table.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def waiting(self, connection_id: str) -> list[NamedPeople]:
        """Return what waits for a connection, what was asked for first first."""
        table = await self._tables.table(NAMED)
        found: list[NamedPeople] = []
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}"):
            found += (read(NamedPeople, joined("Document", row)) for row in page)
        # The newest run sorts first.
        return found[::-1]

    async def all(self) -> AsyncIterator[NamedPeople]:
        """Yield what waits for any connection."""
        table = await self._tables.table(NAMED)
        async for page in query(table, "PartitionKey gt ''"):
            for row in page:
                yield read(NamedPeople, joined("Document", row))

    async def forget(self, named: NamedPeople) -> None:
        table = await self._tables.table(NAMED)
        await asked(partial(table.delete_entity, named.connection_id, named.run_id))

    async def forget_all(self, connection_id: str) -> None:
        """Forget what waits: a connection with the same id must not inherit it."""
        for named in await self.waiting(connection_id):
            await self.forget(named)
