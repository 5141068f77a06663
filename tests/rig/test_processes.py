"""Children: what they say, how they end, and the log they share."""

import io
import sys
import time
from pathlib import Path

import pytest

from local.logs import Log
from local.processes import Child, ChildError


def python(program: str) -> list[str]:
    return [sys.executable, "-u", "-c", program]


def test_lines_are_waited_for() -> None:
    with Child("c", python("print('port 7'); import time; time.sleep(60)")) as child:
        assert child.wait_for_lines(r"port (\d+)", timeout_s=60)[0][1] == "7"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        pytest.param("print('no disk'); exit(3)", "ended with code 3.\n  no disk", id="by itself"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL", id="killed"),
    ],
)
def test_a_child_that_dies_early_says_why(program: str, message: str) -> None:
    with Child("c", python(program)) as child, pytest.raises(ChildError, match=message):
        child.wait_for_lines("ready", timeout_s=60)


def test_a_child_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with (
        Child("c", python("import time; time.sleep(60)")) as child,
        pytest.raises(ChildError, match="did not get ready"),
    ):
        child.wait_for_lines("ready", timeout_s=0.2)


def test_a_child_that_does_not_listen_is_killed() -> None:
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('x'); time.sleep(60)"
    with Child("c", python(program)) as child:
        child.wait_for_lines("x", timeout_s=60)
        started = time.monotonic()
        child.stop(grace_s=0.3)

    assert child.returncode == -9
    assert time.monotonic() - started < 30


def test_a_program_that_is_not_there() -> None:
    with Child("c", ["/no/such/program"]) as child, pytest.raises(ChildError, match="No such file"):
        child.wait_for_lines("ready", timeout_s=60)


def test_lines_of_the_start_stay_in_the_file(tmp_path: Path) -> None:
    screen, file = io.StringIO(), tmp_path / "log"
    log = Log(file, screen)
    one, longer = log.writer("a"), log.writer("longer")
    one("before")
    log.show()
    one("after")
    longer("after")
    log.close()

    assert screen.getvalue() == "a      | after\nlonger | after\n"
    assert file.read_text() == "a | before\na | after\nlonger | after\n"
