"""Rows that deleted connections to the same tenant have left, as a preview tells of them."""

from collections.abc import Collection, Mapping

from sync_core.domain.matching.takeover import Leftover, Standing
from sync_core.domain.model import Status, StoredPerson, Value
from sync_core.domain.plan.takeovers import PreviewTakeover, takeover_of
from sync_core.runs.context import Takeovers
from sync_core.services import Services
from sync_core.store.index import Watch


async def people_left(
    services: Services, leftover: Leftover
) -> tuple[Mapping[str, StoredPerson], Mapping[str, str]]:
    """Return who has a row of a deleted connection, and their sign-in names."""
    names: dict[str, str] = {}

    def tell(object_id: str, name: str, _: Status, __: Mapping[str, Value]) -> None:
        names[object_id] = name

    users = services.store.users(leftover.connection_id)
    return (await users.load_index(watch=Watch(tell))).people, names


async def takeovers_seen(
    services: Services,
    connection_id: str,
    takeovers: Takeovers,
    *,
    coming: Collection[str],
    here: Collection[str],
) -> list[PreviewTakeover]:
    """Return what is there of each deleted connection; one that was made again has its people again."""
    found = []
    for leftover in takeovers.leftovers:
        other = leftover.connection_id
        if other == connection_id or leftover.standing(connection_id) is Standing.DONE:
            continue
        if await services.store.connections.find(other) is not None:
            continue
        people, names = await people_left(services, leftover)
        if people:
            seen = takeover_of(leftover, connection_id, people, names, coming=coming, here=here)
            found.append(seen)
    return found
