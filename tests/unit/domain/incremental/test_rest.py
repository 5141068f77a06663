"""The pause between runs that notifications start."""

from datetime import timedelta

import pytest

from sync_core.domain.incremental.rest import EARLY, FIRST_S, LONGEST_OF_LOOKS_S, LONGEST_S, Rest
from tests.unit.builders import NOW

SECOND = timedelta(seconds=1)


def test_the_pause_doubles_up_to_a_minute_while_runs_find_nothing() -> None:
    rest, pauses = Rest(), []
    for _ in range(8):
        rest = rest.after_nothing(NOW, LONGEST_S)
        pauses.append(rest.pause_s)

    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert rest.quiet_until == NOW + 60 * SECOND


def test_looks_into_the_tables_wait_for_ten_seconds_at_most() -> None:
    """Also behind runs that found nothing: a leaver waits no longer for what others do."""
    rest = Rest(pause_s=8).after_nothing(NOW, LONGEST_OF_LOOKS_S)

    assert rest.pause_s == LONGEST_OF_LOOKS_S
    assert Rest(pause_s=32).after_nothing(NOW, LONGEST_OF_LOOKS_S).pause_s == LONGEST_OF_LOOKS_S


def test_a_run_that_wrote_ends_the_pause() -> None:
    rest = Rest(pause_s=60).after_changes(NOW)

    assert (rest.pause_s, rest.quiet_until) == (FIRST_S, NOW + SECOND)


@pytest.mark.parametrize(
    ("until", "is_over"),
    [(None, True), (NOW, True), (NOW + EARLY, True), (NOW + 2 * EARLY, False)],
)
def test_a_message_that_comes_a_little_early_is_in_time(until: object, *, is_over: bool) -> None:
    assert Rest(quiet_until=until).is_over(NOW) is is_over  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("woken_at", "after"),
    [
        pytest.param(None, 30, id="no message is to come"),
        pytest.param(20, 20, id="one comes before"),
        pytest.param(40, 30, id="one comes, but later"),
        pytest.param(0, 30, id="one has come"),
    ],
)
def test_one_message_is_to_come(woken_at: int | None, after: int) -> None:
    before = Rest(woken_at=None if woken_at is None else NOW + woken_at * SECOND)

    assert before.woken(NOW + 30 * SECOND, NOW).woken_at == NOW + after * SECOND


def test_a_pause_can_be_longer_but_not_shorter() -> None:
    rest = Rest(quiet_until=NOW + SECOND)

    assert rest.at_least(NOW + 5 * SECOND).quiet_until == NOW + 5 * SECOND
    assert rest.at_least(NOW).quiet_until == NOW + SECOND
    assert Rest().at_least(NOW).quiet_until == NOW
