"""Mapping is deterministic: the same person gives the same values and digest, however they are written.

Graph promises no order of names, and a run may be on any machine; a digest that depended on either would
write rows to no effect, again and again.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.errors import RecordRejected
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import Mapped
from tests.unit.builders import JSON, NOW, SALES, examples, rule
from tests.unit.domain.expressions.strategies import EXPRESSIONS, NAMES

PEOPLE = st.dictionaries(
    st.sampled_from([*NAMES, "userPrincipalName", "onPremisesExtensionAttributes", "a"]),
    JSON | st.dictionaries(st.sampled_from("abc"), JSON, max_size=3),
    max_size=8,
)
POLICIES = st.sampled_from(
    [
        {},
        {"whenNull": "keep"},
        {"whenNull": "default", "default": "none"},
        {"apply": "create"},
    ]
)
SOURCES = st.one_of(
    st.sampled_from(NAMES).map(lambda name: {"source": name}),
    st.sampled_from(["x", 7, True]).map(lambda value: {"constant": value}),
    EXPRESSIONS.map(lambda one: {"expression": one.print() if one else "Null"}),
)
RULES = st.lists(st.tuples(SOURCES, POLICIES), min_size=1, max_size=4).map(
    lambda parts: [
        rule(f"t{number}", **source, **policy) for number, (source, policy) in enumerate(parts)
    ]
)


def turned(value: Any) -> Any:
    """Give the same JSON with the names of every object in the opposite order, however deep."""
    if isinstance(value, dict):
        return {name: turned(inner) for name, inner in reversed(value.items())}
    if isinstance(value, list):
        return [turned(one) for one in value]
    return value


def outcome(rules: list[MappingRule], person: dict[str, Any]) -> Mapped | str | None:
    try:
        return compile_mapping(rules).to_mapped(person, frozenset({SALES}), NOW)
    except RecordRejected as error:
        return error.message


@examples(1.5)
@given(RULES, PEOPLE)
def test_the_same_person_and_mapping_give_the_same_digest(
    rules: list[MappingRule], person: dict[str, Any]
) -> None:
    first = outcome(rules, person)

    assert outcome(rules, turned(person)) == first
    assert outcome([MappingRule.model_validate(one.to_json()) for one in rules], person) == first


@given(RULES, PEOPLE)
def test_the_order_of_the_rules_makes_no_difference(
    rules: list[MappingRule], person: dict[str, Any]
) -> None:
    """Apart from which of several errors is told first, and who is skipped before one is met."""
    first, other = outcome(rules, person), outcome(rules[::-1], person)

    if isinstance(first, Mapped) and isinstance(other, Mapped):
        assert first == other
    else:
        assert not isinstance(first, Mapped)
        assert not isinstance(other, Mapped)
