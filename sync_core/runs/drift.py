"""Drift: what a full reading found out and no delta told. It is counted and shown, and zero is the aim."""

from sync_core.directory.delta import LinkRefused
from sync_core.domain.documents.run import ModeReason
from sync_core.domain.incremental.checkpoint import Checkpoint
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.hints import Hints
from sync_core.domain.incremental.tracking import not_tracked
from sync_core.domain.model import Action
from sync_core.logs import log_event
from sync_core.runs.candidates import by_application
from sync_core.runs.context import RunContext
from sync_core.runs.full import FullReading
from sync_core.runs.planner import Draft
from sync_core.runs.rounds import Links, drained

# Full readings that find what the delta should have told; the others have other news.
_COMPARES = frozenset({ModeReason.ASKED, ModeReason.FULL_EVERY_HOURS, ModeReason.CHEAPER})


async def note_drift(
    context: RunContext,
    draft: Draft,
    gatherer: FullReading,
    links: Links,
    reason: ModeReason | None,
) -> set[str]:
    """Count, and return, whom a full reading found and no delta told of: zero is the aim.

    What is in the round that follows the reading is no drift: lists may be ahead of the delta. Nothing is
    said where the settings are others than before, or where groups have moved with everybody in them.
    """
    checkpoint, hints = context.kept.checkpoint, links.rounds.hints
    if checkpoint is None or not compares(context, checkpoint, links, reason):
        return set()
    before, now = checkpoint.tree, gatherer.reading.tree
    restored = before.gone.keys() & now.names.keys()
    if hints.groups.edges or hints.groups.gone or before.edges or before.entered or restored:
        return set()
    told = _told(context, gatherer, hints, checkpoint)
    values = not context.mapping.depends_on_time and not not_tracked(
        context.mapping.attributes, links.rounds.refused
    )
    drifted = {
        change.object_id
        for change in draft.plan.changes
        if change.object_id not in told and (values or change.action is not Action.UPDATE)
    }
    if drifted:
        try:
            later = await drained(context, links.as_checkpoint(checkpoint))
        except LinkRefused:
            return set()
        links.add(later)
        drifted -= later.hints.people.keys()
    context.ledger.set("drift", len(drifted))
    if drifted:
        log_event("run.drift", connection=context.connection.id, people=len(drifted))
    return drifted


def compares(
    context: RunContext, checkpoint: Checkpoint, links: Links, reason: ModeReason | None
) -> bool:
    """Whether what a full reading finds different is the directory's doing, and not that of settings."""
    is_like_before = checkpoint.digest == deciding_digest(context.connection)
    return reason in _COMPARES and not links.rounds.is_fresh and is_like_before


def _told(
    context: RunContext, gatherer: FullReading, hints: Hints, checkpoint: Checkpoint
) -> set[str]:
    """Return whom a run by the delta would have looked at."""
    told = {*hints.people, *(one.object_id for one in context.kept.cases.values())}
    for manager in gatherer.managers.keys() & told:
        told |= gatherer.managers[manager]
    now = by_application(gatherer.reading.assignments, context.scope.applications)
    for application, people in now.items():
        told |= set(people) ^ set(checkpoint.assignments.get(application, ()))
    return told
