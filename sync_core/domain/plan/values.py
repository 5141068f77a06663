"""What a plan would do to the values of rows that are there: columns emptied, columns rewritten. Pure.

A value that is filled in for the first time is no loss, and neither is one of a person who leaves.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.policy import Guard
from sync_core.domain.documents.run import ColumnCount
from sync_core.domain.documents.values import Scalar
from sync_core.domain.letters import comparable_text
from sync_core.domain.model import Change, Value, list_in
from sync_core.domain.scope.compile import text_of

# A share says little of a handful of people.
FEWEST = 5
# Nearly everybody: more than most, and no longer a matter of a department.
NEARLY_ALL = Decimal("0.9")


class Kind(StrEnum):
    """What happens to a value that was there."""

    BLANKED = "blanked"
    REWRITTEN = "rewritten"


class Loss(NamedTuple):
    """One kind of thing that happens to one column."""

    column: str
    kind: Kind


# The values of each column to which nobody rises without approval, as they are compared.
Sensitive = Mapping[str, frozenset[str]]


class Rise(NamedTuple):
    """A column that gets a sensitive value, which it had not before."""

    column: str
    value: str


def sensitive_values(rules: Iterable[MappingRule]) -> Sensitive:
    """Return the sensitive values of a mapping by column."""
    return {
        rule.target: frozenset(map(_compared, rule.sensitive)) for rule in rules if rule.sensitive
    }


def still_sensitive(
    before: Iterable[MappingRule], after: Iterable[MappingRule]
) -> list[MappingRule]:
    """Return the rules after a change with the sensitive values that those before it named, too."""
    known = {rule.target: rule.sensitive or [] for rule in before}
    return [_with_sensitive(rule, known.get(rule.target, [])) for rule in after]


def _with_sensitive(rule: MappingRule, known: Iterable[Scalar]) -> MappingRule:
    named = rule.sensitive or []
    left_out = [value for value in known if value not in named]
    return rule.model_copy(update={"sensitive": named + left_out}) if left_out else rule


def rises(change: Change, sensitive: Sensitive) -> Iterator[Rise]:
    """Yield the sensitive values that a person would get, of a list those in it.

    How an application compares values is not known: `Admin` may be its `admin`, too.
    """
    if change.action.is_removal:
        return
    for column, values in sensitive.items():
        if column in change.kept:
            continue
        known = {_compared(value) for value in _values(change.before.get(column))}
        for value in _values(change.values.get(column)):
            if (compared := _compared(value)) in values - known:
                known.add(compared)
                yield Rise(column, text_of(value))


def _values(value: Value) -> list[Any]:
    """Return what a column holds: the items of a list, which is stored as JSON, or the one value."""
    found = list_in(value)
    return found if found is not None else [] if value is None else [value]


def _compared(value: Any) -> str:
    return comparable_text(text_of(value))


def rise_reason(rise: Rise, number: int) -> str:
    """Say how many people would get a sensitive value."""
    people = "1 person" if number == 1 else f"{number} people"
    return f"the column {rise.column} would become {rise.value} for {people}, which is sensitive"


def losses(change: Change) -> Iterator[Loss]:
    """Yield what a change takes from the row of a person who stays, or comes to a row that stands."""
    if change.action.is_removal or not change.has_row:
        return
    for column, (old, new) in change.fields().items():
        if old is not None:
            yield Loss(column, Kind.BLANKED if new is None else Kind.REWRITTEN)


def by_column(counts: Mapping[Loss, int]) -> dict[str, ColumnCount]:
    """Return the counts as they stand in a run and in a preview."""
    found: dict[str, Counter[str]] = {}
    for loss, number in sorted(counts.items()):
        found.setdefault(loss.column, Counter())[loss.kind.value] = number
    return {column: ColumnCount.model_validate(kinds) for column, kinds in found.items()}


def over(counts: Mapping[Loss, int], guard: Guard, people: int) -> tuple[Loss, ...]:
    """Return the losses of more people than the guard allows; a limit itself is still allowed."""
    return tuple(
        sorted(
            loss for loss, number in counts.items() if _is_over(loss.kind, number, guard, people)
        )
    )


def _is_over(kind: Kind, number: int, guard: Guard, people: int) -> bool:
    limit = _limit(kind, guard)
    # Exact, as in `guard`.
    return limit is not None and number >= FEWEST and number * 100 > Decimal(str(limit)) * people


def _limit(kind: Kind, guard: Guard) -> float | None:
    return guard.max_blanked_percent if kind is Kind.BLANKED else guard.max_rewritten_percent


def reason(loss: Loss, number: int, guard: Guard, people: int) -> str:
    """Say of how many people a column would be emptied or rewritten."""
    what = "emptied" if loss.kind is Kind.BLANKED else "rewritten"
    limit = _limit(loss.kind, guard)
    whom = f"{number} of {people} people"
    return f"the column {loss.column} would be {what} for {whom}; the limit is {limit:g} %"


def name_of(loss: Loss, number: int, people: int, rule: str) -> str:
    """Name a loss for the plan's digest: by the column's rule, not by each value.

    A confirmation is then good although one more telephone number has changed; it is not for another
    rule, nor for nearly everybody where it was given for some.
    """
    extent = "all" if number >= NEARLY_ALL * people else "some"
    return f"{loss.column}|{loss.kind.value}|{extent}|{rule}"
