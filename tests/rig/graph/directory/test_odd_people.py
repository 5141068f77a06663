"""People and groups as a real tenant has them, and a tidy one has not."""

import pytest

from local.sample import SAMPLE_PLAN_ID, SAMPLE_SKU_ID, sample_group_id
from tests.rig.graph.conftest import Application, sync

SALES = sample_group_id(4)
MEMBERS = f"/groups/{SALES}/members/microsoft.graph.user?$select=id,userPrincipalName"
AGENT = "#microsoft.graph.agentUser"


def test_a_member_without_a_sign_in_name(application: Application) -> None:
    control = application.emulator.control
    person = control.members(SALES)[0]
    name = control.person(person)["userPrincipalName"]

    control.patch_person(person, {"userPrincipalName": None})

    seen = {one["id"]: one["userPrincipalName"] for one in application.counted_items(MEMBERS)}
    assert seen[person] is None
    assert None not in [seen[other] for other in seen if other != person]
    assert application.ask(f"/users/{name}").status_code == 404
    control.soft_delete(person)
    deleted = application.ask(f"/directory/deletedItems/{person}?$select=id,userPrincipalName")
    assert deleted.json()["userPrincipalName"] is None


def test_when_somebody_leaves_is_null_without_its_own_permission(application: Application) -> None:
    control = application.emulator.control
    person = control.members(SALES)[0]
    control.patch_person(person, {"employeeLeaveDateTime": "2026-12-31T00:00:00Z"})
    path = f"/users/{person}?$select=employeeLeaveDateTime"
    _, link = sync(application, "/users/delta?$select=id,employeeLeaveDateTime")
    hidden = application.ask(path).json()
    control.set_roles(["User.Read.All", "User-LifeCycleInfo.Read.All"])
    application.sign_in()
    control.patch_person(person, {"employeeLeaveDateTime": "2027-01-31T00:00:00Z"})

    seen = application.ask(path).json()
    told, _ = sync(application, link)

    assert hidden["employeeLeaveDateTime"] is None
    assert seen["employeeLeaveDateTime"] == "2027-01-31T00:00:00Z"
    assert told == [{"id": person, "employeeLeaveDateTime": "2027-01-31T00:00:00Z"}]


def test_an_account_of_an_agent_is_a_user_with_a_type_of_its_own(application: Application) -> None:
    control = application.emulator.control
    agent = control.create_person({"displayName": "Copilot", "identityParentId": SALES})["id"]
    control.add_members(SALES, agent)

    listed = {one["id"]: one.get("@odata.type") for one in application.items("/users?$select=id")}
    members = {one["id"]: one.get("@odata.type") for one in application.counted_items(MEMBERS)}
    mixed = application.items(f"/groups/{SALES}/members?$select=id")
    changed, _ = sync(application, "/users/delta?$select=id")

    assert (listed.pop(agent), set(listed.values())) == (AGENT, {None})
    assert (members.pop(agent), set(members.values())) == (AGENT, {None})
    assert {"@odata.type": AGENT, "id": agent} in mixed
    assert {"@odata.type": AGENT, "id": agent} in changed
    assert application.ask(f"/users/{agent}?$select=id").json()["@odata.type"] == AGENT


def test_the_sample_people_have_licences_in_every_state(reader: Application) -> None:
    people = reader.items("/users?$select=assignedLicenses,assignedPlans&$top=999")

    states = {
        (
            tuple((x["skuId"], tuple(x["disabledPlans"])) for x in one["assignedLicenses"]),
            tuple((x["servicePlanId"], x["capabilityStatus"]) for x in one["assignedPlans"]),
        )
        for one in people
    }
    whole, partly = (SAMPLE_SKU_ID, ()), (SAMPLE_SKU_ID, (SAMPLE_PLAN_ID,))
    assert states == {
        ((whole,), ((SAMPLE_PLAN_ID, "Enabled"),)),
        ((partly,), ((SAMPLE_PLAN_ID, "Deleted"),)),
        ((whole,), ((SAMPLE_PLAN_ID, "Suspended"),)),
        ((), ((SAMPLE_PLAN_ID, "Deleted"),)),
        ((), ()),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("assignedPlans", None, id="plans are null"),
        pytest.param(
            "identities",
            [
                {
                    "signInType": "emailAddress",
                    "issuer": "contoso.onmicrosoft.com",
                    "issuerAssignedId": "anna@example.org",
                }
            ],
            id="a local account",
        ),
        pytest.param("userType", "Guest", id="an employee turns into a guest"),
    ],
)
def test_what_a_person_has_can_be_set(application: Application, name: str, value: object) -> None:
    control = application.emulator.control
    person = control.members(SALES)[0]

    control.change_many("patch", keys=[person], values={name: value})

    assert application.ask(f"/users/{person}?$select={name}").json()[name] == value


def test_a_dynamic_group_is_emptied_and_fills_again(application: Application) -> None:
    control = application.emulator.control
    people = control.members(SALES)
    rule = 'user.department -eq "Sales"'
    group = control.create_group("Team North", members=people, membership_rule=rule)["id"]
    emptied = control.remove_members(group, *people)
    control.patch_group(group, {"membershipRuleProcessingState": "Paused"})
    path = f"/groups/{group}?$select=groupTypes,membershipRule,membershipRuleProcessingState"

    described = application.ask(path).json()
    described.pop("@odata.context")

    assert described == {
        "groupTypes": ["DynamicMembership"],
        "membershipRule": rule,
        "membershipRuleProcessingState": "Paused",
    }
    assert application.items(f"/groups/{group}/members") == []
    assert control.add_members(group, *emptied) == len(people)
    assert len(application.items(f"/groups/{group}/members")) == len(people)
