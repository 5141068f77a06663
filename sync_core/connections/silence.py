"""Whether notifications still arrive: looked into once runs have found changes that none told.

Runs keep such changes; whether a subscription should have told them is judged here, when the time in which
notifications may be late is over.
"""

from collections.abc import Sequence

from sync_core.connections.subscriptions.tend import make_anew
from sync_core.directory.own_address import NOTIFICATIONS
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.errors import SyncError
from sync_core.domain.incidents import SILENT
from sync_core.domain.realtime import Silence, find_silence, last_heard
from sync_core.domain.silence import Facts, covers_of, silence_found
from sync_core.domain.subscriptions import Subscription, has_realtime
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.realtime import Heard

# More runs than began since the oldest change that counts, but in a storm of notifications.
RUNS_LOOKED_AT = 200


async def look(services: Services, connection_id: str) -> None:
    """Find out whether a connection is silent; if so, make its subscriptions anew, and open the incident.

    Once: a connection that is silent already, or whose runs fail, is left as it is.
    """
    stored = await services.store.connections.find(connection_id)
    if stored is None or not has_realtime(stored.connection):
        return
    health = await journal.read(services, connection_id)
    if SILENT in health.waiting or health.failures:
        return
    heard = await services.store.realtime.read(connection_id)
    found = await _silence(services, connection_id, heard)
    if found is None:
        return
    await _make_anew(services, stored.connection, found)
    facts = Facts(
        rows=await services.store.subscriptions.of(connection_id),
        heard_at=last_heard(heard.at),
        address=f"{services.settings.public_base_url}{NOTIFICATIONS}",
    )
    finding = silence_found(found, stored.connection, facts)
    await journal.fell_silent(services, connection_id, finding, found.since)


async def _silence(services: Services, connection_id: str, heard: Heard) -> Silence | None:
    store, state = services.store, heard.state
    rows = await store.subscriptions.of(connection_id)
    covers = covers_of(rows, await _owners(services, rows), state)
    runs = await store.runs.page(connection_id, top=RUNS_LOOKED_AT, after=None)
    outages = [run.started_at or run.requested_at for run in runs if run.status is RunStatus.FAILED]
    return find_silence(state, heard.at, covers, outages, services.clock())


async def _owners(services: Services, rows: Sequence[Subscription]) -> list[Subscription]:
    """Return the subscriptions of other connections that serve this one, as those have them."""
    find = services.store.subscriptions.find
    found = [await find(row.owner, row.slot) for row in rows if row.owner is not None]
    return [one for one in found if one is not None]


async def _make_anew(services: Services, connection: Connection, silence: Silence) -> None:
    """Make the silent subscriptions anew; what keeps Graph from it is told by the incident."""
    try:
        await make_anew(services, connection, silence.slots)
    except SyncError as error:
        log_event("realtime.notMadeAnew", connection=connection.id, code=error.code)
    else:
        log_event("realtime.madeAnew", connection=connection.id, subscriptions=len(silence.slots))
