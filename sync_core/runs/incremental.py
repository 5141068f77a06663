"""An incremental run as a gatherer: the candidates are looked at, and of the others nothing is decided."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property

from sync_core.concurrency import in_thread
from sync_core.directory.groups import existing
from sync_core.domain.attributes import manager_of
from sync_core.domain.documents.run import RecordError, RunWarning
from sync_core.domain.incremental.checkpoint import Checkpoint
from sync_core.domain.incremental.hints import Hint, Hints, contradicts
from sync_core.domain.incremental.notified import with_words
from sync_core.domain.incremental.open_people import (
    Cause,
    OpenCase,
    has_second_witness,
    opened,
    was_told,
)
from sync_core.domain.incremental.witness import Above, agrees, groups_before, told_reason
from sync_core.domain.model import Evidence, Inventory, StoredIndex, StoredPerson
from sync_core.domain.plan.by_hand import to_be_asked_for
from sync_core.domain.plan.decide import may_delete
from sync_core.domain.plan.groups import GroupNow, losses, remembered
from sync_core.domain.plan.judge import unanswered
from sync_core.domain.plan.roster import Roster
from sync_core.domain.plan.window import WindowLog
from sync_core.domain.scope.missing import missing_application, missing_group
from sync_core.runs.candidates import Candidates, tree_of
from sync_core.runs.context import RunContext
from sync_core.runs.planner import InScope, Page
from sync_core.store.index import watch_for

LOOKS_AT_ONCE = 200


class Looks:
    """Looks at the candidates; the checkpoint knows how many others are stored."""

    has_looked = True

    def __init__(
        self, context: RunContext, checkpoint: Checkpoint, candidates: Candidates, hints: Hints
    ) -> None:
        self._context = context
        self._checkpoint = checkpoint
        self.candidates = candidates
        self._hints = hints
        self._evidence: dict[str, Evidence] = {}
        self.contradicted: set[str] = set()
        self.log = WindowLog()
        self._roots_exist: bool | None = None
        self.managers: dict[str, set[str]] = {}

    @property
    def complete(self) -> bool:
        """Whether all newcomers are known: people who wait for a match are candidates of each run."""
        return not (self.candidates.tree.missing or self.candidates.assignments.missing)

    @property
    def problems(self) -> list[RecordError]:
        candidates = self.candidates
        groups, applications = candidates.tree.missing, candidates.assignments.missing
        return [
            *map(missing_group, sorted(groups)),
            *map(missing_application, sorted(applications)),
        ]

    @property
    def warnings(self) -> list[RunWarning]:
        return []

    async def look_at_all(self) -> None:
        """Ask Graph for every candidate, and compare with what the delta told."""
        ids = sorted(self.candidates.ids)
        for start in range(0, len(ids), LOOKS_AT_ONCE):
            found = await self._context.look(
                ids[start : start + LOOKS_AT_ONCE],
                self.candidates.tree,
                self.candidates.assignments,
            )
            for evidence in found:
                await self._context.turns.take()
                self._note(evidence)
        self._context.ledger.set("contradictions", len(self.contradicted))

    def _note(self, evidence: Evidence) -> None:
        object_id = evidence.object_id
        self._evidence[object_id] = evidence
        hint = self._told(object_id)
        if (
            hint is not None
            and self._is_told_of(evidence)
            and contradicts(hint, evidence.person, evidence.memberships)
        ):
            self.contradicted.add(object_id)
        manager = manager_of(evidence.person) if evidence.person else None
        if manager is not None:
            self.managers.setdefault(manager, set()).add(object_id)

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        """Load the rows of the candidates, and all of them where newcomers have to be matched."""
        context, checkpoint = self._context, self._checkpoint
        stored = await context.users.load_some(sorted(self.candidates.ids))
        matches = context.linking.registry is not None and self._has_newcomers(stored)
        hours = context.connection.policy.guard.window_hours
        if matches:
            await self.groups_exist()
        if matches or context.kept.is_dirty or hours > checkpoint.window_hours:
            stored, inventory = await self._count_again(stored)
        else:
            since = context.stamp.now - timedelta(hours=hours)
            self.log = WindowLog.of(one for one in context.kept.marks if one.at >= since)
            context.assertions.recall(checkpoint.asserted.named, checkpoint.asserted.active)
            inventory = Inventory(
                checkpoint.active, checkpoint.by_digit, self.log.window(hours), first_import=False
            )
        await context.linking.begin(stored.people)
        return stored, inventory

    def _has_newcomers(self, stored: StoredIndex) -> bool:
        return any(
            object_id not in stored.people
            and evidence.person is not None
            and self._may_come(object_id, evidence)
            for object_id, evidence in self._evidence.items()
        )

    def _may_come(self, object_id: str, evidence: Evidence) -> bool:
        """Whether somebody is in scope, or may be one whom an administrator has picked."""
        if (object_id, Cause.MATCH) in self._context.kept.cases:
            return True
        person = evidence.person
        return person is not None and self._context.scope.matches(person, evidence.groups)

    async def _count_again(self, wanted: StoredIndex) -> tuple[StoredIndex, Inventory]:
        """Read the index of all rows: people were written since the checkpoint, or newcomers are matched."""
        context = self._context
        hours = context.connection.policy.guard.window_hours
        watch = watch_for(context.assertions)
        before = (self.log, context.stamp.now - timedelta(hours=hours))
        everyone = await context.users.load_index(context.linking.registry, watch, before)
        inventory = await in_thread(Inventory.of, everyone.people, self.log.window(hours))
        ids = self.candidates.ids
        people = {oid: known for oid, known in everyone.people.items() if oid in ids}
        return StoredIndex(people, wanted.foreign & everyone.foreign), inventory

    async def roster(self, stored: StoredIndex) -> Roster:
        """Return who of the candidates and their managers has a row."""
        managers = self.managers.keys() - stored.people.keys()
        known = await self._context.users.load_some(sorted(managers))
        connection = self._context.connection
        return Roster(
            stored={*stored.people, *known.people},
            may_delete=may_delete(connection.policy),
            may_hold=True,
        )

    @property
    def restored(self) -> set[str]:
        """Return the people who were soft-deleted and were seen again."""
        return {one for one in self.candidates.restored if self._evidence[one].person is not None}

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        return in_scope(self._found())

    async def _found(self) -> AsyncIterator[Page]:
        for object_id in sorted(self._evidence):
            evidence = self._evidence[object_id]
            if evidence.is_unclear:
                self._context.ledger.reject(object_id, unanswered())
            elif evidence.person is not None:
                yield [(evidence.person, evidence.groups)]

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        """Return the active people who are not in scope by what the look showed."""
        unclear = self._context.ledger.unfinished.keys()
        return [
            one for one in to_be_asked_for(unseen, self._context.stamp.now) if one not in unclear
        ]

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        """Return what is known already: everybody was looked at."""
        return [self._evidence[object_id] for object_id in object_ids]

    async def group_losses(self) -> tuple[str, ...]:
        context = self._context
        if not context.scope.groups:
            return ()
        known = await context.group_sizes.read(context.connection.id)
        return losses(known, self._sizes(), context.connection.policy.guard)

    def _sizes(self) -> dict[str, GroupNow]:
        tree, sizes = self.candidates.tree, self.candidates.sizes
        return {
            group: GroupNow(
                tree.name(group), sizes[group], group in tree.dynamic, group in tree.paused
            )
            for group in tree.names.keys() & sizes.keys()
        }

    async def note_groups(self, *, accepted: bool) -> None:
        """Remember how many people the groups have; `accepted`: who left them was confirmed."""
        context = self._context
        if not context.scope.groups or self.candidates.sizes == self._checkpoint.tree.people:
            return
        known = await context.group_sizes.read(context.connection.id)
        hours, now = context.connection.policy.guard.window_hours, context.stamp.now
        await context.group_sizes.note(
            remembered(known, self._sizes(), now, hours, accepted=accepted)
        )

    async def groups_exist(self) -> bool:
        """Ask for all named groups, once: the members of one that is gone have not left."""
        if self._roots_exist is None:
            roots = sorted(self._context.scope.groups)
            there = await existing(self._context.client, roots) if roots else set[str]()
            gone = set(roots) - there - self.candidates.tree.missing
            self._context.ledger.errors += map(missing_group, sorted(gone))
            self.candidates.tree.missing |= gone
            self._roots_exist = there == set(roots) and not self.candidates.assignments.missing
        return self._roots_exist

    @cached_property
    def _trees(self) -> tuple[Above, Above]:
        """Which named groups each group was under at the last run, and is under now."""
        named = self._context.scope.groups
        return tree_of(self._checkpoint.tree).above(named), self.candidates.tree.above(named)

    async def is_witnessed(self, evidence: Evidence) -> bool:
        """Whether the delta said so, too, or an earlier look did, long enough ago."""
        object_id, reason, context = evidence.object_id, evidence.reason, self._context
        hint = self._told(object_id)
        before = groups_before(hint, evidence.groups, *self._trees)
        if reason is None:
            return False
        cases = context.kept.cases
        if object_id not in self.contradicted and (
            agrees(hint, evidence, context.scope, before) or was_told(cases, object_id, reason)
        ):
            return True
        return has_second_witness(cases, object_id, reason, context.stamp.now)

    def _told(self, object_id: str) -> Hint | None:
        """Return what was told of a person: by the delta, and of groups by a notification, too."""
        return with_words(
            self._hints.people.get(object_id),
            self.candidates.notified.get(object_id),
            self._checkpoint.tree.names.keys() | self.candidates.tree.names.keys(),
            self._context.stamp.now,
        )

    def _is_told_of(self, evidence: Evidence) -> bool:
        """Whether it is a person: an id that only a notification has named may be that of a device."""
        return evidence.person is not None or evidence.object_id in self._hints.people

    def contradictions(self) -> Iterator[OpenCase]:
        """Yield the cases of those whose look differed, with what the delta told of them last."""
        before = {one for one, cause in self._context.kept.cases if cause is Cause.CONTRADICTED}
        told_again = before & self._hints.people.keys() & self._evidence.keys()
        for object_id in self.contradicted | told_again:
            hint = self._hints.people.get(object_id)
            case = self._context.kept.cases.get((object_id, Cause.CONTRADICTED))
            # A notification says nothing of the account: what the delta told before holds.
            told = case.reason if hint is None and case is not None else told_reason(hint)
            yield opened(object_id, Cause.CONTRADICTED, self._context.stamp.now, told)
