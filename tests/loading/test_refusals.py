"""Mistakes that leave an app without functions in Azure are seen here: these tests can fail."""

import os
from pathlib import Path

import pytest

from tests.loading import interpreters
from tests.loading.driver import FunctionFailed, WorkerProcess

HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
TIMER = '@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")\n'
OUTPUT = '@app.queue_output(arg_name="out", queue_name="q", connection="AzureWebJobsStorage")\n'


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param("import no_such_module\n", "no_such_module", id="a package that is missing"),
        pytest.param(
            TIMER + "def tick(clock: func.TimerRequest) -> None: ...\n",
            "parameters are declared in Python",
            id="a parameter of another name",
        ),
        pytest.param(
            OUTPUT + TIMER + "def tick(timer: func.TimerRequest, out: func.Out[list[str]]): ...\n",
            "tick",
            id="an annotation that the worker does not know",
        ),
    ],
)
def test_the_worker_refuses(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "function_app.py").write_text(HEAD + source)
    with (
        WorkerProcess(interpreters.own(), os.environ, tmp_path / "log.txt") as worker,
        pytest.raises(FunctionFailed, match=told),
    ):
        worker.load(tmp_path)
