"""The Leftovers table: connections that were deleted and whose people's rows are still there, by tenant."""

from datetime import datetime

from azure.core.exceptions import AzureError

from sync_core.store.tables import LEFTOVERS, Tables
from sync_core.store.wire import query, quoted, storage_unavailable


class LeftoverStore:
    """Ids of deleted connections by tenant; one may have been made again since."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def note(self, tenant_id: str, connection_id: str, now: datetime) -> None:
        table = await self._tables.table(LEFTOVERS)
        try:
            await table.upsert_entity(
                {"PartitionKey": tenant_id.lower(), "RowKey": connection_id, "At": now}
            )
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def of_tenant(self, tenant_id: str) -> list[str]:
        """Return the connections of a tenant that were deleted and left their people's rows."""
        table = await self._tables.table(LEFTOVERS)
        condition = f"PartitionKey eq {quoted(tenant_id.lower())}"
        return [row["RowKey"] async for page in query(table, condition, ["RowKey"]) for row in page]

    async def forget(self, connection_id: str) -> None:
        """Forget a connection whose people's rows are gone, too, whatever its tenant was."""
        table = await self._tables.table(LEFTOVERS)
        try:
            async for row in table.query_entities(f"RowKey eq {quoted(connection_id)}"):
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
        except AzureError as error:
            raise storage_unavailable(error) from error
