"""Timer functions over the local host."""

import datetime as dt
import os
import signal
import time

import pytest

from local.host.configuration import ConfigurationError
from local.host.timers import Schedule
from tests.rig.conftest import RunningHost, StartHost

SOURCE = """
@app.timer_trigger(schedule="%TICK%", arg_name="timer", run_on_startup=RUN_ON_STARTUP)
async def tick(timer: func.TimerRequest) -> None:
    note(pid=os.getpid(), at=time.time(), next=timer.schedule_status["Next"])
    await asyncio.sleep(float(os.environ.get("TAKES", "0")))
    if "FAILS" in os.environ:
        raise RuntimeError("as wanted")
"""
AT_NEW_YEAR = 0.0
NEW_YEAR = f"""
@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def new_year(timer: func.TimerRequest) -> None:
    note(at={AT_NEW_YEAR})
"""
NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)  # a Monday


def source(*, run_on_startup: bool = False) -> str:
    return SOURCE.replace("RUN_ON_STARTUP", str(run_on_startup))


def wait_for_ticks(host: RunningHost, count: int, timeout_s: float = 60) -> list[float]:
    deadline = time.monotonic() + timeout_s
    while len(host.noted()) < count:
        assert time.monotonic() < deadline, f"only {len(host.noted())} ticks in time"
        time.sleep(0.05)
    return [noted["at"] for noted in host.noted()]


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        pytest.param("0 */5 * * * *", NOON.replace(minute=5), id="every five minutes"),
        pytest.param("30 * * * * *", NOON.replace(second=30), id="seconds come first"),
        pytest.param("0 17 * * * *", NOON.replace(minute=17), id="hourly"),
        pytest.param("0 0 0 * * 0", dt.datetime(2026, 11, 29, tzinfo=dt.UTC), id="0 is Sunday"),
        pytest.param("0 0 9 * * MON-FRI", NOON.replace(day=24, hour=9), id="names of days"),
    ],
)
def test_schedules(expression: str, following: dt.datetime) -> None:
    assert Schedule(expression).after(NOON) == following


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("*/5 * * * *", id="five fields"),
        pytest.param("0 61 * * * *", id="no such minute"),
        pytest.param("00:05:00", id="a time span"),
    ],
)
def test_schedules_that_are_refused(expression: str) -> None:
    with pytest.raises(ConfigurationError):
        Schedule(expression)


def test_ticks_come_at_their_time_and_not_at_start(start_host: StartHost) -> None:
    """A busy machine may be late, so what is looked at is that none comes early."""
    host = start_host(source() + NEW_YEAR, TICK="*/2 * * * * *")
    ticks = wait_for_ticks(host, 2)
    following = host.noted()[0]["next"]
    promised = dt.datetime.fromisoformat(following).timestamp()

    assert following.endswith("+00:00")
    assert promised % 2 == 0
    assert ticks[1] >= promised
    assert AT_NEW_YEAR not in ticks


def test_run_on_startup_does_not_wait(start_host: StartHost) -> None:
    host = start_host(source(run_on_startup=True), TICK="0 0 0 1 1 *")

    assert wait_for_ticks(host, 1)


def test_a_tick_that_fails_does_not_end_the_timer(start_host: StartHost) -> None:
    host = start_host(source(), TICK="* * * * * *", FAILS="yes")

    assert wait_for_ticks(host, 2)


def test_a_tick_waits_for_the_one_before(start_host: StartHost) -> None:
    host = start_host(source(), TICK="* * * * * *", TAKES="1.5")
    first, second = wait_for_ticks(host, 2)[:2]

    assert second - first >= 1.5


def test_of_two_hosts_one_fires_and_the_other_takes_over(start_host: StartHost) -> None:
    first = start_host(source(), TICK="* * * * * *")
    wait_for_ticks(first, 1)
    second = start_host("", folder=first.notes.parent, TICK="* * * * * *")
    before = len(wait_for_ticks(first, 4))
    only_first = {noted["pid"] for noted in first.noted()}
    os.kill(first.child.pid, signal.SIGKILL)
    wait_for_ticks(second, before + 2)

    assert only_first == {first.child.pid}
    assert second.noted()[-1]["pid"] == second.child.pid
