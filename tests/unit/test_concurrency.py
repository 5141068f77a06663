"""Turns and threads: work that goes on for long lets others have theirs, and ends when its time is up."""

import asyncio
import threading
from collections.abc import Iterator
from itertools import count

import pytest

from sync_core.concurrency import TURN_S, TimeLimit, Turns, in_thread, produced
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


async def test_work_in_a_thread_leaves_the_loop_to_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    done = await in_thread(sum, range(1_000_000), start=1)
    task.cancel()

    assert done == 499_999_500_001
    assert turns > 1


@pytest.mark.parametrize("times", [1, 3])
async def test_whoever_is_cancelled_waits_for_the_work_in_the_thread(times: int) -> None:
    """What the work reads and writes is closed as soon as its caller has ended."""
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        may_end.wait()
        ended.append(1)

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    waits = not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (waits, ended) == (True, [1])


async def test_what_is_produced_in_a_thread_comes_in_its_order_up_to_the_first_error() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("no third")

    found = produced(items())

    assert [await anext(found), await anext(found)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        await anext(found)
