"""Turns: work that goes on for long lets others have theirs, and ends when its time is up."""

import asyncio
from itertools import count

import pytest

from sync_core.concurrency import TURN_S, TimeLimit, Turns
from sync_core.domain.expressions import EvaluationError


def test_a_limit_is_told_once_it_is_over() -> None:
    moments = iter([0.0, 1.9, 2.1])
    in_time = TimeLimit(2.0, lambda: next(moments))

    in_time()
    with pytest.raises(EvaluationError, match="longer than 2 seconds") as caught:
        in_time()

    assert caught.value.code == "evaluation.outOfTime"


@pytest.mark.parametrize(
    ("step_s", "turns"),
    [
        pytest.param(TURN_S * 2, 10, id="after each that takes long"),
        pytest.param(TURN_S / 4.5, 2, id="after several that do not"),
    ],
)
async def test_others_have_their_turn_by_the_time(step_s: float, turns: int) -> None:
    """By the number of people, one who took a minute would have held up everything for it."""
    ticks = count()
    mine = Turns(lambda: next(ticks) * step_s)
    seen = []

    async def other() -> None:
        while True:
            seen.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(10):
        await mine.take()
    task.cancel()

    assert abs(len(seen) - turns) <= 1
