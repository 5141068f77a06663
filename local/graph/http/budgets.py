"""Graph's budget of resource units for each application in each tenant: costs in, headers or 429 out.

learn.microsoft.com/graph/throttling-limits (2026-02-06), "Identity and access service limits": a token
bucket, refilled over ten seconds; here by the emulator's clock.
"""

from dataclasses import dataclass, field

from local.graph.http.errors import GraphError

_PERIOD_S = 10.0
# Told above it; x-ms-throttle-limit-percentage goes from 0.8 to 1.8.
_WORTH_TELLING, _MOST_TOLD = 0.8, 1.8
# "Low priority requests will be throttled first, normal priority requests second, and high priority requests
# last". The page does not say what share of the limit is kept for the others.
_KEPT = {"low": 0.1, "high": -0.1}


def units_by_size(people: int) -> int:
    """S, M and L tenants."""
    if people < 50:
        return 3500
    return 5000 if people <= 500 else 8000


@dataclass(frozen=True, slots=True)
class Account:
    app_id: str
    tenant_id: str
    limit: float
    """Units in ten seconds."""

    @property
    def scope(self) -> str:
        return f"Tenant_Application/ReadWrite/{self.app_id}/{self.tenant_id}"


@dataclass(slots=True)
class _Bucket:
    units: float
    at_s: float


@dataclass(slots=True)
class Budgets:
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def refuse_if_empty(self, account: Account, now_s: float, *, priority: str | None) -> None:
        """``priority`` is x-ms-throttle-priority: Low, Normal or High; anything else is normal."""
        least = _KEPT.get((priority or "").lower(), 0.0) * account.limit
        units = self._refilled(account, now_s).units
        if units > least:
            return
        # Until one unit is there again; early retries are answered the same, and cost as well.
        wait_s = (1 + least - units) / (account.limit / _PERIOD_S)
        raise GraphError(
            429,
            "TooManyRequests",
            "Too many requests.",
            {
                # "2.128" in the sample of graph/throttling: no integer.
                "Retry-After": f"{wait_s:.3f}",
                "x-ms-throttle-scope": account.scope,
                "x-ms-throttle-information": "ResourceUnitLimitExceeded",
            },
        )

    def spend(self, account: Account, now_s: float, cost: int) -> dict[str, str]:
        """Take the cost of an answered request; return the headers that tell of it."""
        bucket = self._refilled(account, now_s)
        bucket.units -= cost
        headers = {"x-ms-resource-unit": str(cost)}
        used = 1 - bucket.units / account.limit
        if used > _WORTH_TELLING:
            headers["x-ms-throttle-limit-percentage"] = f"{min(used, _MOST_TOLD):.2f}"
        return headers

    def _refilled(self, account: Account, now_s: float) -> _Bucket:
        key = (account.app_id, account.tenant_id)
        bucket = self._buckets.setdefault(key, _Bucket(account.limit, now_s))
        passed_s = max(0.0, now_s - bucket.at_s)
        bucket.units = min(account.limit, bucket.units + passed_s * account.limit / _PERIOD_S)
        bucket.at_s = now_s
        return bucket
