"""A full reading as a gatherer: everyone in scope is read, and who is stored and not found is absent."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta

from sync_core.concurrency import in_thread
from sync_core.directory.managers import with_managers
from sync_core.domain.attributes import MANAGER, manager_of
from sync_core.domain.documents.policy import RemovalAction
from sync_core.domain.documents.run import RecordError, Run, RunStatus, RunWarning
from sync_core.domain.incremental.hints import GONE_FOR_GOOD, Hints
from sync_core.domain.incremental.open_people import NEEDS_ANSWER, has_second_witness
from sync_core.domain.model import (
    Attributes,
    Evidence,
    Inventory,
    Reason,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.by_hand import ids_by_hand, to_be_asked_for
from sync_core.domain.plan.decide import may_delete, removal_action
from sync_core.domain.plan.groups import losses, remembered
from sync_core.domain.plan.roster import Roster
from sync_core.domain.plan.window import WindowLog
from sync_core.domain.scope.missing import keepers_of
from sync_core.runs.context import RunContext
from sync_core.runs.continuation import Continuation
from sync_core.runs.planner import InScope, Page
from sync_core.store.index import watch_for

LOOKS_AT_ONCE = 200


class FullReading:
    """Looks at all people of the scope, and at all that are stored.

    `here` are those who are stored, for comparison with the rows that deleted connections have left.
    `disputed` were not found by the reading, and are in scope by the look: one of the two is out of date.
    """

    has_looked = False

    def __init__(
        self,
        context: RunContext,
        hints: Hints | None = None,
        continuation: Continuation | None = None,
    ) -> None:
        self._context = context
        self._hints = hints or Hints()
        self._first_import = False
        self.reading = context.reading()
        self._continuation = continuation
        self.reading.transcript = continuation.transcript if continuation is not None else None
        self.requests = 0
        self.log = WindowLog()
        self.managers: dict[str, set[str]] = {}
        self.here: frozenset[str] = frozenset()
        self.disputed: set[str] = set()
        self._stored: StoredIndex | None = None

    @property
    def complete(self) -> bool:
        return self.reading.complete

    @property
    def problems(self) -> list[RecordError]:
        return self.reading.problems

    @property
    def warnings(self) -> list[RunWarning]:
        lists = self.reading.uncounted
        if not lists:
            return []
        words = lists[0] if len(lists) == 1 else f"{lists[0]} and {len(lists) - 1} other lists"
        return [
            RunWarning(
                code="reading.uncounted",
                message=f"Graph gave no count for {words}, so nobody can tell whether they ended early. Each "
                "person to be removed was asked for by id, and compared with every group that was read.",
            )
        ]

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        context, log = self._context, self.log
        watch = watch_for(context.assertions)
        hours = context.connection.policy.guard.window_hours
        before = (log, context.stamp.now - timedelta(hours=hours))
        stored = await context.users.load_index(context.linking.registry, watch, before)
        await context.linking.begin(stored.people)
        self._first_import = await self._imports_first(stored, log)
        window = log.window(hours)
        inventory = await in_thread(
            Inventory.of, stored.people, window, first_import=self._first_import
        )
        self._stored = stored
        if context.takeovers.leftovers:
            self.here = frozenset(stored.people)
        return stored, inventory

    @property
    def taken(self) -> frozenset[str]:
        """Return, after the reading, the people whose rows come from a deleted connection."""
        return self._stored.taken if self._stored is not None else frozenset()

    @property
    def interesting(self) -> set[str]:
        """Return, after the reading, the people whose changes can matter."""
        unseen = self._stored.people.keys() if self._stored is not None else ()
        return {*self.reading.seen(), *unseen, *self.managers}

    async def _imports_first(self, stored: StoredIndex, log: WindowLog) -> bool:
        """Whether there is no person yet, or no run has come to the end of the first import."""
        if log.holds_all(len(stored.people)):
            return True
        if not log.first_runs:
            return False
        runs, connection_id = self._context.runs, self._context.connection.id
        found = [await runs.find(connection_id, run_id) for run_id in log.first_runs]
        return not any(run is not None and has_ended_well(run) for run in found)

    async def roster(self, stored: StoredIndex) -> Roster:
        connection = self._context.connection
        return Roster(
            stored=set(stored.people),
            may_delete=may_delete(connection.policy),
            may_hold=not self._first_import
            or bool(connection.matching)
            or bool(connection.assertions)
            or bool(keepers_of(connection.scope)),
        )

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        """Yield people in scope; managers are asked for as late as scope and mapping allow."""
        people, client = self._as_read(), self._context.client
        transcript = self.reading.transcript
        if MANAGER in self._context.scope.attributes:
            return in_scope(self._noted(with_managers(client, people, transcript)))
        present = in_scope(people)
        if not self._maps_managers:
            return present
        return self._noted(with_managers(client, present, transcript))

    @property
    def apart(self) -> frozenset[str]:
        """The people of whom an earlier run may have read what was before they were synced alone."""
        return self._continuation.apart if self._continuation is not None else frozenset()

    def _as_read(self) -> AsyncIterator[Page]:
        """Yield people without those who stand apart; of these, who is active is asked for by id."""
        people = self._with_waiting(self.reading.people())
        return self._without_apart(people) if self.apart else people

    async def _with_waiting(self, read: AsyncIterator[Page]) -> AsyncIterator[Page]:
        """Yield people, and last those who are asked for by id, as no list need name them."""
        async for page in read:
            yield page
        waiting = sorted(self._waiting())
        for start in range(0, len(waiting), LOOKS_AT_ONCE):
            found = await self.look(waiting[start : start + LOOKS_AT_ONCE])
            yield [(one.person, one.groups) for one in found if one.person and not one.is_unclear]

    def _waiting(self) -> set[str]:
        """Return those whom an administrator has picked and who wait for a match, and whose case is open.

        A list may lack somebody for a while, and of those who are not stored, nothing else asks.
        """
        picked = set(self._context.linking.picks)
        if self._context.scope.everyone or self._stored is None:
            return picked
        cases = self._context.kept.cases
        open_ids = {object_id for object_id, cause in cases if cause in NEEDS_ANSWER}
        return picked | (open_ids - self.reading.seen() - self._stored.people.keys())

    async def _without_apart(self, people: AsyncIterator[Page]) -> AsyncIterator[Page]:
        apart = self.apart
        async for page in people:
            yield [one for one in page if one[0]["id"] not in apart]

    async def _noted(self, read: AsyncIterator[Page]) -> AsyncIterator[Page]:
        """Note who reports to whom."""
        async for page in read:
            self._note_managers(person for person, _ in page)
            yield page

    def _note_managers(self, people: Iterable[Attributes]) -> None:
        for person in people:
            if manager := manager_of(person):
                self.managers.setdefault(manager, set()).add(person["id"])

    @property
    def _maps_managers(self) -> bool:
        return MANAGER in self._context.mapping.attributes

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        """Return the people to be asked for by id; only a complete reading may say who is absent.

        People brought in by hand need not be in the reading: they are asked for in any case, and updated.
        """
        earlier = self._continuation.requests if self._continuation is not None else 0
        self.requests = earlier + self._context.client.usage.requests
        now = self._context.stamp.now
        return to_be_asked_for(unseen, now) if self.reading.complete else ids_by_hand(unseen, now)

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        found = await self._context.look(object_ids, self.reading.tree)
        self._note_managers(one.person for one in found if one.person is not None)
        self.disputed.update(
            one.object_id for one in found if one.reason is None and not one.is_unclear
        )
        return found

    @property
    def _reads_groups(self) -> bool:
        scope = self._context.scope
        return self.reading.complete and bool(scope.groups or scope.applications)

    async def group_losses(self) -> tuple[str, ...]:
        guard = self._context.connection.policy.guard
        if not self._reads_groups:
            return ()
        known = await self._context.group_sizes.read(self._context.connection.id)
        return losses(known, self.reading.direct_sizes(), guard)

    async def note_groups(self, *, accepted: bool) -> None:
        """Remember how many people the groups have; `accepted`: who left them was confirmed."""
        if not self._reads_groups:
            return
        connection = self._context.connection
        known = await self._context.group_sizes.read(connection.id)
        hours, now = connection.policy.guard.window_hours, self._context.stamp.now
        found = self.reading.direct_sizes()
        sizes = remembered(known, found, now, hours, accepted=accepted)
        await self._context.group_sizes.note(sizes)

    async def groups_exist(self) -> bool:
        """Whether the reading found all groups; if not, it is not complete, and no person is absent."""
        return self.reading.complete

    async def is_witnessed(self, evidence: Evidence) -> bool:
        """Whether a person may be removed: the reading is the first witness, the look the second.

        A row is deleted for good, and an object that exists may answer 404 for a while; so that takes the
        delta's word, or another look of some time ago. A reading that is not complete is no witness.
        """
        if not self.reading.complete:
            return False
        policy = self._context.connection.policy
        deletes = removal_action(policy, Reason.HARD_DELETED) is RemovalAction.DELETE
        if evidence.reason is not Reason.HARD_DELETED or not deletes:
            return True
        return self._is_told_gone(evidence.object_id) or has_second_witness(
            self._context.kept.cases,
            evidence.object_id,
            evidence.reason,
            self._context.stamp.now,
        )

    def _is_told_gone(self, object_id: str) -> bool:
        hint = self._hints.people.get(object_id)
        return hint is not None and hint.removed == GONE_FOR_GOOD


def has_ended_well(run: Run) -> bool:
    """Whether a run has written all of its plan, whatever it held or rejected of it."""
    return (run.error is None and run.status in {RunStatus.SUCCEEDED, RunStatus.PARTIAL}) or (
        run.status is RunStatus.HELD
    )
