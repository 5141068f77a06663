"""What a run learns of its connection's notifications: what came by them, how fast, and what they did not tell."""

from sync_core.domain.documents import Purpose, SyncRequest, Trigger
from sync_core.domain.errors import SyncError
from sync_core.domain.incidents import Ears
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.open_people import LAG, Cause
from sync_core.domain.model import Change
from sync_core.domain.plan.plan import Plan
from sync_core.domain.realtime import RealtimeState, Told, disproved_at, is_in_time
from sync_core.logs import log_event
from sync_core.runs.context import RunContext
from sync_core.runs.drift import COMPARES
from sync_core.runs.way import LookingWay, Way
from sync_core.services import Services

# Notifications are late by up to the lag; after it, whoever looks finds what is certain.
LOOK_AFTER_S = int(LAG.total_seconds()) + 30


def begin(context: RunContext, way: Way) -> None:
    """Learn what is known before anything is written: whom notifications and the delta have named."""
    if not context.connection.realtime:
        return
    rounds = way.rounds if isinstance(way, LookingWay) else way.links.rounds
    checkpoint, now = context.kept.checkpoint, context.stamp.now
    cases = context.kept.cases.values()
    notified = {
        case.object_id: case.told_at or case.since
        for case in cases
        if case.cause is Cause.NOTIFIED
    }
    context.account.state = context.kept.heard.state
    if checkpoint is None or not _compares(context, way):
        context.account.told = Told(notified)
        return
    before = checkpoint.newest()
    context.account.told = Told(
        notified=notified,
        hints=rounds.hints.people,
        polled_at=rounds.ended_at,
        since=before if is_in_time(context.connection, before, now) else None,
        lately=checkpoint.told_since(now - LAG).keys(),
        compares=True,
    )
