"""A connection is due once in every interval, at its own place in it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.schedule import EPOCH, is_due, spread
from tests.unit.builders import connection

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
# Midnight is a whole number of hours after the epoch; contoso's hour begins some minutes later.
MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)
BEGIN = MIDNIGHT + spread("contoso", HOUR)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        pytest.param(BEGIN, BEGIN, False, id="has just started"),
        pytest.param(BEGIN, BEGIN + HOUR - MOMENT, False, id="end of the same interval"),
        pytest.param(BEGIN, BEGIN + HOUR, True, id="next interval begins"),
        pytest.param(BEGIN + HOUR - MOMENT, BEGIN + HOUR, True, id="started late in the last one"),
        pytest.param(BEGIN, BEGIN + 50 * HOUR, True, id="long ago"),
        pytest.param(BEGIN, BEGIN - MOMENT, False, id="clock went back into the last interval"),
        pytest.param(BEGIN, BEGIN - 5 * HOUR, False, id="clock went back for hours"),
    ],
)
def test_due_once_an_interval(last: datetime, now: datetime, due: bool) -> None:
    assert is_due(connection(), last, now) is due


def test_a_connection_that_never_ran_is_due() -> None:
    assert is_due(connection(), None, MIDNIGHT)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"enabled": False}, id="disabled"),
        pytest.param({"schedule": {"automatic": False}}, id="by hand only"),
    ],
)
@pytest.mark.parametrize("last", [None, EPOCH])
def test_what_is_switched_off_is_never_due(
    changes: dict[str, object], last: datetime | None
) -> None:
    assert not is_due(connection(**changes), last, MIDNIGHT)


@pytest.mark.parametrize("minutes", [5, 60, 24 * 60, 10_080])
def test_one_start_an_interval_with_a_timer_every_five_minutes(minutes: int) -> None:
    interval = timedelta(minutes=minutes)
    scheduled = connection(schedule={"everyMinutes": minutes})

    starts = run_timer(scheduled, ticks=1 + 3 * (minutes // 5))

    gaps = {later - sooner for sooner, later in pairwise(starts[1:])}
    assert gaps == {interval}


def run_timer(scheduled: Connection, ticks: int) -> list[datetime]:
    starts: list[datetime] = []
    for tick in range(ticks):
        now = MIDNIGHT + tick * timedelta(minutes=5)
        if is_due(scheduled, starts[-1] if starts else None, now):
            starts.append(now)
    return starts


def test_the_place_in_the_interval_is_the_same_everywhere() -> None:
    """On every instance, after every deployment: so it is written down here."""
    assert spread("contoso", HOUR) == timedelta(seconds=2889, microseconds=716688)


def test_connections_are_spread_evenly() -> None:
    tenths = [int(10 * (spread(f"tenant-{number}", HOUR) / HOUR)) for number in range(1000)]

    assert min(tenths.count(tenth) for tenth in range(10)) > 70
    assert max(tenths.count(tenth) for tenth in range(10)) < 130
