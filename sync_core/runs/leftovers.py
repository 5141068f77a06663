"""Newcomers whose rows stand in the table already: an earlier connection to their tenant left them."""

from collections.abc import AsyncIterator, Container

from sync_core.concurrency import in_thread
from sync_core.domain.documents import Connection
from sync_core.domain.model import Action
from sync_core.domain.plan.plan import Plan
from sync_core.domain.plan.survey import PreviewWarning
from sync_core.services import Services


async def warnings_of_leftovers(
    services: Services, connection: Connection, plan: Plan
) -> AsyncIterator[PreviewWarning]:
    """Say of every deleted connection to the tenant how many newcomers have a row of it."""
    if not plan.tally.creates or connection.tenant_id is None:
        return
    for other in await services.store.leftovers.of_tenant(connection.tenant_id):
        # One that was made again has its people again.
        if other == connection.id or await services.store.connections.find(other) is not None:
            continue
        rows = (await services.store.users(other).load_index()).people
        people = await in_thread(_newcomers_in, rows, plan)
        if people:
            yield PreviewWarning(
                code="people.ofDeletedConnection",
                message=f"{people:,} of the people who would be created have a row already: that of the "
                f"connection {other!r}, which was deleted. They would get a second one here. Make the "
                f"connection with the id {other!r} again, and it has their rows and history again.",
                people=people,
            )


def _newcomers_in(rows: Container[str], plan: Plan) -> int:
    created = (change for change in plan.changes if change.action is Action.CREATE)
    return sum(change.object_id in rows for change in created)
