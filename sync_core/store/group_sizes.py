"""The Groups table: how many people the groups of a connection's scope had."""

from sync_core.domain.plan.groups import KnownSizes
from sync_core.store.states import StateStore
from sync_core.store.tables import GROUPS, Tables


class GroupSizeStore(StateStore[KnownSizes]):
    """Sizes of groups by connection."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables, table=GROUPS, kind="groups", empty=lambda name: KnownSizes(connection_id=name)
        )

    async def note(self, sizes: KnownSizes) -> None:
        """Remember these sizes; nothing is written where they are known."""
        await self.update(sizes.connection_id, lambda _: sizes, lambda step: step)
