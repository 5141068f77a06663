"""A full reading as a gatherer: everyone in scope is read, and who is stored and not found is absent."""

from collections.abc import AsyncIterator, Mapping, Sequence

from sync_core.directory.managers import with_managers
from sync_core.domain.attributes import MANAGER
from sync_core.domain.documents import RecordError, RunWarning
from sync_core.domain.model import Evidence, Inventory, StoredIndex, StoredPerson
from sync_core.domain.plan.decide import may_delete, removal_candidates
from sync_core.domain.plan.roster import Roster
from sync_core.runs.context import RunContext
from sync_core.runs.planner import InScope, Page


class FullReading:
    """Looks at all people of the scope, and at all that are stored."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.reading = context.reading()

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
        context = self._context
        watch = context.assertions.stored if context.connection.assertions else None
        stored = await context.users.load_index(context.linking.registry, watch)
        await context.linking.begin(stored.people)
        return stored, Inventory.of(stored.people)

    async def roster(self, stored: StoredIndex) -> Roster:
        connection = self._context.connection
        return Roster(
            stored=set(stored.people),
            may_delete=may_delete(connection.policy),
            may_hold=connection.policy.guard.max_creates is not None
            or bool(connection.matching)
            or bool(connection.assertions),
        )

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        """Yield people in scope; managers are asked for as late as scope and mapping allow."""
        people, client = self.reading.people(), self._context.client
        if MANAGER in self._context.scope.attributes:
            return in_scope(with_managers(client, people))
        present = in_scope(people)
        return with_managers(client, present) if self._maps_managers else present

    @property
    def _maps_managers(self) -> bool:
        return MANAGER in self._context.mapping.attributes

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        """Return the people to be asked for by id; only a complete reading may say who is absent."""
        return removal_candidates(unseen) if self.reading.complete else []

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        return await self._context.look(object_ids, self.reading.tree)

    async def groups_exist(self) -> bool:
        """Whether the reading found all groups; if not, it is not complete, and no person is absent."""
        return self.reading.complete
