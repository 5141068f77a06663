"""What a connection has and wants, among those that share its application's quota."""

from contextlib import suppress
from dataclasses import dataclass

from sync_core.directory.own_address import NOTIFICATIONS
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection
from sync_core.domain.subscriptions import (
    ALL_GROUPS,
    State,
    Subscription,
    Wanted,
    has_realtime,
    is_wide,
    place_of,
    wishes_of,
)
from sync_core.services import Services


@dataclass(frozen=True, slots=True)
class Survey:
    """What a connection has and wants; `count` is how many its application has in the tenant."""

    rows: list[Subscription]
    wanted: Wanted
    count: int = 0

    @property
    def is_first(self) -> bool:
        """Whether nothing told of changes so far."""
        return not any(row.subscription_id is not None for row in self.rows)


async def surveyed(services: Services, connection: Connection) -> Survey:
    """Look at all connections of the same application and tenant: they share its quota, and subscriptions."""
    store, now = services.store, services.clock()
    every = await store.subscriptions.all()
    rows = [row for row in every if row.connection_id == connection.id]
    url = f"{services.settings.public_base_url}{NOTIFICATIONS}"
    if not has_realtime(connection):
        return Survey(rows, Wanted(connection.id, frozenset(), None, url))
    place = place_of(connection)
    wishes = {connection.id: wishes_of(connection, await store.checkpoints.tree(connection.id))}
    async for one in store.connections.all():
        if one.id not in wishes and has_realtime(one) and place_of(one) == place:
            with suppress(FixConnection):  # a scope that cannot be used wants nothing
                wishes[one.id] = wishes_of(one, await store.checkpoints.tree(one.id))
    there = [row for row in every if row.place == place and row.owner is None]
    wide = is_wide(wishes.values(), was_wide=any(row.slot == ALL_GROUPS for row in there))
    slots = {name: one.slots(is_wide=wide) for name, one in wishes.items()}
    others = {
        row.slot: row
        for row in there
        if row.connection_id != connection.id
        and row.slot in slots.get(row.connection_id, ())
        and row.address == url
        and row.state in {State.ACTIVE, State.FAILING}
        and row.is_live(now)
    }
    count = sum(row.subscription_id is not None for row in there)
    return Survey(rows, Wanted(connection.id, slots[connection.id], place, url, others), count)
