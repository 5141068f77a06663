"""One person by id: asked for and decided about as in a full run; writes nothing.

The guard has no say: it is there for people who were not named. The others in scope are not known, so the
person is linked by no key that one of them may have, too.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sync_core.directory.groups import inside
from sync_core.directory.membership import in_groups
from sync_core.directory.reading import Reading
from sync_core.domain.attributes import manager_of
from sync_core.domain.documents.run import RecordError, RunWarning
from sync_core.domain.incremental.open_people import has_second_witness
from sync_core.domain.incremental.witness import is_out_by_attributes
from sync_core.domain.matching.decide import Outcome as Matched
from sync_core.domain.matching.decide import keeps_out
from sync_core.domain.model import (
    Attributes,
    Change,
    Evidence,
    Inventory,
    Origin,
    Reason,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.by_hand import to_be_asked_for
from sync_core.domain.plan.plan import FewChanges, Plan
from sync_core.domain.plan.roster import Roster
from sync_core.runs.context import RunContext
from sync_core.runs.planner import Draft, InScope, Page, draft_plan


@dataclass(frozen=True, slots=True)
class OnePlan:
    """What a run would do with one person, and what that rests on.

    `wanted` is the change that scope and policy ask for, `planned` the one that is left of it: none
    where the policy protects the person from removal, or a match keeps a newcomer out. `blocked` says
    which assertion it would break, `unwritten` for any reason why nothing is written. `error` is why the
    person cannot be handled, `mapped_from` the person as the mapping reads it, `matched` what
    matching says of a newcomer.
    """

    evidence: Evidence
    plan: Plan
    inventory: Inventory
    wanted: Change | None
    planned: Change | None
    blocked: str | None
    unwritten: str | None
    error: RecordError | None
    mapped_from: Attributes | None
    matched: Matched | None

    @property
    def change(self) -> Change | None:
        """The planned change, with the stored values; else the one that was wanted."""
        return self.planned or self.wanted

    @property
    def is_kept_back(self) -> bool:
        return self.planned is None and self.wanted is not None


async def plan_one(context: RunContext, object_id: str, *, by_rules: bool = False) -> OnePlan:
    """Look at one person and decide; `by_rules`, as if nobody had brought them in by hand."""
    stored = await _stored(context, object_id)
    known = stored.people.get(object_id)
    if by_rules and known is not None:
        stored.people[object_id] = known._replace(origin=Origin.AUTO, until="")
    [evidence] = await context.look([object_id])
    look = _Look(context, stored, evidence)
    async with draft_plan(context, look, by_name=True) as draft:
        return _told(context, look, draft)


async def _stored(context: RunContext, object_id: str) -> StoredIndex:
    """Load the person's row; for a newcomer to a connection that matches, all rows that may be taken over."""
    stored = await context.users.load_one(object_id)
    registry = context.linking.registry
    if registry is None or object_id in stored.people:
        return stored
    everyone = await context.users.load_index(registry)
    await context.linking.begin(everyone.people)
    return StoredIndex({}, everyone.foreign)


def _told(context: RunContext, look: "_Look", draft: Draft) -> OnePlan:
    person, errors = look.evidence.person, context.ledger.errors
    planned, wanted = next(iter(draft.plan.changes), None), next(iter(draft.decided), None)
    plan = replace(draft.plan, changes=FewChanges((planned,) if planned else ()))
    blocked = plan.blocked(planned)
    matched = context.linking.outcome_of(look.evidence.object_id)
    problem = next((f"Nothing is written: {found.message}" for found in look.problems), None)
    return OnePlan(
        evidence=look.evidence,
        plan=plan,
        inventory=draft.inventory,
        wanted=wanted,
        planned=planned,
        blocked=blocked,
        unwritten=problem or keeps_out(matched) or blocked or _waits(context, look.evidence),
        error=errors[0] if errors else None,
        mapped_from=draft.judge.as_mapped(person) if person else None,
        matched=matched,
    )


def _waits(context: RunContext, evidence: Evidence) -> str | None:
    """Say that one look is not enough to remove a person, if so."""
    if evidence.object_id not in context.ledger.unconfirmed:
        return None
    if evidence.person is not None:
        return (
            "Nothing yet: one answer of Graph says that this person is in none of the groups that let "
            "them in, and another one differs. A look in five minutes, by the next run or by this call, has "
            "to say the same."
        )
    return (
        "Nothing yet: Graph answers as if this account did not exist, and may answer so of one that does. A "
        "look in five minutes, by the next run or by this call, has to say the same."
    )


class _Look:
    """A gatherer that has looked at one person."""

    # Another newcomer may have the same key: only a full reading could tell.
    complete = False
    has_looked = True

    def __init__(self, context: RunContext, stored: StoredIndex, evidence: Evidence) -> None:
        self._context = context
        self._stored = stored
        self._reading = context.reading()
        self.evidence = evidence

    @property
    def problems(self) -> list[RecordError]:
        return self._reading.problems

    @property
    def warnings(self) -> list[RunWarning]:
        return []

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        return self._stored, Inventory.of(self._stored.people)

    async def roster(self, stored: StoredIndex) -> Roster:
        """Find out whether the manager has a row; the person will have one, and may be their own manager."""
        person = self.evidence.person
        manager = manager_of(person) if person else None
        known = await self._context.users.load_one(manager) if manager else stored
        rows = {self.evidence.object_id, *known.people}
        roster = Roster(stored=rows, may_delete=False, may_hold=False)
        roster.close()
        return roster

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        return in_scope(self._found())

    async def _found(self) -> AsyncIterator[Page]:
        if self.evidence.person is not None:
            yield [(self.evidence.person, self.evidence.groups)]

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        return to_be_asked_for(unseen, self._context.stamp.now)

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        """Return what is known already: only this person can be absent."""
        return [self.evidence for _ in object_ids]

    async def group_losses(self) -> tuple[str, ...]:
        """Return none: of a group only one person was read."""
        return ()

    async def groups_exist(self) -> bool:
        return await find_groups(self._context, self._reading)

    async def is_witnessed(self, evidence: Evidence) -> bool:
        return await is_witnessed_alone(self._context, self._reading, evidence)


async def is_witnessed_alone(context: RunContext, reading: Reading, evidence: Evidence) -> bool:
    """Whether a person may be removed who was looked at alone; of the reading only the groups were read.

    That somebody does not exist takes another look some time ago, and so does that they have left where
    other answers differ; all else Graph has said of the person itself.
    """
    reason = evidence.reason
    if reason is Reason.LEFT_SCOPE and await has_left(context, reading, evidence):
        return True
    if reason not in {Reason.LEFT_SCOPE, Reason.HARD_DELETED}:
        return True
    return reason is not None and has_second_witness(
        context.kept.cases, evidence.object_id, reason, context.stamp.now
    )


async def has_left(context: RunContext, reading: Reading, evidence: Evidence) -> bool:
    """Whether all that Graph says of groups and assignments agrees that a person is out of scope."""
    scope, person, object_id = context.scope, evidence.person, evidence.object_id
    if person is None or is_out_by_attributes(scope, person):
        return True
    told = evidence.memberships or frozenset()
    by_tree = inside(told, scope.groups, reading.tree.above(scope.groups))
    checked = await in_groups(context.client, object_id, scope.groups)
    assigned = reading.assignments.of(object_id)
    return checked is not None and not (
        scope.matches(person, by_tree | assigned) or scope.matches(person, checked | assigned)
    )


async def find_groups(context: RunContext, reading: Reading) -> bool:
    """Read the groups that the scope names; false if one of them is not there."""
    scope = context.scope
    if not scope.groups | scope.applications:
        return True
    await reading.find_groups()
    await reading.find_assigned()
    context.ledger.errors += reading.problems
    return reading.complete
