"""Which clause of a scope is named, where nearly everybody leaves or comes by it."""

from typing import Any

import pytest

from sync_core.domain.plan.clauses import Answers, check_clauses
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.plan import ALLOWED
from tests.unit.builders import (
    ADMINS,
    NO_GROUPS,
    SALES,
    clause,
    compiled,
    in_groups,
    not_in_groups,
)

Person = dict[str, Any]
HIRED = clause("employeeHireDate", "IS NOT NULL")
NOT_HIRED = clause("employeeHireDate", "IS NULL")
IN_SALES = in_groups(SALES)
DATED: Person = {"employeeHireDate": "2020-01-31T00:00:00Z"}
SALESMEN = frozenset({SALES})
REMOVALS_HELD = Verdict(hold_removals=True, hold_creates=False, reasons=("too many go",))
DELETES_HELD = Verdict(False, False, ("too many go",), hold_deletes=True)
CREATES_HELD = Verdict(hold_removals=False, hold_creates=True, reasons=("too many come",))


def seen(
    *filters: list[dict[str, Any]],
    stay: list[Person] | None = None,
    come: list[Person] | None = None,
    leave: list[Person] | None = None,
    out: list[Person] | None = None,
    groups: frozenset[str] = SALESMEN,
) -> Answers:
    """Give the answers of a scope after a reading of these people."""
    answers = Answers(compiled(*filters))
    for person in [*(stay or []), *(come or []), *(leave or []), *(out or [])]:
        answers.read(person)
    for person in stay or []:
        answers.present(person, groups, is_new=False)
    for person in come or []:
        answers.present(person, groups, is_new=True)
    for person in leave or []:
        answers.left(person, groups)
    return answers


def test_the_clause_that_turns_out_nearly_everybody_is_named_with_numbers() -> None:
    answers = seen([IN_SALES, HIRED], stay=[DATED], leave=[{}] * 19)

    [told] = answers.lost()
    assert told == (
        "the clause /scope/filters/0/clauses/1 (employeeHireDate IS NOT NULL) turns out 19 of 20 people "
        "of its filter, and 19 of these have no employeeHireDate, as where a permission is missing"
    )


@pytest.mark.parametrize(
    ("stay", "leave", "told"),
    [
        pytest.param(1, 9, True, id="nine of ten"),
        pytest.param(2, 17, False, id="a little less"),
        pytest.param(0, 5, True, id="all five"),
        pytest.param(0, 4, False, id="a handful of people"),
    ],
)
def test_a_few_who_leave_are_nobody_s_clause(stay: int, leave: int, told: bool) -> None:
    answers = seen([HIRED], stay=[DATED] * stay, leave=[{}] * leave)

    assert bool(answers.lost()) is told


def test_a_value_that_is_another_one_is_no_missing_permission() -> None:
    """The department was renamed."""
    renamed = {"department": "Vertrieb"}
    answers = seen([clause("department", "EQUALS", "Sales")], leave=[renamed] * 9)

    assert answers.lost() == [
        "the clause /scope/filters/0/clauses/0 (department EQUALS) turns out 9 of 9 people of its filter"
    ]


def test_a_group_that_was_emptied_is_named_like_any_clause() -> None:
    answers = seen([IN_SALES, HIRED], leave=[DATED] * 9, groups=NO_GROUPS)

    assert answers.lost() == [
        "the clause /scope/filters/0/clauses/0 (groups ARRAYCONTAINS) turns out 9 of 9 people of its filter"
    ]


def test_each_of_two_clauses_that_turned_is_named() -> None:
    gone = clause("employeeLeaveDateTime", "IS NOT NULL")
    answers = seen([IN_SALES, HIRED, gone], leave=[{}] * 9)

    assert [one.partition(" turns")[0] for one in answers.lost()] == [
        "the clause /scope/filters/0/clauses/1 (employeeHireDate IS NOT NULL)",
        "the clause /scope/filters/0/clauses/2 (employeeLeaveDateTime IS NOT NULL)",
    ]


@pytest.mark.parametrize(
    ("admins", "told"),
    [
        pytest.param(
            [clause("department", "EQUALS", "IT"), HIRED], False, id="the closest one alone"
        ),
        pytest.param([clause("department", "EQUALS", "IT")], True, id="two that are as close"),
    ],
)
def test_of_several_filters_the_closest_lost_its_people(
    admins: list[dict[str, Any]], told: bool
) -> None:
    """Those of the first filter lost nothing but the date."""
    sales = [clause("department", "EQUALS", "Sales"), HIRED]
    answers = seen(sales, admins, leave=[{"department": "Sales"}] * 9)

    first, *others = answers.lost()
    assert first.startswith("the clause /scope/filters/0/clauses/1 (employeeHireDate IS NOT NULL)")
    assert "9 of 9 people of its filter" in first
    assert bool(others) is told


def test_people_who_stay_by_another_filter_keep_that_one_s_clauses_out_of_it() -> None:
    admins = [clause("department", "EQUALS", "IT")]
    answers = seen([HIRED], admins, stay=[{"department": "IT"}] * 40, leave=[{}] * 9)

    assert [one.partition(" (")[0] for one in answers.lost()] == [
        "the clause /scope/filters/0/clauses/0"
    ]


def test_whoever_is_out_by_name_or_as_a_guest_is_out_by_no_clause() -> None:
    assert seen([HIRED], leave=[DATED] * 9).lost() == []
    assert seen(leave=[DATED] * 9, stay=[DATED]).lost() == []


def test_the_clause_that_lets_in_nearly_everybody_who_comes_is_named() -> None:
    answers = seen([IN_SALES, NOT_HIRED], stay=[{}] * 30, come=[{}] * 20)

    [told] = answers.gained()
    assert told == (
        "the clause /scope/filters/0/clauses/1 (employeeHireDate IS NULL) lets in 20 of 20 people who "
        "come, and 50 of 50 people who were read have no employeeHireDate, as where a permission is missing"
    )


@pytest.mark.parametrize(
    ("tested", "come", "out", "told"),
    [
        pytest.param(NOT_HIRED, 9, 1, True, id="nearly nobody has a value"),
        pytest.param(NOT_HIRED, 9, 2, False, id="others have a value: the attribute can be read"),
        pytest.param(NOT_HIRED, 4, 0, False, id="a handful"),
        pytest.param(
            clause("employeeHireDate", "NOT EQUALS", "x"), 9, 0, True, id="true without a value"
        ),
        pytest.param(
            clause("employeeHireDate", "NOT EQUALS", "x") | {"nullMatches": False},
            0,
            0,
            False,
            id="not true without one",
        ),
        pytest.param(not_in_groups(ADMINS), 9, 0, False, id="groups are no attribute"),
    ],
)
def test_who_comes_by_an_empty_attribute(
    tested: dict[str, Any], come: int, out: int, told: bool
) -> None:
    answers = seen([IN_SALES, tested], come=[{}] * come, out=[DATED] * out)

    assert bool(answers.gained()) is told


def test_newcomers_with_a_value_came_by_it() -> None:
    other = clause("employeeHireDate", "NOT EQUALS", "x")

    assert seen([other], come=[DATED] * 9, out=[{}] * 90).gained() == []


def test_newcomers_count_for_the_filter_that_lets_them_in() -> None:
    first, second = [in_groups(ADMINS), NOT_HIRED], [IN_SALES]

    assert seen(first, second, come=[{}] * 9).gained() == []


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        pytest.param(REMOVALS_HELD, ["too many go", "the clause", "turns out"], id="removals wait"),
        pytest.param(DELETES_HELD, ["too many go", "the clause", "turns out"], id="deletions wait"),
        pytest.param(CREATES_HELD, ["too many come", "the clause", "lets in"], id="creates wait"),
        pytest.param(ALLOWED, [], id="nothing waits"),
    ],
)
def test_what_waits_is_told_with_the_clause_to_blame(verdict: Verdict, said: list[str]) -> None:
    other = clause("department", "IS NULL")
    answers = seen([HIRED, other], leave=[{}] * 9, come=[DATED] * 9)

    told = "; ".join(check_clauses(verdict, answers).reasons)

    assert all(one in told for one in said)
    assert ("turns out" in told, "lets in" in told) == ("turns out" in said, "lets in" in said)


@pytest.mark.parametrize(
    ("active", "told"),
    [pytest.param(90, True, id="a tenth"), pytest.param(100, False, id="fewer than a tenth")],
)
def test_newcomers_are_told_where_they_are_many_beside_the_others(active: int, told: bool) -> None:
    answers = seen([NOT_HIRED], come=[{}] * 9, stay=[{}] * active)

    found = answers.warnings(active)

    assert [one.code for one in found] == (["scope.clauseChanged"] if told else [])
    assert not told or found[0].message.startswith("The clause /scope/filters/0/clauses/0 (")


def test_who_leaves_by_a_clause_is_told_whether_or_not_it_waits() -> None:
    [found] = seen([HIRED], leave=[{}] * 9).warnings(9)

    assert found.message.endswith("as where a permission is missing.")
