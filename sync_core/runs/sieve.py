"""Whether notifications are worth a run: by what is stored, before the lease is taken or Graph is asked."""

from datetime import datetime

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.incremental.notified import matters, of_notified
from sync_core.domain.incremental.open_people import next_look
from sync_core.domain.incremental.rest import EARLY, LONGEST_OF_LOOKS_S
from sync_core.domain.realtime import ends_silence
from sync_core.domain.schedule import EPOCH
from sync_core.domain.scope.compile import compile_scope
from sync_core.logs import log_event
from sync_core.runs.pause import Pause, as_it_is
from sync_core.runs.rounds import source_of
from sync_core.services import Services
from sync_core.store.checkpoints import Kept
from sync_core.store.leases import Lease


async def passes(services: Services, request: SyncRequest) -> bool:
    """Whether a request that notifications have made is to be run now.

    If not, it is done with: what they named is of no interest, or one message comes when the pause is over.
    While a run is under way, or has died, the request goes on as others do.
    """
    lease, now = await services.store.leases.read(request.connection_id), services.clock()
    if lease.run_id is not None:
        return True
    if not lease.rest.is_over(now):
        await _rest(services, request, Pause(as_it_is, now, lease.rest.quiet_until))
        return False
    found = await services.store.connections.find(request.connection_id)
    kept = await services.store.checkpoints.load(request.connection_id)
    if found is None or not found.connection.enabled or not found.connection.realtime:
        # Notifications under way when it was switched off, or deleted; whoever else asks goes on.
        is_notified = any(of_notified(kept.cases))
        if is_notified:
            await _use_up(services, request, kept, None)
        return not is_notified
    if _is_worth_a_run(found.connection, request, kept, lease, now):
        return True
    look_at = next_look(kept.cases.values(), lease.last_started_at or EPOCH)
    await _use_up(services, request, kept, look_at)
    return False


def _is_worth_a_run(
    connection: Connection, request: SyncRequest, kept: Kept, lease: Lease, now: datetime
) -> bool:
    checkpoint = kept.checkpoint
    if checkpoint is None or checkpoint.source != source_of(connection):
        return True
    if request.mode == "full" or kept.reading is not None:
        return True
    if ends_silence(kept.heard.state, kept.heard.at):
        return True
    look_at = next_look(kept.cases.values(), lease.last_started_at or EPOCH)
    if look_at is not None and look_at <= now + EARLY:
        return True
    by_group = not compile_scope(connection.scope).everyone
    tracked = checkpoint.tree.known()
    return any(
        matters(case, tracked, kept.interest, by_group=by_group) for case in of_notified(kept.cases)
    )


async def dismiss(services: Services, request: SyncRequest) -> None:
    """Have done with all that notifications named: the connection waits, and the delta tells it later."""
    kept = await services.store.checkpoints.load(request.connection_id)
    await _use_up(services, request, kept, None)


async def _use_up(
    services: Services, request: SyncRequest, kept: Kept, look_at: datetime | None
) -> None:
    cases, now = list(of_notified(kept.cases)), services.clock()
    await services.store.checkpoints.use_up(request.connection_id, kept, cases)
    pause = Pause(as_it_is, now, look_at)
    if cases:
        log_event("notifications.nothing", connection=request.connection_id, people=len(cases))
        pause.rested = lambda rest: rest.after_nothing(now, LONGEST_OF_LOOKS_S)
    await _rest(services, request, pause)


async def _rest(services: Services, request: SyncRequest, pause: Pause) -> None:
    await services.store.leases.rest(request.connection_id, pause, request.run_id)
    await pause.send(services, request.connection_id)
