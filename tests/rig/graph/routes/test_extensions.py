"""Directory extensions: who may see which."""

from urllib.parse import quote

import pytest

from local.sample import COST_CENTER, EXTENSION_APP_ID, SAMPLE_ROLES
from tests.rig.graph.conftest import Application, error_code

WITH_EXTENSIONS = f"/applications?$filter={quote('extensionProperties/$count ne 0')}"


def granted(application: Application, *roles: str) -> Application:
    application.emulator.control.set_roles([*SAMPLE_ROLES, *roles])
    application.sign_in()
    return application


def test_available_extensions_need_to_read_the_directory(application: Application) -> None:
    path = "/directoryObjects/getAvailableExtensionProperties"
    refused = granted(application, "Application.Read.All").ask(path, method="POST", json={})
    answer = granted(application, "Directory.Read.All").ask(path, method="POST", json={})
    synced = application.ask(path, method="POST", json={"isSyncedFromOnPremises": True})

    assert (refused.status_code, error_code(refused)) == (403, "Authorization_RequestDenied")
    [extension] = answer.json()["value"]
    assert (extension["name"], extension["targetObjects"]) == (COST_CENTER, ["User"])
    assert synced.json()["value"] == []


def test_an_applications_extensions_need_to_read_applications(application: Application) -> None:
    refused = application.ask("/applications")
    granted(application, "Application.Read.All")
    [owner] = application.eventual(f"{WITH_EXTENSIONS}&$count=true").json()["value"]
    found = application.ask(f"/applications/{owner['id']}/extensionProperties").json()["value"]

    assert error_code(refused) == "Authorization_RequestDenied"
    assert owner["appId"] == EXTENSION_APP_ID
    assert [one["name"] for one in found] == [COST_CENTER]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"{WITH_EXTENSIONS}&$count=true", 400, id="no header"),
        pytest.param("/applications?$filter=displayName eq 'x'", 400, id="another filter"),
        pytest.param("/applications?$select=secret", 400, id="unknown property"),
        pytest.param("/applications?$select=displayName", 200, id="all of the tenant"),
        pytest.param("/applications/7a1e/extensionProperties", 404, id="no such application"),
    ],
)
def test_what_graph_refuses_is_refused(application: Application, path: str, status: int) -> None:
    assert granted(application, "Application.Read.All").ask(path).status_code == status
