"""The Spending table: what the runs that use much of Graph use of a tenant's allowance just now.

A partition an application and tenant, as Graph counts, and in it a row a run: each worker writes its own and
reads all, so that nobody waits for anybody, and no write is lost to another. A row is of a moment: what it
says leaks away within seconds, by the reader's clock.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from azure.core.exceptions import AzureError

from sync_core.domain.errors import RetryLater
from sync_core.domain.throttling import still_held
from sync_core.store.rows import moment
from sync_core.store.tables import SPENDING, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable

# Left behind by a worker that was killed; nobody else's clock is that far off.
LEFT_BEHIND = timedelta(hours=1)


@dataclass(slots=True)
class RunSpending:
    """One run's row, and the others' beside it."""

    tables: Tables
    application: str
    run_id: str
    clock: Callable[[], datetime]
    _is_noted: bool = False

    async def exchange(self, level: float, limit: int) -> float:
        """Note what this run holds of the allowance, and return what the others hold, in units."""
        table, now = await self.tables.table(SPENDING), self.clock()
        try:
            await table.upsert_entity(
                {
                    "PartitionKey": self.application,
                    "RowKey": self.run_id,
                    "Units": level,
                    **moment("At", now),
                }
            )
        except AzureError as error:
            raise storage_unavailable(error) from error
        self._is_noted = True
        others: list[tuple[float, float]] = []
        async for page in query(table, f"PartitionKey eq {quoted(self.application)}"):
            for row in page:
                if not {"At", "Units"} <= row.keys():  # another release's
                    continue
                age = now - datetime.fromisoformat(row["At"])
                if age > LEFT_BEHIND:
                    await self._forget(row["RowKey"])
                elif row["RowKey"] != self.run_id:
                    others.append((float(row["Units"]), age.total_seconds()))
        return still_held(others, limit)

    async def leave(self) -> None:
        """Take the run's row away, if it has one; what stays says less with every second."""
        if self._is_noted:
            with suppress(RetryLater):
                await self._forget(self.run_id)

    async def _forget(self, run_id: str) -> None:
        table = await self.tables.table(SPENDING)
        await asked(partial(table.delete_entity, self.application, run_id))
