"""One full run, from reading to applying: read everything, decide once, then act.

Nothing is written before the guard has seen the whole plan.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sync_core.directory.client import GraphClient
from sync_core.directory.evidence import read_evidence
from sync_core.directory.managers import with_managers
from sync_core.directory.reading import Reading, Sighting
from sync_core.domain.documents import Connection, Counts, RecordError
from sync_core.domain.errors import RecordRejected
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.matching.decide import Outcome as Matched
from sync_core.domain.model import (
    Action,
    Change,
    Evidence,
    Reason,
    Status,
    StoredIndex,
    StoredPerson,
    Tally,
)
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.plan.decide import (
    is_protected,
    may_delete,
    removal_candidates,
)
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.guard import Verdict, check_guard
from sync_core.domain.plan.judge import Judge, Witness, manager_unknown
from sync_core.domain.plan.ledger import Ledger
from sync_core.domain.plan.plan import ALLOWED, Plan
from sync_core.domain.references import (
    MANAGER,
    EitherWay,
    Outcome,
    Roster,
    manager_of,
)
from sync_core.domain.scope.compile import compile_scope
from sync_core.logs import log_event
from sync_core.runs.linking import Linking
from sync_core.runs.spool import DIGITS, ChangeSpool, FuturesSpool
from sync_core.store.rows import Stamp, old_values
from sync_core.store.users import UserStore, bounded
from sync_core.store.wire import Entity

CONFIRM_AT_ONCE = 200
# Removals over the guard's limit wait anyway. Up to this many are asked for by id all the same: the
# administrator then sees the reasons, and a reading that was wrong is found out.
CONFIRM_HELD = 1000
# Of a plan that was confirmed, so many more are asked for in one run: 20 a request, some ten minutes.
ASKED_A_RUN = 20_000
# Each holds the stored rows of the changes of one partition in memory.
PARTITIONS_AT_ONCE = 4
# A page of 999 people takes some 30 ms to judge; a webhook in the same process must not wait for it.
JUDGED_AT_ONCE = 200

NOBODY_STORED = StoredIndex({}, frozenset())

StillHeld = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class FullSync:
    """Brings one connection's people in line with the directory: `plan`, then `apply`."""

    connection: Connection
    client: GraphClient
    users: UserStore
    stamp: Stamp
    witness: Witness | None = None
    ledger: Ledger = field(default_factory=Ledger)
    reading: Reading = field(init=False)
    judge: Judge = field(init=False)
    _linking: Linking = field(init=False)
    _assertions: Assertions = field(init=False)
    _deferred: FuturesSpool = field(default_factory=FuturesSpool)
    _sizes: dict[str, int] = field(default_factory=dict)
    _unasked: dict[str, StoredPerson] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scope = compile_scope(self.connection.scope)
        mapping = compile_mapping(self.connection.mapping)
        self.judge = Judge(
            scope, mapping, self.connection.policy, self.stamp.now, witness=self.witness
        )
        self._assertions = Assertions(self.connection.assertions)
        self._linking = Linking(self.connection, self.users.matches(), self.stamp.now)
        self.reading = Reading(
            self.client,
            scope,
            scope.attributes | mapping.attributes,
            scope.asked_groups | mapping.groups,
            self.connection.id,
        )

    @property
    def errors(self) -> list[RecordError]:
        return self.ledger.errors

    @property
    def counts(self) -> Counts:
        return self.ledger.counts

    async def plan(self, decided: ChangeSpool, planned: ChangeSpool) -> Plan:
        """Read the directory and what is stored, and decide about everybody; writes nothing."""
        watch = self._assertions.stored if self.connection.assertions else None
        stored = await self.users.load_index(self._linking.registry, watch)
        await self._linking.begin(stored.people)
        active = sum(one.status is Status.ACTIVE for one in stored.people.values())
        for object_id in stored.people:
            self._sizes[object_id[0]] = self._sizes.get(object_id[0], 0) + 1

        with self._deferred:
            self.judge.roster = self._open_roster(stored)
            await self._decide_present(stored, decided)
            self.ledger.errors += self.reading.problems
            # Only a complete reading may say who is absent.
            absent = removal_candidates(stored.people) if self.reading.complete else []
            confirmed = await self._decide_absent(absent, active, stored, decided)
            await self._match(complete=self.reading.complete)
            await self._decide_deferred(decided, active, confirmed=confirmed)

        tally, plan_hash = await self._detail(decided, planned, active)
        verdict = check_guard(tally, self.connection.policy.guard)
        if not confirmed:
            verdict = Verdict(True, verdict.hold_creates, verdict.reasons)
        verdict = self._asserted(verdict, active)
        self.ledger.count("held", (plan := Plan(planned, tally, verdict, plan_hash)).held)
        return plan

    async def plan_one(
        self, object_id: str, decided: ChangeSpool, planned: ChangeSpool
    ) -> tuple[Plan, Evidence]:
        """Ask for one person by id and decide as a full run would; writes nothing.

        The guard has no say: it is there for people whom nobody named.
        """
        stored = await self._stored_one(object_id)
        [evidence] = await self._evidence([object_id])
        await self._refer_one(evidence)
        change = self._decide_one(evidence, stored)
        if change and not await self._may_go(change):
            change = None
        if change:
            self._linking.see(change)
            decided.add(change)
        # The others in scope are not known, so nobody is linked by a key that one of them may have, too.
        await self._match(complete=False)
        active = sum(one.status is Status.ACTIVE for one in stored.people.values())
        tally, plan_hash = await self._detail(decided, planned, active)
        verdict = ALLOWED.blocked(self._assertions.broken_by_one())
        return Plan(planned, tally, verdict, plan_hash), evidence

    async def _stored_one(self, object_id: str) -> StoredIndex:
        """Load one person; of somebody new to a connection that matches, everybody who stands there."""
        stored = await self.users.load_one(object_id)
        registry = self._linking.registry
        if registry is None or object_id in stored.people:
            return stored
        stored = await self.users.load_index(registry)
        await self._linking.begin(stored.people)
        return stored

    async def _refer_one(self, evidence: Evidence) -> None:
        """Find out whether the person's manager has a row; somebody may be their own."""
        manager = manager_of(evidence.person) if evidence.person else None
        if not self.judge.mapping.refers:
            return
        known = await self.users.load_one(manager) if manager else None
        rows = {evidence.object_id, *(known.people if known else ())}
        self.judge.roster = Roster(stored=rows, may_delete=False, may_hold=False)
        self.judge.roster.close()

    def _decide_one(self, evidence: Evidence, stored: StoredIndex) -> Change | None:
        person, known = evidence.person, stored.people.get(evidence.object_id)
        if person is not None:
            self.ledger.count("read")
            if self.judge.scope.matches(person, evidence.groups):
                self.ledger.count("inScope")
                if not self.judge.is_turned_away(person):
                    judged = self.judge.present(person, evidence.groups, known, stored)
                    return self._take(evidence.object_id, judged)
        if known is None or known.status is not Status.ACTIVE:
            return None
        return self._decide_by_evidence(evidence, known, stored)

    async def _may_go(self, change: Change) -> bool:
        """Tell whether a change stands although nobody else is read.

        While a group of the scope is gone, its former members have not left, as in a full reading.
        """
        if change.reason is not Reason.LEFT_SCOPE or not self.judge.scope.groups:
            return True
        await self.reading.find_groups()
        self.ledger.errors += self.reading.problems
        return self.reading.complete

    async def release(
        self, plan: Plan, decided: ChangeSpool, planned: ChangeSpool, still_held: StillHeld
    ) -> Plan:
        """Lift the guard's hold of a plan that an administrator has confirmed.

        A confirmation is no evidence: whom the plan left unasked is asked for now, and stays if
        Graph says so. The spools are new ones; the plan keeps its name.
        """
        active = plan.tally.active
        released = replace(plan, verdict=self._asserted(ALLOWED, active))
        if self._unasked:
            decided.extend(one for one in plan.changes if one.object_id not in self._unasked)
            await self._ask_the_rest(decided, still_held)
            tally, _ = await self._detail(decided, planned, active)
            unasked = sum(one.action.is_removal and one.reason is None for one in planned)
            verdict = self._asserted(ALLOWED, active)
            released = Plan(planned, tally, verdict, plan.plan_hash, unasked)
        self.ledger.set("held", released.held)
        return released

    def _asserted(self, verdict: Verdict, active: int) -> Verdict:
        """Let nobody come or go if what the verdict lets through would break an assertion."""
        return verdict.blocked(self._assertions.broken(active, verdict))

    async def _ask_the_rest(self, decided: ChangeSpool, still_held: StillHeld) -> None:
        """Ask for as many as a run has time for; the others are planned without a reason, and wait."""
        unasked = list(self._unasked)
        asked, left = unasked[:ASKED_A_RUN], unasked[ASKED_A_RUN:]
        for start in range(0, len(asked), CONFIRM_AT_ONCE):
            await still_held()
            for evidence in await self._evidence(asked[start : start + CONFIRM_AT_ONCE]):
                known = self._unasked[evidence.object_id]
                if change := self._decide_by_evidence(evidence, known, NOBODY_STORED):
                    decided.add(change)
        decided.extend(Change(Action.DISABLE, object_id) for object_id in left)

    async def _decide_present(self, stored: StoredIndex, decided: ChangeSpool) -> None:
        """Judge everybody who is read; who is left in `stored` afterwards was not found in scope."""
        async for page in self._present():
            for number, (person, groups) in enumerate(page):
                if number % JUDGED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                known = stored.people.pop(person["id"], None)
                judged = self.judge.present(person, groups, known, stored)
                if change := self._take(person["id"], judged):
                    self._linking.see(change)
                    decided.add(change)

    def _present(self) -> AsyncIterator[Sequence[Sighting]]:
        """Give whoever is in scope, once, and with the manager where scope or mapping ask for it."""
        judges, maps = (
            MANAGER in self.judge.scope.attributes,
            MANAGER in self.judge.mapping.attributes,
        )
        people = self.reading.people()
        pages = with_managers(self.client, people) if judges else people
        present = self._in_scope(pages)
        return with_managers(self.client, present) if maps and not judges else present

    async def _in_scope(
        self, pages: AsyncIterator[Sequence[Sighting]]
    ) -> AsyncIterator[Sequence[Sighting]]:
        seen: set[str] = set()
        async for page in pages:
            present: list[Sighting] = []
            for number, (person, groups) in enumerate(page):
                if number % JUDGED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                object_id = person["id"]
                if object_id in seen:
                    continue
                self.ledger.count("read")
                if MANAGER in self.judge.scope.attributes and MANAGER not in person:
                    self.ledger.reject(object_id, manager_unknown())
                    continue
                if not self.judge.is_in_scope(person, groups):
                    continue
                seen.add(object_id)
                self.ledger.count("inScope")
                if not self.judge.is_turned_away(person):
                    present.append((person, groups))
            yield present

    def _take(self, object_id: str, outcome: Outcome | EitherWay) -> Change | None:
        """Count what was decided, or put it off; a record that cannot be mapped is left as it is."""
        if isinstance(outcome, EitherWay):
            self._deferred.add(outcome)
            return None
        if isinstance(outcome, RecordRejected):
            self.ledger.reject(object_id, outcome)
            return None
        if outcome is None:
            self.ledger.count("unchanged")
        return outcome

    def _open_roster(self, stored: StoredIndex) -> Roster | None:
        """Begin to note who will have a row; None where the mapping refers to nobody."""
        if not self.judge.mapping.refers:
            return None
        policy = self.connection.policy
        return Roster(
            stored=set(stored.people),
            may_delete=may_delete(policy),
            may_hold=policy.guard.max_creates is not None
            or bool(self.connection.matching)
            or bool(self.connection.assertions),
        )

    async def _match(self, *, complete: bool) -> None:
        """Decide which newcomers are linked to rows that stand already, and which have to wait."""
        if self._linking.registry is None:
            return
        for change in self._deferred.changes():
            self._linking.see(change)
        for object_id, error in await self._linking.decide(complete=complete):
            self.ledger.reject(object_id, error)
        if self.judge.roster is not None:
            self.judge.roster.keep_out(self._linking.left_out)

    async def _decide_deferred(self, decided: ChangeSpool, active: int, *, confirmed: bool) -> None:
        """Choose for everybody whose manager was not certain, now that all others are decided."""
        roster = self.judge.roster
        if roster is None:
            return
        if self._deferred.size and roster.is_open:
            await self._foresee(roster, decided, active, confirmed=confirmed)
        roster.close()
        for number, either_way in enumerate(self._deferred):
            if number % JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if change := self._take(either_way.object_id, roster.choose(either_way)):
                decided.add(change)

    async def _foresee(
        self, roster: Roster, decided: ChangeSpool, active: int, *, confirmed: bool
    ) -> None:
        """Find out whose rows this run deletes and whether newcomers wait, before the plan is complete."""
        with ChangeSpool() as sketch:
            tally, _ = await self._detail(decided, sketch, active)
            removed = {one.object_id for one in sketch if one.action is Action.DELETE}
        tally = replace(tally, creates=tally.creates + len(roster.newcomers))
        verdict = check_guard(tally, self.connection.policy.guard)
        if self.connection.assertions:
            for change in self._deferred.changes():
                self._assertions.change(change)
            verdict = self._asserted(verdict, active)
        if confirmed and not verdict.hold_removals:
            roster.lose(removed)
        if verdict.hold_creates:
            roster.hold()

    async def _decide_absent(
        self, absent: list[str], active: int, stored: StoredIndex, decided: ChangeSpool
    ) -> bool:
        """Ask for each absent person by id and decide.

        False when the guard will hold the removals anyway and there are too many to ask for: the rest
        of them is then planned without a reason, and held.
        """
        removals = contradicted = 0
        for start in range(0, len(absent), CONFIRM_AT_ONCE):
            if start >= CONFIRM_HELD and self._is_over(active, removals):
                self._unasked = {one: stored.people[one] for one in absent[start:]}
                decided.extend(Change(Action.DISABLE, object_id) for object_id in self._unasked)
                return False
            for evidence in await self._evidence(absent[start : start + CONFIRM_AT_ONCE]):
                known = stored.people[evidence.object_id]
                contradicted += evidence.reason is None
                if change := self._decide_by_evidence(evidence, known, stored):
                    self._linking.see(change)
                    decided.add(change)
                    removals += change.action.is_removal
        if contradicted:
            log_event("reading.contradicted", connection=self.connection.id, people=contradicted)
        return True

    def _is_over(self, active: int, removals: int) -> bool:
        tally = Tally(active=active, creates=0, removals=removals)
        return check_guard(tally, self.connection.policy.guard).hold_removals

    async def _evidence(self, object_ids: list[str]) -> list[Evidence]:
        return await read_evidence(
            self.client,
            object_ids,
            self.judge.scope,
            self.judge.scope.attributes | self.judge.mapping.attributes,
            self.judge.mapping.groups,
        )

    def _decide_by_evidence(
        self, evidence: Evidence, known: StoredPerson, stored: StoredIndex
    ) -> Change | None:
        """Remove whom the evidence shows to be gone; who is still here is updated like anybody else."""
        if self.judge.stays(evidence, known) and evidence.person is not None:
            judged = self.judge.present(evidence.person, evidence.groups, known, stored)
            return self._take(evidence.object_id, judged)
        return self.judge.removal(evidence)

    async def _detail(
        self, decided: ChangeSpool, planned: ChangeSpool, active: int
    ) -> tuple[Tally, str]:
        """Put the stored values beside the new ones, count, and give the plan its name: a hash."""
        self._assertions.begin()
        digest = PlanDigest(self.connection.id)
        tally = {"creates": 0, "removals": 0, "reenables": 0, "others": 0}
        for digit in DIGITS:
            changes = self._linking.settled(decided.read(digit))
            rows = await self._rows(digit, changes)
            for change in changes:
                row = rows.get(change.object_id)
                if row is not None:
                    change.user_principal_name = change.user_principal_name or str(
                        row.get("UserPrincipalName") or ""
                    )
                    change.before = old_values(change, row)
                if is_protected(change, self.connection.policy):
                    continue
                planned.add(change)
                self._assertions.change(change)
                tally[_kind(change)] += 1
                digest.add(change)
        return Tally(active=active, **tally), digest.text

    async def _rows(self, digit: str, changes: Iterable[Change]) -> dict[str, Entity]:
        return await self.users.load_rows(digit, changes, self._sizes.get(digit, 0))

    def matched(self, object_id: str) -> Matched | None:
        """Give what matching decided about somebody who comes in, if it has anything to say."""
        return self._linking.outcome_of(object_id)

    async def note_matches(self, still_held: StillHeld) -> None:
        """Write who waits for a match to be decided, whatever else the plan holds."""
        await self._linking.note(still_held)

    async def apply(self, plan: Plan, still_held: StillHeld) -> None:
        """Write what is not held, partition by partition; a refused record does not stop the others."""

        async def write(digit: str) -> None:
            rows = await self._rows(digit, plan.to_write(digit))
            changes = plan.to_write(digit)
            async for change, error in self.users.apply(changes, rows, self.stamp, still_held):
                if error is None:
                    self.ledger.count(_COUNTED[change.action])
                    if change.link is not None:
                        self.ledger.count("linked")
                    self._linking.done(change)
                else:
                    self.ledger.reject(change.object_id, error)

        await bounded(PARTITIONS_AT_ONCE, (partial(write, digit) for digit in DIGITS))
        await self._linking.forget_done(still_held)


_COUNTED = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REENABLE: "reenabled",
    Action.DISABLE: "disabled",
    Action.DELETE: "deleted",
}


def _kind(change: Change) -> str:
    if change.action.is_removal:
        return "removals"
    if change.action is Action.REENABLE:
        return "reenables"
    return "creates" if change.action is Action.CREATE else "others"
