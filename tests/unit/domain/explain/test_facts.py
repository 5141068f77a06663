"""What was seen of a person: the same verdict as a run, clause by clause and rule by rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.scope import Clause, Filter, Guests, Scope
from sync_core.domain.explain.facts import (
    REDACTED,
    RuleSeen,
    explain_mapping,
    explain_scope,
    group_path,
    hidden_attributes,
    paused_ways,
)
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import Value
from sync_core.domain.scope.compile import compile_scope
from tests.unit.builders import (
    ADMINS,
    CLAUSES,
    JSON,
    NO_GROUPS,
    NOW,
    SALES,
    clause,
    in_groups,
    not_in_groups,
    scope,
)

GROUP_CLAUSES = st.sampled_from([in_groups(SALES), in_groups(SALES, ADMINS), not_in_groups(ADMINS)])
ALL_CLAUSES = CLAUSES | GROUP_CLAUSES.map(Clause.model_validate)
PEOPLE = st.dictionaries(
    st.sampled_from(["a", "extensionAttribute1", "telephoneNumber", "userType"]), JSON
) | st.fixed_dictionaries({"userType": st.sampled_from(["Guest", "Member", None])})
MEMBERSHIPS = st.sets(st.sampled_from([SALES, ADMINS])).map(frozenset)
NOTHING_HIDDEN: frozenset[str] = frozenset()


@given(
    st.lists(st.lists(ALL_CLAUSES, min_size=1, max_size=3), max_size=3),
    st.sampled_from(Guests),
    st.booleans(),
    PEOPLE,
    MEMBERSHIPS,
)
def test_an_explanation_agrees_with_the_run(
    filters: list[list[Clause]],
    guests: Guests,
    everyone: bool,
    person: dict[str, Any],
    groups: frozenset[str],
) -> None:
    """As a whole, and put together from its parts: no part says what the whole does not."""
    document = Scope(
        filters=[Filter(clauses=clauses) for clauses in filters], guests=guests, everyone=everyone
    )
    seen = explain_scope(document, person, groups, NOTHING_HIDDEN)
    by_parts = seen.guests.ok and (seen.everyone or any(one.ok for one in seen.filters))

    assert seen.in_scope == compile_scope(document).matches(person, groups)
    assert seen.in_scope == by_parts
    for one in seen.filters:
        assert one.ok == all(each.ok for each in one.clauses)


def test_each_clause_says_what_was_seen() -> None:
    document = scope(
        [clause("department", "EQUALS", "Sales"), in_groups(SALES, ADMINS)],
        [clause("mobilePhone", "IS NOT NULL")],
    )
    person = {"department": "Legal", "mobilePhone": "+41 1"}

    seen = explain_scope(document, person, frozenset({SALES}), frozenset({"mobilePhone"}))

    first, second = seen.filters
    assert [(one.seen, one.ok) for one in first.clauses] == [("Legal", False), ([SALES], True)]
    assert (second.clauses[0].seen, second.ok) == (REDACTED, True)
    assert first.clauses[0].value == "Sales"


def rule(**given_: Any) -> MappingRule:
    return MappingRule.model_validate({"target": "it"} | given_)


def explained(one: MappingRule, person: dict[str, Any], stored: Any = None) -> RuleSeen:
    [found] = explain_mapping([one], person, NO_GROUPS, NOW, stored)
    return found


@pytest.mark.parametrize(
    ("one", "person", "stored", "effect", "value"),
    [
        pytest.param(rule(source="mail"), {"mail": "a@x"}, None, "write", "a@x", id="source"),
        pytest.param(rule(constant=7), {}, None, "write", 7, id="constant"),
        pytest.param(
            rule(expression="ToUpper([mail])"), {"mail": "a"}, None, "write", "A", id="expr"
        ),
        pytest.param(rule(source="mail"), {}, None, "write", None, id="nothing: cleared"),
        pytest.param(rule(source="mail", whenNull="keep"), {}, None, "keep", None, id="kept"),
        pytest.param(
            rule(source="mail", whenNull="default", default="?"),
            {},
            None,
            "write",
            "?",
            id="default",
        ),
        pytest.param(
            rule(source="mail", apply="create"), {"mail": "a"}, None, "write", "a", id="at creation"
        ),
        pytest.param(
            rule(source="mail", apply="create"), {"mail": "a"}, {}, "keep", "a", id="created before"
        ),
        pytest.param(
            rule(expression="IIF(IsPresent([mail]), [mail], IgnoreFlowIfNullOrEmpty([mail]))"),
            {},
            None,
            "keep",
            None,
            id="the expression keeps",
        ),
    ],
)
def test_what_a_rule_gives(
    one: MappingRule, person: dict[str, Any], stored: Any, effect: str, value: Value
) -> None:
    found = explained(one, person, stored)

    assert (found.effect, found.value) == (effect, value)
    assert (found.message is None) == (effect == "write")


def test_what_is_stored_stands_beside_it() -> None:
    assert explained(rule(source="mail"), {"mail": "new"}, {"it": "old"}).stored == "old"


def test_an_expression_is_traced_step_by_step() -> None:
    found = explained(rule(expression='Append([mail], "!")'), {"mail": "a"})

    assert found.trace is not None
    assert found.trace["value"] == "a!"
    assert found.trace["parts"][0] == {"expression": "[mail]", "value": "a"}


@pytest.mark.parametrize(
    ("one", "trace"),
    [
        pytest.param(rule(source="mail"), {"source": "mail", "value": "a"}, id="source"),
        pytest.param(rule(constant=True), {"constant": True}, id="constant"),
    ],
)
def test_what_is_no_expression_has_a_trace_as_well(one: MappingRule, trace: dict[str, Any]) -> None:
    assert explained(one, {"mail": "a"}).trace == trace


def test_a_rule_that_fails_says_why_and_how_far_it_came() -> None:
    found = explained(rule(expression="CBool([mail])"), {"mail": "not a truth"})

    assert found.effect == "fail"
    assert found.message is not None
    assert "not a truth" not in found.message
    assert found.trace is not None
    assert found.trace["error"]


def test_a_rule_that_skips_the_person() -> None:
    found = explained(rule(expression="IIF(IsNullOrEmpty([mail]), IgnoreObjectFlow, [mail])"), {})

    assert (found.effect, found.message) == (
        "skipPerson",
        "The expression says to leave this person out.",
    )


def test_what_is_redacted_is_shown_nowhere() -> None:
    secret = rule(expression='Append(Redact([mobilePhone]), "!")')
    person = {"mobilePhone": "+41 44"}

    found = explained(secret, person, {"it": "+41 44!"})

    assert (found.value, found.stored) == (REDACTED, REDACTED)
    assert "+41" not in found.model_dump_json()
    assert explained(secret, {}, {}).stored is None


def test_what_a_redacting_rule_reads_is_hidden_but_not_who_the_person_is() -> None:
    rules = [
        rule(expression="Redact(Coalesce([mobilePhone], [userPrincipalName]))"),
        rule(expression="[mail]"),
        rule(source="department"),
    ]

    assert hidden_attributes(rules) == {"mobilePhone"}
    assert hidden_attributes([]) == frozenset()


@given(st.dictionaries(st.sampled_from(["a", "mail"]), JSON))
def test_the_parts_of_a_mapping_are_those_of_the_whole(person: dict[str, Any]) -> None:
    rules = [
        MappingRule(target="one", source="a"),
        MappingRule(target="two", expression="Coalesce([mail], [a])"),
    ]
    whole = compile_mapping(rules).to_mapped(person, NO_GROUPS, NOW)
    parts = explain_mapping(rules, person, NO_GROUPS, NOW, None)

    assert whole is not None
    assert {one.target: one.value for one in parts} == whole.values


NAMES = {"1": "Sales", "2": "Sales DE", "3": "Berlin", "4": "Everybody"}


@pytest.mark.parametrize(
    ("root", "direct", "parents", "path"),
    [
        pytest.param("1", {"1"}, {}, "Sales", id="directly"),
        pytest.param("1", {"2"}, {"2": {"1"}}, "Sales > Sales DE", id="through one"),
        pytest.param(
            "1", {"3"}, {"3": {"2"}, "2": {"1"}}, "Sales > Sales DE > Berlin", id="through two"
        ),
        pytest.param(
            "1", {"3", "1"}, {"3": {"2"}, "2": {"1"}}, "Sales", id="the shortest way counts"
        ),
        pytest.param(
            "1",
            {"2"},
            {"2": {"3"}, "3": {"2", "1"}},
            "Sales > Berlin > Sales DE",
            id="groups in a circle",
        ),
        pytest.param("1", {"2"}, {"2": {"4"}}, None, id="in another group"),
        pytest.param("1", {"9"}, {}, None, id="in a group that was not read"),
        pytest.param("1", set(), {}, None, id="in no group"),
    ],
)
def test_the_way_through_nested_groups(
    root: str, direct: set[str], parents: dict[str, set[str]], path: str | None
) -> None:
    assert group_path(root, direct, parents, NAMES) == path


def test_a_group_without_a_name_stands_with_its_id() -> None:
    assert group_path("1", {"1"}, {}, {"1": ""}) == "1"


@pytest.mark.parametrize(
    ("direct", "paused", "is_member", "expected"),
    [
        pytest.param("n", "n", True, "n", id="in by a group that is paused"),
        pytest.param("ns", "n", True, "", id="in by another one as well"),
        pytest.param("ns", "ns", True, "ns", id="in by two that are paused"),
        pytest.param("x", "nx", False, "n", id="not in: each that might let them in"),
        pytest.param("", "x", False, "", id="a paused group that leads elsewhere"),
        pytest.param("s", "n", True, "", id="in by a group that is not paused"),
        pytest.param("", "n", True, "", id="in, and the way is not known"),
    ],
)
def test_whose_membership_depends_on_a_paused_rule(
    direct: str, paused: str, is_member: bool, expected: str
) -> None:
    """Two groups lead in, North and South; x is another one."""
    found = paused_ways(set("ns"), set(direct), set(paused), is_member=is_member)

    assert found == set(expected)
