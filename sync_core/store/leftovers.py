"""The Leftovers table: connections that were deleted and whose people's rows are still there, by tenant.

That another connection takes those rows over is noted here, in the row of the deleted one: so only one can.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from sync_core.domain.errors import Conflict
from sync_core.domain.matching.takeover import Leftover
from sync_core.store.tables import LEFTOVERS, Tables
from sync_core.store.wire import quoted, storage_unavailable


class LeftoverStore:
    """Deleted connections by tenant; one may have been made again since."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def note(self, tenant_id: str, connection_id: str, now: datetime) -> None:
        """Note a connection that is deleted; what was confirmed of an earlier one of this id is forgotten."""
        table = await self._tables.table(LEFTOVERS)
        row = {"PartitionKey": tenant_id.lower(), "RowKey": connection_id, "At": now}
        try:
            await table.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def of_tenant(self, tenant_id: str) -> list[Leftover]:
        """Return the connections of a tenant that were deleted and left their people's rows, by id."""
        return [one async for one in self._found(f"PartitionKey eq {quoted(tenant_id.lower())}")]

    async def of_connection(self, connection_id: str) -> list[Leftover]:
        """Return the leftovers of a connection: one for each tenant that it was connected to."""
        return [one async for one in self._found(f"RowKey eq {quoted(connection_id)}")]

    async def save(self, leftover: Leftover) -> None:
        """Store who takes a leftover over; raise `Conflict` where it was changed since it was read."""
        table = await self._tables.table(LEFTOVERS)
        try:
            await table.update_entity(
                _row(leftover),
                mode=UpdateMode.REPLACE,
                etag=leftover.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise Conflict(
                "takeover.changedMeanwhile",
                f"The takeover of {leftover.connection_id!r} was changed by a run or by somebody else.",
                "Look at it again with GET /api/connections/{id}/takeovers, then repeat what you want.",
            ) from error
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def release(self, taker: str) -> None:
        """Forget what a connection takes over: one of the same id must not inherit that."""
        async for one in self._found(f"Taker eq {quoted(taker)}"):
            await self.save(
                Leftover(one.tenant_id, one.connection_id, one.deleted_at, etag=one.etag)
            )

    async def forget(self, connection_id: str) -> None:
        """Forget a connection whose people's rows are gone, too, whatever its tenant was."""
        table = await self._tables.table(LEFTOVERS)
        async for one in self._found(f"RowKey eq {quoted(connection_id)}"):
            try:
                await table.delete_entity(one.tenant_id, one.connection_id)
            except AzureError as error:
                raise storage_unavailable(error) from error

    async def _found(self, condition: str) -> AsyncIterator[Leftover]:
        table = await self._tables.table(LEFTOVERS)
        try:
            async for row in table.query_entities(condition):
                yield _leftover(row, str(row.metadata["etag"]))
        except AzureError as error:
            raise storage_unavailable(error) from error


def _row(leftover: Leftover) -> dict[str, Any]:
    columns = {
        "PartitionKey": leftover.tenant_id,
        "RowKey": leftover.connection_id,
        "At": leftover.deleted_at,
        "Taker": leftover.taker or None,
        "ConfirmedAt": leftover.confirmed_at,
        "ConfirmedBy": leftover.confirmed_by or None,
        "Reason": leftover.reason or None,
        "DoneAt": leftover.done_at,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _leftover(row: Mapping[str, Any], etag: str) -> Leftover:
    return Leftover(
        row["PartitionKey"],
        row["RowKey"],
        row["At"],
        row.get("Taker") or "",
        row.get("ConfirmedAt"),
        row.get("ConfirmedBy") or "",
        row.get("Reason") or "",
        row.get("DoneAt"),
        etag,
    )
