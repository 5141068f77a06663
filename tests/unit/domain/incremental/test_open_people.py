"""Open cases: when a person is looked at again, what is a second witness, and what closes a case."""

from datetime import datetime, timedelta

import pytest

from sync_core.domain.incremental.open_people import (
    CLOCKS_DIFFER,
    LAG,
    RESTORABLE_FOR,
    SECOND_LOOK,
    Cause,
    Key,
    OpenCase,
    Settlement,
    due,
    has_second_witness,
    left_open,
    next_look,
    opened,
    settle,
    was_told,
)
from sync_core.domain.model import Reason
from tests.unit.builders import ANN, NOW

BOB = "b0000000-0000-4000-8000-00000000000b"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def known(*cases: OpenCase) -> dict[Key, OpenCase]:
    return {case.key: case for case in cases}


@pytest.mark.parametrize(
    ("cause", "after"),
    [
        (Cause.HELD, timedelta()),
        (Cause.BY_HAND, timedelta()),
        (Cause.CONTRADICTED, timedelta()),
        (Cause.UNCONFIRMED, SECOND_LOOK),
        (Cause.RECENT, LAG),
    ],
)
def test_a_person_is_due_by_the_cause(cause: Cause, after: timedelta) -> None:
    case = opened(ANN, cause, NOW)

    assert due([case], NOW + after) == {ANN}
    assert due([case], NOW + after - MINUTE) == set()


@pytest.mark.parametrize(
    ("reason", "later", "agrees"),
    [
        (Reason.LEFT_SCOPE, SECOND_LOOK, True),
        (Reason.LEFT_SCOPE, SECOND_LOOK - MINUTE, False),
        (Reason.HARD_DELETED, SECOND_LOOK, False),
    ],
)
def test_a_second_look_is_a_witness_when_it_says_the_same_some_minutes_later(
    reason: Reason, later: timedelta, agrees: bool
) -> None:
    cases = known(opened(ANN, Cause.UNCONFIRMED, NOW, Reason.LEFT_SCOPE))

    assert has_second_witness(cases, ANN, reason, NOW + later) is agrees


@pytest.mark.parametrize(
    ("reason", "agrees"), [(Reason.LEFT_SCOPE, True), (Reason.SOFT_DELETED, False)]
)
def test_a_removal_that_is_held_had_its_witnesses(reason: Reason, agrees: bool) -> None:
    cases = known(opened(ANN, Cause.HELD, NOW, Reason.LEFT_SCOPE))

    assert has_second_witness(cases, ANN, reason, NOW) is agrees


def test_without_an_earlier_look_there_is_no_second_witness() -> None:
    assert not has_second_witness({}, ANN, Reason.LEFT_SCOPE, NOW)


def test_a_case_that_goes_on_keeps_when_it_began() -> None:
    case = opened(ANN, Cause.UNCONFIRMED, NOW, Reason.LEFT_SCOPE)
    again = opened(ANN, Cause.UNCONFIRMED, NOW + MINUTE, Reason.LEFT_SCOPE)

    settlement = settle(known(case), [again], {ANN}, (), NOW + MINUTE)

    assert settlement.written == ()
    assert settlement.closed == ()


@pytest.mark.parametrize("cause", [Cause.CONTRADICTED, Cause.RECENT])
def test_the_lag_is_waited_for_anew_after_every_change(cause: Cause) -> None:
    """The first change is shown by then, the second need not be."""
    case, again = opened(ANN, cause, NOW), opened(ANN, cause, NOW + MINUTE)

    [written] = settle(known(case), [again], {ANN}, (), NOW + MINUTE).written

    assert settle(known(written), [], {ANN}, (), NOW + LAG).closed == ()
    assert settle(known(written), [], {ANN}, (), NOW + MINUTE + LAG).closed == (again,)


def test_a_look_that_says_something_else_begins_the_case_anew() -> None:
    case = opened(ANN, Cause.UNCONFIRMED, NOW, Reason.LEFT_SCOPE)
    other = opened(ANN, Cause.UNCONFIRMED, NOW + MINUTE, Reason.HARD_DELETED)

    assert settle(known(case), [other], {ANN}, (), NOW + MINUTE).written == (other,)


@pytest.mark.parametrize(
    ("cause", "looked_at", "later", "closed"),
    [
        (Cause.HELD, {ANN}, MINUTE, True),
        (Cause.HELD, {BOB}, MINUTE, False),
        (Cause.HELD, None, MINUTE, True),
        (Cause.RECENT, {ANN}, MINUTE, False),
        (Cause.RECENT, {ANN}, LAG, True),
        (Cause.CONTRADICTED, None, MINUTE, False),
        (Cause.CONTRADICTED, None, LAG, True),
        (Cause.GRACE, None, LAG, False),
        (Cause.NOTIFIED, {ANN}, CLOCKS_DIFFER, False),
        (Cause.NOTIFIED, {ANN}, 2 * CLOCKS_DIFFER, True),
        (Cause.NOTIFIED, {BOB}, LAG, False),
        (Cause.NOTIFIED, None, MINUTE, True),
        (Cause.RESTORABLE, None, LAG, False),
        (Cause.RESTORABLE, {ANN}, RESTORABLE_FOR, True),
    ],
)
def test_what_closes_a_case(
    cause: Cause, looked_at: set[str] | None, later: timedelta, closed: bool
) -> None:
    case = opened(ANN, cause, NOW)

    assert (settle(known(case), [], looked_at, (), NOW + later).closed == (case,)) is closed


def test_a_restored_person_is_restorable_no_longer() -> None:
    case = opened(ANN, Cause.RESTORABLE, NOW)

    assert settle(known(case), [], {ANN}, {ANN}, NOW + MINUTE).closed == (case,)


def test_a_new_case_is_written() -> None:
    found: OpenCase = opened(ANN, Cause.REJECTED, datetime.fromisoformat("2026-05-04T00:00:00Z"))

    assert settle({}, [found], {ANN}, (), NOW).written == (found,)


@pytest.mark.parametrize(
    ("told", "agrees"),
    [(Reason.SOFT_DELETED, True), (Reason.ACCOUNT_DISABLED, False), (None, False)],
)
def test_what_was_told_before_a_look_showed_it_is_a_witness(
    told: Reason | None, agrees: bool
) -> None:
    case = opened(ANN, Cause.CONTRADICTED, NOW, told)

    assert was_told({case.key: case}, ANN, Reason.SOFT_DELETED) is agrees
    assert not was_told({}, ANN, Reason.SOFT_DELETED)


@pytest.mark.parametrize(
    ("later", "looked_at", "closed"),
    [
        pytest.param(MINUTE, {ANN}, False, id="before the day"),
        pytest.param(MINUTE, None, False, id="before the day, by a full run"),
        pytest.param(3 * DAY, {ANN}, True, id="on the day"),
        pytest.param(3 * DAY, None, True, id="on the day, by a full run"),
        pytest.param(3 * DAY, {BOB}, False, id="not looked at"),
    ],
)
def test_a_day_is_waited_for_whatever_looks_find_before(
    later: timedelta, looked_at: set[str] | None, closed: bool
) -> None:
    case = OpenCase(ANN, Cause.UNTIL, NOW, NOW + 2 * DAY)

    assert bool(settle(known(case), [], looked_at, (), NOW + later).closed) is closed


@pytest.mark.parametrize(
    ("days", "written"),
    [pytest.param(2, False, id="the same day"), pytest.param(4, True, id="another day")],
)
def test_a_day_that_is_named_anew_takes_the_place_of_the_old_one(days: int, written: bool) -> None:
    """One that had come first would close the case before the new one."""
    case = OpenCase(ANN, Cause.UNTIL, NOW, NOW + 2 * DAY)
    again = OpenCase(ANN, Cause.UNTIL, NOW + DAY, NOW + days * DAY)

    found = settle(known(case), [again], {ANN}, (), NOW + DAY)

    assert found == Settlement((again,) if written else (), ())


@pytest.mark.parametrize(
    ("after_s", "expected_s"),
    [(0, 60), (60, 120), (119, 120), (120, 240), (240, 480), (480, 900), (900, None)],
)
def test_a_contradicted_person_is_looked_at_more_and_more_seldom_until_the_lag_is_over(
    after_s: int, expected_s: int | None
) -> None:
    case = opened(ANN, Cause.CONTRADICTED, NOW)
    expected = None if expected_s is None else NOW + timedelta(seconds=expected_s)

    assert next_look([case], NOW + timedelta(seconds=after_s)) == expected


def test_an_unconfirmed_person_is_looked_at_when_that_is_a_second_witness() -> None:
    doubts = [opened(ANN, Cause.UNCONFIRMED, NOW), opened(BOB, Cause.HELD, NOW)]

    assert next_look(doubts, NOW) == NOW + SECOND_LOOK
    assert next_look(doubts, NOW + SECOND_LOOK) is None


def test_what_is_open_after_a_settlement() -> None:
    held, gone, new = (opened(one, Cause.HELD, NOW) for one in (ANN, BOB, "c"))

    assert left_open(known(held, gone), Settlement((new,), (gone,))) == [held, new]
