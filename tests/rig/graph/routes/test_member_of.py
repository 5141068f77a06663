"""The groups of a person, direct and through nesting."""

from local.sample import SAMPLE_GROUP_ID, sample_group_id
from tests.rig.graph.conftest import Application, error_code, ids

ENGINEERING, SITE_RELIABILITY, SALES = (sample_group_id(n) for n in (1, 3, 4))
GROUPS = "microsoft.graph.group"


def test_direct_and_transitive_groups_of_a_person(reader: Application) -> None:
    """Somebody in Site Reliability is, through the chain, among the app's users."""
    member = reader.items(f"/groups/{SITE_RELIABILITY}/members?$select=id")[0]["id"]
    direct = ids(reader.items(f"/users/{member}/memberOf"))
    transitive = ids(reader.items(f"/users/{member}/transitiveMemberOf"))
    cast = ids(reader.counted_items(f"/users/{member}/transitiveMemberOf/{GROUPS}"))

    assert SITE_RELIABILITY in direct
    assert {SITE_RELIABILITY, ENGINEERING, SAMPLE_GROUP_ID} <= transitive
    assert direct < transitive
    assert cast == transitive


def test_a_cast_of_member_of_needs_the_pair(reader: Application) -> None:
    member = reader.items(f"/groups/{SALES}/members?$select=id")[0]["id"]

    answer = reader.ask(f"/users/{member}/memberOf/{GROUPS}")

    assert error_code(answer) == "Request_UnsupportedQuery"


def test_without_a_group_permission_the_groups_of_a_person_are_ids(
    application: Application,
) -> None:
    member = application.emulator.control.members(SALES)[0]
    application.emulator.control.set_roles(["User.Read.All"])
    application.sign_in()

    items = application.items(f"/users/{member}/memberOf?$select=id,displayName")

    assert SALES in ids(items)
    assert {item["displayName"] for item in items} == {None}


def test_the_groups_of_a_person_are_paged(reader: Application) -> None:
    member = reader.items(f"/groups/{SITE_RELIABILITY}/members?$select=id")[0]["id"]
    whole = reader.items(f"/users/{member}/transitiveMemberOf?$select=id")

    paged = reader.items(f"/users/{member}/transitiveMemberOf?$select=id&$top=2")

    assert len(whole) > 2
    assert paged == whole
