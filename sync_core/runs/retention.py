"""Forget what is older than `HISTORY_DAYS`: runs and plans, histories and marks; never the audit.

Connections that were deleted are included. Each tick of the maintenance does a bounded part and notes where
it stands. A tick that is killed is done again: what is gone already is not found any more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from sync_core.domain.retention import Budget, Pass, cutoff
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.retention import Forgotten


class OldRows(Protocol):
    """What a pass goes over, partition by partition."""

    async def partition_after(self, partition: str) -> str | None:
        """Return the next partition, in the order of their keys."""

    async def forget(self, partition: str, after: str, before: datetime) -> Forgotten:
        """Delete what is older than a moment among the next rows of a partition."""


async def forget_old(services: Services, budget: Budget | None = None) -> None:
    """Go on with the passes over runs and histories, or begin them again where they are due."""
    budget = budget or Budget()
    old: Mapping[str, OldRows] = {
        "runs": services.store.old_runs,
        "histories": services.store.old_histories,
    }
    for name, rows in old.items():
        await _go_on(services, name, rows, budget)


async def _go_on(services: Services, name: str, rows: OldRows, budget: Budget) -> None:
    passes, now = services.store.passes, services.clock()
    under_way = (await passes.read(name)).begun(now)
    if under_way is None or budget.is_spent:
        return
    before, forgotten = cutoff(now, services.settings.history_days), 0
    while not (under_way.is_over or budget.is_spent):
        under_way, rows_gone = await _step(under_way, rows, before, budget)
        forgotten += rows_gone
    await passes.save(under_way)
    log_event("retention.forgotten", what=name, rows=forgotten, complete=under_way.is_over)


async def _step(
    under_way: Pass, rows: OldRows, before: datetime, budget: Budget
) -> tuple[Pass, int]:
    """Look at the next rows of the partition; at its end go on to the next one."""
    done = Forgotten(0, 0, None)
    if under_way.partition:
        done = await rows.forget(under_way.partition, under_way.row, before)
    budget.spend(done.requests)
    if done.last is not None:
        return under_way.at(under_way.partition, done.last), done.rows
    budget.spend(1)
    return under_way.at(await rows.partition_after(under_way.partition)), done.rows
