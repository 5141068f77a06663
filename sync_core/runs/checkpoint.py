"""The end of a run for the next one: open cases settled, and last the checkpoint moved."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_core.concurrency import in_thread
from sync_core.directory.lookup import who_can_return
from sync_core.domain.attributes import MANAGER
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import RetryLater, SyncError
from sync_core.domain.incremental.checkpoint import (
    MOST_TOLD,
    AssertedPeople,
    Checkpoint,
    ToldPeople,
    TrackedGroups,
)
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.hints import Hints
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.mode import reads_again
from sync_core.domain.incremental.notified import matters, of_notified
from sync_core.domain.incremental.open_people import (
    LAG,
    Cause,
    OpenCase,
    Settlement,
    is_used_up,
    left_open,
    next_look,
    opened,
    settle,
)
from sync_core.domain.model import HEX_DIGITS, Action, Reason
from sync_core.domain.names import with_ids
from sync_core.domain.plan.by_hand import day_begins
from sync_core.domain.plan.plan import Plan
from sync_core.domain.plan.window import Marks
from sync_core.domain.realtime import RealtimeState
from sync_core.domain.scope.missing import GROUP_MISSING
from sync_core.domain.subscriptions import has_realtime, wishes_of
from sync_core.logs import log_event
from sync_core.runs.context import RunContext
from sync_core.runs.full import FullReading
from sync_core.runs.incremental import Looks
from sync_core.runs.next_checkpoint import NextCheckpoint, without_missing
from sync_core.runs.planner import Draft
from sync_core.runs.rounds import Links, Rounds
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
    written = (one for one in plan.changes if one.until and not plan.is_held(one))
    for object_id, day in (ledger.ends | {one.object_id: one.until for one in written}).items():
        yield OpenCase(object_id, Cause.UNTIL, now, day_begins(day))


def _left_open(context: RunContext, plan: Plan) -> list[OpenCase]:
    return list(open_cases(context, plan))


@dataclass(slots=True)
class Leaving:
    """A run at its end: its plan has been written, but for what is held."""

    services: Services
    context: RunContext
    plan: Plan
    fence: Fence

    async def full(self, draft: Draft, gatherer: FullReading, links: Links) -> datetime | None:
        """Settle all cases and move the checkpoint, if the reading was complete.

        Returns when somebody is to be looked at again whom the run was in doubt about.
        """
        now = self.context.stamp.now
        interesting = None if self.context.scope.everyone else gatherer.interesting
        # Of a reading that another run began it is kept who was told of, not why: all of them matter.
        sieve = None if links.goes_on else interesting
        news = await in_thread(_that_matter, links.rounds.hints, sieve)
        news += self._notified(gatherer, interesting)
        touched = self.context.kept.touched
        unsure = [*news, *gatherer.apart, *gatherer.disputed, *(touched or ())]
        told = self._told_lately(links.began_at) | dict.fromkeys(unsure, now)
        many = touched is None or len(told) > MOST_TOLD or reads_again(len(told), gatherer.requests)
        recent = [] if many else [opened(one, Cause.RECENT, at) for one, at in told.items()]
        found = [*await in_thread(_left_open, self.context, self.plan), *recent]
        if not gatherer.reading.complete:
            incomplete = Settlement(tuple(found), ())
            corrected = without_missing(self.context, gatherer)
            await self._move(Move(incomplete, corrected=corrected))
            return self._next_look(incomplete)
        settlement = settle(self.context.kept.cases, found, None, (), now)
        following = NextCheckpoint(self.context, draft)
        checkpoint = following.after_reading(gatherer, links, looks_again=many)
        checkpoint = _with_told(checkpoint, {} if many else told, now)
        interest = None
        if interesting is not None:
            restorable = await self._restorable() if links.has_links else set()
            interest = await in_thread(InterestSet.of, interesting | restorable)
        await self._save_reports(gatherer.managers, whole=True)
        await self._move(self._moved(settlement, checkpoint, gatherer.log.taken, interest))
        return self._next_look(settlement)

    async def looks(self, draft: Draft, gatherer: Looks, rounds: Rounds) -> datetime | None:
        """Settle the cases of those who were looked at, and move the checkpoint.

        Returns when somebody is to be looked at again whom the run was in doubt about.
        """
        candidates, now = gatherer.candidates, self.context.stamp.now
        told = self._told_lately(now)
        news = dict.fromkeys(rounds.hints.people.keys() | candidates.notified.keys(), now)
        recent = _seen_early(told, told | news, gatherer, now)
        recent |= dict.fromkeys(sorted(self.context.kept.touched or ()), now)
        found = [
            *await in_thread(_left_open, self.context, self.plan),
            *gatherer.contradictions(),
            *(opened(one, Cause.RECENT, at) for one, at in recent.items()),
        ]
        settlement = settle(self.context.kept.cases, found, candidates.ids, gatherer.restored, now)
        passed_over = (one for one in candidates.passed_over if is_used_up(one, now))
        settlement = replace(settlement, closed=(*settlement.closed, *passed_over))
        checkpoint = NextCheckpoint(self.context, draft).after_looks(gatherer, rounds)
        news = {one: at for one, at in news.items() if one in candidates.ids}
        checkpoint = _with_told(checkpoint, told | news, now)
        interest = self.context.kept.interest
        newcomers = []
        if interest is not None:
            can_matter = candidates.ids | rounds.hints.may_return()
            newcomers = [one for one in can_matter if one not in interest]
            interest.add(newcomers)
        await self._save_reports(gatherer.managers, whole=False)
        changed = interest if newcomers else None
        await self._move(self._moved(settlement, checkpoint, gatherer.log.taken, changed))
        return self._next_look(settlement)

    def _next_look(self, settlement: Settlement) -> datetime | None:
        return next_look(left_open(self.context.kept.cases, settlement), self.context.stamp.now)

    def _notified(self, gatherer: FullReading, interest: AbstractSet[str] | None) -> list[str]:
        """Return whom notifications named and who can matter: what was read of them may be older."""
        tracked = gatherer.reading.tree.names.keys()
        return [
            case.object_id
            for case in of_notified(self.context.kept.cases)
            if case.object_id not in tracked
            and matters(case, tracked, interest, by_group=interest is not None)
        ]

    async def _restorable(self) -> set[str]:
        """Return the soft-deleted people: who is restored is in their groups again, and of that nobody tells.

        learn.microsoft.com/graph/delta-query-groups
        """
        try:
            return await who_can_return(self.context.client)
        except SyncError as error:
            # Until the next full reading a restored stranger goes unnoticed, and nobody else.
            log_event(
                "reading.deletedUnread", connection=self.context.connection.id, code=error.code
            )
            return set()

    def _told_lately(self, asked_at: datetime) -> dict[str, datetime]:
        """Return whom earlier runs were told of so lately that an answer of then may show what was before."""
        before = self.context.kept.checkpoint
        return before.told_since(asked_at - LAG) if before is not None else {}

    # --- the checkpoint -------------------------------------------------------------------------

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
        learned = learned_by(context)
        if learned != context.kept.heard.state:
            move = replace(move, realtime=learned)
        await services.store.checkpoints.move(context.connection.id, context.kept, move, self.fence)
        if move.checkpoint is not None and has_realtime(context.connection):
            await self._follow(move.checkpoint.tree)

    async def _follow(self, tree: TrackedGroups) -> None:
        """Have the subscriptions looked after where nested groups came or are gone, at once."""
        connection, before = self.context.connection, self.context.kept.checkpoint
        known = wishes_of(connection, before.tree if before is not None else None)
        if wishes_of(connection, tree) == known:
            return
        request = SyncRequest(
            connection_id=connection.id, trigger=Trigger.TIMER, purpose=Purpose.SUBSCRIBE
        )
        with suppress(RetryLater):  # the maintenance does it within the hour
            await self.services.queue.send(request)

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


def learned_by(context: RunContext) -> RealtimeState:
    """Return what is known of notifications after a run; nothing where a connection is not to be told."""
    if not context.connection.realtime:
        return RealtimeState()
    return context.account.learned(context.kept.heard.at, context.stamp.now)


def _that_matter(hints: Hints, interesting: AbstractSet[str] | None) -> list[str]:
    """Return the people who were told of, but for those who are in no group that is read."""
    return [
        object_id
        for object_id, hint in hints.people.items()
        if interesting is None or hint.joined or hint.left or object_id in interesting
    ]


def _with_told(checkpoint: Checkpoint, told: Mapping[str, datetime], now: datetime) -> Checkpoint:
    """Keep who was told of lately; where those are too many, everybody is read again after the lag."""
    if len(told) > MOST_TOLD:
        return checkpoint.model_copy(update={"told": [], "settled": False, "first_at": now})
    by_time: dict[datetime, list[str]] = {}
    for person in sorted(told):
        by_time.setdefault(told[person], []).append(person)
    kept = [ToldPeople(at=at, people=people) for at, people in sorted(by_time.items())]
    return checkpoint.model_copy(update={"told": kept})


def _seen_early(
    before: Mapping[str, datetime], told: Mapping[str, datetime], gatherer: Looks, now: datetime
) -> dict[str, datetime]:
    """Return the people whose look may be older than what is known, with the time of that.

    Of whom an earlier run was told `before`, an older look may undo what that run wrote. Members who came
    lately may show the groups of before. Who reports to a manager that was `told` of may show that manager
    as before.
    """
    candidates = gatherer.candidates
    reports = {one: at for boss, at in told.items() for one in gatherer.managers.get(boss, ())}
    again = {one: at for one, at in before.items() if one in candidates.ids}
    return reports | again | dict.fromkeys(candidates.new_members & candidates.ids, now)
