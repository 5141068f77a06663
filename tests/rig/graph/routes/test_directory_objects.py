"""Other objects of the directory: the organization, deleted items, an application, objects by id."""

import pytest

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, error_code, ids, sync

SALES, NEWS = (sample_group_id(n) for n in (4, 8))


def test_the_organization_names_its_domains(application: Application) -> None:
    application.emulator.control.set_roles(["Organization.Read.All"])
    application.sign_in()

    organization = application.ask("/organization").json()["value"][0]

    assert organization["displayName"] == "Contoso"
    assert [d["name"] for d in organization["verifiedDomains"] if d["isDefault"]] == ["contoso.com"]


@pytest.mark.parametrize("role", ["Application.Read.All", "Application.ReadWrite.OwnedBy"])
def test_an_app_can_read_when_its_secret_ends(application: Application, role: str) -> None:
    application.emulator.control.set_roles([role])
    application.sign_in()
    path = "/applications(appId='5a3b1e00-91c4-4f7e-8d2b-6b1f0c9e2d11')"

    document = application.ask(f"{path}?$select=passwordCredentials").json()

    credential = document["passwordCredentials"][0]
    assert document.keys() == {"@odata.context", "passwordCredentials"}
    assert credential["hint"] == "smp"
    assert credential["endDateTime"] > credential["startDateTime"]
    assert credential["secretText"] is None


def test_get_by_ids_leaves_out_what_it_cannot_find(application: Application) -> None:
    application.emulator.control.set_roles(["Directory.Read.All"])
    application.sign_in()
    user = application.ask("/users?$top=1&$select=id").json()["value"][0]["id"]
    body = {"ids": [user, SALES, SALES[::-1]], "types": ["user", "group"]}

    answer = application.ask("/directoryObjects/getByIds", method="POST", json=body)

    kinds = {item["id"]: item["@odata.type"] for item in answer.json()["value"]}
    assert kinds == {user: "#microsoft.graph.user", SALES: "#microsoft.graph.group"}


def test_get_by_ids_without_types_finds_every_kind(application: Application) -> None:
    control = application.emulator.control
    control.set_roles(["Directory.Read.All"])
    application.sign_in()
    others = next(group["others"] for group in control.groups() if group["others"])
    path = "/directoryObjects/getByIds"

    found = application.ask(path, method="POST", json={"ids": [SALES, *others]}).json()["value"]
    body = {"ids": [SALES, *others], "types": ["device"]}
    devices = application.ask(path, method="POST", json=body).json()["value"]

    assert {item["@odata.type"] for item in found} == {
        f"#microsoft.graph.{kind}" for kind in ("group", "device", "servicePrincipal", "orgContact")
    }
    assert [item["@odata.type"] for item in devices] == ["#microsoft.graph.device"]


def test_get_by_ids_needs_directory_read_all(reader: Application) -> None:
    answer = reader.ask("/directoryObjects/getByIds", method="POST", json={"ids": []})

    assert error_code(answer) == "Authorization_RequestDenied"


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        pytest.param("restorable", {NEWS, SALES}, id="restorable"),
        pytest.param("gone", {NEWS}, id="gone"),
    ],
)
def test_which_deleted_groups_are_kept(
    application: Application, setting: str, kept: set[str]
) -> None:
    """Microsoft's pages disagree about security groups; distribution groups go at once."""
    control = application.emulator.control
    control.settings(security_groups=setting)
    values = {"mailEnabled": True, "securityEnabled": False, "groupTypes": []}
    distribution = control.create_group("Newsletter", values=values)["id"]
    synced = control.create_group("From AD", values={"onPremisesSyncEnabled": True})["id"]
    for group in (NEWS, SALES, distribution, synced):
        control.delete_group(group)

    listed = application.items("/directory/deletedItems/microsoft.graph.group?$select=id")

    assert ids(listed) == kept
    for group in (NEWS, SALES, distribution, synced):
        found = application.ask(f"/directory/deletedItems/{group}?$select=id,deletedDateTime")
        assert found.status_code == (200 if group in kept else 404)


def test_a_restored_group_has_its_members_and_its_place(application: Application) -> None:
    control = application.emulator.control
    inside, outer = control.members(SALES), control.create_group("Outer", members=[SALES])["id"]
    control.delete_group(SALES)
    without = application.items(f"/groups/{outer}/members?$select=id")

    control.restore_group(SALES)

    assert without == []
    assert ids(application.items(f"/groups/{outer}/members?$select=id")) == {SALES}
    assert control.members(SALES) == inside


def test_a_deleted_group_is_gone_after_thirty_days(application: Application) -> None:
    control = application.emulator.control
    control.delete_group(SALES)
    _, link = sync(application, "/groups/delta?$select=displayName")
    control.advance_clock(6 * 86400)
    control.delete_group(NEWS, permanent=True)
    control.advance_clock(25 * 86400)

    path = f"/_control/groups/{SALES}/restore"
    answer = application.http.post(application.emulator.graph_url + path)

    assert answer.status_code == 404
    assert application.items("/directory/deletedItems/microsoft.graph.group") == []
    assert application.ask(link).status_code == 410


def test_deleted_users_are_paged(application: Application) -> None:
    application.emulator.control.change_many("softDelete", count=7)

    pages = application.pages("/directory/deletedItems/microsoft.graph.user?$select=id&$top=4")

    assert [len(page["value"]) for page in pages] == [4, 4, 1]


def test_an_application_is_read_in_its_home_tenant_only(application: Application) -> None:
    application.emulator.control.set_roles(["Application.Read.All"])
    application.sign_in()
    fabrikam = "fab31e00-2c8d-4a6f-b1e7-94d0a7c3f512"

    assert application.ask(f"/applications(appId='{fabrikam}')").status_code == 404
