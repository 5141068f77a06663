"""People whose value is the one that a clause names, but for upper and lower case. Pure.

Values are compared letter by letter, so `department EQUALS "sales"` lets in nobody of *Sales*, and
`INCLUDES "sales"` nobody of *Sales North*; the directory's own search does not tell them apart.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.attributes import MANAGER, reader
from sync_core.domain.documents.scope import BELONGING, Clause, Operator, Scope
from sync_core.domain.model import Attributes

# Operators that compare letter by letter: whole values, and parts of them.
EXACT = frozenset(
    {
        Operator.EQUALS,
        Operator.NOT_EQUALS,
        Operator.IN,
        Operator.ARRAYCONTAINS,
        Operator.NOT_ARRAYCONTAINS,
        Operator.INCLUDES,
    }
)
SPELLINGS = 3
OTHER_LETTERS = "scope.otherLetters"
# Ids, which are compared in any case.
BY_ID = frozenset({*BELONGING, MANAGER})


@dataclass(slots=True)
class OtherLetters:
    """Counts people for one clause, each once, by how their value is written."""

    path: str
    clause: Clause
    _people: set[str] = field(default_factory=set)
    _spellings: Counter[str] = field(default_factory=Counter)
    _read: Callable[[Attributes], Any] = field(init=False)
    _exact: frozenset[str] = field(init=False)
    _folded: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._read = reader(self.clause.attribute)
        self._exact = frozenset(_texts(self.clause.values))
        self._folded = frozenset(text.casefold() for text in self._exact)

    def see(self, person: Attributes) -> None:
        value = self._read(person)
        texts = _texts(value if isinstance(value, list) else [value])
        other = [one for one in texts if self._is_other(one)]
        if other and person["id"] not in self._people:
            self._people.add(person["id"])
            self._spellings.update(other)

    def _is_other(self, text: str) -> bool:
        # Nearly everybody has the value itself or quite another one.
        if self.clause.operator is not Operator.INCLUDES:
            return text not in self._exact and text.casefold() in self._folded
        lower = text.casefold()
        return any(part in lower for part in self._folded) and not any(
            part in text for part in self._exact
        )

    @property
    def people(self) -> int:
        return len(self._people)

    @property
    def sentence(self) -> str:
        have = "1 person has" if self.people == 1 else f"{self.people:,} people have"
        written = ", ".join(text for text, _ in self._spellings.most_common(SPELLINGS))
        return (
            f"{have} the value of {self.path} ({self.clause.attribute} {self.clause.operator.value}) in "
            f"other letters: {written}. Upper and lower case count; name the value as the directory has it."
        )


def _texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def other_letters(scope: Scope) -> list[OtherLetters]:
    """Return a counter for each clause that compares texts of the directory letter by letter."""
    return [
        OtherLetters(f"scope.filters[{number}].clauses[{place}]", clause)
        for number, each in enumerate(scope.filters)
        for place, clause in enumerate(each.clauses)
        if clause.operator in EXACT
        and clause.attribute not in BY_ID
        and any(isinstance(value, str) for value in clause.values)
    ]
