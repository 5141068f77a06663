"""What every kind of run shares: a gatherer looks at people, the planner decides; nothing is written.

The judge decides about one person at a time. What takes all of them to know comes afterwards: which
newcomers are linked, who has a manager with a row, what the guard and the assertions say.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from sync_core.concurrency import in_thread
from sync_core.directory.reading import Sighting
from sync_core.domain.documents.run import RecordError, RunWarning
from sync_core.domain.model import (
    Action,
    Attributes,
    Change,
    Evidence,
    Inventory,
    Reason,
    Status,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.by_hand import is_by_hand
from sync_core.domain.plan.clauses import Answers, check_clauses
from sync_core.domain.plan.decide import is_blocked
from sync_core.domain.plan.guard import (
    Verdict,
    check_groups,
    check_guard,
    check_keepers,
    check_rises,
    check_values,
    tally_of,
)
from sync_core.domain.plan.judge import Judge, manager_unknown, no_sign_in_name, unanswered
from sync_core.domain.plan.plan import ALLOWED, Plan
from sync_core.domain.plan.roster import EitherWay, Outcome, Roster
from sync_core.domain.plan.values import by_column, sensitive_values
from sync_core.domain.scope.missing import GROUP_MISSING, keepers_among
from sync_core.logs import log_event
from sync_core.runs.context import RunContext
from sync_core.runs.detail import Detail, write_detail
from sync_core.runs.spool import ChangeSpool, EitherWaySpool
from sync_core.store.index import watch_for

CONFIRM_AT_ONCE = 200
# Removals over the guard's limit wait anyway. Up to this many are asked for by id all the same: the
# administrator then sees the reasons, and a reading that was wrong is found out.
CONFIRM_HELD = 1000

Page = Sequence[Sighting]
InScope = Callable[[AsyncIterator[Page]], AsyncIterator[Page]]


class Gatherer(Protocol):
    """Looks at people for a plan. Which people, is its own matter; what becomes of them, the planner's.

    The methods are called in this order: stored rows first, then the directory, then the absent by id.
    """

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        """Load what is stored of the people who will be looked at, and begin the matching."""

    async def roster(self, stored: StoredIndex) -> Roster:
        """Return who has a row now; asked for only where the mapping refers to managers."""

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        """Yield people in scope with the named groups they are in; `in_scope` is the planner's sieve."""

    @property
    def complete(self) -> bool:
        """Whether all people in scope were seen; if not, no newcomer is linked by a key, no clause blamed."""

    @property
    def has_looked(self) -> bool:
        """Whether the absent were asked for by id already, so that to ask for many costs nothing."""

    @property
    def problems(self) -> list[RecordError]:
        """What kept the gatherer from seeing all it should have seen."""

    @property
    def warnings(self) -> list[RunWarning]:
        """What could not be checked, and kept nobody from being seen."""

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        """Return those of the stored people not found in scope who are to be asked for by id."""

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        """Return Graph's answer for each of these people."""

    async def group_losses(self) -> tuple[str, ...]:
        """Say which groups of the scope have lost more people than the guard allows."""

    async def groups_exist(self) -> bool:
        """Whether the scope's groups are all there: the members of one that is gone have not left."""

    async def is_witnessed(self, evidence: Evidence) -> bool:
        """Whether a second witness agrees that a person is to be removed."""


@dataclass(slots=True)
class Draft:
    """A plan, and what it takes to go on with it; its spools are open until `draft_plan` ends.

    `decided` holds what was wanted, also of people whom the plan leaves out. `unconfirmed` people would
    be removed and were not asked for by id yet.
    """

    plan: Plan
    judge: Judge
    gatherer: Gatherer
    inventory: Inventory
    decided: ChangeSpool
    unconfirmed: Mapping[str, StoredPerson]
    spools: ExitStack


@asynccontextmanager
async def draft_plan(
    context: RunContext, gatherer: Gatherer, *, by_name: bool = False, all_known: bool = False
) -> AsyncIterator[Draft]:
    """Decide about all people whom the gatherer looks at.

    `by_name`: an administrator has named them. Then the guard has no say, and of the assertions only
    those that name one of them; all that they would break, where `all_known` says that everybody stored
    was counted.
    """
    stored, inventory = await gatherer.stored()
    roster = await gatherer.roster(stored) if context.mapping.refers else None
    context.ledger.set("active", inventory.active)
    policy, now = context.connection.policy, context.stamp.now
    judge = Judge(
        context.scope, context.mapping, policy, now, roster, context.observer, context.linking.picks
    )
    async with _spools() as spools:
        decided = spools.enter_context(ChangeSpool())
        planned = spools.enter_context(ChangeSpool())
        planner = _Planner(
            context, gatherer, judge, stored, inventory, decided, Answers(context.scope)
        )
        unconfirmed = await planner.decide()
        context.ledger.warnings += planner.clause_warnings()
        detail = await write_detail(context, decided, planned, inventory)
        if by_name and all_known:
            verdict = await in_thread(
                context.assertions.applied_to_named, ALLOWED, inventory.active, planned
            )
        elif by_name:
            verdict = await _verdict_by_name(context, planned)
        else:
            verdict = await in_thread(planner.verdict, detail, planned, confirmed=not unconfirmed)
        columns = by_column(detail.losses)
        plan = Plan(
            planned, detail.tally, verdict, detail.plan_hash, by_name=by_name, columns=columns
        )
        await in_thread(plan.count_held)
        yield Draft(plan, judge, gatherer, inventory, decided, unconfirmed, spools)


@asynccontextmanager
async def _spools() -> AsyncIterator[ExitStack]:
    """Close in a thread what is opened in here: to free large files takes a while."""
    opened = ExitStack()
    try:
        yield opened
    finally:
        await in_thread(opened.close)


async def _verdict_by_name(context: RunContext, planned: ChangeSpool) -> Verdict:
    """Ask the assertions about people who were named; how many others there are, only where it matters."""
    assertions = context.assertions
    if assertions.needs_people(planned):
        await context.users.load_index(watch=watch_for(assertions))
    return assertions.applied_to_few(ALLOWED, planned)


@dataclass(slots=True)
class _Planner:
    """Decides about the people of one plan; `decided` collects the changes, `answers` those of clauses."""

    context: RunContext
    gatherer: Gatherer
    judge: Judge
    stored: StoredIndex
    inventory: Inventory
    decided: ChangeSpool
    answers: Answers
    deferred: EitherWaySpool = field(default_factory=EitherWaySpool)
    group_losses: tuple[str, ...] = ()

    async def look_at_groups(self) -> None:
        """Learn which groups were emptied; known once all people were read."""
        self.group_losses = await self.gatherer.group_losses()

    async def decide(self) -> dict[str, StoredPerson]:
        """Decide about everyone; return the people to be removed who were not asked for by id."""
        with self.deferred:
            await self._decide_present()
            self.context.ledger.errors += self.gatherer.problems
            self.context.ledger.warnings += self.gatherer.warnings
            unconfirmed = await self._decide_absent()
            await self._match()
            await self.look_at_groups()
            await self._decide_deferred(confirmed=not unconfirmed)
        return unconfirmed

    def verdict(self, detail: Detail, planned: ChangeSpool, *, confirmed: bool) -> Verdict:
        """Ask guard and assertions what has to wait; removals that are not `confirmed` always do."""
        guard = self.context.connection.policy.guard
        verdict = check_guard(detail.tally, guard)
        verdict = check_values(verdict, detail.losses, guard, detail.people)
        sensitive = sensitive_values(self.context.connection.mapping)
        verdict = check_rises(verdict, detail.rises, sensitive)
        verdict = check_groups(verdict, detail.tally, self.group_losses)
        gone = keepers_among(self.gatherer.problems, self.context.scope.document)
        verdict = check_keepers(verdict, detail.tally, gone)
        if self.sees_answers:
            verdict = check_clauses(verdict, self.answers)
        if not confirmed:
            verdict = replace(verdict, hold_removals=True)
        return self.context.assertions.applied(verdict, self.inventory.active, planned)

    @property
    def sees_answers(self) -> bool:
        """Whether everybody was read who stays, comes or leaves: of a few, no share can be said."""
        return self.gatherer.complete and not self.inventory.first_import

    def clause_warnings(self) -> list[RunWarning]:
        """Name the clauses of the scope that changed their answer for nearly everybody."""
        return self.answers.warnings(self.inventory.active) if self.sees_answers else []

    # --- present --------------------------------------------------------------------------------

    async def _decide_present(self) -> None:
        sieve = _Sieve(self.context, self.judge, self.answers)
        async for page in self.gatherer.present(sieve.in_scope):
            for person, groups in page:
                await self.context.turns.take()
                # Taken out of the index, so that those left in it at the end were not found in scope,
                # and so that the memory of those who were is free again while the reading goes on.
                known = self.stored.people.pop(person["id"], None)
                self._note_day(person["id"], known)
                is_new = known is None or not (known.status is Status.ACTIVE or known.returns)
                if person["id"] not in self.judge.picks:  # of these no clause has to be true
                    self.answers.present(person, groups, is_new=is_new)
                outcome = self.judge.present(person, groups, known, self.stored)
                if change := self._take(person["id"], outcome):
                    self._keep(change)

    def _take(self, object_id: str, outcome: Outcome | EitherWay) -> Change | None:
        """Count what was decided, or put it off until it is known who has a row."""
        if isinstance(outcome, EitherWay):
            self.deferred.add(outcome)
            return None
        return self.context.ledger.take(object_id, outcome)

    def _note_day(self, object_id: str, known: StoredPerson | None) -> None:
        """Note until when somebody is in by hand: no delta tells of that day, so a case has to."""
        if known is not None and known.until and is_by_hand(known, self.judge.now):
            self.context.ledger.ends[object_id] = known.until

    def _keep(self, change: Change) -> None:
        self.context.linking.see(change)
        self.decided.add(change)

    # --- absent ---------------------------------------------------------------------------------

    async def _decide_absent(self) -> dict[str, StoredPerson]:
        """Ask for each absent person by id and decide; return the people who were not asked for.

        When the guard will hold the removals anyway and there are too many to ask for, the rest of
        them is planned without a reason, and held.
        """
        absent = await in_thread(self.gatherer.absent, self.stored.people)
        removals = contradicted = 0
        for start in range(0, len(absent), CONFIRM_AT_ONCE):
            many = start >= CONFIRM_HELD and not self.gatherer.has_looked
            if many and self._is_over(removals):
                return await in_thread(self._leave_unconfirmed, absent[start:])
            for evidence in await self.gatherer.look(absent[start : start + CONFIRM_AT_ONCE]):
                await self.context.turns.take()
                contradicted += evidence.reason is None
                if change := await self._by_evidence(evidence):
                    self._keep(change)
                    removals += change.action.is_removal
        if contradicted:
            connection_id = self.context.connection.id
            log_event("reading.contradicted", connection=connection_id, people=contradicted)
        return {}

    def _is_over(self, removals: int) -> bool:
        tally = tally_of(self.inventory, {Action.DISABLE: removals})
        return check_guard(tally, self.context.connection.policy.guard).hold_removals

    def _leave_unconfirmed(self, object_ids: Sequence[str]) -> dict[str, StoredPerson]:
        known = {object_id: self.stored.people[object_id] for object_id in object_ids}
        active = {oid: one for oid, one in known.items() if one.status is Status.ACTIVE}
        self.decided.extend(Change(Action.DISABLE, object_id) for object_id in active)
        return active

    async def _by_evidence(self, evidence: Evidence) -> Change | None:
        """Remove a person who is shown to be gone; update one who stays like anyone else."""
        if evidence.is_unclear:
            self.context.ledger.reject(evidence.object_id, unanswered())
            return None
        known = self.stored.people[evidence.object_id]
        self._note_day(evidence.object_id, known)
        evidence = self.judge.as_by_hand(evidence, known)
        person = self.judge.staying(evidence, known)
        if person is not None:
            outcome = self.judge.present(person, evidence.groups, known, self.stored)
            return self._take(evidence.object_id, outcome)
        if known.status is Status.DISABLED:
            return None  # out already: only a return would be news
        if evidence.person is not None and evidence.reason is Reason.LEFT_SCOPE:
            self.answers.left(evidence.person, evidence.groups)
        return await removal_of(self.context, self.gatherer, self.judge, evidence)

    # --- what takes all people to know ----------------------------------------------------------

    async def _match(self) -> None:
        """Decide which newcomers are linked to rows that stand already, and which have to wait."""
        linking = self.context.linking
        if linking.registry is None:
            return
        await in_thread(linking.see_all, self.deferred.changes())
        for object_id, error in await linking.decide(complete=self.gatherer.complete):
            self.context.ledger.reject(object_id, error)
        if self.judge.roster is not None:
            self.judge.roster.keep_out(linking.left_out)

    async def _decide_deferred(self, *, confirmed: bool) -> None:
        """Choose for all people whose manager was not certain, now that the others are decided."""
        roster = self.judge.roster
        if roster is None:
            return
        if self.deferred.size and roster.is_open:
            await self._foresee(roster, confirmed=confirmed)
        await in_thread(roster.close)
        for either_way in self.deferred:
            await self.context.turns.take()
            outcome = roster.choose(either_way)
            if change := self.context.ledger.take(either_way.object_id, outcome):
                self.decided.add(change)

    async def _foresee(self, roster: Roster, *, confirmed: bool) -> None:
        """Find out whose rows this run deletes and whether newcomers wait, before the plan is complete."""
        with ChangeSpool() as wanted, ChangeSpool() as sketch:
            await in_thread(wanted.extend, self.decided)
            await in_thread(wanted.extend, self.deferred.changes())
            detail = await write_detail(self.context, wanted, sketch, self.inventory)
            verdict = await in_thread(self.verdict, detail, sketch, confirmed=confirmed)
            await in_thread(_learn, roster, sketch, verdict)


def _learn(roster: Roster, sketch: ChangeSpool, verdict: Verdict) -> None:
    if verdict.hold_creates:
        roster.hold()
    elif verdict.holds_single:
        roster.keep_out({one.object_id for one in sketch if _comes_later(one, verdict)})
    roster.lose({one.object_id for one in sketch if _goes_now(one, verdict)})


def _comes_later(change: Change, verdict: Verdict) -> bool:
    return change.action is Action.CREATE and verdict.holds_change(change)


def _goes_now(change: Change, verdict: Verdict) -> bool:
    return change.deletes and not verdict.holds_change(change)


async def removal_of(
    context: RunContext, gatherer: Gatherer, judge: Judge, evidence: Evidence
) -> Change | None:
    """Return the removal of a person who does not stay, if all that it takes to remove them agrees."""
    object_id, reason, ledger = evidence.object_id, evidence.reason, context.ledger
    if judge.is_unclear(evidence):
        ledger.reject(object_id, no_sign_in_name())
        return None
    change = judge.removal(evidence)
    if change is None or reason is None:
        return None
    if reason is Reason.LEFT_SCOPE and not await gatherer.groups_exist():
        ledger.unfinished[object_id] = GROUP_MISSING
        return None
    if not await gatherer.is_witnessed(evidence):
        ledger.wait(object_id, reason)
        return None
    return change


@dataclass(slots=True)
class _Sieve:
    """Lets each person in scope through once, unless a blocked account keeps them out."""

    context: RunContext
    judge: Judge
    answers: Answers
    # By the first digit of the id: a set of a million grows in one piece, which takes 25 ms and more.
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def in_scope(self, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
        async for page in pages:
            present: list[Sighting] = []
            for person, groups in page:
                await self.context.turns.take()
                if self._is_new_inside(person, groups) and not self.judge.is_turned_away(person):
                    present.append((person, groups))
            yield present

    def _is_new_inside(self, person: Attributes, groups: frozenset[str]) -> bool:
        object_id = person["id"]
        seen = self.seen[object_id[0]]
        if object_id in seen:
            return False
        self.context.ledger.count("read")
        self.answers.read(person)
        if self.judge.lacks_manager(person):
            self.context.ledger.reject(object_id, manager_unknown())
            return False
        if not self.judge.is_in_scope(person, groups):
            return False
        seen.add(object_id)
        self.context.ledger.count("inScope")
        if is_blocked(person):
            self.context.ledger.count("blocked")
        return True
