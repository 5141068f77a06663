"""What is too old to be kept: runs with their plans, histories of people, and marks of the guard's window.

Found by key, since all of them are named newest first, and deleted a page at a time. Partitions are found
by looking for the next one, so those of connections that are gone are found, too. And the Retention table:
how far the passes are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from azure.data.tables.aio import TableClient

from sync_core.domain.model import HEX_DIGITS
from sync_core.domain.retention import Pass
from sync_core.store.marks import marks_before
from sync_core.store.plans import PlanStore
from sync_core.store.rows import HISTORY, time_left
from sync_core.store.states import StateStore
from sync_core.store.tables import RETENTION, RUNS, USERS, Tables
from sync_core.store.users import bounded
from sync_core.store.wire import (
    MAX_OPERATIONS,
    PAGE,
    Entity,
    Operation,
    Verb,
    query,
    quoted,
    submit,
    submit_current,
)

PLANS_AT_ONCE = 8
# ~<object id>~<time left>~<run> and ~!<time left>~<run>~<object id>: what an application may have put
# beside them looks otherwise.
OURS = re.compile(rf"{HISTORY}(!|[0-9a-f-]{{36}}{HISTORY})(?P<left>[0-9]{{13}}){HISTORY}.+")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One step: what was deleted, in how many requests, and the last row that was looked at.

    No last row: there is no more in this partition.
    """

    rows: int
    requests: int
    last: str | None


class PassStore(StateStore[Pass]):
    """Passes by the name of what they go over."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables, table=RETENTION, kind="retention", empty=lambda name: Pass(name=name)
        )

    async def save(self, reached: Pass) -> None:
        await self.update(reached.name, lambda _: reached, lambda reached: reached)


class OldRuns:
    """Runs that are too old, with their plans; a partition a connection."""

    def __init__(self, tables: Tables, plans: PlanStore) -> None:
        self._tables = tables
        self._plans = plans

    async def partition_after(self, partition: str) -> str | None:
        return await _partition_after(await self._tables.table(RUNS), partition)

    async def forget(self, connection_id: str, after: str, before: datetime) -> Forgotten:
        """Delete a page of the runs of a connection that were asked for before a moment."""
        table = await self._tables.table(RUNS)
        # A run that is as old as the moment itself has an id that goes on behind these digits.
        first = max(after, f"{time_left(before)}~")
        condition = f"PartitionKey eq {quoted(connection_id)} and RowKey gt {quoted(first)}"
        keys = [row["RowKey"] for row in await _rows(table, condition, MAX_OPERATIONS)]
        # The plan goes first: without its run nobody would find it.
        deletions = (partial(self._plans.delete, connection_id, key) for key in keys)
        await bounded(PLANS_AT_ONCE, deletions)
        deleted = await _delete(table, connection_id, keys)
        return Forgotten(deleted, 1 + len(keys), keys[-1] if keys else None)


class OldHistories:
    """Histories and marks that are too old, in the partitions of the people."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def partition_after(self, partition: str) -> str | None:
        return await _partition_after(await self._tables.table(USERS), partition)

    async def forget(self, partition: str, after: str, before: datetime) -> Forgotten:
        """Look through a page of histories, and delete what was written before a moment."""
        table = await self._tables.table(USERS)
        first = max(after, marks_before(before))
        condition = f"PartitionKey eq {quoted(partition)} and RowKey gt {quoted(first)}"
        rows = await _rows(table, condition, PAGE, ["RowKey", "ConnectionId"])
        limit = time_left(before)
        keys = [row["RowKey"] for row in rows if _is_old(row, partition, limit)]
        deleted = await _delete(table, partition, keys)
        requests = 1 + -(-len(keys) // MAX_OPERATIONS)
        return Forgotten(deleted, requests, rows[-1]["RowKey"] if rows else None)


def _is_old(row: Entity, partition: str, limit: str) -> bool:
    """Whether a row is a history or a mark of ours, and was written before the time that is left then."""
    found = OURS.fullmatch(row["RowKey"])
    connection_id, _, digit = partition.rpartition("-")
    ours = row.get("ConnectionId") == connection_id and digit in HEX_DIGITS
    return found is not None and ours and found["left"] > limit


async def _rows(
    table: TableClient, condition: str, top: int, select: Sequence[str] = ("RowKey",)
) -> list[Entity]:
    """Return the first rows of a query; the service may give empty pages before them."""
    async for page in query(table, condition, select, top=top):
        if page:
            return page
    return []


async def _partition_after(table: TableClient, partition: str) -> str | None:
    """Return the next partition of a table that holds anything, in the order of their keys."""
    condition = f"PartitionKey gt {quoted(partition)}"
    found = await _rows(table, condition, 1, ("PartitionKey",))
    return str(found[0]["PartitionKey"]) if found else None


async def _delete(table: TableClient, partition: str, keys: Sequence[str]) -> int:
    """Delete rows of one partition; return how many were still there."""
    deleted = 0
    for start in range(0, len(keys), MAX_OPERATIONS):
        rows = [{"PartitionKey": partition, "RowKey": key} for key in keys[start:][:MAX_OPERATIONS]]
        deleted += len(
            await submit_current(
                partial(submit, table), [Operation(Verb.DELETE, row) for row in rows]
            )
        )
    return deleted
