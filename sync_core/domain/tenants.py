"""Where a tenant lives, by what it tells everybody about itself; a document in, facts out. Pure.

A tenant's metadata need no credential: learn.microsoft.com/entra/identity-platform/v2-protocols-oidc. The
global login service also knows tenants of other clouds, and names their hosts. The region's fields are not
documented; what they hold for each cloud is as public programs read them (for instance
github.com/panva/wellknown, and scripts that tell GCC, DODCON and DOD apart), so a value that is missing or
unknown decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sync_core.domain.clouds import CloudName
from sync_core.domain.documents.base import GUID

# GCC lives in the global cloud; the two of the US government share a login service.
BY_SUB_SCOPE = {
    "gcc": frozenset({CloudName.PUBLIC}),
    "dodcon": frozenset({CloudName.US_GOV}),
    "dod": frozenset({CloudName.US_GOV_DOD}),
}
BY_INSTANCE = {
    "microsoftonline.com": frozenset({CloudName.PUBLIC}),
    "microsoftonline.us": frozenset({CloudName.US_GOV, CloudName.US_GOV_DOD}),
    "partner.microsoftonline.cn": frozenset({CloudName.CHINA}),
}


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant's id, and the clouds in which it may live; none where nothing is known of that."""

    tenant_id: str | None
    clouds: frozenset[CloudName]

    def may_live_in(self, cloud: CloudName) -> bool:
        return not self.clouds or cloud in self.clouds


UNKNOWN = TenantFacts(None, frozenset())


def read_metadata(document: Mapping[str, Any]) -> TenantFacts:
    """Read what a tenant's metadata say; nothing in them is relied on to be there."""
    sub_scope = str(document.get("tenant_region_sub_scope") or "").lower()
    instance = str(document.get("cloud_instance_name") or "").lower()
    clouds = BY_SUB_SCOPE.get(sub_scope) or BY_INSTANCE.get(instance) or UNKNOWN.clouds
    return TenantFacts(_tenant_id(document.get("issuer")), clouds)


def _tenant_id(issuer: Any) -> str | None:
    """Find the tenant's id in its issuer: https://login.../<id>/v2.0."""
    first = urlsplit(issuer).path.strip("/").partition("/")[0] if isinstance(issuer, str) else ""
    return first.lower() if GUID.fullmatch(first) else None
