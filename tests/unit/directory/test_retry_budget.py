"""Attempts and seconds are bounded, and Graph's own wish wins over our arithmetic."""

import pytest

from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.errors import RetryLater, Throttled

BROKEN = RetryLater("graph.unavailable", "No.")


def throttled(wish: float | None) -> Throttled:
    return Throttled("Too many.", retry_after_s=wish)


class Clock:
    """Sleeps without taking time, and remembers how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def retry_budget(clock: Clock, attempts: int = 6, budget_s: float = 600.0) -> RetryBudget:
    return RetryBudget(attempts=attempts, budget_s=budget_s, sleep=clock.sleep)


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [
        pytest.param(1, 0.375, 0.625, id="first"),
        pytest.param(2, 0.75, 1.25, id="twice as long"),
        pytest.param(5, 6.0, 10.0, id="sixteen times"),
        pytest.param(7, 22.5, 37.5, id="as long as it gets"),
        pytest.param(50, 22.5, 37.5, id="and no longer"),
    ],
)
@pytest.mark.parametrize("error", [BROKEN, throttled(None)], ids=["broken", "throttled"])
async def test_waits_double_with_some_noise(
    attempt: int, least: float, most: float, error: RetryLater
) -> None:
    clock = Clock()
    waiting = retry_budget(clock, attempts=99, budget_s=99_999)
    for _ in range(200):
        await waiting.wait(attempt, error)

    assert least <= min(clock.slept) < max(clock.slept) <= most


@pytest.mark.parametrize("wish", [0.0, 0.249, 2.128, 300.0])
async def test_graphs_own_wish_is_kept_to_exactly(wish: float) -> None:
    clock = Clock()
    await retry_budget(clock).wait(1, throttled(wish))

    assert clock.slept == [wish]


async def test_the_last_attempt_is_not_waited_for() -> None:
    """With six attempts there are five waits."""
    clock = Clock()
    waiting = retry_budget(clock)
    for attempt in range(1, 6):
        await waiting.wait(attempt, throttled(0.0))

    with pytest.raises(Throttled):
        await waiting.wait(6, throttled(0.0))

    assert len(clock.slept) == 5


@pytest.mark.parametrize(
    ("wishes", "waited"),
    [
        pytest.param([10.0], [10.0], id="the whole budget"),
        pytest.param([10.1], [], id="more than the budget"),
        pytest.param([4.0, 6.0, 0.0], [4.0, 6.0, 0.0], id="used up, and nothing more wanted"),
        pytest.param([4.0, 6.0, 0.1], [4.0, 6.0], id="used up"),
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
    assert waiting.waited_s == sum(waited)
    assert refused == len(wishes) - len(waited)


async def test_the_error_itself_comes_out_at_the_end() -> None:
    with pytest.raises(RetryLater) as caught:
        await retry_budget(Clock(), attempts=1).wait(1, BROKEN)

    assert caught.value is BROKEN


async def test_a_run_waits_for_real_unless_told() -> None:
    waiting = RetryBudget(first_wait_s=0.001)
    await waiting.wait(1, BROKEN)

    assert 0 < waiting.waited_s < 0.01
