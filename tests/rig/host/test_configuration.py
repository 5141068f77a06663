"""Apps and settings that the local host refuses, with a sentence; Azure would be silent."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.host.configuration import (
    ConfigurationError,
    parse_time_span,
    read_host_json,
)
from tests.rig.conftest import REPOSITORY, write_app

TIMER = '@app.timer_trigger(schedule="{}", arg_name="timer")\n'
FUNCTION = "def f(timer: func.TimerRequest) -> None: ...\n"


def serve(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A host that is expected to refuse; it would be ended after a while if it did not."""
    command = [sys.executable, "-m", "local.host", "--port", "0", "--root", str(root), *options]
    env = os.environ | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=30, check=False
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "not JSON", id="not JSON"),
        pytest.param("{}", '"version": "2.0"', id="no version"),
        pytest.param(
            {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "32", id="batch"
        ),
        pytest.param(
            {"version": "2.0", "extensions": {"queues": {"messageEncoding": "gzip"}}},
            "base64",
            id="encoding",
        ),
        pytest.param({"version": "2.0", "functionTimeout": "5 min"}, "00:00:30", id="timeout"),
    ],
)
def test_host_json_that_is_refused(
    tmp_path: Path, content: str | dict[str, Any], message: str
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "host.json").write_text(text)

    with pytest.raises(ConfigurationError, match=message):
        read_host_json(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("00:00:02", 2, id="seconds"),
        pytest.param("00:30:00", 1800, id="minutes"),
        pytest.param("1.00:00:00", 86_400, id="a day"),
        pytest.param("00:00:00.5", 0.5, id="half a second"),
    ],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_time_span(text) == seconds


def test_the_host_json_of_this_app_is_understood() -> None:
    """A notification has to be in the table within five seconds; so polls may not be far apart."""
    config = read_host_json(REPOSITORY)

    assert config.route_prefix == "api"
    assert config.queues.base64
    assert config.queues.max_polling_interval_s <= 2
    assert config.function_timeout_s == 30 * 60
