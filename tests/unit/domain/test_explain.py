"""Why somebody is in or out: the same verdict as a run, and words that name the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents import Clause, Filter, Guests, MappingRule, Scope
from sync_core.domain.explain import (
    REDACTED,
    RuleSeen,
    ScopeSeen,
    Standing,
    explain_mapping,
    explain_scope,
    group_path,
    hidden_attributes,
    next_run,
    verdict,
)
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import Action, Change, Reason, Value
from sync_core.domain.scope.compile import compile_scope
from tests.unit.builders import (
    ADMINS,
    ANN,
    CLAUSES,
    JSON,
    NO_GROUPS,
    NOW,
    SALES,
    change,
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


def seen(person: dict[str, Any], *filters: list[dict[str, Any]], **changes: Any) -> ScopeSeen:
    return explain_scope(scope(*filters, **changes), person, frozenset({SALES}), NOTHING_HIDDEN)


def said(found: ScopeSeen | None, **changes: Any) -> tuple[str, str]:
    known: dict[str, Any] = {
        "name": "Ann",
        "reason": None,
        "scope": found,
        "turned_away": False,
        "owned": True,
        "error": None,
        "skipped": False,
    }
    return verdict(Standing(**(known | {"groups": {ADMINS: "Admins"}} | changes)))


IN_SALES = [in_groups(SALES)]
IN_LEGAL = [clause("department", "EQUALS", "Legal")]
IN = seen({}, IN_SALES)
LONG = "x" * 100


@pytest.mark.parametrize(
    ("found", "code", "sentence"),
    [
        pytest.param(IN, "inScope", "Ann is in: the filter matches.", id="the only filter"),
        pytest.param(
            seen({}, IN_LEGAL, IN_SALES), "inScope", "Ann is in: filter 2 matches.", id="one of two"
        ),
        pytest.param(
            seen({}, IN_SALES, IN_SALES), "inScope", "Ann is in: filter 1 and 2 match.", id="both"
        ),
        pytest.param(
            seen({}, everyone=True), "inScope", "Ann is in: the scope is everyone.", id="everyone"
        ),
        pytest.param(
            seen({"department": "Sales"}, IN_LEGAL),
            "notInScope",
            "Ann is out: the filter does not match, because of department EQUALS Legal (it is Sales).",
            id="another value",
        ),
        pytest.param(
            seen({}, [clause("mail", "IS NOT NULL")]),
            "notInScope",
            "Ann is out: the filter does not match, because of mail IS NOT NULL (it is empty).",
            id="no value",
        ),
        pytest.param(
            seen({"mail": LONG}, [clause("mail", "IN", ["a", "b"])]),
            "notInScope",
            f"Ann is out: the filter does not match, because of mail IN a, b (it is {LONG[:80]}...).",
            id="long values",
        ),
        pytest.param(
            seen({}, [in_groups(ADMINS)]),
            "notInScope",
            "Ann is out: the filter does not match, because of groups ARRAYCONTAINS Admins (in none of "
            "them).",
            id="not in the group",
        ),
        pytest.param(
            seen({}, [not_in_groups(ADMINS, SALES)]),
            "notInScope",
            "Ann is out: the filter does not match, because of groups NOT ARRAYCONTAINS Admins, "
            f"{SALES} (in {SALES}).",
            id="in a group that keeps out, whose name is not known",
        ),
        pytest.param(
            seen({}, [*IN_LEGAL, in_groups(ADMINS)], [*IN_LEGAL, in_groups(SALES)]),
            "notInScope",
            "Ann is out: no filter matches; closest is filter 2, because of department EQUALS Legal (it "
            "is empty).",
            id="the closest of two",
        ),
        pytest.param(
            seen({}),
            "nobody",
            "Ann is out: the scope has no filters, so nobody is in.",
            id="nobody",
        ),
        pytest.param(
            seen({"userType": "Guest"}, IN_SALES),
            "guests",
            "Ann is out: guests stay out (scope.guests is exclude), and userType is Guest.",
            id="a guest",
        ),
        pytest.param(
            seen({}, IN_SALES, guests="only"),
            "guests",
            "Ann is out: only guests come in (scope.guests is only), and userType is not set.",
            id="not a guest",
        ),
        pytest.param(
            seen({"userPrincipalName": "ANN@contoso.com"}, IN_SALES, exclude=["ann@contoso.com"]),
            "excluded",
            "Ann is out: scope.exclude names them.",
            id="excluded",
        ),
    ],
)
def test_the_verdict_names_the_reason(found: ScopeSeen, code: str, sentence: str) -> None:
    assert said(found) == (code, sentence)


@pytest.mark.parametrize(
    ("found", "changes", "code", "words"),
    [
        pytest.param(IN, {"turned_away": True}, "blocked", "blocked in Entra", id="blocked"),
        pytest.param(IN, {"owned": False}, "notOwned", "did not write", id="somebody else's row"),
        pytest.param(IN, {"error": "It failed."}, "mappingFailed", "It failed.", id="mapping"),
        pytest.param(
            IN,
            {"waits": "Two rows fit.", "error": "x"},
            "matchWaiting",
            "Two rows fit.",
            id="match",
        ),
        pytest.param(IN, {"ignored": True}, "matchIgnored", "a decision", id="ignored"),
        pytest.param(IN, {"skipped": True}, "skipped", "leave them out", id="skipped"),
        pytest.param(
            None,
            {"reason": Reason.SOFT_DELETED, "deleted_at": "2026-03-01T10:00:00Z"},
            "softDeleted",
            "deleted in Entra on 2026-03-01;",
            id="deleted",
        ),
        pytest.param(
            None, {"reason": Reason.SOFT_DELETED}, "softDeleted", "deleted in Entra;", id="no date"
        ),
        pytest.param(
            None, {"reason": Reason.HARD_DELETED}, "hardDeleted", "no such person", id="gone"
        ),
    ],
)
def test_other_verdicts(
    found: ScopeSeen | None, changes: dict[str, Any], code: str, words: str
) -> None:
    given_code, sentence = said(found, **changes)

    assert given_code == code
    assert sentence.startswith("Ann is ")
    assert words in sentence


def leaves(action: Action = Action.DISABLE, reason: Reason | None = Reason.LEFT_SCOPE) -> Change:
    return change(action, reason=reason, before={"email": "a@x"})


UPDATED = change(Action.UPDATE, values={"email": "b@x"}, before={"email": "a@x"})


@pytest.mark.parametrize(
    ("planned", "options", "action", "message"),
    [
        pytest.param(None, {}, None, "Nothing is written.", id="nothing"),
        pytest.param(change(Action.CREATE), {}, "create", "The person is created.", id="create"),
        pytest.param(UPDATED, {}, "update", "The person is updated: email.", id="update"),
        pytest.param(
            change(Action.UPDATE),
            {},
            "update",
            "The person is updated: the sign-in name.",
            id="upn",
        ),
        pytest.param(
            change(Action.REENABLE), {}, "reenable", "The person is enabled again.", id="back"
        ),
        pytest.param(leaves(), {}, "disable", "The person is disabled (leftScope).", id="disable"),
        pytest.param(
            leaves(Action.DELETE, None),
            {},
            "delete",
            "The person is deleted from the table.",
            id="delete",
        ),
        pytest.param(
            leaves(),
            {"protected": True},
            None,
            "Nothing: the person would be removed (leftScope), but policy.protected names them.",
            id="protected",
        ),
        pytest.param(
            leaves(reason=None),
            {"protected": True},
            None,
            "Nothing: the person would be removed (leaving), but policy.protected names them.",
            id="protected, not asked for",
        ),
        pytest.param(
            UPDATED,
            {"protected": True},
            "update",
            "The person is updated: email.",
            id="protected from removal only",
        ),
        pytest.param(
            UPDATED,
            {"left_out": "A match waits."},
            None,
            "A match waits.",
            id="left out by a match",
        ),
        pytest.param(
            leaves(),
            {"held_by": "run-1"},
            "disable",
            "The person is disabled (leftScope). It waits for approval: the guard holds it in the run "
            "run-1.",
            id="held",
        ),
        pytest.param(
            None,
            {"enabled": False},
            None,
            "The connection is disabled, so nothing happens. Once enabled: Nothing is written.",
            id="disabled connection",
        ),
    ],
)
def test_what_the_next_run_does(
    planned: Change | None, options: dict[str, Any], action: str | None, message: str
) -> None:
    found = next_run(planned, **({"protected": False, "enabled": True} | options))

    assert (found.action, found.message) == (action, message)
    assert found.fields == (planned.fields() if planned and action else {})
    assert found.held_by == options.get("held_by")


def test_somebody_protected_is_not_held() -> None:
    found = next_run(leaves(), protected=True, enabled=True, held_by="run-1")

    assert found.held_by is None
    assert ANN not in found.message
