"""Passes over what is too old: when they begin, where they stand, and how much a tick does."""

from datetime import UTC, datetime, timedelta

import pytest

from sync_core.domain.retention import REQUESTS_A_TICK, Budget, Pass, cutoff

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
UNDER_WAY = Pass(name="runs", partition="c", row="1", began_at=NOW, is_over=False)


@pytest.mark.parametrize(
    ("known", "after", "expected"),
    [
        pytest.param(Pass(name="runs"), timedelta(), "", id="the first one"),
        pytest.param(UNDER_WAY, timedelta(days=9), "c", id="one under way goes on"),
        pytest.param(UNDER_WAY.at(None), timedelta(hours=23), None, id="one was made today"),
        pytest.param(UNDER_WAY.at(None), timedelta(hours=24), "", id="a day later"),
    ],
)
def test_a_pass_begins_once_a_day(known: Pass, after: timedelta, expected: str | None) -> None:
    found = known.begun(NOW + after)

    assert (found.partition if found else None) == expected
    assert found is None or (found.began_at is not None and not found.is_over)


def test_a_pass_is_over_when_there_is_no_other_partition() -> None:
    onward, end = UNDER_WAY.at("d"), UNDER_WAY.at(None)

    assert (onward.partition, onward.row, onward.is_over) == ("d", "", False)
    assert (end.partition, end.row, end.is_over) == ("", "", True)
    assert end.began_at == NOW


def test_a_tick_ends_when_its_requests_are_made() -> None:
    budget = Budget()
    budget.spend(REQUESTS_A_TICK - 1)
    before = budget.is_spent
    budget.spend(1)

    assert (before, budget.is_spent) == (False, True)


def test_days_are_counted_back_from_now() -> None:
    assert cutoff(NOW, 400) == datetime(2025, 3, 30, 12, tzinfo=UTC)
