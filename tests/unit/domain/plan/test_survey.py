"""What a preview says beside the changes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.attributes import AGENT
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Counts, RecordError
from sync_core.domain.letters import comparable_text
from sync_core.domain.model import Mapped
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.headcounts import Shift, Where
from sync_core.domain.plan.survey import (
    PreviewWarning,
    Survey,
    key_targets,
    leavers_by_reason,
    reading_sentence,
    user_type,
    warnings_of_plan,
    warnings_of_reading,
)

GUID = "11111111-2222-3333-4444-555555555555"
QUIET = Verdict(hold_removals=False, hold_creates=False, reasons=())
PROBLEM = RecordError(object_id="x", code="c", message="The group is gone.")


def connection(*targets: str, **changes: Any) -> Connection:
    rules = [{"target": target, "source": target} for target in targets or ("email", "phone")]
    known = {"id": "c", "displayName": "C", "clientId": GUID, "mapping": rules}
    return Connection.model_validate(known | changes)


def survey_of(
    *values: dict[str, Any], inside: int | None = None, on: Connection | None = None
) -> Survey:
    """Give a survey of people with these values; more may be in scope than could be mapped."""
    survey = Survey(on or connection())
    for _ in range(len(values) if inside is None else inside):
        survey.on_judged({"userType": "Member"}, inside=True)
    for one in values:
        survey.on_mapped(Mapped(one, "digest"))
    return survey


def told(warnings: list[PreviewWarning]) -> list[tuple[str, str | None, int | None]]:
    return [(one.code, one.target, one.people) for one in warnings]


BY_DEPARTMENT = {"attribute": "department", "operator": "EQUALS", "value": "Sales"}


@pytest.mark.parametrize(
    ("clause", "value", "letters"),
    [
        pytest.param(BY_DEPARTMENT, "Sales\u00a0", "U+00A0 NO-BREAK SPACE", id="no-break space"),
        pytest.param(BY_DEPARTMENT, "Sa\u200bles", "U+200B ZERO WIDTH SPACE", id="nothing at all"),
        pytest.param(BY_DEPARTMENT, "Sales ", "U+0020 SPACE", id="a blank at the end"),
        pytest.param(
            BY_DEPARTMENT | {"value": "M\u00fcller"}, "Mu\u0308ller", "U+0308", id="two letters for one"
        ),
        pytest.param(
            BY_DEPARTMENT | {"value": "Sales\ufeff"}, "Sales", "U+FEFF", id="in the clause itself"
        ),
        pytest.param(
            {"attribute": "otherMails", "operator": "ARRAYCONTAINS", "value": ["a@x.com"]},
            ["b@x.com", "a@x.com\u00ad"], "U+00AD SOFT HYPHEN", id="one of several values",
        ),
    ],
)  # fmt: skip
def test_values_that_only_look_like_the_one_of_a_clause(
    clause: dict[str, Any], value: Any, letters: str
) -> None:
    scope = {"filters": [{"clauses": [clause]}]}
    survey = Survey(connection(scope=scope))

    survey.on_judged({clause["attribute"]: value}, inside=False)
    survey.on_judged({clause["attribute"]: "Marketing"}, inside=False)
    survey.on_judged({clause["attribute"]: clause["value"]}, inside=True)
    [warning] = survey.warnings(everybody_read=False, complete=True)[:1]

    assert (warning.code, warning.people) == ("scope.lookAlike", 1)
    assert letters in warning.message
    assert "scope.filters[0].clauses[0]" in warning.message


def test_other_clauses_and_other_letters_are_no_look_alikes() -> None:
    clauses = [
        BY_DEPARTMENT,
        BY_DEPARTMENT | {"operator": "INCLUDES"},
        {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [GUID]},
    ]
    survey = Survey(connection(scope={"filters": [{"clauses": clauses}]}))

    for value in ("Sales", "sales", "S ales", None, 5):
        survey.on_judged({"id": str(value), "department": value}, inside=True)

    assert "scope.lookAlike" not in str(survey.warnings(everybody_read=False, complete=True))


@pytest.mark.parametrize(
    ("person", "kind"),
    [
        pytest.param({"userType": "Member"}, "member", id="member"),
        pytest.param({"userType": "Guest"}, "guest", id="guest"),
        pytest.param({"userType": None}, "unknown", id="an old account"),
        pytest.param({}, "unknown", id="not selected"),
    ],
)
def test_kinds_of_accounts(person: dict[str, Any], kind: str) -> None:
    assert user_type(person) == kind


def test_people_in_scope_are_counted_by_kind() -> None:
    survey = Survey(connection())
    survey.on_judged({"userType": "Guest"}, inside=True)
    survey.on_judged({"userType": "Member"}, inside=True)
    survey.on_judged({"userType": "Guest"}, inside=False)
    survey.on_judged({"userType": None}, inside=False)
    survey.on_judged({"@odata.type": AGENT, "userType": "Member"}, inside=True)

    assert survey.by_user_type == {"member": 1, "guest": 1, "unknown": 0, "agent": 1}
    assert (survey.guests_out, survey.others_out) == (1, 1)


@pytest.mark.parametrize(
    ("ids", "agents", "expected"),
    [
        pytest.param("aa", "exclude", "1 account of an agent stays out", id="one, in two groups"),
        pytest.param("ab", "exclude", "2 accounts of agents stay out", id="two"),
        pytest.param("a", "include", None, id="judged like people"),
    ],
)
def test_agents_who_stay_out_are_told(ids: str, agents: str, expected: str | None) -> None:
    survey = Survey(connection(scope={"everyone": True, "agents": agents}))
    survey.on_judged({"userType": "Member"}, inside=True)
    for one in ids:
        survey.on_judged({"id": one, "@odata.type": AGENT}, inside=False)

    warnings = survey.warnings(everybody_read=False, complete=True)
    said = [one.message for one in warnings if one.code == "scope.agents"]
    assert [expected in one for one in said] == [True] if expected else said == []


def test_nobody_in_scope() -> None:
    assert told(Survey(connection()).warnings(everybody_read=True, complete=True)) == [
        ("scope.nobody", None, 0)
    ]


@pytest.mark.parametrize(
    ("read", "outside", "guests", "expected"),
    [
        pytest.param(True, None, "exclude", "scope: 1 person.", id="everybody but guests"),
        pytest.param(True, "Guest", "exclude", "scope: 1 person.", id="only guests stay out"),
        pytest.param(True, None, "include", "scope with the guests: 1 person.", id="guests, too"),
        pytest.param(True, "Member", "exclude", None, id="somebody stays out"),
        pytest.param(False, None, "exclude", None, id="only groups were read"),
    ],
)
def test_everybody_in_scope(
    read: bool, outside: str | None, guests: str, expected: str | None
) -> None:
    survey = survey_of(inside=1, on=connection(scope={"everyone": True, "guests": guests}))
    if outside:
        survey.on_judged({"userType": outside}, inside=False)

    found = survey.warnings(everybody_read=read, complete=True)

    assert [one.message.partition("is in ")[2] for one in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("blank", "of", "share"),
    [
        pytest.param(12, 100, "12 %", id="12 %"),
        pytest.param(1, 1000, "less than 1 %", id="a key that is hardly ever blank"),
    ],
)
def test_a_blank_key_is_told_at_any_share(blank: int, of: int, share: str) -> None:
    people = [{"email": None if number < blank else f"{number}@x"} for number in range(of)]

    found = survey_of(*people, on=connection("email")).warnings(everybody_read=False, complete=True)

    assert told(found) == [("mapping.empty", "email", blank)]
    assert f"is empty for {share} of the people" in found[0].message


@pytest.mark.parametrize(("blank", "told_of"), [(1, True), (0, False)])
def test_another_blank_column_is_told_from_a_tenth_on(blank: int, told_of: bool) -> None:
    people = [{"phone": None if number < blank else "1"} for number in range(10)]

    found = survey_of(*people, on=connection("phone")).warnings(everybody_read=False, complete=True)

    assert told(found) == ([("mapping.empty", "phone", 1)] if told_of else [])


def test_a_column_that_is_seldom_blank_is_not_told() -> None:
    people: list[dict[str, Any]] = [{"phone": None}, *[{"phone": "1"}] * 10]

    assert (
        survey_of(*people, on=connection("phone")).warnings(everybody_read=False, complete=True)
        == []
    )


@pytest.mark.parametrize(
    ("values", "times", "people"),
    [
        pytest.param(["a@x", "A@X ", "b@x"], "1 time:", 2, id="case and blanks are the same"),
        pytest.param(["a", "a", "a", "b", "b"], "2 times:", 5, id="two values"),
        pytest.param([7, 7], "1 time:", 2, id="numbers"),
        pytest.param(["a@x", "a\u200b@x"], "1 time:", 2, id="what cannot be seen"),
    ],
)
def test_doubled_keys(values: list[Any], times: str, people: int) -> None:
    survey = survey_of(*({"email": value} for value in values), on=connection("email"))

    found = survey.warnings(everybody_read=False, complete=True)

    assert told(found) == [("matching.doubled", "email", people)]
    assert f"doubled {times}" in found[0].message


@given(st.lists(st.text(max_size=3), max_size=20))
def test_doubles_are_those_that_a_plain_count_finds(values: list[str]) -> None:
    people = [{"email": value or None} for value in values]
    folded = [comparable_text(value) for value in values]
    expected = sum(count for one in set(folded) - {""} if (count := folded.count(one)) > 1)

    found = survey_of(*people, on=connection("email")).warnings(everybody_read=False, complete=True)

    assert sum(one.people or 0 for one in found if one.code == "matching.doubled") == expected


@pytest.mark.parametrize(
    ("targets", "matching", "keys"),
    [
        pytest.param(["email", "phone"], [], ("email",), id="by name"),
        pytest.param(
            ["workMail", "userName", "upn"], [], ("workMail", "userName", "upn"), id="more"
        ),
        pytest.param(["email", "phone"], ["phone"], ("phone",), id="matching says so"),
        pytest.param(["phone"], [], (), id="none"),
    ],
)
def test_keys(targets: list[str], matching: list[str], keys: tuple[str, ...]) -> None:
    assert key_targets(connection(*targets, matching=matching)) == keys


def test_a_held_plan_is_told_in_the_guard_s_words() -> None:
    verdict = Verdict(hold_removals=True, hold_creates=False, reasons=("3 people would go",))

    found = warnings_of_plan(verdict, Counts(held=3), [], unconfirmed=0)

    assert told(found) == [("guard.held", None, 3)]
    assert found[0].message == "3 people would go. 3 changes would wait for approval."


COUNTED = Shift(Where((("role", "admin"),)), -1)
BREACHED = replace(QUIET, hold_shifts=frozenset({COUNTED}), breaches=("0 people",))


@pytest.mark.parametrize(
    ("verdict", "expected", "effect"),
    [
        pytest.param(
            QUIET.blocked(("Ann is in",)),
            ["assertion.failed"],
            "Ann is in. A run would create, re-enable and remove nobody.",
            id="lets nobody come or go",
        ),
        pytest.param(
            BREACHED,
            ["assertion.failed"],
            "0 people. A run would leave who is named as stored, and go on with the others.",
            id="holds a few",
        ),
        pytest.param(
            replace(BREACHED, hold_removals=True, reasons=("3 people",)),
            ["assertion.failed", "guard.held"],
            "0 people. A run",
            id="beside the guard",
        ),
    ],
)
def test_a_broken_assertion_is_told_with_what_a_run_would_do(
    verdict: Verdict, expected: list[str], effect: str
) -> None:
    found = warnings_of_plan(verdict, Counts(), [], unconfirmed=0)

    assert [one.code for one in found] == expected
    assert found[0].message.startswith(f"An assertion would be broken: {effect}")


def test_a_plan_that_was_confirmed_is_told_with_who_did_it() -> None:
    verdict = Verdict(hold_removals=True, hold_creates=False, reasons=("3 people would go",))

    found = warnings_of_plan(verdict, Counts(), [], unconfirmed=0, confirmed_by="Eve")

    assert told(found) == [("guard.confirmed", None, None)]
    assert found[0].message.startswith("3 people would go. Eve has confirmed")


def test_those_who_were_not_asked_for_are_told() -> None:
    verdict = Verdict(hold_removals=True, hold_creates=False, reasons=())

    found = warnings_of_plan(verdict, Counts(held=1), [], unconfirmed=1)

    assert told(found) == [("guard.held", None, 1), ("removals.unasked", None, 1)]
    assert found[0].message.startswith("Too many people would be removed.")


@pytest.mark.parametrize(
    ("errors", "ending"), [([PROBLEM], PROBLEM.message), ([], "see the errors")]
)
def test_records_that_fail_are_told_with_the_first_error(
    errors: list[RecordError], ending: str
) -> None:
    found = warnings_of_plan(QUIET, Counts(failed=2), errors, unconfirmed=0)

    assert told(found) == [("records.failed", None, 2)]
    assert found[0].message.endswith(ending)


def test_a_quiet_plan_needs_no_warning() -> None:
    assert warnings_of_plan(QUIET, Counts(created=9), [], unconfirmed=0) == []


def test_an_incomplete_reading_is_told() -> None:
    [found] = warnings_of_reading([PROBLEM])

    assert found.message == "Nobody would be removed. The group is gone. (x)"


@pytest.mark.parametrize(
    ("names", "nested", "members", "everybody", "asked", "sentence"),
    [
        pytest.param("abc", 0, 2400, False, 3, "Reads 3 groups, about 2,400 members.", id="three"),
        pytest.param(
            "a", 2, 5, False, 1, "Reads 1 group and 2 nested in it, about 5 members.", id="nested"
        ),
        pytest.param(
            "ab", 1, 5, False, 2, "Reads 2 groups and 1 nested in them, about 5 members.", id="two"
        ),
        pytest.param(
            "", 0, 1200, True, 0, "Reads all users of the tenant, about 1,200.", id="everybody"
        ),
        pytest.param(
            "",
            0,
            9,
            True,
            1,
            "Reads all users of the tenant, about 9, and the members of 1 group.",
            id="everybody, with a group asked",
        ),
        pytest.param("", 0, 0, False, 0, "Reads nobody: the scope chooses nobody.", id="nobody"),
    ],
)
def test_the_reading_in_words(
    names: str, nested: int, members: int, everybody: bool, asked: int, sentence: str
) -> None:
    assert (
        reading_sentence(list(names), nested, members, everybody=everybody, where=None, asked=asked)
        == sentence
    )


def test_leavers_by_reason() -> None:
    assert leavers_by_reason({"softDeleted": 2, "leftScope": 1}) == {
        "leftScope": 1,
        "softDeleted": 2,
    }
    assert leavers_by_reason({None: 1}) == {"unasked": 1}


def test_a_filter_of_graph_is_named() -> None:
    told = reading_sentence([], 0, 2400, everybody=True, where="department eq 'Sales'", asked=1)

    assert told == (
        "Reads the users where department eq 'Sales', about 2,400, and the members of 1 group."
    )


def test_nobody_found_is_not_nobody_in_scope_where_the_reading_broke_off() -> None:
    [found] = Survey(connection()).warnings(everybody_read=False, complete=False)

    assert found.message == "Nobody is in scope, as far as was read."
