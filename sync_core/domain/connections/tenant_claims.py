"""Which connection may have a tenant by consent: what is known of the tenant in, a verdict out. Pure.

A consent claims its tenant before Entra has confirmed it, and has it afterwards. One tenant goes to one
connection in this way; whoever means another one as well sets `tenantId`, as an administrator, and is
added. Two claims that are open at the same time are a sign that somebody claims what is not theirs, or
a slip: neither is granted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from sync_core.domain.documents.base import Document

# A claim that is older was given up, or its process has died.
OPEN_FOR = timedelta(hours=3)
# A connection is stored within seconds after its tenant was granted to it.
SETTLED_AFTER = timedelta(minutes=5)


class Claimant(Document):
    """A connection that has a tenant or claims it, since when, and whether its document says so by now."""

    connection_id: str
    since: datetime
    stored: bool = False


class TenantClaim(Document):
    """Who has a tenant (`holders`), and whose consents wait for Entra (`open`)."""

    tenant_id: str
    holders: list[Claimant] = Field(default_factory=list)
    open: list[Claimant] = Field(default_factory=list)


class Verdict(StrEnum):
    """What becomes of a claim."""

    OPEN = "open"
    GRANTED = "granted"
    TAKEN = "taken"
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True)
class Claiming:
    """What is known of the tenant from now on, the verdict, and the other connections it is about."""

    claim: TenantClaim
    verdict: Verdict
    others: tuple[str, ...] = ()


def claimed(claim: TenantClaim, connection_id: str, now: datetime) -> Claiming:
    """Open a claim, unless another connection has the tenant or claims it, too: then both are void."""
    if holders := _others(claim.holders, connection_id):
        return Claiming(_without_open(claim, connection_id), Verdict.TAKEN, holders)
    waiting = [one for one in claim.open if now - one.since < OPEN_FOR]
    if contestants := _others(waiting, connection_id):
        return Claiming(claim.model_copy(update={"open": []}), Verdict.CONTESTED, contestants)
    mine = [Claimant(connection_id=connection_id, since=now)]
    return Claiming(claim.model_copy(update={"open": mine}), Verdict.OPEN)


def granted(claim: TenantClaim, connection_id: str, now: datetime) -> Claiming:
    """Return the tenant to a connection whose claim is still open."""
    if holders := _others(claim.holders, connection_id):
        return Claiming(_without_open(claim, connection_id), Verdict.TAKEN, holders)
    if _has(claim.holders, connection_id):
        return Claiming(_without_open(claim, connection_id), Verdict.GRANTED)
    if not _has(claim.open, connection_id):
        return Claiming(claim, Verdict.CONTESTED, _others(claim.open, connection_id))
    return Claiming(held(claim, connection_id, now), Verdict.GRANTED)


def held(
    claim: TenantClaim, connection_id: str, now: datetime, *, stored: bool = False
) -> TenantClaim:
    """Add a connection to those that have the tenant."""
    rest = released(claim, connection_id)
    mine = Claimant(connection_id=connection_id, since=now, stored=stored)
    return rest.model_copy(update={"holders": [*rest.holders, mine]})


def released(claim: TenantClaim, connection_id: str) -> TenantClaim:
    """Take a connection out, whether it had the tenant or claimed it."""
    rest = _without_open(claim, connection_id)
    holders = [one for one in rest.holders if one.connection_id != connection_id]
    return rest.model_copy(update={"holders": holders})


def holders_to_look_at(claim: TenantClaim, now: datetime) -> list[str]:
    """Name the holders that may have another tenant by now, or be deleted.

    One that was granted the tenant just now has it as soon as its document is stored.
    """
    return [
        one.connection_id for one in claim.holders if one.stored or now - one.since > SETTLED_AFTER
    ]


def _has(claimants: list[Claimant], connection_id: str) -> bool:
    return any(one.connection_id == connection_id for one in claimants)


def _others(claimants: list[Claimant], connection_id: str) -> tuple[str, ...]:
    return tuple(one.connection_id for one in claimants if one.connection_id != connection_id)


def _without_open(claim: TenantClaim, connection_id: str) -> TenantClaim:
    rest = [one for one in claim.open if one.connection_id != connection_id]
    return claim.model_copy(update={"open": rest})
