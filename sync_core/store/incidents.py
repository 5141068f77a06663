"""The Incidents table: what was wrong with a connection, from when until when; newest first."""

from datetime import datetime
from functools import partial

from azure.core.exceptions import AzureError

from sync_core.domain.health import Incident
from sync_core.store.rows import END_OF_TIME_MS
from sync_core.store.tables import INCIDENTS, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable


class IncidentStore:
    """Incidents by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def put(
        self, connection_id: str, incident: Incident, ended_at: datetime | None = None
    ) -> None:
        """Store an incident that is open, or has ended."""
        table = await self._tables.table(INCIDENTS)
        row = {
            "PartitionKey": connection_id,
            "RowKey": _key(incident),
            "Code": incident.code,
            "Message": incident.message,
            "Remedy": incident.remedy,
            "OpenedAt": incident.since,
            **({"EndedAt": ended_at} if ended_at is not None else {}),
        }
        try:
            await table.upsert_entity(row)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def all(self, connection_id: str) -> list[tuple[str, datetime | None]]:
        """Return the codes of a connection's incidents, newest first, each with when it ended."""
        table = await self._tables.table(INCIDENTS)
        rows = table.query_entities(f"PartitionKey eq {quoted(connection_id)}")
        return [(row["Code"], row.get("EndedAt")) async for row in rows]

    async def delete_all(self, connection_id: str) -> None:
        table = await self._tables.table(INCIDENTS)
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}", ["RowKey"]):
            for row in page:
                await asked(partial(table.delete_entity, connection_id, row["RowKey"]))


def _key(incident: Incident) -> str:
    left = END_OF_TIME_MS - int(incident.since.timestamp() * 1000)
    return f"{left:013d}-{incident.code}"
