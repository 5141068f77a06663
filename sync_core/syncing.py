"""One full run, from reading to applying: read everything, decide once, then act.

Nothing is written before the guard has seen the whole plan.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from sync_core.directory.client import GraphClient
from sync_core.directory.confirming import Evidence, read_evidence
from sync_core.directory.reading import Reading
from sync_core.documents import Connection, Counts, RecordError
from sync_core.errors import RecordRejected
from sync_core.guard import Verdict, check_guard
from sync_core.logs import log_event
from sync_core.mapping import CompiledMapping, compile_mapping
from sync_core.model import (
    Action,
    Attributes,
    Change,
    Mapped,
    Origin,
    Reason,
    Status,
    StoredPerson,
    Tally,
)
from sync_core.plan_hashes import PlanDigest
from sync_core.planning import (
    is_protected,
    is_turned_away,
    plan_present,
    plan_removal,
    removal_candidates,
)
from sync_core.scope import CompiledScope, compile_scope
from sync_core.spool import DIGITS, ChangeSpool
from sync_core.store.entities import Stamp, mapped_values
from sync_core.store.users import StoredIndex, UserStore, bounded
from sync_core.store.wire import Entity

CONFIRM_AT_ONCE = 200
# Removals over the guard's limit wait anyway. Up to this many are asked for by id all the same: the
# administrator then sees the reasons, and a reading that was wrong is found out.
CONFIRM_HELD = 1000
# Of a plan that was confirmed, so many more are asked for in one run: 20 a request, some ten minutes.
ASKED_A_RUN = 20_000
MAX_ERRORS = 100
# Each holds the stored rows of the changes of one partition in memory.
PARTITIONS_AT_ONCE = 4
# A page of 999 people takes some 30 ms to judge; a webhook in the same process must not wait for it.
JUDGED_AT_ONCE = 200

Checkpoint = Callable[[], Awaitable[None]]
ALLOWED = Verdict(hold_removals=False, hold_creates=False, reasons=())


class Witness(Protocol):
    """Looks on while a plan is made: a preview counts what a run has no use for."""

    def saw(self, person: Attributes, *, inside: bool) -> None:
        """Somebody was read and judged."""

    def mapped(self, mapped: Mapped) -> None:
        """Somebody in scope was mapped."""


@dataclass(slots=True)
class Plan:
    """What a run would write, sorted by object id; the changes themselves are spooled on disk."""

    changes: ChangeSpool
    tally: Tally
    verdict: Verdict
    plan_hash: str
    unasked: int = 0

    def is_held(self, change: Change) -> bool:
        """Tell whether a change has to wait; a removal without a reason was not asked for, and does."""
        if change.action.is_removal:
            return self.verdict.hold_removals or change.reason is None
        return self.verdict.hold_creates and change.action is Action.CREATE

    def to_write(self, digit: str) -> Iterator[Change]:
        """Give the changes of one partition that are not held."""
        return (change for change in self.changes.stream(digit) if not self.is_held(change))

    @property
    def held(self) -> int:
        removals = self.tally.removals if self.verdict.hold_removals else self.unasked
        return removals + (self.tally.creates if self.verdict.hold_creates else 0)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Give the changes as they are stored and shown."""
        for change in self.changes:
            yield {
                "action": change.action.value,
                "objectId": change.object_id,
                "userPrincipalName": change.user_principal_name,
                "reason": change.reason.value if change.reason else None,
                "held": self.is_held(change),
                "fields": {name: list(pair) for name, pair in change.fields().items()},
                "evidence": change.evidence,
            }


@dataclass(slots=True)
class FullSync:
    """Brings one connection's people in line with the directory: `plan`, then `apply`."""

    connection: Connection
    client: GraphClient
    users: UserStore
    stamp: Stamp
    errors: list[RecordError] = field(default_factory=list)
    witness: Witness | None = None
    reading: Reading = field(init=False)
    _scope: CompiledScope = field(init=False)
    _mapping: CompiledMapping = field(init=False)
    _counts: dict[str, int] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _unasked: dict[str, StoredPerson] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scope = compile_scope(self.connection.scope)
        self._mapping = compile_mapping(self.connection.mapping)
        self.reading = self._reading()

    @property
    def counts(self) -> Counts:
        return Counts.model_validate(self._counts)

    def _count(self, name: str, by: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + by

    def _reject(self, object_id: str, error: RecordRejected) -> None:
        self._count("failed")
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(
                RecordError(object_id=object_id, code=error.code, message=error.message)
            )

    async def plan(self, decided: ChangeSpool, planned: ChangeSpool) -> Plan:
        """Read the directory and what is stored, and decide about everybody; writes nothing."""
        stored = await self.users.load_index()
        active = sum(one.status is Status.ACTIVE for one in stored.people.values())
        for object_id in stored.people:
            self._sizes[object_id[0]] = self._sizes.get(object_id[0], 0) + 1

        await self._decide_present(stored, decided)
        self.errors += self.reading.problems
        # Only a complete reading may say who is absent.
        absent = removal_candidates(stored.people) if self.reading.complete else []
        confirmed = await self._decide_absent(absent, active, stored, decided)

        tally, plan_hash = await self._detail(decided, planned, active)
        verdict = check_guard(tally, self.connection.policy.guard)
        if not confirmed:
            verdict = Verdict(True, verdict.hold_creates, verdict.reasons)
        self._count("held", (plan := Plan(planned, tally, verdict, plan_hash)).held)
        return plan

    async def plan_one(
        self, object_id: str, decided: ChangeSpool, planned: ChangeSpool
    ) -> tuple[Plan, Evidence]:
        """Ask for one person by id and decide as a full run would; writes nothing.

        The guard has no say: it is there for people whom nobody named.
        """
        stored = await self.users.load_one(object_id)
        [evidence] = await self._evidence([object_id])
        if change := self._decide_one(evidence, stored):
            decided.add(change)
        active = sum(one.status is Status.ACTIVE for one in stored.people.values())
        tally, plan_hash = await self._detail(decided, planned, active)
        return Plan(planned, tally, ALLOWED, plan_hash), evidence

    def _decide_one(self, evidence: Evidence, stored: StoredIndex) -> Change | None:
        person, known = evidence.person, stored.people.get(evidence.object_id)
        if person is not None:
            self._count("read")
            if self._scope.matches(person, evidence.groups):
                self._count("inScope")
                if not is_turned_away(person, self.connection.policy):
                    return self._decide(person, evidence.groups, known, stored.foreign)
        if known is None or known.status is not Status.ACTIVE:
            return None
        return self._decide_by_evidence(evidence, known, stored.foreign)

    async def release(
        self, plan: Plan, decided: ChangeSpool, planned: ChangeSpool, checkpoint: Checkpoint
    ) -> Plan:
        """Lift the guard's hold of a plan that an administrator has confirmed.

        A confirmation is no evidence: whom the plan left unasked is asked for now, and stays if
        Graph says so. The spools are new ones; the plan keeps its name.
        """
        released = replace(plan, verdict=ALLOWED)
        if self._unasked:
            decided.extend(one for one in plan.changes if one.object_id not in self._unasked)
            await self._ask_the_rest(decided, checkpoint)
            tally, _ = await self._detail(decided, planned, plan.tally.active)
            unasked = sum(one.action.is_removal and one.reason is None for one in planned)
            released = Plan(planned, tally, ALLOWED, plan.plan_hash, unasked)
        self._counts["held"] = released.held
        return released

    async def _ask_the_rest(self, decided: ChangeSpool, checkpoint: Checkpoint) -> None:
        """Ask for as many as a run has time for; the others are planned without a reason, and wait."""
        unasked = list(self._unasked)
        asked, left = unasked[:ASKED_A_RUN], unasked[ASKED_A_RUN:]
        for start in range(0, len(asked), CONFIRM_AT_ONCE):
            await checkpoint()
            for evidence in await self._evidence(asked[start : start + CONFIRM_AT_ONCE]):
                known = self._unasked[evidence.object_id]
                if change := self._decide_by_evidence(evidence, known, frozenset()):
                    decided.add(change)
        decided.extend(Change(Action.DISABLE, object_id) for object_id in left)

    def _reading(self) -> Reading:
        return Reading(
            self.client,
            self._scope,
            self._scope.attributes | self._mapping.attributes,
            self._scope.asked_groups | self._mapping.groups,
        )

    async def _decide_present(self, stored: StoredIndex, decided: ChangeSpool) -> None:
        """Judge everybody who is read; who is left in `stored` afterwards was not found in scope."""
        seen: set[str] = set()
        async for page in self.reading.people():
            for number, (person, groups) in enumerate(page):
                if number % JUDGED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                object_id = person["id"]
                if object_id in seen:
                    continue
                self._count("read")
                inside = self._scope.matches(person, groups)
                if self.witness:
                    self.witness.saw(person, inside=inside)
                if not inside:
                    continue
                seen.add(object_id)
                self._count("inScope")
                if is_turned_away(person, self.connection.policy):
                    continue
                known = stored.people.pop(object_id, None)
                if change := self._decide(person, groups, known, stored.foreign):
                    decided.add(change)

    def _decide(
        self,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        foreign: frozenset[str],
    ) -> Change | None:
        """Map one person and compare; a record that cannot be mapped is reported and left as it is."""
        if person["id"] in foreign:
            self._reject(person["id"], not_owned())
            return None
        try:
            mapped = self._mapping.to_mapped(person, groups, self.stamp.now)
        except RecordRejected as error:
            self._reject(person["id"], error)
            return None
        if mapped and self.witness:
            self.witness.mapped(mapped)
        change = plan_present(person, mapped, known) if mapped else None
        if change is None:
            self._count("unchanged")
        return change

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
                if change := self._decide_by_evidence(evidence, known, stored.foreign):
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
            self._scope,
            self._scope.attributes | self._mapping.attributes,
            self._mapping.groups,
        )

    def _decide_by_evidence(
        self, evidence: Evidence, known: StoredPerson, foreign: frozenset[str]
    ) -> Change | None:
        """Remove whom the evidence shows to be gone; who is still here is updated like anybody else."""
        by_hand = evidence.reason is Reason.LEFT_SCOPE and known.origin is Origin.MANUAL
        if (evidence.reason is None or by_hand) and evidence.person is not None:
            return self._decide(evidence.person, evidence.groups, known, foreign)
        change = plan_removal(evidence.object_id, evidence.reason, self.connection.policy)
        if change is not None:
            change.evidence = evidence.facts
        return change

    async def _detail(
        self, decided: ChangeSpool, planned: ChangeSpool, active: int
    ) -> tuple[Tally, str]:
        """Put the stored values beside the new ones, count, and give the plan its name: a hash."""
        digest = PlanDigest(self.connection.id)
        tally = {"creates": 0, "removals": 0, "others": 0}
        for digit in DIGITS:
            changes = decided.read(digit)
            rows = await self._rows(digit, changes)
            for change in changes:
                row = rows.get(change.object_id)
                if row is not None:
                    change.user_principal_name = change.user_principal_name or str(
                        row.get("UserPrincipalName") or ""
                    )
                    change.before = mapped_values(row)
                if is_protected(change, self.connection.policy):
                    continue
                planned.add(change)
                tally[_kind(change)] += 1
                digest.add(change)
        return Tally(active=active, **tally), digest.text

    async def _rows(self, digit: str, changes: Iterable[Change]) -> dict[str, Entity]:
        return await self.users.load_rows(digit, changes, self._sizes.get(digit, 0))

    async def apply(self, plan: Plan, checkpoint: Checkpoint) -> None:
        """Write what is not held, partition by partition; a refused record does not stop the others."""

        async def write(digit: str) -> None:
            rows = await self._rows(digit, plan.to_write(digit))
            changes = plan.to_write(digit)
            async for change, error in self.users.apply(changes, rows, self.stamp, checkpoint):
                if error is None:
                    self._count(_COUNTED[change.action])
                else:
                    self._reject(change.object_id, error)

        await bounded(PARTITIONS_AT_ONCE, (partial(write, digit) for digit in DIGITS))


_COUNTED = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REENABLE: "reenabled",
    Action.DISABLE: "disabled",
    Action.DELETE: "deleted",
}


def not_owned() -> RecordRejected:
    return RecordRejected(
        "record.notOwned",
        "A row with this person's id exists that this connection did not write.",
        "Remove the row, or leave the person out of the scope.",
    )


def _kind(change: Change) -> str:
    if change.action.is_removal:
        return "removals"
    return "creates" if change.action is Action.CREATE else "others"
