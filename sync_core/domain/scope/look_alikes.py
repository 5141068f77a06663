"""People whose value looks like the one a clause names and is another one. Pure.

A no-break space pasted into a department keeps a person out, and no screen shows why.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.attributes import reader
from sync_core.domain.documents.scope import BELONGING, Clause, Operator, Scope
from sync_core.domain.letters import as_seen, hidden_letters
from sync_core.domain.model import Attributes

# Operators that compare whole texts, letter by letter.
BY_TEXT = frozenset(
    {
        Operator.EQUALS,
        Operator.NOT_EQUALS,
        Operator.IN,
        Operator.ARRAYCONTAINS,
        Operator.NOT_ARRAYCONTAINS,
    }
)


@dataclass(slots=True)
class LookAlike:
    """Counts, for one clause, people with a value that only looks like one of the clause's."""

    path: str
    clause: Clause
    people: int = 0
    _letters: set[str] = field(init=False)
    _read: Callable[[Attributes], Any] = field(init=False)
    _texts: frozenset[str] = field(init=False)
    _looks: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._read = reader(self.clause.attribute)
        self._texts = frozenset(_texts(self.clause.values))
        self._looks = frozenset(map(as_seen, self._texts))
        self._letters = set(hidden_letters(self._texts))

    def see(self, person: Attributes) -> None:
        value = self._read(person)
        found = _texts(value if isinstance(value, list) else [value])
        alike = [text for text in found if text not in self._texts and as_seen(text) in self._looks]
        if alike:
            self.people += 1
            self._letters.update(hidden_letters(alike))

    @property
    def sentence(self) -> str:
        return (
            f"have a value that looks like the one of {self.path} ({self.clause.attribute} "
            f"{self.clause.operator.value}) and is another one, by what cannot be seen: "
            f"{', '.join(sorted(self._letters))}. Correct it in the directory, or name both spellings."
        )


def _texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def look_alikes(scope: Scope) -> list[LookAlike]:
    """Return a counter for each clause that compares whole texts."""
    return [
        LookAlike(f"scope.filters[{number}].clauses[{place}]", clause)
        for number, one in enumerate(scope.filters)
        for place, clause in enumerate(one.clauses)
        if clause.operator in BY_TEXT and clause.attribute not in BELONGING
    ]
