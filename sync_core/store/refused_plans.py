"""The RefusedPlans table: plans that a caller was shown and that nobody has carried out, whole.

What a save, a preview or a deletion would do to people, with every name, until it is looked through and
confirmed. A row is the head of one plan; its changes are in the Plans table beside those of the runs.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from functools import partial

from azure.core.exceptions import AzureError

from sync_core.domain.errors import NotFound
from sync_core.store.plans import Document, PlanStore
from sync_core.store.tables import REFUSED_PLANS, Tables, asked
from sync_core.store.wire import query, quoted, storage_unavailable

# Longer than a confirmation counts; then the directory is another one.
LIFE = timedelta(days=7)


class RefusedPlanStore:
    """Plans by connection and `planHash`; the connection need not be stored (yet)."""

    def __init__(self, tables: Tables, plans: PlanStore) -> None:
        self._tables = tables
        self._plans = plans

    async def save(
        self, connection_id: str, plan_hash: str, changes: Iterable[Document], now: datetime
    ) -> str:
        """Keep a plan in place of an older one of the same name; return the URL under which it is read."""
        table = await self._tables.table(REFUSED_PLANS)
        await self._plans.delete(connection_id, _run(plan_hash))
        await self._plans.save(connection_id, _run(plan_hash), changes)
        head = {"PartitionKey": connection_id, "RowKey": plan_hash, "At": now}
        try:
            await table.upsert_entity(head)
        except AzureError as error:
            raise storage_unavailable(error) from error
        return f"/api/connections/{connection_id}/plans/{plan_hash}"

    async def load(
        self, connection_id: str, plan_hash: str, *, skip: int = 0
    ) -> AsyncIterator[Document]:
        """Yield the changes of a plan by object id, without the first `skip`; raise `NotFound`."""
        table = await self._tables.table(REFUSED_PLANS)
        if await asked(partial(table.get_entity, connection_id, plan_hash)) is None:
            raise NotFound(
                "plan.notFound",
                f"No plan {plan_hash!r} of the connection {connection_id!r} is kept.",
                f"A plan is kept for {LIFE.days} days. Send the request that was refused again, without "
                "confirm: the answer names the plan as it is now.",
            )
        async for change in self._plans.load(connection_id, _run(plan_hash), skip=skip):
            yield change

    async def forget_all(self, connection_id: str) -> None:
        """Delete every refused plan of a connection."""
        await self._delete(f"PartitionKey eq {quoted(connection_id)}")

    async def forget_old(self, now: datetime) -> None:
        """Delete the plans of all connections whose time is over."""
        before = (now - LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._delete(f"At lt datetime'{before}'")

    async def _delete(self, condition: str) -> None:
        table = await self._tables.table(REFUSED_PLANS)
        async for page in query(table, condition, ["PartitionKey", "RowKey"]):
            for row in page:
                connection_id, plan_hash = row["PartitionKey"], row["RowKey"]
                await self._plans.delete(connection_id, _run(plan_hash))
                # The head goes last: without it nobody finds what is left of the plan.
                await asked(partial(table.delete_entity, connection_id, plan_hash))


def _run(plan_hash: str) -> str:
    """Return where a refused plan stands among the plans of runs."""
    return f"refused-{plan_hash}"
