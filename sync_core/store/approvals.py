"""The Approvals table: plans over the guard's limit that an administrator has confirmed beforehand.

A row is named by connection and by the digest of who comes and goes in the plan (`plan_hashes`), so it
is good for that very plan and no other. It is taken away by the run that it let through, and ends by
itself after a day: the directory of next week is not the one that was looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from sync_core.store.tables import APPROVALS, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable

LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who confirmed the plan with these moves, when, and until when it counts.

    `run_id` is the run that was let through by it and has not ended yet, or was killed.
    """

    connection_id: str
    moves: str
    by: str
    at: datetime
    expires_at: datetime
    run_id: str | None = None


class ApprovalStore:
    """Confirmed plans by connection and moves."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def remember(self, connection_id: str, moves: str, by: str, now: datetime) -> None:
        """Note a confirmation; one of the same plan that is there already begins its day anew."""
        table = await self._tables.table(APPROVALS)
        row = {
            "PartitionKey": connection_id,
            "RowKey": moves,
            "By": by,
            "At": now,
            "ExpiresAt": now + LIFE,
        }
        try:
            await table.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def find(self, connection_id: str, moves: str, now: datetime) -> Approval | None:
        """Return the confirmation of a plan, unless its day is over."""
        table = await self._tables.table(APPROVALS)
        row = await asked(partial(table.get_entity, connection_id, moves))
        if row is None or row["ExpiresAt"] <= now:
            return None
        return _approval(row)

    async def begin(self, approval: Approval, run_id: str) -> None:
        """Note the run whose plan is the confirmed one."""
        table = await self._tables.table(APPROVALS)
        keys = {"PartitionKey": approval.connection_id, "RowKey": approval.moves}
        await asked(partial(table.update_entity, keys | {"RunId": run_id}))

    async def begun(self, connection_id: str, now: datetime) -> list[Approval]:
        """Return the confirmations with which a run has begun that has not ended well yet."""
        table = await self._tables.table(APPROVALS)
        try:
            return [
                _approval(row)
                async for row in table.query_entities(f"PartitionKey eq {quoted(connection_id)}")
                if "RunId" in row and row["ExpiresAt"] > now
            ]
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def forget(self, connection_id: str, moves: str) -> None:
        table = await self._tables.table(APPROVALS)
        await asked(partial(table.delete_entity, connection_id, moves))

    async def forget_all(self, connection_id: str) -> None:
        """Forget what was confirmed for a connection: one with the same id must not inherit it."""
        table = await self._tables.table(APPROVALS)
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}", ["RowKey"]):
            for row in page:
                await self.forget(connection_id, row["RowKey"])


def _approval(row: Mapping[str, Any]) -> Approval:
    return Approval(
        row["PartitionKey"],
        row["RowKey"],
        row["By"],
        row["At"],
        row["ExpiresAt"],
        row.get("RunId"),
    )
