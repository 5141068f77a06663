"""The end of a run for the next one: open cases settled, and last the checkpoint moved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_core.concurrency import in_thread
from sync_core.directory.delta import LinkRefused
from sync_core.domain.attributes import MANAGER
from sync_core.domain.documents import ModeReason
from sync_core.domain.incremental.checkpoint import (
    GONE_GROUP_KEPT,
    AssertedPeople,
    Checkpoint,
    TrackedGroups,
    counted,
)
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.open_people import (
    LAG,
    Cause,
    OpenCase,
    Settlement,
    opened,
    settle,
)
from sync_core.domain.incremental.tracking import not_tracked
from sync_core.domain.model import HEX_DIGITS, Action, Reason
from sync_core.domain.names import with_ids
from sync_core.domain.plan.plan import Plan
from sync_core.domain.plan.window import Marks
from sync_core.logs import log_event
from sync_core.runs.candidates import by_application, tracked_of
from sync_core.runs.context import RunContext
from sync_core.runs.full import FullReading
from sync_core.runs.incremental import Looks
from sync_core.runs.planner import GROUP_MISSING, Draft
from sync_core.runs.rounds import MOST_RECENT, Links, Rounds, drained, source_of
from sync_core.services import Services
from sync_core.store.checkpoints import Move
from sync_core.store.fences import Fence
from sync_core.store.reports import by_digit

# Of so many people that assertions name, the checkpoint does not keep a list; they are counted anew.
MOST_ASSERTED = 1000
_CAUSES = {
    "match.waiting": Cause.MATCH,
    "record.unanswered": Cause.UNANSWERED,
    "record.managerUnknown": Cause.UNANSWERED,
    GROUP_MISSING: Cause.UNANSWERED,
}
# Full readings that find what the delta should have told; the others have other news.
_COMPARES = frozenset({ModeReason.ASKED, ModeReason.FULL_EVERY_HOURS, ModeReason.CHEAPER})


def open_cases(context: RunContext, plan: Plan) -> Iterator[OpenCase]:
    """Yield the cases that a plan and its record leave open."""
    ledger, now = context.ledger, context.stamp.now
    for object_id, code in ledger.unfinished.items():
        yield opened(object_id, _CAUSES.get(code, Cause.REJECTED), now)
    for object_id, reason in ledger.unconfirmed.items():
        yield opened(object_id, Cause.UNCONFIRMED, now, reason)
    for change in plan.changes:
        if plan.is_held(change):
            yield opened(change.object_id, Cause.HELD, now, change.reason)
        elif change.reason is Reason.SOFT_DELETED:
            yield opened(change.object_id, Cause.RESTORABLE, now)
        elif change.action is Action.CREATE and plan.approved.hold_creates:
            # Nobody could refer to them yet: they were held when the plan was made.
            yield opened(change.object_id, Cause.BY_HAND, now)


def _left_open(context: RunContext, plan: Plan) -> list[OpenCase]:
    return list(open_cases(context, plan))


def _interest(gatherer: FullReading) -> InterestSet:
    return InterestSet.of(gatherer.interesting)


@dataclass(slots=True)
class Leaving:
    """A run at its end: its plan has been written, but for what is held."""

    services: Services
    context: RunContext
    plan: Plan
    fence: Fence

    async def full(self, draft: Draft, gatherer: FullReading, links: Links) -> None:
        """Settle all cases and move the checkpoint, if the reading was complete."""
        hints, now = links.rounds.hints.people, self.context.stamp.now
        many = len(hints) > MOST_RECENT
        recent = [] if many else [opened(one, Cause.RECENT, now) for one in hints]
        found = [*await in_thread(_left_open, self.context, self.plan), *recent]
        if not gatherer.reading.complete:
            await self._move(Move(Settlement(tuple(found), ())))
            return
        settlement = settle(self.context.kept.cases, found, None, (), now)
        checkpoint = self._read_whole(draft, gatherer, links, looks_again=many)
        interest = None
        if not self.context.scope.everyone:
            interest = await in_thread(_interest, gatherer)
        await self._save_reports(gatherer.managers, whole=True)
        await self._move(self._moved(settlement, checkpoint, gatherer.log.taken, interest))

    async def looks(self, draft: Draft, gatherer: Looks, rounds: Rounds) -> None:
        """Settle the cases of those who were looked at, and move the checkpoint."""
        candidates, now = gatherer.candidates, self.context.stamp.now
        found = [
            *await in_thread(_left_open, self.context, self.plan),
            *(opened(one, Cause.CONTRADICTED, now) for one in gatherer.contradicted),
            *(opened(one, Cause.RECENT, now) for one in candidates.new_members & candidates.ids),
        ]
        settlement = settle(self.context.kept.cases, found, candidates.ids, gatherer.restored, now)
        before = self.context.kept.checkpoint
        assert before is not None  # noqa: S101 -- an incremental run goes on from one
        tree = tracked_of(candidates.tree, candidates.sizes, candidates.gone, candidates.entered)
        checkpoint = before.model_copy(
            update={
                **self._numbers(draft),
                "users": rounds.users,
                "streams": rounds.streams,
                "tree": tree,
                "assignments": by_application(
                    candidates.assignments, self.context.scope.applications
                ),
            }
        )
        interest = self.context.kept.interest
        newcomers = [one for one in candidates.ids if interest is not None and one not in interest]
        if interest is not None:
            interest.add(newcomers)
        await self._save_reports(gatherer.managers, whole=False)
        changed = interest if newcomers else None
        await self._move(self._moved(settlement, checkpoint, gatherer.log.taken, changed))

    # --- the checkpoint -------------------------------------------------------------------------

    def _read_whole(
        self, draft: Draft, gatherer: FullReading, links: Links, *, looks_again: bool
    ) -> Checkpoint:
        context, now, rounds = self.context, self.context.stamp.now, links.rounds
        before = context.kept.checkpoint
        first_at, settled = self._age_of_links(links)
        return Checkpoint(
            **self._numbers(draft),
            digest=deciding_digest(context.connection),
            source=source_of(context.connection),
            full_at=now,
            first_at=now if looks_again else first_at,
            settled=settled and not looks_again,
            users=rounds.users,
            streams=rounds.streams,
            tree=self._tree(gatherer, rounds, before),
            tracked=rounds.tracked,
            refused=rounds.refused,
            no_delta_at=rounds.no_delta_at,
            reading_requests=gatherer.requests,
            assignments=by_application(gatherer.reading.assignments, context.scope.applications),
        )

    def _numbers(self, draft: Draft) -> dict[str, object]:
        """Return what is counted, as it is after everything was written."""
        context, inventory = self.context, draft.inventory
        return {
            "window_hours": context.connection.policy.guard.window_hours,
            "active": max(0, inventory.active + context.written.active),
            "by_digit": counted(inventory.by_digit, context.written.stored),
            "asserted": AssertedPeople(
                named=context.assertions.named, active=context.assertions.active
            ),
        }

    def _age_of_links(self, links: Links) -> tuple[datetime, bool]:
        """Return since when links go on from each other, and whether a reading was begun after the lag."""
        before, began_at = self.context.kept.checkpoint, links.began_at
        if before is None or links.rounds.is_fresh:
            return began_at, False
        return before.first_at, before.settled or began_at - before.first_at >= LAG

    def _tree(
        self, gatherer: FullReading, rounds: Rounds, before: Checkpoint | None
    ) -> TrackedGroups:
        tree, now = gatherer.reading.tree, self.context.stamp.now
        known = before.tree.gone if before is not None else {}
        gone = dict.fromkeys(rounds.hints.groups.gone, now) | known
        kept = {
            group: since
            for group, since in gone.items()
            if now - since < GONE_GROUP_KEPT
            and (group not in tree.names or group in rounds.hints.groups.gone)
        }
        sizes = {group: size.people for group, size in gatherer.reading.direct_sizes().items()}
        return tracked_of(tree, sizes, kept, {})

    def _moved(
        self,
        settlement: Settlement,
        checkpoint: Checkpoint,
        taken: Sequence[Marks],
        interest: InterestSet | None,
    ) -> Move:
        written, stamp = self.context.written, self.context.stamp
        marks = [Marks(stamp.now, stamp.run_id, tuple(written.marks), written.first)]
        asserted = sum(map(len, checkpoint.asserted.named.values()))
        # Of people with certain values, only the table knows the number.
        wide = asserted > MOST_ASSERTED or bool(self.context.assertions.columns)
        if wide:
            checkpoint = checkpoint.model_copy(update={"asserted": AssertedPeople()})
        since = stamp.now - timedelta(hours=checkpoint.window_hours)
        kept = [one for one in [*marks, *taken] if (one.marks or one.first) and one.at >= since]
        return Move(settlement, checkpoint, kept, interest, counts_again=wide)

    async def _move(self, move: Move) -> None:
        """Write what is left; the checkpoint stays where the settings were changed during the run."""
        context, services = self.context, self.services
        if move.checkpoint is not None and await self._were_settings_changed():
            log_event("checkpoint.kept", connection=context.connection.id)
            move = replace(move, checkpoint=None, interest=None)
        await services.store.checkpoints.move(context.connection.id, context.kept, move, self.fence)

    async def _were_settings_changed(self) -> bool:
        context = self.context
        found = await self.services.store.connections.find(context.connection.id)
        if found is None:
            return True
        named = with_ids(found.connection, context.bindings)
        return deciding_digest(named) != deciding_digest(context.connection)

    async def _save_reports(self, managers: Mapping[str, set[str]], *, whole: bool) -> None:
        """Keep who reports to whom: all pairs of a reading, or those of a few looks beside what is known."""
        if MANAGER not in self.context.selected:
            return
        store, connection_id = self.services.store.reports, self.context.connection.id
        seen = by_digit(managers)
        if whole:
            await store.save(
                connection_id, {digit: seen.get(digit, {}) for digit in HEX_DIGITS}, self.fence
            )
            return
        known = await store.load(connection_id, seen)
        changed = {}
        for digit, pairs in seen.items():
            if all(people <= known[digit].get(manager, set()) for manager, people in pairs.items()):
                continue
            for manager, people in pairs.items():
                known[digit].setdefault(manager, set()).update(people)
            changed[digit] = known[digit]
        await store.save(connection_id, changed, self.fence)


async def note_drift(
    context: RunContext, draft: Draft, links: Links, reason: ModeReason | None
) -> None:
    """Count what a full reading found and no delta told: zero is the aim.

    What is in the round that follows the reading is no drift: lists may be ahead of the delta.
    """
    if reason not in _COMPARES or links.rounds.is_fresh or context.kept.checkpoint is None:
        return
    told = links.rounds.hints.people.keys() | {one.object_id for one in context.kept.cases.values()}
    values = not context.mapping.depends_on_time and not not_tracked(
        context.mapping.attributes, links.rounds.refused
    )
    untold = (
        change.object_id
        for change in draft.plan.changes
        if change.object_id not in told and (values or change.action is not Action.UPDATE)
    )
    drifted = await in_thread(set, untold)
    if drifted:
        try:
            later = await drained(context, links.as_checkpoint(context.kept.checkpoint))
        except LinkRefused:
            return
        links.add(later)
        drifted -= later.hints.people.keys()
    context.ledger.set("drift", len(drifted))
    if drifted:
        log_event("run.drift", connection=context.connection.id, people=len(drifted))
