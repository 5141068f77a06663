"""What goes to Azure is the app and nothing else."""

import json
import re
import subprocess
from pathlib import Path

import pathspec
import pytest

ROOT = Path(__file__).parents[2]


def test_only_the_app_is_packaged() -> None:
    """`.funcignore` names everything that stays home."""
    ignored = pathspec.GitIgnoreSpec.from_lines(
        (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    )
    tracked = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 -- whichever git is on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    packaged = {path.split("/")[0] for path in tracked if not ignored.match_file(path)}

    assert packaged == {
        "LICENSE",
        "function_app.py",
        "host.json",
        "requirements.txt",
        "sync_core",
    }


@pytest.mark.parametrize("path", [".venv/bin/python", ".local/rig.log", "local.settings.json"])
def test_what_lies_about_is_not_packaged(path: str) -> None:
    ignored = pathspec.GitIgnoreSpec.from_lines(
        (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    )

    assert ignored.match_file(path)


def test_the_host_gives_a_run_more_time_than_the_run_takes() -> None:
    """A run that the host kills records nothing; see RUN_BUDGET of the worker."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    worker = (ROOT / "sync_core/runs/worker.py").read_text(encoding="utf-8")

    budget = re.search(r"RUN_BUDGET = timedelta\(minutes=(\d+)\)", worker)

    assert budget is not None
    assert host["functionTimeout"] == "00:30:00"
    assert int(budget[1]) < 30
