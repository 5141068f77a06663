"""What goes to Azure is the app and nothing else."""

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pathspec
import pytest

from deploy import package
from deploy.errors import DeployError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ignored() -> pathspec.GitIgnoreSpec:
    """Return what Core Tools leave out where they start in the root of the repository."""
    lines = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    return pathspec.GitIgnoreSpec.from_lines(lines)


def test_only_the_app_is_packaged(ignored: pathspec.GitIgnoreSpec) -> None:
    """`.funcignore` names what stays home, `deploy package` what goes: both mean the same files."""
    tracked = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 -- whichever git is on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    by_ignoring = {path for path in tracked if not ignored.match_file(path)}
    by_choosing = {path.relative_to(ROOT).as_posix() for path in package.sources()}

    assert {path.split("/")[0] for path in by_ignoring} == set(package.SHIPPED)
    # What is not tracked yet lies in sync_core beside it.
    assert by_ignoring - {path for path in tracked if not (ROOT / path).exists()} <= by_choosing
    assert {path.split("/")[0] for path in by_choosing} == set(package.SHIPPED)


@pytest.mark.parametrize(
    "path",
    [
        ".venv/bin/python",
        "sync_env/bin/python",
        ".local/rig.log",
        ".azure/prod/.env",
        "local.settings.json",
        "build/app/function_app.py",
        "sync_core/__pycache__/settings.cpython-313.pyc",
    ],
)
def test_what_lies_about_is_not_packaged(ignored: pathspec.GitIgnoreSpec, path: str) -> None:
    assert ignored.match_file(path)


@pytest.mark.parametrize("name", ["docs", "tests", "local", "infra", "deploy", "build", "cli"])
def test_a_folder_of_that_name_inside_a_package_is_not_left_out(
    ignored: pathspec.GitIgnoreSpec, name: str
) -> None:
    """A pattern without a slash in front matches at any depth: certifi has a folder `tests`."""
    assert not ignored.match_file(f"{package.SITE.as_posix()}/certifi/{name}/__init__.py")
    assert not ignored.match_file(f"{package.SITE.as_posix()}/certifi/{name}.md")


def test_the_host_gives_a_run_more_time_than_the_run_takes() -> None:
    """A run that the host kills records nothing; see RUN_BUDGET of the worker."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    worker = (ROOT / "sync_core/runs/worker.py").read_text(encoding="utf-8")

    budget = re.search(r"RUN_BUDGET = timedelta\(minutes=(\d+)\)", worker)

    assert budget is not None
    assert host["functionTimeout"] == "00:30:00"
    assert int(budget[1]) < 30


def test_a_python_that_makes_no_environment_is_told_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Debian's, without a package of its own: it ends with a traceback of `ensurepip`."""

    def lacking(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"])

    monkeypatch.setattr(package, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setattr(venv, "create", lacking)

    with pytest.raises(DeployError) as told:
        package.find_uv()

    assert "python3-venv" in told.value.remedy
