"""Answers are counted by what they tell, else by what they cost; and a pause ends before more is asked."""

import asyncio
from typing import Any

import httpx
import pytest

from sync_core.directory.pace import WORTH_SHARING, Pace
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.trouble import Usage
from sync_core.domain.errors import RetryLater

GRAPH = "https://graph.microsoft.com/v1.0"
MEMBERS = f"{GRAPH}/groups/5f1e/members?$select=id"


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def now(self) -> float:
        return sum(self.slept)


class Others:
    """What the others hold, or storage that does not answer."""

    def __init__(self, *answers: float | RetryLater) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, int]] = []

    async def exchange(self, level: float, limit: int) -> float:
        self.asked.append((level, limit))
        answer = self.answers.pop(0)
        if isinstance(answer, RetryLater):
            raise answer
        return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def usage() -> Usage:
    return Usage()


@pytest.fixture
def pace(clock: Clock, usage: Usage) -> Pace:
    return Pace(RetryBudget(sleep=clock.sleep, clock=clock.now), usage)


def answer(url: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, request=httpx.Request("GET", url))


@pytest.mark.parametrize(
    ("url", "headers", "units"),
    [
        pytest.param(MEMBERS, {}, 2, id="by the table"),
        pytest.param(MEMBERS, {"x_ms_resource_unit": "7"}, 7, id="as told"),
        pytest.param(MEMBERS, {"x_ms_resource_unit": "many"}, 2, id="told in words"),
        pytest.param(
            f"{GRAPH}/$batch", {"x_ms_resource_unit": "7"}, 0, id="a batch costs its items"
        ),
    ],
)
async def test_an_answer_is_counted(
    pace: Pace, usage: Usage, url: str, headers: dict[str, str], units: int
) -> None:
    await pace.hear(answer(url, **headers))

    assert usage.units == units


@pytest.mark.parametrize(
    "body", [None, [], {"responses": None}, {"responses": [None, {"id": "9"}, {}]}]
)
def test_a_batch_that_is_none_counts_nothing(pace: Pace, usage: Usage, body: Any) -> None:
    pace.hear_batch({"1": MEMBERS}, body)

    assert usage.units == 0


async def test_items_of_a_batch_are_counted_and_tell_what_is_used(
    pace: Pace, usage: Usage, clock: Clock
) -> None:
    told = {"x-ms-resource-unit": "5", "X-MS-Throttle-Limit-Percentage": "0.95"}
    items = [{"id": "1", "headers": told}, {"id": "2", "headers": None}]
    pace.hear_batch({"1": MEMBERS, "2": MEMBERS}, {"responses": items})

    await pace.turn()
    await pace.turn()

    assert usage.units == 7
    assert clock.slept == [pytest.approx(1.5)]
    assert usage.waited_s == pytest.approx(1.5)


async def test_those_who_wait_side_by_side_wait_once(pace: Pace, clock: Clock) -> None:
    await pace.hear(answer(MEMBERS, x_ms_throttle_limit_percentage="1.0"))

    await asyncio.gather(pace.turn(), pace.turn(), pace.turn())

    assert clock.slept == [pytest.approx(2.0)]


async def test_others_are_asked_about_only_by_who_uses_much(pace: Pace, clock: Clock) -> None:
    pace.sharing = others = Others(3500.0)
    pace.allowance.spend(WORTH_SHARING - 1, 0)
    await pace.turn()
    assert others.asked == []
    pace.allowance.spend(1, 0)

    await pace.turn()
    await pace.turn()

    assert others.asked == [(WORTH_SHARING, 3500)]
    assert clock.slept[0] == pytest.approx((1 + WORTH_SHARING / 3500 - 0.8) * 10)


async def test_storage_that_does_not_answer_keeps_nobody_from_reading(
    pace: Pace, clock: Clock
) -> None:
    pace.sharing = Others(RetryLater("storage.unavailable", "No.", "Wait."))
    pace.allowance.spend(WORTH_SHARING, 0)

    await pace.turn()

    assert clock.slept == []
