"""The Verifications table: how far each connection's newest settings were seen to work."""

from collections.abc import Callable

from sync_core.domain.connections.verification import Verification
from sync_core.store.states import StateStore
from sync_core.store.tables import VERIFICATIONS, Tables


class VerificationStore(StateStore[Verification]):
    """Verifications by connection."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables,
            table=VERIFICATIONS,
            kind="verification",
            empty=lambda name: Verification(connection_id=name),
        )

    async def change(
        self, connection_id: str, change: Callable[[Verification], Verification]
    ) -> Verification:
        """Change the state and give it as it was written."""
        return await self.update(connection_id, change, lambda state: state)
