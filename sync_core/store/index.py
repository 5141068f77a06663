"""What planning needs of everybody stored, collected row by row; those who are taken over are among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sync_core.domain.matching.registry import Registry
from sync_core.domain.model import Status, StoredIndex, StoredPerson, Value
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.stored_people import StoredPeople
from sync_core.store.rows import MAPPED_TARGETS, mapped_values, to_be_taken, to_stored
from sync_core.store.wire import Entity

PRINCIPAL_NAME = "UserPrincipalName"


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom to tell of everybody stored: the object id, the sign-in name, the status, and what `columns` hold.

    A column that no rule of the mapping has filled is the application's own, and is not told.
    """

    tell: Callable[[str, str, Status, Mapping[str, Value]], None]
    columns: frozenset[str] = frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """The columns that have to be read of each row."""
        mapped = self.columns | {MAPPED_TARGETS} if self.columns else self.columns
        return mapped | {PRINCIPAL_NAME}

    def see(self, row: Entity, status: Status) -> None:
        values = mapped_values(row) if self.columns else {}
        self.tell(row["RowKey"], str(row.get(PRINCIPAL_NAME) or ""), status, values)


def watch_for(assertions: Assertions) -> Watch | None:
    """Return whom to tell of everybody stored for the assertions' sake; nobody where there are none."""
    return Watch(assertions.stored, assertions.columns) if assertions.assertions else None


class IndexBuilder:
    """Collects the rows of one connection; matching has a `registry`, which is told of every row.

    Free rows are then not foreign. `watch` is told of everybody.
    """

    def __init__(self, connection_id: str, registry: Registry | None, watch: Watch | None) -> None:
        self._connection_id = connection_id
        self._registry = registry
        self._watch = watch
        self._people = StoredPeople()
        self._foreign: set[str] = set()
        self._taken: set[str] = set()

    def add(self, partition: str, row: Entity) -> None:
        """Learn of a row that stands in a partition of the connection."""
        stored, registry = to_stored(row, self._connection_id), self._registry
        known = registry is not None and registry.add(partition, row, stored)
        if stored is not None:
            self._keep(row, stored)
        elif not known:
            self._foreign.add(row["RowKey"])

    def take(self, partition: str, row: Entity, source: str) -> None:
        """Learn of a row that moves to a partition of which all rows are known."""
        object_id, stored, registry = row["RowKey"], to_be_taken(row, source), self._registry
        if stored is None or object_id in self._foreign:
            return
        if object_id in self._people:
            self._taken.add(object_id)
            return
        if registry is not None and registry.home(object_id) is not None:
            return
        self._taken.add(object_id)
        if registry is not None:
            registry.add(partition, row, stored)
        self._keep(row, stored)

    def _keep(self, row: Entity, stored: StoredPerson) -> None:
        self._people[row["RowKey"]] = stored
        if self._watch:
            self._watch.see(row, stored.status)

    def built(self) -> StoredIndex:
        return StoredIndex(self._people, frozenset(self._foreign), frozenset(self._taken))
