"""Which clause of a scope changed its answer for nearly everybody: seen while a run decides. Pure.

How a clause answered before is not kept. What is stored tells: whoever is active was let in by some filter,
whoever is not was let in by none. So of people who leave, the clauses that are false now are those that
turned, and of people who come, those that are true now.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sync_core.domain.attributes import reader
from sync_core.domain.documents.run import RunWarning
from sync_core.domain.documents.scope import BELONGING, Clause
from sync_core.domain.model import Attributes
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.values import NEARLY_ALL
from sync_core.domain.scope.compile import CompiledScope, GroupIds, Test, hold_all, is_empty

CLAUSE_CHANGED = "scope.clauseChanged"
# A share says little of a handful of people.
FEWEST = 5
# Of a directory that grows, some newcomers have no value of an attribute that hardly anybody has.
NOTABLE = 10


@dataclass(slots=True)
class _Clause:
    """A clause, and what was seen of it.

    `turns_out` counts people who leave and for whom it is false, `empty_out` those of them without a value.
    A clause with `passes_empty` is true without a value; `lets_in` counts people who come by that, `empty`
    people who were read and have none.
    """

    path: str
    clause: Clause
    test: Test
    turns_out: int = 0
    empty_out: int = 0
    lets_in: int = 0
    empty: int = 0
    passes_empty: bool = field(init=False)
    _read: Callable[[Attributes], Any] | None = field(init=False)

    def __post_init__(self) -> None:
        by_belonging = self.clause.attribute in BELONGING
        self._read = None if by_belonging else reader(self.clause.attribute)
        self.passes_empty = not by_belonging and self.test({}, frozenset())

    def is_empty_of(self, person: Attributes) -> bool:
        return self._read is not None and is_empty(self._read(person))

    def __str__(self) -> str:
        return f"the clause {self.path} ({self.clause.attribute} {self.clause.operator.value})"


class Answers:
    """Counts how the clauses of a scope answer, for those who stay, come and leave in one reading of all."""

    def __init__(self, scope: CompiledScope) -> None:
        self._filters = [
            [
                _Clause(f"/scope/filters/{number}/clauses/{place}", clause, test)
                for place, (clause, test) in enumerate(zip(one.clauses, tests, strict=True))
            ]
            for number, (one, tests) in enumerate(
                zip(scope.document.filters, scope.filters, strict=True)
            )
        ]
        self._by_absence = [one for each in self._filters for one in each if one.passes_empty]
        self._tests = scope.filters
        self._of: Counter[int] = Counter()
        self._read = self._come = 0

    def read(self, person: Attributes) -> None:
        """Learn of a person who was read, in scope or not."""
        self._read += 1
        for clause in self._by_absence:
            clause.empty += clause.is_empty_of(person)

    def present(self, person: Attributes, groups: GroupIds, *, is_new: bool) -> None:
        """Learn of a person in scope; one who `is_new` is not active in the table."""
        if not self._filters or not (is_new or self._tests[1:]):
            self._of[0] += 1
            return
        number = next(n for n, tests in enumerate(self._tests) if hold_all(tests, person, groups))
        if not is_new:
            self._of[number] += 1
            return
        self._come += 1
        for clause in self._filters[number]:
            clause.lets_in += clause.passes_empty and clause.is_empty_of(person)

    def left(self, person: Attributes, groups: GroupIds) -> None:
        """Learn of an active person who is out of scope now.

        Which filter had let them in is not known: the closest ones count, as in `why`.
        """
        false = [
            [clause for clause in each if not clause.test(person, groups)] for each in self._filters
        ]
        fewest = min(map(len, false), default=0)
        if not fewest:  # out by name, or as a guest
            return
        for number, clauses in enumerate(false):
            if len(clauses) == fewest:
                self._of[number] += 1
                for clause in clauses:
                    clause.turns_out += 1
                    clause.empty_out += clause.is_empty_of(person)

    def lost(self) -> list[str]:
        """Say which clauses turn out nearly everybody whom their filter had let in."""
        return list(self._lost())

    def _lost(self) -> Iterator[str]:
        for number, each in enumerate(self._filters):
            of = self._of[number]
            for clause in each:
                if _is_nearly_all(clause.turns_out, of):
                    said = f"{clause} turns out {clause.turns_out} of {of} people of its filter"
                    if clause.empty_out >= NEARLY_ALL * clause.turns_out:
                        said += f", and {clause.empty_out} of these have {_no_value(clause)}"
                    yield said

    def gained(self, *, least: int = FEWEST) -> list[str]:
        """Say which clauses let in nearly everybody who comes, by an attribute that nearly nobody has.

        Fewer people than `least` are not told.
        """
        return [
            f"{clause} lets in {clause.lets_in} of {self._come} people who come, and {clause.empty} of "
            f"{self._read} people who were read have {_no_value(clause)}"
            for clause in self._by_absence
            if clause.lets_in >= least
            and _is_nearly_all(clause.lets_in, self._come)
            and _is_nearly_all(clause.empty, self._read)
        ]

    def warnings(self, active: int) -> list[RunWarning]:
        """Return the same as warnings; of people who come, if they are many beside the `active` ones."""
        said = [*self.lost(), *self.gained(least=max(FEWEST, active // NOTABLE))]
        return [
            RunWarning(code=CLAUSE_CHANGED, message=f"{text[:1].upper()}{text[1:]}.")
            for text in said
        ]


def check_clauses(verdict: Verdict, answers: Answers) -> Verdict:
    """Return the verdict with the clauses that are to blame, where it holds who leaves, or who comes."""
    said: Sequence[str] = []
    if verdict.hold_removals or verdict.hold_deletes:
        said = answers.lost()
    if verdict.hold_creates:
        said = [*said, *answers.gained()]
    return replace(verdict, reasons=(*verdict.reasons, *said))


def _is_nearly_all(number: int, of: int) -> bool:
    return number >= FEWEST and number >= NEARLY_ALL * of


def _no_value(clause: _Clause) -> str:
    return f"no {clause.clause.attribute}, as where a permission is missing"
