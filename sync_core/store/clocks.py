"""The Clocks table: one row a timer, with its last tick and the next one."""

from azure.core.exceptions import AzureError

from sync_core.domain.clock import Clock
from sync_core.store.states import StateStore
from sync_core.store.tables import CLOCKS, Tables
from sync_core.store.wire import storage_unavailable


class ClockStore(StateStore[Clock]):
    """What is known of each timer, by its name."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables, table=CLOCKS, kind="clock", empty=lambda name: Clock(name=name))

    async def put(self, clock: Clock) -> None:
        """Store a tick, whatever is there: nothing newer is known. One request, as every tick needs it."""
        table = await self._tables.table(CLOCKS)
        try:
            await table.upsert_entity(self._entity(clock.name, clock, clock, None))
        except AzureError as error:
            raise storage_unavailable(error) from error
