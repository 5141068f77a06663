"""Subscriptions removed: at Graph as far as it answers, and here."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby

from sync_core.connections.subscriptions.access import AT_ONCE, opened
from sync_core.connections.subscriptions.ask import ask
from sync_core.directory import subscriptions as graph
from sync_core.directory.client import GraphClient
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import PreconditionFailed, RetryLater, SyncError
from sync_core.domain.subscriptions import Failure, Place, State, Subscription, place_of
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded

# Who deletes a connection waits for it.
REMOVAL_LIMIT_S = 10.0


async def remove(services: Services, connection: Connection, rows: Iterable[Subscription]) -> None:
    """Remove subscriptions, at Graph and here; those of another tenant or application as far as we can.

    What cannot be removed there ends by itself within 29 days, and what it sends is discarded.
    """
    by_place = sorted(rows, key=lambda row: row.place)
    for place, some in groupby(by_place, key=lambda row: row.place):
        await _remove_at(services, connection, place, list(some))


async def _remove_at(
    services: Services, connection: Connection, place: Place, rows: Sequence[Subscription]
) -> None:
    now, store = services.clock(), services.store.subscriptions
    is_known = place.cloud in CLOUDS  # else another release has made them
    live = [row for row in rows if row.owner is None and row.is_live(now) and is_known]
    for row in rows:
        if row not in live:
            await _leave_owner(services, row)
            await store.delete(row)
    if not live:
        return
    there = connection.model_copy(
        update={
            "cloud": CloudName(place.cloud),
            "tenant_id": place.tenant_id,
            "client_id": place.client_id,
        }
    )
    try:
        async with opened(services, there) as client:
            await client.grants.roles()
            await bounded(
                AT_ONCE, (partial(_remove_one, services, connection, client, row) for row in live)
            )
    except SyncError as error:
        for row in live:
            await _left(services, connection, row, error)


async def _leave_owner(services: Services, row: Subscription) -> None:
    """Have another connection's subscription serve this one no longer."""
    store = services.store.subscriptions
    for _ in range(3):
        owned = await store.find(row.owner, row.slot) if row.owner is not None else None
        if owned is None or row.connection_id not in owned.sharers:
            return
        sharers = tuple(one for one in owned.sharers if one != row.connection_id)
        with suppress(PreconditionFailed):
            await store.put(replace(owned, sharers=sharers))


async def _remove_one(
    services: Services, connection: Connection, client: GraphClient, row: Subscription
) -> None:
    try:
        await graph.remove(client, row.subscription_id or "", row.slot)
    except SyncError as error:
        await _left(services, connection, row, error)
        return
    await services.store.subscriptions.delete(row)
    log_event("subscription.removed", connection=row.connection_id, resource=row.resource)
    for sharer in row.sharers:
        await ask(services, sharer)


async def _left(
    services: Services, connection: Connection, row: Subscription, error: SyncError
) -> None:
    """Leave a subscription that cannot be removed now: to the next hour, or for good."""
    log_event(
        "subscription.left", connection=row.connection_id, resource=row.resource, code=error.code
    )
    store = services.store.subscriptions
    is_here = connection.tenant_id is not None and row.place == place_of(connection)
    if isinstance(error, RetryLater) and is_here:
        with suppress(PreconditionFailed):
            await store.put(replace(row, state=State.REMOVING, failure=Failure.of(error)))
    else:
        await store.delete(row)


async def remove_all(services: Services, connection: Connection) -> None:
    """Remove all subscriptions of a connection that is being deleted, within seconds or not at all."""
    rows = await services.store.subscriptions.of(connection.id)
    with suppress(TimeoutError):
        async with asyncio.timeout(REMOVAL_LIMIT_S):
            await remove(services, connection, rows)
