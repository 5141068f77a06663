"""One command: provision, deploy until Azure is ready for it, probe, and say what comes next."""

import subprocess
import sys

import pytest

from deploy.places import ROOT
from local.sample import SAMPLE_TENANT_ID
from tests.deploy.conftest import CLIENT_ID, Deploy, azure_answers, deployed
from tests.deploy.programs import Programs

QUICK = ("--pause", "0.01", "--wait", "0")
FORBIDDEN = "ERROR: deploying service app: 403 (Forbidden)"
UNAVAILABLE = "ERROR: deployment failed: 503 Service Unavailable"


@pytest.fixture
def azure(programs: Programs) -> Programs:
    azure_answers(programs)
    programs.answer("azd provision", "SUCCESS: provisioned")
    return programs


def deploys(azure: Programs, url: str, *failures: str, code: int = 1, **values: str) -> None:
    for text in failures:
        azure.answer("azd deploy", text, code=code, times=1)
    azure.answer("azd deploy", "SUCCESS: deployed")
    azure.azd_values(deployed(url, **values))


def test_it_provisions_then_deploys_then_probes(
    azure: Programs, deploy: Deploy, app_url: str
) -> None:
    deploys(azure, app_url)

    done = deploy("up", *QUICK)

    calls = azure.calls("azd")
    assert done.returncode == 0, done.stdout + done.stderr
    assert calls[:2] == ["azd provision", "azd deploy --no-prompt"]
    # azd runs the hook, too; one probe is enough.
    assert azure.noted()[1]["env"] == {"USERSYNC_PROBED_AFTERWARDS": "true"}
    assert "ok" in done.stdout


def test_it_ends_with_the_address_and_the_one_command_for_entra(
    azure: Programs, deploy: Deploy, app_url: str
) -> None:
    deploys(azure, app_url)

    end = deploy("up", *QUICK).stdout.split("The app stands at")[1]

    assert app_url in end
    assert "python -m deploy entra\n" in end
    assert "Application Developer" in end
    # What somebody else needs for it, who does not have this azd environment.
    values = deployed(app_url)
    assert f"--identity {values['AZURE_IDENTITY_PRINCIPAL_ID']} --key id-abc" in end
    assert f"--url {app_url} --tenant {SAMPLE_TENANT_ID} " in end


def test_with_a_registration_it_ends_with_a_token_and_the_first_connection(
    azure: Programs, deploy: Deploy, app_url: str
) -> None:
    deploys(azure, app_url, USERSYNC_API_CLIENT_ID=CLIENT_ID)

    end = deploy("up", *QUICK).stdout.split("The app stands at")[1]

    assert f'--scope "api://{CLIENT_ID}/user_impersonation"' in end
    # az may have chosen a tenant that is read, which knows nothing of the API.
    assert f"--tenant {SAMPLE_TENANT_ID} " in end
    assert "docs/connect.md" in end


@pytest.mark.parametrize(
    ("action", "told"),
    [("AllowAnonymous", "/api/health, and"), ("Return401", "/api/health with a")],
)
def test_monitoring_is_told_what_health_takes(
    azure: Programs, deploy: Deploy, app_url: str, action: str, told: str
) -> None:
    deploys(azure, app_url, USERSYNC_UNAUTHENTICATED_ACTION=action)

    assert told in deploy("up", *QUICK).stdout.split("The app stands at")[1]


def test_a_workflow_tells_of_the_registration_by_its_environment(
    azure: Programs, deploy: Deploy, app_url: str
) -> None:
    """The azd environment of a job is new, and has what provisioning has answered, and nothing else."""
    deploys(azure, app_url)

    done = deploy("up", "--no-prompt", *QUICK, USERSYNC_API_CLIENT_ID=CLIENT_ID)

    assert "a real token is taken\n" in done.stdout
    assert f'--scope "api://{CLIENT_ID}/user_impersonation"' in done.stdout


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([FORBIDDEN], id="the role has not arrived"),
        pytest.param([UNAVAILABLE, FORBIDDEN, UNAVAILABLE], id="several times"),
        pytest.param([FORBIDDEN] * 5, id="as often as it may be"),
    ],
)
def test_it_tries_again_while_azure_is_not_ready(
    azure: Programs, deploy: Deploy, app_url: str, failures: list[str]
) -> None:
    deploys(azure, app_url, *failures)

    done = deploy("up", *QUICK)

    assert done.returncode == 0
    assert azure.calls("azd").count("azd deploy --no-prompt") == len(failures) + 1
    assert azure.calls("azd").count("azd provision") == 1


@pytest.mark.parametrize(
    ("failures", "tries"),
    [
        pytest.param([FORBIDDEN] * 6, 6, id="for too long"),
        pytest.param(["ERROR: package source 'build/app' is empty"], 1, id="for another reason"),
    ],
)
def test_it_gives_up_and_says_so(
    azure: Programs, deploy: Deploy, app_url: str, failures: list[str], tries: int
) -> None:
    deploys(azure, app_url, *failures)

    done = deploy("up", *QUICK)

    assert done.returncode == 1
    assert azure.calls("azd").count("azd deploy --no-prompt") == tries
    assert failures[0] in done.stdout
    assert "`azd deploy` failed" in done.stderr


def test_what_cannot_be_provisioned_is_not_deployed(programs: Programs, deploy: Deploy) -> None:
    programs.install("azd")
    programs.answer("azd provision", "ERROR: quota", code=1)

    done = deploy("up", *QUICK)

    assert done.returncode == 1
    assert programs.calls() == ["azd provision"]


def test_without_azd_it_says_where_to_get_it(deploy: Deploy) -> None:
    done = deploy("up")

    assert done.returncode == 1
    assert "install-azd" in done.stderr


def test_a_python_that_is_too_old_is_told_so() -> None:
    """As the first thing: what follows does not even load there."""
    pretending = "import sys; sys.version_info = (3, 9, 2); import deploy"
    done = subprocess.run(
        [sys.executable, "-S", "-c", pretending],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "Python 3.11 to 3.14 is needed, and this is 3.9" in done.stderr
