"""Whose subscriptions are looked after: one connection's, all, or those that tell nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from sync_core.connections.subscriptions.access import OwnAddress
from sync_core.connections.subscriptions.remove import remove
from sync_core.connections.subscriptions.survey import surveyed
from sync_core.connections.subscriptions.upkeep import Upkeep
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.domain.subscriptions import PAUSE, Place, has_realtime, place_of, todo
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded

CONNECTIONS_AT_ONCE = 4
# One connection whose Graph hangs must not keep the others from their turn.
LIMIT_S = 300.0


async def tend_now(services: Services, connection_id: str) -> None:
    """Look after one connection's subscriptions, as a message of the queue asks."""
    stored = await services.store.connections.find(connection_id)
    if stored is None:
        await services.store.subscriptions.delete_all(connection_id)
        return
    await tend(services, stored.connection)


async def tend_all(services: Services) -> None:
    """Look after the subscriptions of all connections; what fails for one leaves the others alone."""
    connections = [one async for one in services.store.connections.all()]
    stored = {row.connection_id for row in await services.store.subscriptions.all()}
    for orphan in sorted(stored - {one.id for one in connections}):
        await guarded(orphan, partial(tend_now, services, orphan))
    address, swept = OwnAddress(services), set[Place]()
    calls = []
    for one in connections:
        if not has_realtime(one) and one.id not in stored:
            continue
        sweeps = has_realtime(one) and place_of(one) not in swept
        if sweeps:
            swept.add(place_of(one))
        work = partial(tend, services, one, address, sweeps=sweeps)
        calls.append(partial(guarded, one.id, work))
    await bounded(CONNECTIONS_AT_ONCE, calls)


async def guarded(connection_id: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do something about one connection's subscriptions; what fails is told, and made up for every hour."""
    try:
        async with asyncio.timeout(LIMIT_S):
            await work()
    except (SyncError, TimeoutError) as error:
        code = error.code if isinstance(error, SyncError) else "subscription.timeLimit"
        log_event(
            "subscriptions.notTended", level=logging.WARNING, connection=connection_id, code=code
        )
    except Exception:  # noqa: BLE001 -- one connection must not keep the others from their turn
        log_event(
            "subscriptions.notTended",
            level=logging.ERROR,
            exc_info=True,
            connection=connection_id,
        )


async def tend(
    services: Services,
    connection: Connection,
    address: OwnAddress | None = None,
    *,
    sweeps: bool = False,
) -> None:
    """Bring a connection's subscriptions to what is wanted; with `sweeps`, delete strangers with our address.

    Raises what storage raises; what Graph and our address say against it is kept with the subscriptions.
    """
    survey = await surveyed(services, connection)
    open_work = todo(survey.rows, survey.wanted, services.clock())
    moved = [row for row in open_work.remove if row.place != survey.wanted.place]
    await remove(services, connection, moved)
    if survey.wanted.place is None:
        return
    open_work.remove = [row for row in open_work.remove if row not in moved]
    upkeep = Upkeep(services, connection, survey, address or OwnAddress(services))
    await upkeep.do(open_work, sweeps=sweeps)


async def make_anew(services: Services, connection: Connection, slots: Iterable[str]) -> None:
    """Make subscriptions anew that live and tell nothing; what cannot be made anew now stays as it is.

    One that was made minutes ago stays: another worker may have found the same silence.
    """
    wanted, now = set(slots), services.clock()
    survey = await surveyed(services, connection)
    rows = [
        row
        for row in survey.rows
        if row.slot in wanted
        and survey.wanted.fits(row)
        and (row.created_at is None or now - row.created_at >= PAUSE)
    ]
    for owner in sorted({row.owner for row in rows if row.owner is not None}):
        stored = await services.store.connections.find(owner)
        if stored is not None:
            shared = [row.slot for row in rows if row.owner == owner]
            await make_anew(services, stored.connection, shared)
    own = [row for row in rows if row.owner is None and row.subscription_id is not None]
    if not own:
        return
    upkeep = Upkeep(services, connection, survey, OwnAddress(services))
    await upkeep.replace_all(own)
