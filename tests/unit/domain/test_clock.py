"""Timers that fire, that are late, and that are silent; and how often a request does their work."""

from datetime import UTC, datetime, timedelta

import pytest

from sync_core.domain.clock import (
    LONGEST_INTERVAL,
    PATIENCE,
    Clock,
    Timer,
    fired,
    looked,
    next_tick,
)

NOW = datetime(2026, 11, 30, 7, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("every", "later", "is_silent"),
    [
        pytest.param(5 * MINUTE, 5 * MINUTE + PATIENCE, False, id="late by the patience"),
        pytest.param(5 * MINUTE, 6 * MINUTE + PATIENCE, True, id="later than that"),
        pytest.param(24 * 60 * MINUTE, 23 * 60 * MINUTE, False, id="a schedule of once a day"),
        pytest.param(None, LONGEST_INTERVAL + PATIENCE, False, id="the host tells of no next tick"),
        pytest.param(None, LONGEST_INTERVAL + PATIENCE + MINUTE, True, id="nor fires"),
        pytest.param(-MINUTE, LONGEST_INTERVAL, False, id="a next tick that was past already"),
    ],
)
def test_a_timer_is_silent_when_its_next_tick_is_long_past(
    every: timedelta | None, later: timedelta, is_silent: bool
) -> None:
    clock = fired(Timer.SCHEDULE, NOW, NOW + every if every is not None else None)

    assert clock.is_silent(NOW + later) is is_silent


def test_a_timer_that_was_never_seen_is_not_called_silent_at_once() -> None:
    unseen = Clock(name="scheduled_sync")
    seen, is_due = looked(unseen, Timer.SCHEDULE, NOW)
    much_later = NOW + LONGEST_INTERVAL + PATIENCE + MINUTE

    assert (unseen.is_silent(NOW), seen.seen_at, is_due) == (False, NOW, False)
    assert seen.is_silent(much_later)
    assert seen.message == "The timer has never fired."
    assert looked(seen, Timer.SCHEDULE, much_later).is_due


def test_since_when_it_is_silent_is_said_without_names() -> None:
    clock = fired(Timer.SCHEDULE, NOW, None)

    assert clock.message == "The timer has not fired since 2026-11-30 07:05 UTC."


@pytest.mark.parametrize(
    ("timer", "minutes", "wakes"), [(Timer.SCHEDULE, 60, 12), (Timer.MAINTENANCE, 180, 3)]
)
def test_the_work_of_a_silent_timer_is_done_as_often_as_it_would_do_it(
    timer: Timer, minutes: int, wakes: int
) -> None:
    clock, asked = fired(timer, NOW, NOW + 5 * MINUTE), 0
    silent_from = NOW + 21 * MINUTE
    for minute in range(minutes):
        clock, is_due = looked(clock, timer, silent_from + minute * MINUTE)
        asked += is_due

    assert asked == wakes


def test_a_timer_that_fires_is_left_alone() -> None:
    clock = fired(Timer.SCHEDULE, NOW, NOW + 5 * MINUTE)

    assert looked(clock, Timer.SCHEDULE, NOW + 6 * MINUTE) == (clock, False)


def test_a_tick_ends_the_silence() -> None:
    silent = fired(Timer.SCHEDULE, NOW, NOW + 5 * MINUTE)
    later = NOW + timedelta(hours=3)
    woken, _ = looked(silent, Timer.SCHEDULE, later)
    alive = fired(Timer.SCHEDULE, later + MINUTE, later + 5 * MINUTE)

    assert woken.is_silent(later + MINUTE)
    assert not alive.is_silent(later + 6 * MINUTE)


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-11-30T07:10:00+00:00", datetime(2026, 11, 30, 7, 10, tzinfo=UTC)),
        ("2026-11-30T08:10:00.1234567+01:00", datetime(2026, 11, 30, 7, 10, 0, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_what_the_host_says_of_the_next_tick_is_read(
    told: str | None, moment: datetime | None
) -> None:
    assert next_tick(told) == moment
