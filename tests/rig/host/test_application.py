"""Apps that cannot be served: the host says why, and ends."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.conftest import REPOSITORY, write_app

TIMER = '@app.timer_trigger(schedule="{}", arg_name="timer")\n'
FUNCTION = "def f(timer: func.TimerRequest) -> None: ...\n"


def serve(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A host that is expected to refuse; it would be ended after a while if it did not."""
    command = [sys.executable, "-m", "local.host", "--port", "0", "--root", str(root), *options]
    env = os.environ | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("import no_such_module", "No module named 'no_such_module'", id="import"),
        pytest.param("app = None", "exactly one FunctionApp; it has 0", id="no app"),
        pytest.param("other = func.FunctionApp()", "it has 2", id="two apps"),
        pytest.param(
            TIMER.format("0 0 * * * *") + "def f(t: func.TimerRequest) -> None: ...",
            "its bindings are called ['timer']",
            id="parameter of another name",
        ),
        pytest.param(TIMER.format("%NOT_SET%") + FUNCTION, "NOT_SET is missing", id="setting"),
        pytest.param(TIMER.format("0 0 * * *") + FUNCTION, "six fields", id="schedule"),
        pytest.param(
            '@app.event_grid_trigger(arg_name="event")\ndef f(event) -> None: ...',
            "no trigger it knows",
            id="trigger",
        ),
    ],
)
def test_apps_that_are_refused(tmp_path: Path, source: str, message: str) -> None:
    refused = serve(write_app(tmp_path, source))

    assert refused.returncode == 1
    assert message in refused.stderr


def test_a_folder_without_an_app(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')

    assert "There is no function_app.py" in serve(tmp_path).stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = serve(write_app(tmp_path, ""), "--port", str(port))

    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stderr
