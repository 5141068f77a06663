"""One person as the table has them: here, or by a row that the connection is about to take over."""

from sync_core.domain.matching.decide import Explanation
from sync_core.domain.matching.registry import OBJECT_ID
from sync_core.domain.matching.takeover import (
    TAKEOVER,
    Standing,
    explain_moved,
    explain_moving,
    explain_open,
)
from sync_core.runs.context import RunContext
from sync_core.services import Services
from sync_core.store.people import Person


async def stored_person(services: Services, context: RunContext, object_id: str) -> Person | None:
    """Return a person as stored here, else as the row says that the next run moves here."""
    for name in (context.connection.id, *context.takeovers.sources):
        person = await services.store.people(name).find(object_id)
        if person is not None:
            return person
    return None


async def takeover_seen(
    services: Services, context: RunContext, object_id: str, stored: Person | None
) -> Explanation | None:
    """Say what a row of a deleted connection has to do with a person; None where there is none."""
    connection_id = context.connection.id
    if stored is not None and stored.connection_id != connection_id:
        row = _address(stored)
        return Explanation(OBJECT_ID, TAKEOVER, row, explain_moving(row, stored.connection_id))
    if stored is not None:
        row = stored.taken_over_from or ""
        return Explanation(OBJECT_ID, TAKEOVER, row, explain_moved(row)) if row else None
    for leftover in context.takeovers.leftovers:
        other = leftover.connection_id
        if other == connection_id or leftover.standing(connection_id) is not Standing.OPEN:
            continue
        person = await services.store.people(other).find(object_id)
        if person is not None and await services.store.connections.find(other) is None:
            row = _address(person)
            return Explanation("none", "", row, explain_open(row, connection_id, other))
    return None


def _address(person: Person) -> str:
    return f"{person.connection_id}-{person.object_id[0]}|{person.object_id}"
