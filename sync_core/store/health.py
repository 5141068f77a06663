"""The Health table: what is remembered of each connection's health."""

from collections.abc import Callable

from sync_core.domain.health import Health, Step
from sync_core.store.states import StateStore
from sync_core.store.tables import HEALTH, Tables


class HealthStore(StateStore[Health]):
    """Health by connection."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables, table=HEALTH, kind="health", empty=lambda name: Health(connection_id=name)
        )

    async def change(self, connection_id: str, change: Callable[[Health], Step]) -> Step:
        """Change the health and give the step that was written, so its events are told once."""
        return await self.update(connection_id, change, lambda step: step.health)
