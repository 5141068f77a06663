"""The Audit table: what administrators did. Rows are added and never changed; the app deletes none."""

from datetime import datetime

import orjson
from azure.core.exceptions import AzureError

from sync_core.store.runs import new_run_id
from sync_core.store.tables import AUDIT, Tables
from sync_core.store.wire import storage_unavailable


class AuditStore:
    """Acts by month, the newest first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def note(
        self, now: datetime, by: str, action: str, connection_id: str, **details: object
    ) -> None:
        """Add a row: who did what to which connection, with numbers and ids, never with a person's values."""
        table = await self._tables.table(AUDIT)
        row = {
            "PartitionKey": f"{now:%Y-%m}",
            # Named as a run is: the newest sorts first, and no two get the same name.
            "RowKey": new_run_id(now),
            "At": now,
            "By": by,
            "Action": action,
            "ConnectionId": connection_id,
            "Details": orjson.dumps(details).decode(),
        }
        try:
            await table.create_entity(row)
        except AzureError as error:
            raise storage_unavailable(error) from error
