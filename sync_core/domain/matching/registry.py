"""Who stands in the Users table already, by object id and by the values of the matching keys. Pure.

A row is *owned* when this connection wrote it, and *free* when the application, or somebody by hand,
put it into one of the connection's partitions. Marks on a row say what became of it:

    LinkedObjectId   the person who takes this row over, or has taken it
    LinkedBy         what made the match
    NoAutoLink       somebody broke a link of this row; only a decision links it again
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_core.domain.documents.base import GUID
from sync_core.domain.letters import comparable_text
from sync_core.domain.model import Status, StoredPerson, Value

OBJECT_ID = "objectId"
LINKED_TO = "LinkedObjectId"
LINKED_BY = "LinkedBy"
NO_AUTO_LINK = "NoAutoLink"

Entity = Mapping[str, Any]
# The values of the matching keys in their order; None matches nothing.
KeyValues = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row that somebody who comes in may take over."""

    partition: str
    row_key: str
    linked_to: str = ""
    linked_by: str = ""
    is_former: bool = False
    is_protected: bool = False
    is_unlinked: bool = False

    @property
    def address(self) -> str:
        return f"{self.partition}|{self.row_key}"


class Holders:
    """Who has a value; most values have one holder, which costs no list."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._others: dict[str, list[str]] = {}

    def add(self, value: str, holder: str) -> None:
        if self._first.setdefault(value, holder) != holder:
            self._others.setdefault(value, []).append(holder)

    def of(self, value: str) -> Iterator[str]:
        if value in self._first:
            yield self._first[value]
            yield from self._others.get(value, ())


class Registry:
    """One connection's rows as matching sees them; `add` each row once, in any order.

    What the run itself changes is told with `move` and `leave`, so a value counts for who has it now.
    """

    def __init__(self, connection_id: str, keys: Sequence[str], protected: Iterable[str]) -> None:
        self.keys = tuple(keys)
        self._connection_id = connection_id
        self._protected = {comparable(name) for name in protected}
        self._rows: dict[str, Row] = {}
        self._by_id = Holders()
        self._free = [Holders() for _ in keys]
        self._owned = [Holders() for _ in keys]
        # Of people whom this run changes, the stored values do not count, the new ones do.
        self._fresh = [Holders() for _ in keys]
        self._moved: list[set[str]] = [set() for _ in keys]
        self._former: set[str] = set()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row that `add` reads, beside those of the index."""
        return (*self.keys, LINKED_TO, LINKED_BY, NO_AUTO_LINK, "UserPrincipalName")

    def values(self, columns: Mapping[str, Any]) -> KeyValues:
        """Return the key values of a row, or of the values that are mapped."""
        return tuple(comparable(columns.get(key)) for key in self.keys)

    def add(self, partition: str, entity: Entity, owned: StoredPerson | None) -> bool:
        """Note a row; false for one that is neither ours nor free: another program's person."""
        if owned is not None:
            self._add_owned(partition, entity, owned)
        elif entity.get("ConnectionId"):
            return False
        else:
            self._add_free(partition, entity)
        return True

    def _add_owned(self, partition: str, entity: Entity, owned: StoredPerson) -> None:
        object_id = entity["RowKey"]
        if owned.status is Status.DISABLED:
            self._former.add(object_id)
            if linked_to := linked_to_of(entity):
                # Replaced by the account of a re-hire, which has the values now.
                row = Row(partition, object_id, linked_to, _text(entity, LINKED_BY), is_former=True)
                self._rows[row.address] = row
                self._by_id.add(linked_to, row.address)
                return
        for holders, value in zip(self._owned, self.values(entity), strict=True):
            if value is not None:
                holders.add(value, object_id)

    def _add_free(self, partition: str, entity: Entity) -> None:
        row_key, linked_to = entity["RowKey"], linked_to_of(entity)
        values = self.values(entity)
        named = GUID.fullmatch(row_key) is not None
        if not (named or linked_to or any(values)):
            return
        names = {*values, comparable(row_key), comparable(entity.get("UserPrincipalName"))} - {None}
        row = Row(
            partition,
            row_key,
            linked_to,
            _text(entity, LINKED_BY),
            is_protected=bool(names & self._protected),
            is_unlinked=entity.get(NO_AUTO_LINK) is True,
        )
        self._rows[row.address] = row
        if linked_to:
            self._by_id.add(linked_to, row.address)
        elif named:
            self._by_id.add(row_key.lower(), row.address)
        for holders, value in zip(self._free, values, strict=True):
            if value is not None and not linked_to:
                holders.add(value, row.address)

    def move(self, object_id: str, columns: Mapping[str, Value]) -> None:
        """Note that an owned person is active and has these values from now on."""
        self._former.discard(object_id)
        for number, key in enumerate(self.keys):
            if key in columns:
                self._moved[number].add(object_id)
                if (value := comparable(columns[key])) is not None:
                    self._fresh[number].add(value, object_id)

    def leave(self, object_id: str) -> None:
        """Note that an owned person is a former one from now on."""
        self._former.add(object_id)

    def is_former(self, object_id: str) -> bool:
        return object_id in self._former

    def home(self, object_id: str) -> Row | None:
        """Return the free row at a person's own address."""
        return self._rows.get(self.address(object_id))

    def address(self, object_id: str) -> str:
        return f"{self._connection_id}-{object_id[0]}|{object_id}"

    def row(self, address: str) -> Row | None:
        """Return a row that may be taken over by a decision: a free one, or a former person's."""
        if found := self._rows.get(address):
            return found
        partition, row_key = parted(address)
        if row_key in self._former and address == self.address(row_key):
            return Row(partition, row_key, is_former=True)
        return None

    def rows_of(self, object_id: str) -> list[Row]:
        """Return the rows that are a person's by object id."""
        return [self._rows[address] for address in sorted(self._by_id.of(object_id))]

    def free_rows(self, number: int, value: str) -> list[Row]:
        """Return the free rows with a value in the key of this number."""
        return [self._rows[address] for address in sorted(self._free[number].of(value))]

    def owners(self, number: int, value: str) -> list[str]:
        """Return the owned people with a value in the key of this number, former ones too."""
        moved = self._moved[number]
        held = {one for one in self._owned[number].of(value) if one not in moved}
        return sorted(held.union(self._fresh[number].of(value)))


def _text(entity: Entity, column: str) -> str:
    return str(entity.get(column) or "").strip()


def linked_to_of(entity: Entity) -> str:
    """Return the object id of the person who takes a row over; an application may have written it."""
    return _text(entity, LINKED_TO).lower()


def parted(address: str) -> tuple[str, str]:
    """Return partition and row key of an address; a row key may hold the bar, a partition does not."""
    partition, _, row_key = address.partition("|")
    return partition, row_key


def comparable(value: object) -> str | None:
    """Make values comparable: blanks around it, case, and what cannot be seen do not count.

    A number equals its digits as a text, since a row put there by hand may hold either. Nothing,
    blanks, and true and false match nothing.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, bool):
        return None
    return comparable_text(str(value)) or None
