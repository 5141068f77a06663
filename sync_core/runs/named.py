"""People who were named, as a gatherer: asked for by id, however few of the connection's people they are."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from sync_core.concurrency import in_thread
from sync_core.directory.assignments import read_assignments
from sync_core.directory.groups import inside
from sync_core.directory.members import member_ids
from sync_core.directory.reading import Reading
from sync_core.domain.attributes import manager_of
from sync_core.domain.documents.run import RecordError, RunWarning
from sync_core.domain.model import Evidence, Inventory, StoredIndex, StoredPerson
from sync_core.domain.plan.by_hand import to_be_asked_for
from sync_core.domain.plan.judge import unanswered
from sync_core.domain.plan.roster import Roster
from sync_core.runs.context import RunContext
from sync_core.runs.one import find_groups, is_witnessed_alone
from sync_core.runs.planner import InScope, Page
from sync_core.store.index import watch_for
from sync_core.store.users import bounded

LOOKS_AT_ONCE = 50
# Each is a batch or two of Graph at a time.
LOOKS_SIDE_BY_SIDE = 4
# To see who is new in a group, so many lists are read at most, and of groups with so many people at most.
MOST_LISTS, LISTED_MOST = 20, 5_000


class NamedLooks:
    """Looks at people who were named: `coming` are those of them who may come in or be updated.

    Who leaves is asked about only with `may_leave`: an import removes nobody.
    """

    has_looked = True

    def __init__(self, context: RunContext, *, may_leave: bool) -> None:
        self._context = context
        self._may_leave = may_leave
        self._group_reading: Reading | None = None
        self._groups_there: bool | None = None
        self.evidence: dict[str, Evidence] = {}
        self.known: dict[str, StoredPerson] = {}
        self.taken: frozenset[str] = frozenset()
        self._foreign: frozenset[str] = frozenset()
        self.coming: set[str] = set()
        self.all_known = False
        self._lists: dict[str, set[str]] | None = None

    @property
    def complete(self) -> bool:
        """Whether there is no newcomer beside those who were named: where the scope lets nobody in."""
        scope = self._context.connection.scope
        return not (scope.filters or scope.everyone)

    @property
    def reading(self) -> Reading:
        if self._group_reading is None:
            self._group_reading = self._context.reading()
        return self._group_reading

    @property
    def problems(self) -> list[RecordError]:
        return []

    @property
    def warnings(self) -> list[RunWarning]:
        return []

    async def look_at_all(self, object_ids: Sequence[str]) -> None:
        """Ask Graph for everybody, and the table for what is stored of them."""
        context, found = self._context, dict[str, Evidence]()
        # Once for all of them: who is assigned to an application may be a list of many pages.
        assignments = await read_assignments(context.client, context.scope.applications)

        async def look(part: Sequence[str]) -> None:
            looked = await context.look(part, assignments=assignments)
            found.update({one.object_id: one for one in looked})

        parts = [
            object_ids[n : n + LOOKS_AT_ONCE] for n in range(0, len(object_ids), LOOKS_AT_ONCE)
        ]
        await bounded(LOOKS_SIDE_BY_SIDE, (partial(look, part) for part in parts))
        self.evidence = {object_id: found[object_id] for object_id in object_ids}
        stored = await context.users.load_some(object_ids)
        self.known, self.taken = dict(stored.people), stored.taken
        self._foreign = stored.foreign

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        """Return the rows of those who were named; all are read where newcomers are matched or counted."""
        context = self._context
        people = {oid: known for oid, known in self.known.items() if self._is_decided(oid)}
        newcomers = self.coming - self.known.keys()
        registry = context.linking.registry if newcomers else None
        inventory, foreign = Inventory.of(self.known), self._foreign
        if registry is not None or context.assertions.assertions:
            everyone = await context.users.load_index(registry, watch_for(context.assertions))
            inventory = await in_thread(Inventory.of, everyone.people)
            foreign &= everyone.foreign
            self.all_known = True
        elif context.kept.checkpoint is not None:
            checkpoint = context.kept.checkpoint
            inventory = Inventory(checkpoint.active, checkpoint.by_digit)
        await context.linking.begin(self.known)
        return StoredIndex(people, foreign), inventory

    def _is_decided(self, object_id: str) -> bool:
        return self._may_leave or object_id in self.coming

    async def roster(self, stored: StoredIndex) -> Roster:
        """Return who has a row, of those who were named and their managers, or is about to have one."""
        people = (one.person for one in self.evidence.values() if one.person is not None)
        managers = {manager for person in people if (manager := manager_of(person))}
        known = await self._context.users.load_some(sorted(managers - self.known.keys()))
        rows = {*self.coming, *self.known, *stored.people, *known.people}
        roster = Roster(stored=rows, may_delete=False, may_hold=False)
        roster.close()
        return roster

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        return in_scope(self._found())

    async def _found(self) -> AsyncIterator[Page]:
        for object_id in sorted(self.coming):
            evidence = self.evidence[object_id]
            if evidence.is_unclear:
                self._context.ledger.reject(object_id, unanswered())
            elif evidence.person is not None:
                yield [(evidence.person, evidence.groups)]

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        if not self._may_leave:
            return []
        unclear = self._context.ledger.unfinished.keys()
        asked = to_be_asked_for(unseen, self._context.stamp.now)
        return [object_id for object_id in asked if object_id not in unclear]

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        """Return what is known already."""
        return [self.evidence[object_id] for object_id in object_ids]

    async def group_losses(self) -> tuple[str, ...]:
        """Return none: of a group only a few people were read."""
        return ()

    async def groups_exist(self) -> bool:
        if self._groups_there is None:
            self._groups_there = await find_groups(self._context, self.reading)
        return self._groups_there

    async def is_witnessed(self, evidence: Evidence) -> bool:
        await self.groups_exist()
        return await is_witnessed_alone(self._context, self.reading, evidence)

    async def listed_groups(self, object_id: str) -> frozenset[str]:
        """Return the named groups in whose lists of members somebody stands, through nesting as well.

        An answer about a person may be older than the list of a group, and the other way round. Of large
        groups the list is not read for that.
        """
        if self._lists is None:
            await self.groups_exist()
            checkpoint = self._context.kept.checkpoint
            sizes = checkpoint.tree.people if checkpoint is not None else {}
            groups = [
                one for one in sorted(self.reading.tree.names) if sizes.get(one, 0) <= LISTED_MOST
            ]
            client = self._context.client
            self._lists = {
                one: await member_ids(client, one) or set() for one in groups[:MOST_LISTS]
            }
        inside_of = {group for group, ids in self._lists.items() if object_id in ids}
        wanted = self._context.scope.groups
        return inside(inside_of, wanted, self.reading.tree.above(wanted))
