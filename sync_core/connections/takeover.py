"""The rows of deleted connections to the same tenant: listed, and their takeover confirmed or taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sync_core.domain.connections.deletion import being_deleted
from sync_core.domain.documents.connection import Connection
from sync_core.domain.matching.takeover import (
    Leftover,
    Standing,
    already_done,
    not_confirmed,
    of_tenant,
    refusal,
)
from sync_core.domain.model import Status, StoredPerson
from sync_core.logs import log_event
from sync_core.runs.hold import held
from sync_core.runs.leftovers import people_left
from sync_core.services import Services

# Most runs of an hour in which nothing changed end within this.
WAIT_S = 5.0
CONFIRMED, TAKEN_BACK = "takeover.confirmed", "takeover.takenBack"


@dataclass(frozen=True, slots=True)
class Takeover:
    """A deleted connection as one to the same tenant sees it, with the people whose rows it has still."""

    leftover: Leftover
    standing: Standing
    people: Mapping[str, StoredPerson]

    @property
    def active(self) -> int:
        return sum(known.status is Status.ACTIVE for known in self.people.values())


async def takeovers(services: Services, connection: Connection) -> list[Takeover]:
    """Return the deleted connections of the tenant that have rows, or had them when it was confirmed."""
    if connection.tenant_id is None:
        return []
    found = []
    for leftover in await services.store.leftovers.of_tenant(connection.tenant_id):
        if await services.store.connections.find(leftover.connection_id) is not None:
            continue
        one = await _seen(services, connection.id, leftover)
        if one.people or one.standing is not Standing.OPEN:
            found.append(one)
    return found


async def confirm(
    services: Services, connection: Connection, other: str, by: str, reason: str
) -> Takeover:
    """Confirm that a connection takes over the rows of a deleted one; confirmed again, it stays as it is.

    Where some rows could not be moved, the next run tries them again. Raises `Conflict` where it cannot be.
    """
    if deletion := await services.store.deletions.find(other):
        raise being_deleted(deletion)
    exists = await services.store.connections.find(other) is not None
    found = await services.store.leftovers.of_connection(other)
    tenant_id = connection.tenant_id or ""
    if refused := refusal(connection.id, tenant_id, other, found, exists=exists):
        raise refused
    leftover = of_tenant(tenant_id, found)
    assert leftover is not None  # noqa: S101 -- refused otherwise
    seen = await _seen(services, connection.id, leftover)
    if seen.standing is Standing.CONFIRMED or (seen.standing is Standing.DONE and not seen.people):
        return seen
    now = services.clock()
    # The row of audit goes first: a confirmation that then fails leaves one too many, and none is without.
    people = len(seen.people)
    details = {"of": other, "people": people, "reason": reason}
    await services.store.audit.note(now, by, CONFIRMED, connection.id, **details)
    wanted = Leftover(
        leftover.tenant_id,
        other,
        leftover.deleted_at,
        taker=connection.id,
        confirmed_at=now,
        confirmed_by=by,
        reason=reason,
        etag=leftover.etag,
    )
    await services.store.leftovers.save(wanted)
    log_event(CONFIRMED, connection=connection.id, of=other, by=by, people=people)
    return replace(seen, leftover=wanted, standing=Standing.CONFIRMED)


async def take_back(services: Services, connection: Connection, other: str, by: str) -> None:
    """Take a confirmation back; rows that a run that was ended has moved stay moved.

    Raises `Conflict` where there is none, where all was moved, or while a run is under way.
    """
    async with held(services, connection.id, budget=None, wait_s=WAIT_S):
        found = await services.store.leftovers.of_connection(other)
        # By who takes it over: the connection may have been given another tenant since it was confirmed.
        confirmed = [one for one in found if one.taker == connection.id]
        leftover = of_tenant(connection.tenant_id or "", confirmed) or next(iter(confirmed), None)
        standing = leftover.standing(connection.id) if leftover else Standing.OPEN
        if standing is Standing.DONE:
            raise already_done(connection.id, other)
        if leftover is None or standing is not Standing.CONFIRMED:
            raise not_confirmed(connection.id, other)
        plain = Leftover(leftover.tenant_id, other, leftover.deleted_at, etag=leftover.etag)
        await services.store.leftovers.save(plain)
        await services.store.audit.note(services.clock(), by, TAKEN_BACK, connection.id, of=other)
    log_event(TAKEN_BACK, connection=connection.id, of=other, by=by)


async def _seen(services: Services, connection_id: str, leftover: Leftover) -> Takeover:
    people, _ = await people_left(services, leftover)
    return Takeover(leftover, leftover.standing(connection_id), people)
