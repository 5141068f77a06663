"""What Graph is asked for a scope, and what the preview says about it."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from local.graph.odata.selection import user_filter
from sync_core.domain.documents.scope import Filter, Guests, Scope
from sync_core.domain.scope.compile import compile_scope
from sync_core.domain.scope.query import LONGEST_FILTER, ReadingPlan, reading_plan
from tests.unit.builders import (
    ADMINS,
    NO_GROUPS,
    SALES,
    clause,
    compiled,
    examples,
    in_groups,
    not_in_groups,
)
from tests.unit.graph_people import Given, clauses_and_people

ENABLED = clause("accountEnabled", "IS TRUE")
INTERNAL = clause("extensionAttribute1", "EQUALS", "Internal")
INTERNAL_TEXT = "onPremisesExtensionAttributes/extensionAttribute1 eq 'Internal'"
PATTERN = clause("mail", "REGEX MATCH", "^a")


def department(*values: str) -> dict[str, Any]:
    return clause("department", "IN", list(values))


def quoted(values: Iterable[int]) -> str:
    return ",".join(f"'{value}'" for value in values)


def planned(*filters: list[dict[str, Any]], **changes: Any) -> ReadingPlan:
    return reading_plan(compiled(*filters, **changes))


@pytest.mark.parametrize(
    ("filters", "changes", "text"),
    [
        pytest.param([], {}, None, id="nobody"),
        pytest.param([], {"everyone": True}, None, id="everyone"),
        pytest.param([], {"everyone": True, "guests": "include"}, None, id="everyone and guests"),
        pytest.param(
            [], {"everyone": True, "guests": "only"}, "userType eq 'Guest'", id="every guest"
        ),
        pytest.param([[in_groups(SALES), department("a")]], {}, None, id="by group"),
        pytest.param([[department("a")]], {}, "department eq 'a'", id="one clause"),
        pytest.param([[department("a"), PATTERN]], {}, "department eq 'a'", id="one of two"),
        pytest.param([[PATTERN]], {}, None, id="none"),
        pytest.param(
            [[department("a"), ENABLED]],
            {},
            "department eq 'a' and accountEnabled eq true",
            id="two clauses",
        ),
        pytest.param(
            [[department("a"), ENABLED], [department("b")]],
            {},
            "(department eq 'a' and accountEnabled eq true) or (department eq 'b')",
            id="two filters",
        ),
        pytest.param([[department("a")], [PATTERN]], {}, None, id="one filter asks for all"),
        pytest.param(
            [[department("a"), PATTERN], [department("a")]],
            {},
            "department eq 'a'",
            id="two filters that ask for the same",
        ),
        pytest.param(
            [[in_groups(SALES)], [department("a")]], {}, None, id="one filter by group only"
        ),
        pytest.param(
            [[in_groups(SALES), department("a")], [department("b")]],
            {},
            "(department eq 'a') or (department eq 'b')",
            id="one filter by group and attribute",
        ),
        pytest.param(
            [[department("a"), PATTERN]],
            {"guests": "only"},
            "userType eq 'Guest' and department eq 'a'",
            id="guests of a department",
        ),
        pytest.param(
            [[department("a")], [PATTERN]],
            {"guests": "only"},
            "(userType eq 'Guest' and department eq 'a') or (userType eq 'Guest')",
            id="guests, in each filter",
        ),
        pytest.param([[INTERNAL]], {}, INTERNAL_TEXT, id="advanced, as there is no other"),
        pytest.param(
            [[INTERNAL, department("a")]], {}, "department eq 'a'", id="default is preferred"
        ),
        pytest.param(
            [[INTERNAL, ENABLED]],
            {},
            f"{INTERNAL_TEXT} and accountEnabled eq true",
            id="advanced, as the other hardly narrows",
        ),
        pytest.param(
            [[INTERNAL, clause("userType", "EQUALS", "Member")]],
            {},
            f"{INTERNAL_TEXT} and userType eq 'Member'",
            id="nor does the type",
        ),
        pytest.param(
            [[department("a", "b"), clause("jobTitle", "EQUALS", "x")]],
            {},
            "department in ('a','b') and jobTitle eq 'x'",
            id="in",
        ),
        pytest.param(
            [[department("a", "b"), clause("jobTitle", "EQUALS", "x")], [department("c")]],
            {},
            "(jobTitle eq 'x') or (department eq 'c')",
            id="in would be a fourth level",
        ),
        pytest.param(
            [[department("a", "b"), clause("jobTitle", "IN", ["x", "y"])], [department("c")]],
            {},
            "(department in ('a','b')) or (department eq 'c')",
            id="in alone is the third",
        ),
        pytest.param(
            [[department("a", "b")], [department("c")]],
            {"guests": "only"},
            "(userType eq 'Guest') or (userType eq 'Guest' and department eq 'c')",
            id="guests rather than in",
        ),
        pytest.param(
            [[department(*map(str, range(10)))], [department(*map(str, range(20, 25)))]],
            {},
            f"(department in ({quoted(range(10))})) or (department in ({quoted(range(20, 25))}))",
            id="15 alternatives",
        ),
        pytest.param(
            [[department(*map(str, range(10)))], [department(*map(str, range(20, 26)))]],
            {},
            None,
            id="16 alternatives",
        ),
        pytest.param(
            [[department(*(f"{n}" * 30 for n in range(10, 25)))]],
            {},
            None,
            id="too long for an address",
        ),
    ],
)
def test_what_graph_is_asked(
    filters: list[list[dict[str, Any]]], changes: dict[str, Any], text: str | None
) -> None:
    plan = planned(*filters, **changes)

    assert plan.filter == text
    assert plan.advanced is (text is not None and "extensionAttribute1" in text)


@pytest.mark.parametrize(
    ("filters", "changes", "groups", "sentence"),
    [
        pytest.param([], {}, set(), "reads nobody", id="nobody"),
        pytest.param([], {"everyone": True}, set(), "reads all users", id="everyone"),
        pytest.param(
            [[department("Sales")]],
            {},
            set(),
            "reads users where department eq 'Sales'",
            id="by filter",
        ),
        pytest.param(
            [[INTERNAL]],
            {},
            set(),
            f"reads users where {INTERNAL_TEXT} (an advanced query)",
            id="by advanced filter",
        ),
        pytest.param(
            [[in_groups(SALES)]],
            {},
            {SALES},
            "reads 1 group and the groups nested in them",
            id="a group",
        ),
        pytest.param(
            [[in_groups(SALES, ADMINS)]],
            {"nestedGroups": False},
            {SALES, ADMINS},
            "reads 2 groups",
            id="groups without those in them",
        ),
        pytest.param(
            [[in_groups(SALES), not_in_groups(ADMINS)]],
            {"nestedGroups": False},
            {SALES},
            "reads 1 group; asks who is in 1 group",
            id="a group without another",
        ),
        pytest.param(
            [[not_in_groups(SALES, ADMINS), department("a")]],
            {},
            set(),
            "reads users where department eq 'a'; asks who is in 2 groups",
            id="a department without groups",
        ),
        pytest.param(
            [[in_groups(SALES), not_in_groups(SALES)]],
            {"nestedGroups": False},
            {SALES},
            "reads 1 group",
            id="the same group twice",
        ),
    ],
)
def test_a_plan_has_words(
    filters: list[list[dict[str, Any]]], changes: dict[str, Any], groups: set[str], sentence: str
) -> None:
    plan = planned(*filters, **changes)

    assert plan.groups == groups
    assert plan.sentence == sentence


@pytest.mark.parametrize(
    ("filters", "changes", "rules"),
    [
        pytest.param([], {}, [], id="nobody"),
        pytest.param([], {"everyone": True}, ["guests exclude", "agents exclude"], id="everyone"),
        pytest.param(
            [],
            {"everyone": True, "guests": "include"},
            ["agents exclude"],
            id="everyone and guests",
        ),
        pytest.param(
            [], {"everyone": True, "guests": "only", "agents": "include"}, [], id="every guest"
        ),
        pytest.param(
            [[department("a"), PATTERN, clause("city", "IS NULL")], [department("b"), PATTERN]],
            {"guests": "include", "agents": "include"},
            ['mail REGEX MATCH "^a"', "city IS NULL"],
            id="what Graph is not asked, once",
        ),
        pytest.param(
            [[department("a"), INTERNAL]],
            {"guests": "include", "agents": "include"},
            ['extensionAttribute1 EQUALS "Internal"'],
            id="what it could be asked",
        ),
        pytest.param(
            [[department("a", "b")], [PATTERN]],
            {"guests": "include", "agents": "include"},
            ['department IN ["a","b"]', 'mail REGEX MATCH "^a"'],
            id="where one filter asks for all",
        ),
        pytest.param(
            [[in_groups(SALES), not_in_groups(ADMINS), department("a")]],
            {"guests": "only", "agents": "only"},
            ['department IN ["a"]', "guests only", "agents only"],
            id="in a group",
        ),
        pytest.param(
            [[department("a")]],
            {"guests": "include", "agents": "include", "exclude": ["a@x", "b@x"]},
            ["exclude 2 people"],
            id="excluded people",
        ),
    ],
)
def test_a_plan_names_what_is_judged_on_our_side(
    filters: list[list[dict[str, Any]]], changes: dict[str, Any], rules: list[str]
) -> None:
    assert list(planned(*filters, **changes).judged_here) == rules


def test_a_filter_fits_into_an_address_with_much_else() -> None:
    fits = planned([department(*(f"{n}" * 25 for n in range(10, 25)))])

    assert fits.filter is not None
    assert 800 < len(fits.filter) < LONGEST_FILTER


@examples(3)
@given(clauses_and_people(most_filters=3, most_clauses=3), st.sampled_from(Guests))
def test_everybody_who_is_in_is_read(given: Given, guests: Guests) -> None:
    """Asked the emulator's own filter code, which refuses what Graph refuses."""
    filters, people = given
    document = Scope(filters=[Filter(clauses=one) for one in filters], guests=guests)
    judged = compile_scope(document)
    plan = reading_plan(judged)
    if plan.filter is None:
        return
    parsed = user_filter(plan.filter, advanced=plan.advanced)

    let_in = [person for person in people if judged.matches(person, NO_GROUPS)]

    event(f"{len(filters)} filters, somebody is in: {bool(let_in)}")
    assert all(parsed.test(person.get) for person in let_in)


def test_the_sentence_says_whose_assignments_are_asked() -> None:
    assigned = {"attribute": "assignedTo", "operator": "ARRAYCONTAINS", "value": [SALES]}

    plan = planned([assigned])

    assert plan.sentence == "reads all users; asks who is assigned to 1 application"
