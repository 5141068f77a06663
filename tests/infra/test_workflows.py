"""The workflows are valid by GitHub's own schema, safe by zizmor, and run what docs say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.sources import ROOT
from tests.infra.test_azd import variables

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
BIN = Path(sys.executable).parent
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def workflow(name: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return read


def steps(name: str, job: str) -> str:
    """Return all that a job runs."""
    return "\n".join(one.get("run", "") for one in workflow(name)["jobs"][job]["steps"])


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_both_workflows_are_there() -> None:
    assert [path.name for path in WORKFLOWS] == ["azure-dev.yml", "ci.yml"]


def test_the_workflows_are_what_github_takes() -> None:
    done = ran(
        "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)
    )

    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing() -> None:
    """Without a network and by its strictest rules; what it is not sure of counts as well."""
    done = ran("zizmor", "--offline", "--pedantic", "--quiet", "--color=never", str(FOLDER))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "fault",
    [
        "uses: actions/checkout@v6",
        "run: echo ${{ github.event.pull_request.title }}",
    ],
)
def test_zizmor_would_find_what_is_unsafe(tmp_path: Path, fault: str) -> None:
    head = (
        "on: [pull_request]\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
    )
    (tmp_path / "w.yml").write_text(f"{head}      - {fault}\n")

    assert ran("zizmor", "--offline", "--quiet", str(tmp_path / "w.yml")).returncode != 0


def used() -> Iterator[str]:
    for path in WORKFLOWS:
        yield from re.findall(r"uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)


def test_every_action_is_pinned_by_its_commit_and_one_commit_each() -> None:
    found = [*used()]

    assert found
    assert [one for one in found if not PINNED.fullmatch(one)] == []
    assert len({*found}) == len({one.partition("@")[0] for one in found})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_do_what_it_needs_and_nothing_more(path: Path) -> None:
    read = workflow(path.name)

    assert read["permissions"] == {}
    for name, job in read["jobs"].items():
        signs_in = "azd auth login" in steps(path.name, name)
        wanted = {"contents": "read"} | ({"id-token": "write"} if signs_in else {})
        assert job["permissions"] == wanted, name
        assert job["timeout-minutes"] > 0, name


def test_nothing_of_the_workflows_is_a_secret() -> None:
    assert [path.name for path in WORKFLOWS if "secrets." in path.read_text("utf-8")] == []


def test_ci_runs_every_version_and_every_check() -> None:
    jobs = workflow("ci.yml")["jobs"]

    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert "make test" in steps("ci.yml", "test")
    assert "make proof" in steps("ci.yml", "proof")
    assert "make scan" in steps("ci.yml", "templates")
    assert "pip-audit" in steps("ci.yml", "templates")
    assert "deploy package" in steps("ci.yml", "package")
    assert "tests.smoke" in steps("ci.yml", "package")


def test_a_pull_request_shows_what_it_would_change_and_changes_nothing() -> None:
    jobs = workflow("azure-dev.yml")["jobs"]

    assert "azd provision --preview" in steps("azure-dev.yml", "preview")
    assert "deploy" not in steps("azure-dev.yml", "preview")
    assert "head.repo.full_name == github.repository" in jobs["preview"]["if"]
    assert "python -m deploy up --no-prompt" in steps("azure-dev.yml", "deploy")
    assert "github.event_name != 'pull_request'" in jobs["deploy"]["if"]


def test_a_probe_asks_with_a_sign_in_that_is_new() -> None:
    """GitHub's token is good for minutes, and provisioning takes more: Azure/login issue 372."""
    order = [
        one.get("uses") or one["run"]
        for one in workflow("azure-dev.yml")["jobs"]["deploy"]["steps"]
    ]
    up, probe = (
        next(place for place, one in enumerate(order) if f"python -m deploy {command}" in one)
        for command in ("up", "probe")
    )

    assert probe == up + 2
    assert order[up + 1].startswith("azure/login@")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_that_may_sign_in_runs_no_package_of_others(path: Path) -> None:
    """GitHub's token for Azure is there for whatever runs in such a job."""
    for name, job in workflow(path.name)["jobs"].items():
        if "id-token" in job["permissions"]:
            assert not re.search(r"\b(make|pip|npm|uv|\.venv)\b", steps(path.name, name)), name


def test_a_job_is_told_every_choice() -> None:
    """Else a push to `main` sets it back: sign-in off, the mail address of alerts gone, storage public again.

    azd copies all variables of the parameters to GitHub (learn.microsoft.com/azure/developer/
    azure-developer-cli/pipeline-advanced-features); a job has those that its workflow names.
    """
    to_sign_in = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"}
    told = workflow("azure-dev.yml")["env"]

    assert {*told} - to_sign_in == {*variables()}
    assert told == {name: f"${{{{ vars.{name} }}}}" for name in told}
