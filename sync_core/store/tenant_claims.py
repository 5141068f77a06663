"""The TenantClaims table: one row a tenant, with the connections that have it or claim it by a consent.

Changed only with its ETag, or inserted where there is none: of two consents that come at once, one sees
what the other has written.
"""

from collections.abc import Callable

from sync_core.domain.connections.tenant_claims import Claiming, TenantClaim, released
from sync_core.store.states import StateStore
from sync_core.store.tables import TENANT_CLAIMS, Tables


class TenantClaimStore(StateStore[TenantClaim]):
    """Claims by tenant."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(
            tables,
            table=TENANT_CLAIMS,
            kind="tenantClaim",
            empty=lambda tenant_id: TenantClaim(tenant_id=tenant_id),
        )

    async def decide(self, tenant_id: str, change: Callable[[TenantClaim], Claiming]) -> Claiming:
        """Change the claim of a tenant and return the verdict that was written."""
        return await self.update(tenant_id, change, lambda step: step.claim)

    async def change(
        self, tenant_id: str, change: Callable[[TenantClaim], TenantClaim]
    ) -> TenantClaim:
        return await self.update(tenant_id, change, lambda claim: claim)

    async def forget(self, connection_id: str) -> None:
        """Take a connection out of every claim: the next one of the same id must not inherit a tenant."""
        async for claim in self.all():
            if released(claim, connection_id) != claim:
                await self.change(claim.tenant_id, lambda known: released(known, connection_id))
