"""A limit itself is allowed, one more is not; what is over waits, and the sentence says how many."""

from typing import Any

import pytest

from sync_core.domain.documents.policy import Guard
from sync_core.domain.model import Tally, Window
from sync_core.domain.plan.guard import careful, check_guard


def guard(
    count: int | None = None, percent: float | None = None, creates: int | None = None
) -> Guard:
    return Guard(
        max_removals=count,
        max_removal_percent=percent,
        max_creates=creates,
        max_create_percent=None,
        max_deletes=None,
    )


def tally(active: int = 1000, *, removals: int = 0, creates: int = 0) -> Tally:
    return Tally(active=active, creates=creates, removals=removals)


@pytest.mark.parametrize(
    ("limits", "active", "removals", "held"),
    [
        pytest.param(guard(500), 9999, 500, False, id="at the count"),
        pytest.param(guard(500), 9999, 501, True, id="one over the count"),
        pytest.param(guard(0), 9999, 0, False, id="none, and none allowed"),
        pytest.param(guard(0), 9999, 1, True, id="one, and none allowed"),
        pytest.param(guard(None, 20), 1000, 200, False, id="at the share"),
        pytest.param(guard(None, 20), 1000, 201, True, id="one over the share"),
        pytest.param(guard(None, 20), 4, 1, True, id="a quarter of four"),
        pytest.param(guard(None, 20), 5, 1, False, id="a fifth of five"),
        pytest.param(guard(None, 0), 1000, 0, False, id="none, and no share allowed"),
        pytest.param(guard(None, 0), 1000, 1, True, id="one, and no share allowed"),
        pytest.param(guard(None, 100), 1000, 1000, False, id="everybody, and that is allowed"),
        pytest.param(guard(None, 20), 0, 0, False, id="nobody there"),
        pytest.param(guard(None, 20), 0, 1, True, id="more than there are"),
        pytest.param(guard(), 1000, 1000, False, id="no limits"),
        pytest.param(Guard(), 10_000, 500, False, id="defaults, at the count"),
        pytest.param(Guard(), 10_000, 501, True, id="defaults, over the count"),
        pytest.param(Guard(), 100, 20, False, id="defaults, at the share"),
        pytest.param(Guard(), 100, 21, True, id="defaults, over the share"),
    ],
)
def test_limits_on_removals(limits: Guard, active: int, removals: int, held: bool) -> None:
    verdict = check_guard(tally(active, removals=removals), limits)

    assert verdict.hold_removals is held
    assert verdict.holds is held
    assert bool(verdict.reasons) is held
    assert not verdict.hold_creates


@pytest.mark.parametrize(("percent", "active", "removals"), [(4.6, 1500, 69), (8.2, 1500, 123)])
def test_a_share_with_decimals_is_exact(percent: float, active: int, removals: int) -> None:
    """In floating point these two shares come out a hair above their limits."""
    limits = guard(None, percent)

    assert not check_guard(tally(active, removals=removals), limits).holds
    assert check_guard(tally(active, removals=removals + 1), limits).holds


@pytest.mark.parametrize(
    ("limit", "creates", "held"),
    [
        pytest.param(None, 100_000, False, id="no limit"),
        pytest.param(10, 10, False, id="at the limit"),
        pytest.param(10, 11, True, id="one over"),
        pytest.param(0, 0, False, id="none, and none allowed"),
        pytest.param(0, 1, True, id="one, and none allowed"),
    ],
)
def test_limit_on_creates(limit: int | None, creates: int, held: bool) -> None:
    verdict = check_guard(tally(creates=creates), guard(creates=limit))

    assert (verdict.hold_creates, verdict.hold_removals) == (held, False)
    assert verdict.holds is held


def test_nobody_comes_or_goes_where_an_assertion_would_be_broken() -> None:
    allowed = check_guard(tally(), guard())
    blocked = allowed.blocked(("Ann is in",))

    assert allowed.blocked(()) is allowed
    assert (blocked.hold_removals, blocked.hold_creates) == (True, True)
    assert blocked.broken == ("Ann is in",)


def test_the_sentences_say_how_many_of_how_many() -> None:
    verdict = check_guard(tally(90, removals=30, creates=7), guard(10, 12.5, 5))

    assert verdict.reasons == (
        "30 people would be removed; the limit is 10 in 24 hours",
        "30 of 90 active people (33.3 %) would be removed; the limit is 12.5 %",
        "7 people would be created; the limit is 5 in 24 hours",
    )


def test_more_removals_than_people_are_all_of_them() -> None:
    (reason,) = check_guard(tally(0, removals=1), guard(None, 20)).reasons

    assert "(100.0 %)" in reason


def test_a_tally_counts_all_changes() -> None:
    assert Tally(active=9, creates=1, removals=2, others=4).changes == 7


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(guard(500, 20), guard(10, 50), guard(10, 20), id="each by itself"),
        pytest.param(guard(), guard(10, 20.5, 30), guard(10, 20.5, 30), id="no limit is higher"),
        pytest.param(guard(), guard(), guard(), id="none"),
        pytest.param(guard(0, 0, 0), guard(1, 1, 1), guard(0, 0, 0), id="nobody at all"),
    ],
)
def test_the_more_careful_of_two(one: Guard, other: Guard, expected: Guard) -> None:
    assert careful(one, other) == expected
    assert careful(other, one) == expected


OVER_AN_HOUR = "250 of 1200 active people (20.8 %) would be removed"


@pytest.mark.parametrize(
    ("planned", "limits", "reasons"),
    [
        pytest.param(
            {"removals": 1, "window": Window(removals=500, gain=-500)},
            Guard(max_removal_percent=None),
            [
                "1 people would be removed, after 500 in the last 24 hours; the limit is 500 in 24 hours"
            ],
            id="one more after many",
        ),
        pytest.param(
            {"removals": 50, "window": Window(hours=1, removals=200, gain=-200)},
            Guard(max_removals=None, window_hours=1),
            [f"{OVER_AN_HOUR}, 200 of them in the last 1 hour; the limit is 20 %"],
            id="a share of those at the window's start",
        ),
        pytest.param({"window": Window(removals=900)}, Guard(), [], id="nothing more is planned"),
        pytest.param(
            {"removals": 21, "deletes": 21},
            Guard(),
            ["21 people would be deleted; the limit is 20 in 24 hours"],
            id="deletions have a limit of their own",
        ),
        pytest.param(
            {"removals": 1, "deletes": 1, "window": Window(removals=20, deletes=20)},
            Guard(),
            [
                "1 people would be deleted, after 20 in the last 24 hours; the limit is 20 in 24 hours"
            ],
            id="deletions of earlier runs count",
        ),
        pytest.param(
            {"reenables": 40, "creates": 11},
            Guard(max_creates=50),
            ["51 people would be created or enabled again; the limit is 50 in 24 hours"],
            id="who comes back comes in",
        ),
        pytest.param(
            {"creates": 1, "window": Window(creates=500, gain=500)},
            Guard(max_create_percent=None),
            [
                "1 people would be created, after 500 in the last 24 hours; the limit is 500 in 24 hours"
            ],
            id="creates of earlier runs count",
        ),
        pytest.param(
            {"active": 15, "creates": 10},
            Guard(),
            ["10 of 15 active people (66.7 %) would be created; the limit is 50 %"],
            id="a share of creates",
        ),
        pytest.param(
            {"active": 15, "creates": 9}, Guard(), [], id="a share of a handful says nothing"
        ),
        pytest.param({"active": 0, "reenables": 99}, Guard(), [], id="all were disabled"),
        pytest.param(
            {"active": 0, "creates": 99_999, "first_import": True}, Guard(), [], id="first import"
        ),
    ],
)
def test_the_window_counts_with_the_plan(
    planned: dict[str, Any], limits: Guard, reasons: list[str]
) -> None:
    given = {"active": 1000, "creates": 0, "removals": 0} | planned

    assert list(check_guard(Tally(**given), limits).reasons) == reasons


def test_the_more_careful_window_is_the_longer_one() -> None:
    assert careful(Guard(window_hours=12), Guard(window_hours=48)).window_hours == 48


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param({}, set(), id="defaults"),
        pytest.param({"maxRemovals": None, "maxDeletes": 0}, {"maxRemovals"}, id="null"),
        pytest.param({"maxCreatePercent": 100}, {"maxCreatePercent"}, id="all of them"),
        pytest.param({"maxCreates": 100, "windowHours": 100}, set(), id="a hundred is no share"),
    ],
)
def test_limits_that_hold_nothing(given: dict[str, Any], names: set[str]) -> None:
    assert Guard.model_validate(given).open_limits == names
