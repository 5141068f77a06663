"""One line to evaluate an expression for a person, for the tests of this folder."""

from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from sync_core.domain.expressions import Context, parse

# The moment that the reference prints for Now().
NOW = datetime(2021, 7, 2, 15, 33, 38, tzinfo=UTC)


def evaluate(
    text: str,
    attributes: Mapping[str, object] | None = None,
    *,
    now: datetime = NOW,
    groups: AbstractSet[str] = frozenset(),
    taken: Container[str] = frozenset(),
) -> object:
    context = Context(now=now, groups=groups, taken=taken)
    return parse(text).compile()(attributes or {}, context)
