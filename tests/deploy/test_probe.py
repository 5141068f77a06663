"""The app in the local host, looked at from outside: what is well, what is not, what cannot be told."""

import json
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.deployment import Deployment
from deploy.probe.app import App, expected_functions, probe
from deploy.probe.findings import Finding, Verdict
from local import loopback
from tests.deploy.conftest import CLIENT_ID, Deploy, azure_answers, deployed
from tests.deploy.programs import Programs
from tests.infra.infrastructure import INFRA
from tests.loading.test_listing import WANTED

SIGNED_IN = {"USERSYNC_API_CLIENT_ID": CLIENT_ID}


@pytest.fixture
def azure(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Azure as it should be, for what is called in this process."""
    monkeypatch.setenv("PATH", programs.env["PATH"])
    azure_answers(programs)
    return programs


def found(url: str, **values: str) -> dict[str, Finding]:
    app = App(url, Deployment(deployed(url, **values)), pause_s=0.01)
    return {finding.name: finding for finding in probe(app)}


def verdicts(findings: dict[str, Finding]) -> set[Verdict]:
    return {finding.verdict for finding in findings.values()}


def test_an_app_that_is_well_passes_every_probe(
    deploy: Deploy, programs: Programs, app_url: str
) -> None:
    azure_answers(programs)
    programs.azd_values(deployed(app_url, **SIGNED_IN))

    done = deploy("probe")

    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in lines] == ["ok"] * 8


def test_the_token_is_asked_for_as_people_and_programs_get_one(
    azure: Programs, app_url: str
) -> None:
    """A workflow signs in as a program, which gets none for `user_impersonation`: AADSTS1002012."""
    found(app_url, **SIGNED_IN)

    [asked] = [call for call in azure.calls("az") if "get-access-token" in call]
    assert f"--scope api://{CLIENT_ID}/.default" in asked


def test_az_is_told_the_subscription(azure: Programs, app_url: str) -> None:
    """Its own is often another one, where nothing of the app would be found."""
    found(app_url, **SIGNED_IN)

    asked = [
        call for call in azure.calls("az") if " show " in call or "list" in call or "token" in call
    ]
    there = [call for call in asked if "--subscription 5ab5c91d-" in call]
    assert [call for call in asked if call not in there] == [
        "az cloud show --query endpoints.logAnalyticsResourceId --output json"
    ]
    assert len(there) == 3


def test_without_a_deployment_what_az_would_tell_stays_open(azure: Programs, app_url: str) -> None:
    findings = {one.name: one for one in probe(App(app_url, Deployment({}), "admin-token"))}

    for name in ("every function is listed", "the timer has fired"):
        assert findings[name].verdict is Verdict.UNKNOWN
        assert "azd env select" in findings[name].remedy


def test_the_functions_are_those_that_the_worker_lists() -> None:
    assert expected_functions() == WANTED.keys()


def test_a_function_that_is_missing_is_named(azure: Programs, app_url: str) -> None:
    azure.forget("az functionapp")
    azure.answer("az functionapp function list", ["func-abc/admin"])

    finding = found(app_url, **SIGNED_IN)["every function is listed"]

    assert finding.verdict is Verdict.FAILS
    assert "run_sync" in finding.detail


def test_without_a_registration_the_real_token_cannot_be_told(
    azure: Programs, app_url: str
) -> None:
    findings = found(app_url)

    assert findings["a real token is taken"].verdict is Verdict.UNKNOWN
    assert "python -m deploy entra" in findings["a real token is taken"].remedy
    assert Verdict.FAILS not in verdicts(findings)


def test_a_timer_that_was_not_seen_yet_is_no_fault(azure: Programs, app_url: str) -> None:
    azure.forget("az rest")
    azure.answer("az rest", {"tables": [{"name": "PrimaryResult", "rows": [[0]]}]})

    assert found(app_url)["the timer has fired"].verdict is Verdict.UNKNOWN


@pytest.fixture
def open_app() -> Iterator[str]:
    """What a wrong setting would make of the app in Azure: it believes a header that nobody takes off.

    Its timers are dead, too.
    """

    async def believing(request: Request) -> Response:
        if request.url.path == "/api/health":
            return JSONResponse({"status": "overdue", "message": "The timer has never fired."})
        shown = "x-ms-client-principal" in request.headers
        return JSONResponse({"items": []}, 200 if shown else 401)

    bound = loopback.listen()
    with loopback.InThread(Starlette(routes=[Route("/{path:path}", believing)]), bound):
        yield loopback.url_of(bound)


def test_an_app_that_believes_a_forged_header_is_stopped(azure: Programs, open_app: str) -> None:
    finding = found(open_app)["a forged principal is refused"]

    assert finding.verdict is Verdict.FAILS
    assert "az functionapp stop" in finding.remedy


def test_a_timer_that_the_app_itself_misses_is_a_fault(azure: Programs, open_app: str) -> None:
    finding = found(open_app)["the timer has fired"]

    assert (finding.verdict, finding.detail) == (Verdict.FAILS, "The timer has never fired.")


@pytest.fixture
def walled_app() -> Iterator[str]:
    """What App Service makes of the app with `Return401`: nobody gets through without a token but on the
    excluded paths, and its own refusal is empty.
    """

    async def answer(request: Request) -> Response:
        if request.url.path in code_paths():
            return PlainTextResponse(request.query_params["validationToken"])
        signed_in = request.headers.get("authorization") == "Bearer admin-token"
        return JSONResponse({"status": "ok"}) if signed_in else Response(status_code=401)

    route = Route("/{path:path}", answer, methods=["GET", "POST"])
    bound = loopback.listen()
    with loopback.InThread(Starlette(routes=[route]), bound):
        yield loopback.url_of(bound)


def code_paths() -> list[str]:
    paths: list[str] = json.loads((INFRA / "app" / "from_code.json").read_text())["excludedPaths"]
    return paths


def test_app_service_may_refuse_by_itself_whoever_has_no_token(
    azure: Programs, walled_app: str
) -> None:
    findings = found(walled_app, USERSYNC_UNAUTHENTICATED_ACTION="Return401", **SIGNED_IN)

    assert verdicts(findings) == {Verdict.OK}
    assert len(findings) == 8


def test_what_refuses_everybody_without_being_told_to_is_a_fault(
    azure: Programs, walled_app: str
) -> None:
    assert found(walled_app)["the app answers"].verdict is Verdict.FAILS


def test_a_look_of_a_request_in_the_timers_place_is_no_tick(azure: Programs, app_url: str) -> None:
    found(app_url, **SIGNED_IN)

    [asked] = [call for call in azure.calls("az") if call.startswith("az rest")]
    assert "startswith 'schedule.checked clock=timer '" in asked


def test_what_nobody_answers_is_told_once_and_not_looked_at_further(
    deploy: Deploy, programs: Programs
) -> None:
    programs.install("azd")
    programs.azd_values(deployed("http://localhost:9"))

    done = deploy("probe", "--pause", "0.01")

    assert done.returncode == 1
    assert done.stdout.count("FAILS") == 1
    assert "localhost did not answer" in done.stdout
    # Flex Consumption has no log stream: github.com/Azure/azure-functions-core-tools/issues/4585
    assert "log tail" not in done.stdout
    assert "exceptions" in done.stdout


def test_without_a_deployment_it_says_what_to_do(deploy: Deploy, programs: Programs) -> None:
    programs.install("azd")
    programs.answer("azd env get-values", code=1, err="no environment")

    done = deploy("probe")

    assert done.returncode == 1
    assert "Deploy first" in done.stderr
    assert "Traceback" not in done.stderr
