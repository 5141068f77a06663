"""A stand-in until the fence is merged."""

from collections.abc import Sequence

from azure.data.tables.aio import TableClient

from sync_core.store.wire import Operation, submit


class Fence:
    """Submits batches as they are."""

    async def submit(self, table: TableClient, operations: Sequence[Operation]) -> None:
        await submit(table, operations)
