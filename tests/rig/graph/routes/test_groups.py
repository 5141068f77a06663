"""Groups, their members and the groups of a person, as Graph answers and refuses."""

from urllib.parse import quote

import pytest

from local.graph.directory.directory import Group
from local.sample import SAMPLE_GROUP_ID, sample_group_id
from tests.rig.graph.conftest import Application, Document, error_code

ENGINEERING, SITE_RELIABILITY, SALES = (sample_group_id(n) for n in (1, 3, 4))
NEWS, EVERYBODY, HIDDEN, EMPTY = (sample_group_id(n) for n in (8, 9, 10, 11))
PAIR = "$count=true"
USERS = "microsoft.graph.user"
GROUPS = "microsoft.graph.group"


def ids(items: list[Document]) -> set[str]:
    return {item["id"] for item in items}


def by_cast(application: Application, path: str) -> set[str]:
    joint = "&" if "?" in path else "?"
    return ids(application.items(f"{path}{joint}{PAIR}", ConsistencyLevel="eventual"))


def group_of(application: Application, group_id: str) -> Group:
    tenants = application.emulator.service.registry.tenants.values()
    return next(t.directory.groups[group_id] for t in tenants if group_id in t.directory.groups)


# The list of groups


def test_groups_come_with_their_default_properties(reader: Application) -> None:
    group = reader.ask("/groups?$top=1").json()["value"][0]

    assert {"id", "displayName", "groupTypes", "securityEnabled", "visibility"} <= group.keys()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("$filter=displayName eq 'sales'", {"Sales"}, id="eq"),
        pytest.param(
            "$filter=startsWith(displayName,'s')", {"Sales", "Site Reliability", "Shared Services"},
            id="startsWith",
        ),
        pytest.param(
            "$filter=groupTypes/any(t:t eq 'Unified')", {"Company News", "Project Aurora"}, id="any"
        ),
    ],
)  # fmt: skip
def test_groups_can_be_filtered(reader: Application, query: str, names: set[str]) -> None:
    found = reader.items(f"/groups?{query}&$select=displayName")

    assert {group["displayName"] for group in found} == names


@pytest.mark.parametrize(
    ("search", "status"),
    [
        pytest.param('"displayName:say \\"hi\\""', 200, id="escaped quote"),
        pytest.param('"displayName:a\\\\b"', 200, id="escaped backslash"),
        pytest.param('"displayName:say "hi""', 400, id="bare quote"),
        pytest.param('"displayName:a\\"', 400, id="bare backslash at the end"),
    ],
)
def test_quotes_and_backslashes_are_escaped_in_a_search(
    reader: Application, search: str, status: int
) -> None:
    assert reader.eventual(f"/groups?$search={quote(search)}").status_code == status


def test_groups_can_be_searched(reader: Application) -> None:
    search = quote('"displayName:engin"')
    found = reader.eventual(f"/groups?$search={search}&$select=displayName").json()["value"]

    assert [group["displayName"] for group in found] == ["Engineering", "Platform Engineering"]


def test_groups_are_paged(reader: Application) -> None:
    pages = reader.pages("/groups?$select=id&$top=5")

    assert [len(page["value"]) for page in pages] == [5, 5, 2]


def test_one_group_and_a_missing_one(reader: Application) -> None:
    answer = reader.ask(f"/groups/{SALES}?$select=id,displayName")
    missing = reader.ask(f"/groups/{SALES[::-1]}")

    document = answer.json()
    document.pop("@odata.context")
    assert document == {"id": SALES, "displayName": "Sales"}
    assert (missing.status_code, error_code(missing)) == (404, "Request_ResourceNotFound")


# Members


def test_members_hold_users_groups_and_other_objects(reader: Application) -> None:
    """Service principals are left out of /members: a known issue of v1.0."""
    direct = reader.items(f"/groups/{SITE_RELIABILITY}/members?$top=999")
    transitive = reader.items(f"/groups/{SITE_RELIABILITY}/transitiveMembers?$top=999")
    nested = reader.items(f"/groups/{SALES}/members?$top=999")

    kinds = {item["@odata.type"].removeprefix("#microsoft.graph.") for item in direct}
    assert kinds == {"user", "device", "orgContact"}
    assert "#microsoft.graph.servicePrincipal" in {item["@odata.type"] for item in transitive}
    assert "#microsoft.graph.group" in {item["@odata.type"] for item in nested}


def test_members_are_paged_people_first_and_each_once(reader: Application) -> None:
    whole = reader.items(f"/groups/{SALES}/members?$select=id&$top=999")
    paged = reader.items(f"/groups/{SALES}/members?$select=id&$top=7")

    assert [item["id"] for item in paged] == [item["id"] for item in whole]
    assert len(ids(whole)) == len(whole)


def test_a_cast_gives_users_only_and_without_a_type(reader: Application) -> None:
    items = reader.items(
        f"/groups/{SALES}/members/{USERS}?$select=id,mail&{PAIR}", ConsistencyLevel="eventual"
    )

    assert items
    assert all(item.keys() == {"id", "mail"} for item in items)


@pytest.mark.parametrize("part", ["members", "transitiveMembers"])
@pytest.mark.parametrize("cast", [USERS, "graph.user", GROUPS])
def test_a_cast_needs_the_pair(reader: Application, part: str, cast: str) -> None:
    path = f"/groups/{SALES}/{part}/{cast}"
    refused = [
        reader.ask(path),
        reader.ask(f"{path}?{PAIR}"),
        reader.eventual(path),
        reader.eventual(f"{path}?$select=id&$top=5"),
    ]

    assert [error_code(answer) for answer in refused] == ["Request_UnsupportedQuery"] * 4
    assert reader.eventual(f"{path}?{PAIR}").status_code == 200


def test_the_pages_of_a_cast_need_the_header_again(reader: Application) -> None:
    first = reader.eventual(f"/groups/{EVERYBODY}/members/{USERS}?$top=50&{PAIR}").json()

    second = reader.ask(first["@odata.nextLink"])

    assert first["@odata.count"] == 268
    assert error_code(second) == "Directory_ExpiredPageToken"


@pytest.mark.parametrize(
    "query", ["$filter=startsWith(displayName,'a')", "$orderby=displayName", "$expand=manager"]
)
def test_members_without_a_cast_take_select_and_top_only(reader: Application, query: str) -> None:
    assert reader.eventual(f"/groups/{SALES}/members?{query}&{PAIR}").status_code == 400


@pytest.mark.parametrize("query", ["$expand=manager", "$expand=manager&$select=id&$top=9"])
def test_an_application_may_not_expand_the_managers_of_members(
    reader: Application, query: str
) -> None:
    answer = reader.ask(f"/groups/{SALES}/members/{USERS}?{query}")
    with_pair = reader.eventual(f"/groups/{SALES}/members/{USERS}?{query}&{PAIR}")

    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")
    assert (with_pair.status_code, error_code(with_pair)) == (400, "Request_UnsupportedQuery")


def test_a_cast_can_be_filtered(reader: Application) -> None:
    path = f"/groups/{EVERYBODY}/members/{USERS}?$select=id,department&$filter="
    found = reader.items(f"{path}department eq 'Sales'&{PAIR}", ConsistencyLevel="eventual")

    assert found
    assert {item["department"] for item in found} == {"Sales"}


def test_a_cast_to_group_on_a_microsoft_365_group_is_refused(reader: Application) -> None:
    answer = reader.eventual(f"/groups/{NEWS}/members/{GROUPS}?{PAIR}")

    assert (answer.status_code, error_code(answer)) == (400, "Request_UnsupportedQuery")


def test_an_unknown_cast_is_refused(reader: Application) -> None:
    answer = reader.eventual(f"/groups/{SALES}/members/microsoft.graph.planet?{PAIR}")

    assert answer.status_code == 400


def test_an_empty_group_has_no_members(reader: Application) -> None:
    assert reader.items(f"/groups/{EMPTY}/members") == []


def test_transitive_members_walk_chain_cycle_and_diamond_once(reader: Application) -> None:
    """What the walk by hand finds is what transitiveMembers tells, nobody twice."""
    waiting, seen, walked = [SAMPLE_GROUP_ID], set(), set()
    while waiting:
        group_id = waiting.pop()
        if group_id in seen:
            continue
        seen.add(group_id)
        walked |= by_cast(reader, f"/groups/{group_id}/members/{USERS}")
        waiting += by_cast(reader, f"/groups/{group_id}/members/{GROUPS}")
    path = f"/groups/{SAMPLE_GROUP_ID}/transitiveMembers"
    told = reader.items(f"{path}/{USERS}?{PAIR}", ConsistencyLevel="eventual")

    assert ids(told) == walked
    assert len(told) == len(walked) > 200
    assert by_cast(reader, f"{path}/{GROUPS}") == seen - {SAMPLE_GROUP_ID}


def test_soft_deleted_people_keep_their_membership_but_are_not_listed(
    application: Application,
) -> None:
    control = application.emulator.control
    member = control.members(SALES)[0]
    path = f"/groups/{SALES}/members/{USERS}"
    control.soft_delete(member)
    without = by_cast(application, path)
    control.restore(member)

    assert member not in without
    assert member in by_cast(application, path)


def test_people_deleted_for_good_leave_their_groups(application: Application) -> None:
    control = application.emulator.control
    member = control.members(SALES)[0]
    number = application.emulator.service.registry.tenants[
        next(iter(application.emulator.service.registry.tenants))
    ].directory.person(member)
    control.hard_delete(member)

    assert number not in group_of(application, SALES).people


# What an application may see


def test_hidden_members_need_a_permission_of_their_own(application: Application) -> None:
    refused = application.ask(f"/groups/{HIDDEN}/members")
    application.emulator.control.set_roles(
        ["User.Read.All", "Group.Read.All", "Member.Read.Hidden"]
    )
    application.sign_in()

    assert error_code(refused) == "Authorization_RequestDenied"
    assert application.ask(f"/groups/{HIDDEN}/members").status_code == 200


@pytest.mark.parametrize("part", ["members", "transitiveMembers"])
def test_without_reading_users_members_are_ids_with_nulls(
    application: Application, part: str
) -> None:
    """The limited information trap: 200, and everything but type and id is null."""
    application.emulator.control.set_roles(["GroupMember.Read.All"])
    application.sign_in()

    items = application.items(
        f"/groups/{SALES}/{part}/{USERS}?$select=id,displayName,accountEnabled&{PAIR}",
        ConsistencyLevel="eventual",
    )

    assert items
    for item in items:
        assert item.keys() == {"@odata.type", "id", "displayName", "accountEnabled"}
        assert item["id"]
        assert item["displayName"] is None
        assert item["accountEnabled"] is None


@pytest.mark.parametrize(
    ("roles", "path", "status"),
    [
        pytest.param(["GroupMember.ReadBasic.All"], "members", 200, id="basic reads members"),
        pytest.param(["GroupMember.ReadBasic.All"], "transitiveMembers", 403, id="not nested ones"),
        pytest.param(["GroupMember.Read.All"], "transitiveMembers", 200, id="group members"),
        pytest.param(["Directory.Read.All"], "transitiveMembers", 200, id="directory"),
        pytest.param(["User.Read.All"], "members", 403, id="users only"),
        pytest.param([], "members", 403, id="nothing"),
    ],
)
def test_members_need_a_group_permission(
    application: Application, roles: list[str], path: str, status: int
) -> None:
    application.emulator.control.set_roles(roles)
    application.sign_in()

    assert application.ask(f"/groups/{SALES}/{path}").status_code == status


@pytest.mark.parametrize(
    ("roles", "path"),
    [
        pytest.param(["Group.Read.All"], "/users", id="users"),
        pytest.param(["Group.Read.All"], "/users/delta", id="user delta"),
        pytest.param(["User.Read.All"], "/groups", id="groups"),
        pytest.param(["User.Read.All"], "/groups/delta", id="group delta"),
        pytest.param(["User.Read.All", "Group.Read.All"], "/organization", id="organization"),
        pytest.param(
            ["User.Read.All"], "/applications(appId='5a3b1e00-91c4-4f7e-8d2b-6b1f0c9e2d11')",
            id="application",
        ),
        pytest.param(
            ["Group.Read.All"], "/directory/deletedItems/microsoft.graph.user", id="deleted users"
        ),
    ],
)  # fmt: skip
def test_each_call_needs_its_permission(
    application: Application, roles: list[str], path: str
) -> None:
    application.emulator.control.set_roles(roles)
    application.sign_in()

    answer = application.ask(path)

    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")


# The groups of a person


def test_direct_and_transitive_groups_of_a_person(reader: Application) -> None:
    """Somebody in Site Reliability is, through the chain, among the app's users."""
    member = reader.items(f"/groups/{SITE_RELIABILITY}/members?$select=id")[0]["id"]
    direct = ids(reader.items(f"/users/{member}/memberOf"))
    transitive = ids(reader.items(f"/users/{member}/transitiveMemberOf"))
    cast = by_cast(reader, f"/users/{member}/transitiveMemberOf/{GROUPS}")

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


def check(application: Application, key: str, group_ids: list[str]) -> list[str]:
    answer = application.ask(
        f"/users/{key}/checkMemberGroups", method="POST", json={"groupIds": group_ids}
    )
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["value"]
    return found


def test_check_member_groups_sees_through_nesting(reader: Application) -> None:
    member = reader.items(f"/groups/{SITE_RELIABILITY}/members?$select=id")[0]["id"]

    found = check(reader, member, [SAMPLE_GROUP_ID, EMPTY, SITE_RELIABILITY])

    assert found == [SAMPLE_GROUP_ID, SITE_RELIABILITY]


@pytest.mark.parametrize(("count", "status"), [(20, 200), (21, 400)])
def test_check_member_groups_takes_twenty(reader: Application, count: int, status: int) -> None:
    member = reader.items(f"/groups/{SALES}/members?$select=id")[0]["id"]

    answer = reader.ask(
        f"/users/{member}/checkMemberGroups", method="POST", json={"groupIds": [SALES] * count}
    )

    assert answer.status_code == status


# Other objects of the directory


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


def test_get_by_ids_needs_directory_read_all(reader: Application) -> None:
    answer = reader.ask("/directoryObjects/getByIds", method="POST", json={"ids": []})

    assert error_code(answer) == "Authorization_RequestDenied"


def test_deleted_microsoft_365_groups_are_kept_and_security_groups_are_not(
    application: Application,
) -> None:
    application.emulator.control.delete_group(NEWS)
    application.emulator.control.delete_group(SALES)

    listed = application.items("/directory/deletedItems/microsoft.graph.group?$select=id")

    assert ids(listed) == {NEWS}


def test_deleted_users_are_paged(application: Application) -> None:
    application.emulator.control.change_many("softDelete", count=7)

    pages = application.pages("/directory/deletedItems/microsoft.graph.user?$select=id&$top=4")

    assert [len(page["value"]) for page in pages] == [4, 4, 1]


def test_the_groups_of_a_person_are_paged(reader: Application) -> None:
    member = reader.items(f"/groups/{SITE_RELIABILITY}/members?$select=id")[0]["id"]
    whole = reader.items(f"/users/{member}/transitiveMemberOf?$select=id")

    paged = reader.items(f"/users/{member}/transitiveMemberOf?$select=id&$top=2")

    assert len(whole) > 2
    assert paged == whole


def test_an_application_is_read_in_its_home_tenant_only(application: Application) -> None:
    application.emulator.control.set_roles(["Application.Read.All"])
    application.sign_in()
    fabrikam = "fab31e00-2c8d-4a6f-b1e7-94d0a7c3f512"

    assert application.ask(f"/applications(appId='{fabrikam}')").status_code == 404


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"{", "application/json", id="broken"),
        pytest.param(b"[]", "application/json", id="not an object"),
        pytest.param(b"{}", "text/plain", id="not declared as JSON"),
        pytest.param(b"{}", "application/json", id="nothing in it"),
    ],
)
def test_a_body_that_says_nothing_is_refused(
    reader: Application, content: bytes, kind: str
) -> None:
    answer = reader.http.post(
        f"{reader.emulator.graph_url}/v1.0/$batch",
        content=content,
        headers={"Authorization": f"Bearer {reader.token}", "Content-Type": kind},
    )

    assert answer.status_code == 400
