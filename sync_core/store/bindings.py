"""The Bindings table: whom each connection's sign-in names mean.

Beside the connection's document, so that looking a name up is no change of the connection and no new ETag.
"""

from collections.abc import Callable

from sync_core.domain.names import Bindings
from sync_core.store.states import StateStore
from sync_core.store.tables import BINDINGS, Tables


class BindingStore(StateStore[Bindings]):
    """Bindings by connection."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables, table=BINDINGS, kind="bindings", empty=lambda name: Bindings(connection_id=name)
        )

    async def change(self, connection_id: str, change: Callable[[Bindings], Bindings]) -> Bindings:
        """Change the bindings and return them as they were written."""
        return await self.update(connection_id, change, lambda bindings: bindings)
