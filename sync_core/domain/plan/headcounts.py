"""How many active people hold certain values in their mapped columns, before and after a change. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from sync_core.domain.documents.policy import Assertion
from sync_core.domain.model import Action, Change, Value, is_same

# Whoever comes was not active before, whatever the row holds.
ACTIVE_BEFORE = frozenset({Action.UPDATE, Action.DISABLE, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Where:
    """The values that a person's columns have to hold, all of them; no column means everybody."""

    columns: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, assertion: Assertion) -> "Where":
        return cls(tuple(sorted((assertion.where or {}).items())))

    def fits(self, values: Mapping[str, Value]) -> bool:
        """Whether these values of a person are the ones that are asked for."""
        return all(_is_found(values.get(column), wanted) for column, wanted in self.columns)

    def step(self, change: Change) -> int:
        """Return by how many people more fit once a change is written: 1, 0 or -1."""
        before = change.action in ACTIVE_BEFORE and self.fits(change.before)
        after = not change.action.is_removal and self.fits(
            {column: _after(change, column) for column, _ in self.columns}
        )
        return after - before

    def __str__(self) -> str:
        return " and ".join(f"{column} = {_shown(wanted)}" for column, wanted in self.columns)


EVERYBODY = Where()


class Shift(NamedTuple):
    """A number of people that becomes more (1), or fewer (-1)."""

    where: Where
    by: int

    def is_by(self, change: Change) -> bool:
        """Whether a change moves the number in this direction."""
        return self.where.step(change) == self.by


def harm_to(assertion: Assertion) -> Shift:
    """Return what may break an assertion about a number of people."""
    return Shift(Where.of(assertion), -1 if assertion.at_least is not None else 1)


def asserted_columns(assertions: Iterable[Assertion]) -> frozenset[str]:
    """Name the columns that assertions count people by."""
    return frozenset(column for one in assertions for column in one.where or ())


def _after(change: Change, column: str) -> Value:
    """Return what a column holds once the change is written; one that is kept, what it held."""
    return (change.before if column in change.kept else change.values).get(column)


def _is_found(found: Value, wanted: Value) -> bool:
    # In Python true is 1.
    return isinstance(found, bool) is isinstance(wanted, bool) and is_same(found, wanted)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
