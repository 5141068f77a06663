"""The way of a run: everything read, or the candidates of the delta looked at; and how it ends."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from sync_core.directory.delta import LinkRefused, NoDelta, NoLinkNow, TooMany, TooManyPages
from sync_core.domain.documents.run import ModeReason
from sync_core.domain.incremental.checkpoint import Checkpoint
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.mode import (
    INCREMENTAL,
    Choice,
    Cost,
    Wanted,
    choose,
    full,
    is_cheaper_to_read,
)
from sync_core.domain.incremental.tracking import not_tracked
from sync_core.domain.plan.plan import Plan
from sync_core.logs import log_event
from sync_core.runs.candidates import CandidateSearch, ReadEverything
from sync_core.runs.checkpoint import Leaving
from sync_core.runs.context import RunContext
from sync_core.runs.continuation import Continuation
from sync_core.runs.drift import compares, note_drift
from sync_core.runs.full import FullReading
from sync_core.runs.hold import Hold
from sync_core.runs.incremental import Looks
from sync_core.runs.planner import Draft
from sync_core.runs.rounds import MOST_PAGES, Links, Rounds, drained, source_of
from sync_core.services import Services

ASKED_INCREMENTAL = "incremental"


@dataclass(slots=True)
class ReadingWay:
    """A full run: its links are drained or taken before anything is read."""

    services: Services
    context: RunContext
    choice: Choice
    gatherer: FullReading
    links: Links

    # A reading is compared with nothing that was told.
    doubt: ClassVar[frozenset[str]] = frozenset()

    @property
    def rounds(self) -> Rounds:
        return self.links.rounds

    @property
    def compares(self) -> bool:
        """Whether what is found different was changed by the directory."""
        context, checkpoint = self.context, self.context.kept.checkpoint
        return checkpoint is not None and compares(
            context, checkpoint, self.links, self.choice.reason
        )

    async def leave(self, draft: Draft, plan: Plan, hold: Hold) -> None:
        """End the run: drift counted, groups remembered, cases settled, the checkpoint moved."""
        context, reason = self.context, self.choice.reason
        before = context.kept.checkpoint
        drifted = await note_drift(context, draft, self.gatherer, self.links, reason)
        if before is not None:
            by_groups = bool(context.scope.groups)
            context.account.drifted(drifted, before.full_at, by_groups=by_groups)
        if not plan.verdict.hold_removals:
            await self.gatherer.note_groups(accepted=plan.approved.holds)
        await hold.check()
        leaving = Leaving(self.services, self.context, plan, hold.fence)
        hold.look_at = await leaving.full(draft, self.gatherer, self.links)


@dataclass(slots=True)
class LookingWay:
    """An incremental run."""

    services: Services
    context: RunContext
    choice: Choice
    gatherer: Looks
    rounds: Rounds
    compares: ClassVar[bool] = True

    @property
    def doubt(self) -> set[str]:
        """The people of whom an answer differed from what the delta told."""
        return self.gatherer.contradicted

    async def leave(self, draft: Draft, plan: Plan, hold: Hold) -> None:
        """End the run: groups remembered, cases settled, the checkpoint moved."""
        if not plan.verdict.hold_removals:
            await self.gatherer.note_groups(accepted=plan.approved.holds)
        await hold.check()
        leaving = Leaving(self.services, self.context, plan, hold.fence)
        hold.look_at = await leaving.looks(draft, self.gatherer, self.rounds)


Way = ReadingWay | LookingWay


async def choose_way(
    services: Services, context: RunContext, mode: str, continuation: Continuation
) -> Way:
    """Choose how a run goes, by need and by cost; what the delta told already is not lost to a full run.

    A full reading that an earlier run could not finish goes on, whatever was asked for.
    """
    checkpoint, now = context.kept.checkpoint, context.stamp.now
    if checkpoint is not None and checkpoint.source != source_of(context.connection):
        checkpoint = context.kept.checkpoint = None
    if going_on := await continuation.taken_up():
        return _reading(services, context, *going_on, continuation)
    choice = choose(_wanted(context, mode, checkpoint), checkpoint, now)
    if checkpoint is None or choice != INCREMENTAL:
        return await _read(services, context, choice, continuation)
    try:
        rounds = await drained(context, checkpoint, _too_many(checkpoint, mode))
    except LinkRefused as error:
        log_event("delta.refused", connection=context.connection.id, code=error.code)
        context.kept.checkpoint = None
        too_many = isinstance(error, TooManyPages)
        reason = ModeReason.CHEAPER if too_many else ModeReason.LINK_REFUSED
        return await _read(services, context, full(reason), continuation)
    try:
        candidates = await CandidateSearch(services, context, checkpoint, rounds).find()
    except (NoDelta, NoLinkNow, ReadEverything):
        return await _read(services, context, full(ModeReason.CHEAPER), continuation, rounds)
    cost = Cost(len(candidates.ids))
    if mode != ASKED_INCREMENTAL and is_cheaper_to_read(cost, checkpoint):
        return await _read(services, context, full(ModeReason.CHEAPER), continuation, rounds)
    looks = Looks(context, checkpoint, candidates, rounds.hints)
    await looks.look_at_all()
    return LookingWay(services, context, choice, looks, rounds)


def _wanted(context: RunContext, mode: str, checkpoint: Checkpoint | None) -> Wanted:
    refused = checkpoint.refused if checkpoint is not None else []
    return Wanted(
        mode=mode,
        digest=deciding_digest(context.connection),
        full_every=timedelta(hours=context.connection.schedule.full_every_hours),
        depends_on_time=context.mapping.depends_on_time,
        untracked_scope=bool(not_tracked(context.scope.attributes, refused)),
        takes_over=bool(context.takeovers.pending),
    )


def _too_many(checkpoint: Checkpoint, mode: str) -> TooMany:
    """Return the test for pages that cost more than a full reading."""
    most = MOST_PAGES if mode == ASKED_INCREMENTAL else max(100, checkpoint.reading_requests)
    return lambda pages: pages > most


async def _read(
    services: Services,
    context: RunContext,
    choice: Choice,
    continuation: Continuation,
    rounds: Rounds | None = None,
) -> ReadingWay:
    links = Links(context, rounds)
    await links.begin()
    return _reading(services, context, choice, links, continuation)


def _reading(
    services: Services,
    context: RunContext,
    choice: Choice,
    links: Links,
    continuation: Continuation,
) -> ReadingWay:
    continuation.begin(choice, links)
    gatherer = FullReading(context, links.rounds.hints, continuation)
    gatherer.reading.on_tree = links.on_tree
    return ReadingWay(services, context, choice, gatherer, links)
