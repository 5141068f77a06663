"""Seconds end it, not attempts; a wait is what Graph asks for, and never shorter than our own growing one."""

import asyncio
import itertools

import pytest

from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.errors import RetryLater, Throttled

BROKEN = RetryLater("graph.unavailable", "No.", "Wait.")


def throttled(wish: float | None) -> Throttled:
    return Throttled("Too many.", retry_after_s=wish)


class Clock:
    """A clock that sleep moves, and nothing else; remembers how long was slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.time = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def now(self) -> float:
        return self.time


def retry_budget(clock: Clock, budget_s: float = 600.0) -> RetryBudget:
    return RetryBudget(budget_s=budget_s, sleep=clock.sleep, clock=clock.now)


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [
        pytest.param(1, 0.375, 0.625, id="first"),
        pytest.param(2, 0.75, 1.25, id="twice as long"),
        pytest.param(5, 6.0, 10.0, id="sixteen times"),
        pytest.param(7, 22.5, 37.5, id="as long as it gets"),
        pytest.param(5000, 22.5, 37.5, id="and no longer"),
    ],
)
@pytest.mark.parametrize(
    "error", [BROKEN, throttled(None), throttled(0.124)], ids=["broken", "throttled", "asked"]
)
async def test_waits_double_with_some_noise(
    attempt: int, least: float, most: float, error: RetryLater
) -> None:
    clock = Clock()
    waiting = retry_budget(clock, budget_s=99_999)
    for _ in range(200):
        await waiting.wait(attempt, error)

    assert least <= min(clock.slept) < max(clock.slept) <= most


@pytest.mark.parametrize("wish", [0.7, 2.128, 300.0])
async def test_a_longer_wish_of_graph_is_kept_to_exactly(wish: float) -> None:
    clock = Clock()
    await retry_budget(clock).wait(1, throttled(wish))

    assert clock.slept == [wish]


async def until_it_ends(waiting: RetryBudget, error: RetryLater) -> None:
    for attempt in itertools.count(1):
        await waiting.wait(attempt, error)


@pytest.mark.parametrize("wish", [0.0, 0.124, 1.0, None])
async def test_short_wishes_one_after_the_other_use_all_the_patience_there_is(
    wish: float | None,
) -> None:
    """Eight refusals are a minute of waiting and no end of it."""
    clock = Clock()
    waiting = retry_budget(clock)
    with pytest.raises(Throttled):
        await until_it_ends(waiting, throttled(wish))

    assert len(clock.slept) > 8
    assert 560 < sum(clock.slept) <= 600


@pytest.mark.parametrize(
    ("wishes", "waited"),
    [
        pytest.param([10.0], [10.0], id="the whole budget"),
        pytest.param([10.1], [], id="more than the budget"),
        pytest.param([4.0, 5.0, 2.0, 1.0], [4.0, 5.0, 1.0], id="used up"),
        pytest.param([1_000_000.0], [], id="longer than any run"),
    ],
)
async def test_all_calls_of_a_run_share_one_budget(
    wishes: list[float], waited: list[float]
) -> None:
    """Each wish is a call of its own here, at its first attempt."""
    clock = Clock()
    waiting = retry_budget(clock, budget_s=10.0)
    refused = 0
    for wish in wishes:
        try:
            await waiting.wait(1, throttled(wish))
        except Throttled:
            refused += 1

    assert clock.slept == waited
    assert waiting.spent_s == sum(waited)
    assert refused == len(wishes) - len(waited)


async def test_a_second_in_which_several_calls_wait_is_one_second() -> None:
    """Eight lists are read side by side; a throttled minute is not eight minutes of patience."""
    clock = Clock()
    waiting = RetryBudget(budget_s=70.0, sleep=lambda _: asyncio.sleep(0), clock=clock.now)
    for _ in range(8):
        await waiting.wait(1, throttled(60.0))

    assert waiting.spent_s == 60.0


async def test_time_lost_in_attempts_that_fail_counts_too() -> None:
    """A Graph that lets every request hang must not hold a run for an hour."""
    clock = Clock()
    waiting = retry_budget(clock, budget_s=110.0)
    clock.time = 100.0
    await waiting.wait(1, throttled(9.0), begun=0.0)

    assert waiting.spent_s == 109.0
    with pytest.raises(Throttled):
        await waiting.wait(2, throttled(2.0), begun=109.0)


async def test_the_error_itself_comes_out_at_the_end() -> None:
    with pytest.raises(RetryLater) as caught:
        await retry_budget(Clock(), budget_s=0.0).wait(1, BROKEN)

    assert caught.value is BROKEN


async def test_a_run_waits_for_real_unless_told() -> None:
    waiting = RetryBudget(first_wait_s=0.001)
    await waiting.wait(1, BROKEN)

    assert 0 < waiting.spent_s < 0.01
