"""What a run learns of notifications: what came by them, how fast, and what they did not tell."""

from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import SyncError
from sync_core.domain.incidents import Ears
from sync_core.domain.incremental.notified import of_notified
from sync_core.domain.incremental.open_people import LAG
from sync_core.domain.realtime import Told, disproved_at, is_in_time
from sync_core.logs import log_event
from sync_core.runs.checkpoint import learned_by
from sync_core.runs.context import RunContext
from sync_core.runs.way import Way
from sync_core.services import Services

# Notifications are late by up to the lag; after it, whoever looks finds what is certain.
LOOK_AFTER_S = int(LAG.total_seconds()) + 30


def begin(context: RunContext, way: Way) -> None:
    """Learn what is known before anything is written: whom notifications and the delta have named."""
    if not context.connection.realtime:
        return
    kept, now = context.kept, context.stamp.now
    notified = {
        case.object_id: case.told_at or case.since
        for case in of_notified(kept.cases)
        if case.words or kept.interest is None or case.object_id in kept.interest
    }
    context.account.state, context.account.told = kept.heard.state, Told(notified)
    if kept.checkpoint is None or not way.compares:
        return
    before = kept.checkpoint.newest()
    context.account.told = Told(
        notified=notified,
        hints=way.rounds.hints.people,
        polled_at=way.rounds.ended_at,
        doubt=way.doubt,
        since=before if is_in_time(context.connection, before, now) else None,
        lately=kept.checkpoint.told_since(now - LAG).keys(),
        compares=True,
    )


def ears_of(context: RunContext) -> Ears:
    """Return whether notifications are expected, and the last that shows that they arrive."""
    heard = context.kept.heard
    return Ears(context.connection.realtime, disproved_at(heard.state, heard.at))


async def ask_for_look(services: Services, context: RunContext) -> None:
    """Have somebody look, once the last notification would have come, where enough was not told.

    A look that cannot be asked for is asked for by the next run that finds what was not told.
    """
    if not context.account.missed or not learned_by(context).suspects():
        return
    request = SyncRequest(
        connection_id=context.connection.id, trigger=Trigger.TIMER, purpose=Purpose.LISTEN
    )
    try:
        await services.queue.send(request, delay_s=LOOK_AFTER_S)
    except SyncError as error:
        log_event("realtime.notAsked", connection=context.connection.id, code=error.code)
    else:
        log_event("realtime.suspected", connection=context.connection.id)
