"""The hooks of azd, run dry: as azd starts them, with programs that note how they are called."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import package
from deploy.places import ROOT
from tests.deploy.conftest import azure_answers, deployed
from tests.deploy.programs import Programs

PRIVATE = {"USERSYNC_PRIVATE_NETWORKING": "true"}
HOOKS = ROOT / "deploy" / "hooks"


def hook(programs: Programs, name: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run a hook with another Python than ours, without any package, in the folder of the script."""
    return subprocess.run(
        [sys.executable, "-S", str(HOOKS / f"{name}.py")],
        cwd=HOOKS,
        env=programs.env | values,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_private_networking_nothing_is_asked(programs: Programs) -> None:
    programs.install("az")

    done = hook(programs, "preprovision", **deployed("https://func-abc.azurewebsites.net"))

    assert (done.returncode, programs.calls()) == (0, [])


@pytest.mark.parametrize(("state", "registers"), [("Registered", False), ("NotRegistered", True)])
def test_private_networking_needs_the_provider_of_its_subnet(
    programs: Programs, state: str, *, registers: bool
) -> None:
    programs.install("az")
    programs.answer("az provider show", f'"{state}"')
    programs.answer("az provider register")

    done = hook(programs, "preprovision", **deployed("https://x.azurewebsites.net", **PRIVATE))

    asked = [call for call in programs.calls("az") if " register " in call]
    assert done.returncode == 0, done.stderr
    assert bool(asked) is registers
    assert all("Microsoft.App --wait" in call and "--subscription" in call for call in asked)


def test_before_a_subscription_is_chosen_it_says_what_was_not_looked_at(programs: Programs) -> None:
    programs.install("az")

    done = hook(programs, "preprovision", AZURE_ENV_NAME="prod", **PRIVATE)

    assert done.returncode == 0
    assert "az provider register" in done.stdout


def test_an_az_that_is_not_signed_in_stops_no_provisioning(programs: Programs) -> None:
    """As it is without az: azd signs in by itself."""
    programs.install("az")
    programs.answer("az provider show", code=1, err="Please run 'az login' to setup account.")

    done = hook(programs, "preprovision", **deployed("https://x.azurewebsites.net", **PRIVATE))

    assert done.returncode == 0, done.stderr
    assert "az provider register" in done.stdout
    assert "az login" in done.stdout


def test_a_provider_that_cannot_be_registered_stops_the_provisioning(programs: Programs) -> None:
    programs.install("az")
    programs.answer("az provider show", '"NotRegistered"')
    programs.answer("az provider register", code=1, err="AuthorizationFailed")

    done = hook(programs, "preprovision", **deployed("https://x.azurewebsites.net", **PRIVATE))

    assert done.returncode == 1
    assert "AuthorizationFailed" in done.stderr


def test_the_package_is_built_for_the_python_of_the_app(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In this process, with wheels that are there: another test run may use build/app at this moment."""
    from deploy.hooks import steps  # noqa: PLC0415

    folder, target = tmp_path / "app", package.Target("3.12")
    (folder / package.SITE).mkdir(parents=True)
    package.note_of(folder).write_text(package.digest_of_wheels(target))
    monkeypatch.setattr(steps, "PACKAGE", folder)
    monkeypatch.setenv("AZURE_ENV_NAME", "prod")
    monkeypatch.setenv("USERSYNC_PYTHON_VERSION", "3.12")

    assert steps.prepackage() == 0
    assert (folder / "function_app.py").is_file()


def test_a_python_that_azure_does_not_have_is_refused(programs: Programs) -> None:
    done = hook(programs, "prepackage", AZURE_ENV_NAME="prod", USERSYNC_PYTHON_VERSION="2.7")

    assert done.returncode == 1
    assert "3.13" in done.stderr


def test_a_deployment_is_probed(programs: Programs, app_url: str) -> None:
    azure_answers(programs)

    done = hook(programs, "postdeploy", **deployed(app_url))

    assert done.returncode == 0, done.stdout
    assert "a forged principal is refused" in done.stdout


def test_without_az_a_deployment_is_not_stopped_for_what_az_would_tell(
    programs: Programs, app_url: str
) -> None:
    """Azd signs in by itself; a forged header and both handshakes are looked at all the same."""
    done = hook(programs, "postdeploy", **deployed(app_url))

    assert done.returncode == 0, done.stdout
    assert "install-azure-cli" in done.stdout
    assert "ok              a forged principal is refused" in done.stdout


def test_up_probes_by_itself(programs: Programs) -> None:
    done = hook(programs, "postdeploy", AZURE_ENV_NAME="prod", USERSYNC_PROBED_AFTERWARDS="true")

    assert (done.returncode, done.stdout) == (0, "")


def test_azd_finds_a_project_beside_the_hooks_and_not_ours() -> None:
    """It installs what it finds next above a script: the whole product with all its packages, otherwise."""
    lines = (HOOKS / "requirements.txt").read_text().splitlines()

    assert [line for line in lines if not line.startswith("#")] == ["-r ../../requirements-uv.txt"]
    assert not (HOOKS / "pyproject.toml").exists()
