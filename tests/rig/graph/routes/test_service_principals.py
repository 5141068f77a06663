"""Enterprise applications and who is assigned to them."""

import pytest

from local.graph.control.base import ControlError
from local.sample import SAMPLE_GROUP_ID, sample_group_id
from tests.rig.graph.conftest import Application, error_code

APP_ID = "1e9e4a00-2222-4333-8444-555566667777"


@pytest.fixture
def reader_of_apps(application: Application) -> Application:
    application.emulator.control.set_roles(["User.Read.All", "Application.Read.All"])
    application.sign_in()
    return application


@pytest.fixture
def portal(application: Application) -> str:
    """The object id of an application's service principal."""
    created = application.emulator.control.create_enterprise_app("Customer portal", APP_ID)
    object_id: str = created["id"]
    return object_id


def test_users_and_groups_are_listed_page_by_page(reader_of_apps: Application, portal: str) -> None:
    control = reader_of_apps.emulator.control
    people = [person["id"] for person in control.people(top=3)]
    control.assign(portal, *people, SAMPLE_GROUP_ID)

    pages = reader_of_apps.pages(f"/servicePrincipals/{portal}/appRoleAssignedTo?$top=3")

    assert [len(page["value"]) for page in pages] == [3, 1]
    found = [(a["principalType"], a["principalId"]) for page in pages for a in page["value"]]
    assert found == [*(("User", person) for person in people), ("Group", SAMPLE_GROUP_ID)]
    first = pages[0]["value"][0]
    assert (first["resourceId"], first["resourceDisplayName"]) == (portal, "Customer portal")
    assert first["principalDisplayName"] == control.person(people[0])["displayName"]


@pytest.mark.parametrize("role", ["User.Read.All", "Group.Read.All"])
def test_reading_assignments_needs_to_read_applications(
    application: Application, portal: str, role: str
) -> None:
    application.emulator.control.set_roles([role])
    application.sign_in()

    answer = application.ask(f"/servicePrincipals/{portal}/appRoleAssignedTo")

    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")


def test_an_assignment_is_taken_back(reader_of_apps: Application, portal: str) -> None:
    control = reader_of_apps.emulator.control
    control.assign(portal, SAMPLE_GROUP_ID, sample_group_id(1))

    left = control.unassign(portal, SAMPLE_GROUP_ID)

    path = f"/servicePrincipals/{portal}/appRoleAssignedTo?$select=principalId"
    assert left["assigned"] == [{"id": sample_group_id(1), "type": "Group"}]
    assert reader_of_apps.items(path) == [{"principalId": sample_group_id(1)}]


def test_an_application_is_found_by_its_name(reader_of_apps: Application, portal: str) -> None:
    reader_of_apps.emulator.control.create_enterprise_app("Payroll", APP_ID[::-1])
    named = '/servicePrincipals?$search="displayName:portal"&$select=id'

    assert reader_of_apps.items(named, ConsistencyLevel="eventual") == [{"id": portal}]
    assert reader_of_apps.ask(f"/servicePrincipals/{portal}").json()["appId"] == APP_ID


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/servicePrincipals/{0}", 404, id="unknown"),
        pytest.param("/servicePrincipals/{0}/appRoleAssignedTo", 404, id="of an unknown one"),
        pytest.param("/servicePrincipals?$filter=appId eq 'x'", 400, id="no filter here"),
        pytest.param('/servicePrincipals?$search="displayName:a"', 400, id="search is advanced"),
    ],
)
def test_what_is_refused(reader_of_apps: Application, path: str, status: int) -> None:
    assert reader_of_apps.ask(path.format(APP_ID)).status_code == status


@pytest.mark.parametrize("principal", ["nobody@contoso.com", "not-an-id"])
def test_who_does_not_exist_is_not_assigned(
    application: Application, portal: str, principal: str
) -> None:
    with pytest.raises(ControlError, match="no person, group or other object"):
        application.emulator.control.assign(portal, principal)


def test_over_http(reader_of_apps: Application) -> None:
    base = f"{reader_of_apps.emulator.graph_url}/_control/enterpriseApps"
    http = reader_of_apps.http
    made = http.post(base, json={"displayName": "Portal", "appId": APP_ID}).json()
    body = {"principals": [SAMPLE_GROUP_ID]}

    assigned = http.post(f"{base}/{made['id']}/assigned", json=body).json()
    left = http.request("DELETE", f"{base}/{made['id']}/assigned", json=body).json()

    assert assigned["assigned"] == [{"id": SAMPLE_GROUP_ID, "type": "Group"}]
    assert (left["assigned"], http.get(base).json()) == ([], [left])
