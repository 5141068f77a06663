"""Graph's budget of resource units for each application in each tenant: costs in, headers or 429 out.

learn.microsoft.com/graph/throttling-limits (2026-02-06), "Identity and access service limits": a token
bucket, refilled over ten seconds.
"""

import math
import time
from dataclasses import dataclass, field

from local.graph.http.errors import GraphError

_PERIOD_S = 10.0
# Told from here on: x-ms-throttle-limit-percentage goes from 0.8 to 1.8.
_WORTH_TELLING = 0.8


def units_by_size(people: int) -> int:
    """S, M and L tenants."""
    if people < 50:
        return 3500
    return 5000 if people <= 500 else 8000


@dataclass(slots=True)
class _Bucket:
    units: float
    at: float


@dataclass(slots=True)
class Budgets:
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def refuse_if_empty(self, app_id: str, tenant_id: str, limit: float) -> None:
        bucket = self._refilled(app_id, tenant_id, limit)
        if bucket.units > 0:
            return
        # Whole seconds until something is there again; early retries are answered the same.
        wait_s = math.ceil((1 - bucket.units) / (limit / _PERIOD_S))
        raise GraphError(
            429,
            "TooManyRequests",
            "Too many requests.",
            {
                "Retry-After": str(wait_s),
                "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{app_id}/{tenant_id}",
                "x-ms-throttle-information": "ResourceUnitLimitExceeded",
            },
        )

    def spend(self, app_id: str, tenant_id: str, limit: float, cost: int) -> dict[str, str]:
        """Take the cost of an answered request; give the headers that tell of it."""
        bucket = self._refilled(app_id, tenant_id, limit)
        bucket.units -= cost
        headers = {"x-ms-resource-unit": str(cost)}
        used = 1 - bucket.units / limit
        if used >= _WORTH_TELLING:
            headers["x-ms-throttle-limit-percentage"] = f"{min(used, 1.8):.1f}"
        return headers

    def _refilled(self, app_id: str, tenant_id: str, limit: float) -> _Bucket:
        now = time.monotonic()
        bucket = self._buckets.setdefault((app_id, tenant_id), _Bucket(limit, now))
        bucket.units = min(limit, bucket.units + (now - bucket.at) * limit / _PERIOD_S)
        bucket.at = now
        return bucket
