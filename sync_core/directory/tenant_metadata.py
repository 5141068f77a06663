"""What tenants tell everybody, without a credential: the id behind a domain, and the cloud."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sync_core.directory.login import get_document
from sync_core.directory.token_errors import Asked
from sync_core.domain.errors import SyncError
from sync_core.domain.tenants import UNKNOWN, TenantFacts, read_metadata
from sync_core.logs import log_event

KEPT = timedelta(hours=1)
# Entra's word that it knows no such tenant, or knows it elsewhere.
NO_TENANT_HERE = {
    "credential.tenantNotFound",
    "credential.tenantInvalid",
    "credential.wrongCloud",
}


@dataclass(slots=True)
class TenantMetadata:
    """Facts about tenants, by id or domain; kept for an hour, since every save and check asks."""

    login_url: str
    clock: Callable[[], datetime]
    _known: dict[str, tuple[datetime, TenantFacts]] = field(default_factory=dict)

    async def find(self, tenant: str) -> TenantFacts | None:
        """Return what a tenant tells: nothing, if Entra knows none so called. None if it cannot be asked."""
        now = self.clock()
        kept = self._known.get(tenant)
        if kept is not None and now - kept[0] < KEPT:
            return kept[1]
        url = f"{self.login_url}/{tenant}/v2.0/.well-known/openid-configuration"
        try:
            facts = read_metadata(await get_document(url, Asked()))
        except SyncError as error:
            log_event("tenant.metadataUnknown", tenant=tenant, code=error.code)
            return UNKNOWN if error.code in NO_TENANT_HERE else None
        self._known[tenant] = (now, facts)
        return facts
