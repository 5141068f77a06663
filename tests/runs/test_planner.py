"""The planner with a gatherer that looks at some people only: of the others, nothing is decided."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from local.graph import GraphEmulator
from sync_core.domain.documents.run import RecordError, RunWarning
from sync_core.domain.model import Evidence, Inventory, StoredIndex, StoredPerson
from sync_core.domain.plan.by_hand import to_be_asked_for
from sync_core.domain.plan.roster import Roster
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.planner import InScope, Page, draft_plan
from sync_core.services import Services
from tests.system import rows_of, run_now, stored_connection

NOW = datetime(2026, 5, 4, tzinfo=UTC)


class Looks:
    """A gatherer that asks for a few people by id; it knows how many others are stored."""

    complete = False
    has_looked = True

    def __init__(self, context: RunContext, object_ids: Sequence[str], others: Inventory) -> None:
        self._context = context
        self._object_ids = object_ids
        self._others = others
        self._evidence: dict[str, Evidence] = {}
        self.problems: list[RecordError] = []
        self.warnings: list[RunWarning] = []

    async def stored(self) -> tuple[StoredIndex, Inventory]:
        found = [await self._context.users.load_one(one) for one in self._object_ids]
        people = {key: known for index in found for key, known in index.people.items()}
        return StoredIndex(people, frozenset()), self._others

    async def roster(self, stored: StoredIndex) -> Roster:
        return Roster(set(stored.people), may_delete=False, may_hold=False)

    def present(self, in_scope: InScope) -> AsyncIterator[Page]:
        return in_scope(self._seen())

    async def _seen(self) -> AsyncIterator[Page]:
        for found in await self._context.look(self._object_ids):
            self._evidence[found.object_id] = found
        answers = self._evidence.values()
        yield [(found.person, found.groups) for found in answers if found.person]

    def absent(self, unseen: Mapping[str, StoredPerson]) -> list[str]:
        return to_be_asked_for(unseen, NOW)

    async def look(self, object_ids: Sequence[str]) -> list[Evidence]:
        return [self._evidence[one] for one in object_ids]

    async def group_losses(self) -> tuple[str, ...]:
        return ()

    async def groups_exist(self) -> bool:
        return True

    async def is_witnessed(self, evidence: Evidence) -> bool:
        return True


async def test_of_the_people_looked_at_each_is_decided_about_and_no_other(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    moves, leaves, leaves_unseen, stays, *others = sorted(await rows_of(services, connection_id))
    emulator.control.patch_person(moves, {"displayName": "Renamed"})
    emulator.control.soft_delete(leaves)
    emulator.control.soft_delete(leaves_unseen)

    async with services.directory.open(connection) as client:
        context = await run_context(services, connection, client, "run-1", NOW)
        gatherer = Looks(context, [moves, leaves, stays], Inventory(4 + len(others), {}))
        async with draft_plan(context, gatherer) as draft:
            changes = [(change.object_id, change.action.value) for change in draft.plan.changes]
            tally = draft.plan.tally

    assert changes == [(moves, "update"), (leaves, "disable")]
    assert (tally.active, tally.removals) == (4 + len(others), 1)
    assert context.ledger.counts.unchanged == 1
