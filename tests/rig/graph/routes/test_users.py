"""Listing and reading users as Graph does it: pages, $select, defaults, refusals."""

from urllib.parse import quote

import pytest

from local.sample import COST_CENTER, SAMPLE_GROUP_ID, sample_group_id
from tests.rig.graph.conftest import Application, error_code

SITE_RELIABILITY, SALES, HIDDEN, EMPTY = (sample_group_id(n) for n in (3, 4, 10, 11))
DEFAULTS = {
    "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
}  # fmt: skip


def test_without_select_only_the_default_properties_come(reader: Application) -> None:
    user = reader.ask("/users?$top=1").json()["value"][0]

    assert user.keys() == DEFAULTS


def test_with_select_nothing_else_comes_and_what_is_unset_is_null(reader: Application) -> None:
    users = reader.items("/users?$select=displayName,department&$top=999")

    assert all(user.keys() == {"displayName", "department"} for user in users)
    assert any(user["department"] is None for user in users)


def test_a_directory_extension_that_is_not_set_is_left_out(reader: Application) -> None:
    users = reader.items(f"/users?$select=id,{COST_CENTER}&$top=999")

    told = [user for user in users if COST_CENTER in user]
    assert 0 < len(told) < len(users)
    assert all(user[COST_CENTER] for user in told)


def test_pages_hold_everybody_once(reader: Application) -> None:
    pages = reader.pages("/users?$select=id&$top=70")

    ids = [user["id"] for page in pages for user in page["value"]]
    assert [len(page["value"]) for page in pages] == [70, 70, 70, 70, 20]
    assert len(set(ids)) == 300


def test_a_page_has_a_hundred_users_unless_told_otherwise(reader: Application) -> None:
    assert len(reader.ask("/users").json()["value"]) == 100


def test_the_last_page_has_no_link_even_when_it_is_full(reader: Application) -> None:
    pages = reader.pages("/users?$select=id&$top=150")

    assert [len(page["value"]) for page in pages] == [150, 150]


@pytest.mark.parametrize("top", ["1", "999"])
def test_top_takes_1_to_999(reader: Application, top: str) -> None:
    assert reader.ask(f"/users?$top={top}").status_code == 200


@pytest.mark.parametrize("top", ["0", "1000", "-1", "ten", ""])
def test_top_refuses_anything_else(reader: Application, top: str) -> None:
    answer = reader.ask(f"/users?$top={top}")

    assert (answer.status_code, error_code(answer)) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        pytest.param("$skip=5", 400, "Request_BadRequest", id="skip"),
        pytest.param("$expand=directReports", 400, "Request_UnsupportedQuery", id="expand"),
        pytest.param("$expand=manager,memberOf", 400, "Request_UnsupportedQuery", id="expand two"),
        pytest.param(
            "$expand=manager($levels=max)", 400, "Request_UnsupportedQuery", id="chain of managers"
        ),
        pytest.param(
            "$expand=manager($select=id)", 400, "Request_BadRequest", id="options in expand"
        ),
        pytest.param("$expand=manager/manager", 400, "Request_UnsupportedQuery", id="two levels"),
        pytest.param("$select=id,manager", 400, "BadRequest", id="manager selected"),
        pytest.param("$nonsense=1", 400, "Request_BadRequest", id="unknown option"),
        pytest.param("top=5", 400, "Request_BadRequest", id="option without its dollar"),
        pytest.param("$top=5&$top=6", 400, "Request_BadRequest", id="twice"),
        pytest.param("$select=id,shoeSize", 400, "BadRequest", id="unknown property"),
        pytest.param("$select=id,aboutMe", 501, "NotImplemented", id="one user at a time"),
        pytest.param("$filter=", 400, "Request_BadRequest", id="empty filter"),
        pytest.param("$count=maybe", 400, "Request_BadRequest", id="count is not a boolean"),
        pytest.param("$deltatoken=latest", 400, "Request_BadRequest", id="a token of delta"),
        pytest.param('$search="displayName:a"', 400, "Request_UnsupportedQuery", id="search"),
        pytest.param("$orderby=department", 400, "Request_UnsupportedQuery", id="orderby"),
        pytest.param(
            "$orderby=displayName&$filter=userType eq 'Guest'", 400, "Request_UnsupportedQuery",
            id="orderby with filter",
        ),
    ],
)  # fmt: skip
def test_what_graph_refuses_is_refused(
    reader: Application, query: str, status: int, code: str
) -> None:
    answer = reader.ask(f"/users?{query}")

    assert (answer.status_code, error_code(answer)) == (status, code)


def test_an_error_has_graphs_body_and_echoes_the_client_request_id(reader: Application) -> None:
    answer = reader.ask("/users?$skip=1", client_request_id="11112222-3333")

    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "innerError"}
    assert error["innerError"].keys() == {"date", "request-id", "client-request-id"}
    assert error["innerError"]["client-request-id"] == "11112222-3333"
    assert answer.headers["client-request-id"] == "11112222-3333"
    assert answer.headers["request-id"] == error["innerError"]["request-id"]


def test_count_without_the_header_is_ignored_silently(reader: Application) -> None:
    answer = reader.ask("/users?$count=true&$top=1")

    assert answer.status_code == 200
    assert "@odata.count" not in answer.json()


def test_count_is_told_on_the_first_page_only(reader: Application) -> None:
    pages = reader.pages("/users?$count=true&$top=200&$select=id", ConsistencyLevel="eventual")

    assert [page.get("@odata.count") for page in pages] == [300, None]


def test_the_header_is_not_carried_by_a_link(reader: Application) -> None:
    link = reader.eventual("/users?$count=true&$top=5").json()["@odata.nextLink"]

    answer = reader.ask(link)

    assert (answer.status_code, error_code(answer)) == (400, "Directory_ExpiredPageToken")


def test_a_link_takes_no_further_parameters(reader: Application) -> None:
    link = reader.ask("/users?$top=5").json()["@odata.nextLink"]

    assert reader.ask(f"{link}&$top=5").status_code == 400


def test_a_link_is_absolute_and_hides_its_parameters(reader: Application) -> None:
    link = reader.ask("/users?$top=5&$select=id").json()["@odata.nextLink"]

    assert link.startswith(f"{reader.emulator.graph_url}/v1.0/users?$skiptoken=")
    assert "$top" not in link
    assert "$select" not in link


def test_the_pages_of_a_search_need_the_header_again(reader: Application) -> None:
    search = quote('"userPrincipalName:contoso"')
    first = reader.eventual(f"/users?$search={search}&$top=5&$select=id")

    second = reader.ask(first.json()["@odata.nextLink"])

    assert error_code(second) == "Directory_ExpiredPageToken"


def test_text_that_was_never_a_token_is_expired(reader: Application) -> None:
    assert error_code(reader.ask("/users?$skiptoken=x")) == "Directory_ExpiredPageToken"


@pytest.mark.parametrize("change", ["x", "-middle-"], ids=["longer", "changed inside"])
def test_a_link_that_was_changed_is_expired(reader: Application, change: str) -> None:
    link = reader.ask("/users?$top=5").json()["@odata.nextLink"]
    middle = len(link) - 20
    changed = link + "AAAA" if change == "x" else link[:middle] + "AAAA" + link[middle + 4 :]

    assert error_code(reader.ask(changed)) == "Directory_ExpiredPageToken"


def test_a_link_of_one_collection_is_of_no_use_for_another(reader: Application) -> None:
    token = reader.ask("/users?$top=5").json()["@odata.nextLink"].partition("?")[2]

    assert error_code(reader.ask(f"/groups?{token}")) == "Directory_ExpiredPageToken"


def test_users_count_is_plain_text_and_needs_the_header(reader: Application) -> None:
    answer, refused = reader.eventual("/users/$count"), reader.ask("/users/$count")

    assert (answer.text, answer.headers["content-type"]) == ("300", "text/plain")
    assert (refused.status_code, error_code(refused)) == (400, "Request_BadRequest")


def test_users_count_takes_a_filter(reader: Application) -> None:
    answer = reader.eventual("/users/$count?$filter=userType eq 'Guest'")

    assert answer.text == "19"


def test_one_user_by_id_and_by_principal_name(reader: Application) -> None:
    """Also with an apostrophe, and with the #EXT# of a guest, encoded."""
    users = reader.items("/users?$select=id,userPrincipalName&$top=999")
    odd = [u for u in users if "'" in u["userPrincipalName"] or "#" in u["userPrincipalName"]]
    found = {
        user["id"]: reader.ask(f"/users/{quote(user['userPrincipalName'])}?$select=id").json()["id"]
        for user in odd[:12]
    }

    assert len(found) == 12
    assert all(by_id == by_name for by_id, by_name in found.items())


def test_an_unknown_user_is_404(reader: Application) -> None:
    answer = reader.ask("/users/nobody@contoso.com")

    assert (answer.status_code, error_code(answer)) == (404, "Request_ResourceNotFound")


def test_a_soft_deleted_user_is_404_and_in_deleted_items(application: Application) -> None:
    user = application.ask("/users?$top=1").json()["value"][0]
    application.emulator.control.soft_delete(user["id"])

    answer = application.ask(f"/users/{user['id']}")
    deleted = application.ask(f"/directory/deletedItems/{user['id']}").json()
    listed = application.items("/directory/deletedItems/microsoft.graph.user")

    assert answer.status_code == 404
    assert deleted["@odata.type"] == "#microsoft.graph.user"
    assert deleted["deletedDateTime"]
    assert deleted["userPrincipalName"].startswith(user["id"].replace("-", ""))
    assert user["id"] in {item["id"] for item in listed}


def test_what_was_deleted_for_good_is_nowhere(application: Application) -> None:
    user = application.ask("/users?$top=1").json()["value"][0]
    application.emulator.control.hard_delete(user["id"])

    assert application.ask(f"/users/{user['id']}").status_code == 404
    assert application.ask(f"/directory/deletedItems/{user['id']}").status_code == 404


def test_the_manager_of_a_user(reader: Application) -> None:
    users = reader.items("/users?$select=id,userType&$top=40")
    answers = [reader.ask(f"/users/{user['id']}/manager?$select=id") for user in users[:40]]

    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 404}
    assert answers[0].status_code == 404, "the first employee reports to nobody"


def test_an_expanded_manager_has_the_default_properties(reader: Application) -> None:
    """Who has none has no such property at all."""
    users = reader.items("/users?$select=id&$expand=manager")
    ids = {user["id"] for user in users}

    told = [user["manager"] for user in users if "manager" in user]
    assert 0 < len(told) < len(users) == 300
    assert all(manager.keys() == DEFAULTS | {"@odata.type"} for manager in told)
    assert {manager["@odata.type"] for manager in told} == {"#microsoft.graph.user"}
    assert {manager["id"] for manager in told} <= ids


def test_one_user_tells_the_manager_as_well(reader: Application) -> None:
    users = reader.items("/users?$select=id,displayName&$expand=manager&$top=40")

    for user in users[:20]:
        alone = reader.ask(f"/users/{user['id']}?$select=id,displayName&$expand=manager").json()
        assert alone.pop("@odata.context")
        assert alone == user


def test_a_page_with_managers_holds_a_hundred_people(reader: Application) -> None:
    pages = reader.pages("/users?$select=id&$expand=manager&$top=999")

    assert [len(page["value"]) for page in pages] == [100, 100, 100]


@pytest.mark.parametrize(
    "path",
    ["/users?$expand=manager&$count=true", "/users?$expand=manager", "/users/{}?$expand=manager"],
)
def test_managers_do_not_go_with_advanced_queries(reader: Application, path: str) -> None:
    someone = reader.ask("/users?$top=1&$select=id").json()["value"][0]["id"]

    answer = reader.eventual(path.format(someone))

    assert (answer.status_code, error_code(answer)) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize(("many", "status"), [(15, 200), (16, 400)])
def test_fifteen_people_can_be_asked_for_at_once(
    reader: Application, many: int, status: int
) -> None:
    ids = [user["id"] for user in reader.items("/users?$select=id&$top=999")[:many]]
    condition = quote("id in ({})".format(",".join(f"'{one}'" for one in ids)))

    answer = reader.ask(f"/users?$filter={condition}&$select=id&$expand=manager&$top=15")

    assert answer.status_code == status
    if status == 200:
        assert {user["id"] for user in answer.json()["value"]} == set(ids)


def test_a_manager_who_is_deleted_is_nobodys_until_restored(application: Application) -> None:
    control = application.emulator.control
    boss, person = (control.create_person({"displayName": name})["id"] for name in ("B O", "P E"))
    control.patch_person(person, {"manager": boss})

    def told() -> str | None:
        answer = application.ask(f"/users/{person}?$select=id&$expand=manager").json()
        return answer.get("manager", {}).get("id")  # type: ignore[no-any-return]

    assert told() == boss
    control.soft_delete(boss)
    assert told() is None
    control.restore(boss)
    assert told() == boss
    control.hard_delete(boss)
    assert told() is None


def test_a_manager_can_be_cleared(application: Application) -> None:
    users = application.items("/users?$select=id&$expand=manager")
    person = next(user["id"] for user in users if "manager" in user)
    application.emulator.control.patch_person(person, {"manager": None})

    answer = application.ask(f"/users/{person}?$select=id&$expand=manager").json()

    assert "manager" not in answer


def test_hidden_managers_are_left_out_without_a_word(application: Application) -> None:
    application.emulator.control.add_fault("hiddenManagers")
    users = application.items("/users?$select=id&$expand=manager")

    answer = application.ask(f"/users/{users[-1]['id']}/manager?$select=id")

    assert not any("manager" in user for user in users)
    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")


def test_orderby_sorts_over_all_pages(reader: Application) -> None:
    users = reader.items("/users?$select=displayName&$orderby=displayName desc&$top=60")

    names = [user["displayName"].casefold() for user in users]
    assert len(names) == 300
    assert names == sorted(names, reverse=True)


@pytest.mark.parametrize(
    ("search", "finds"),
    [
        pytest.param('"displayName:rien"', False, id="inside a word"),
        pytest.param('"displayName:o\'brien"', True, id="apostrophe"),
        pytest.param('"displayName:mül"', True, id="start of the second word"),
        pytest.param('"displayName:xyz" OR "mail:anna"', True, id="or"),
        pytest.param('"displayName:anna" AND "mail:xyz"', False, id="and"),
    ],
)
def test_search_matches_the_beginning_of_words(
    reader: Application, search: str, finds: bool
) -> None:
    answer = reader.eventual(f"/users?$search={quote(search)}&$select=displayName")

    assert bool(answer.json()["value"]) is finds


@pytest.mark.parametrize(
    "search", ["displayName:anna", '"department:Sales"', '"anna"', '"mail:a" or "mail:b"']
)
def test_a_search_that_graph_does_not_take_is_refused(reader: Application, search: str) -> None:
    assert reader.eventual(f"/users?$search={quote(search)}").status_code == 400


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


def test_check_member_groups_leaves_out_what_it_cannot_evaluate(application: Application) -> None:
    """learn.microsoft.com/graph/api/directoryobject-checkmembergroups: in silence."""
    control = application.emulator.control
    member, unknown = control.members(SALES)[0], "11111111-2222-4333-8444-555555555555"
    control.add_members(HIDDEN, member)
    asked = [HIDDEN, SALES, unknown, member]

    without = check(application, member, asked)
    control.set_roles(["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"])
    application.sign_in()

    assert without == [SALES]
    assert check(application, member, asked) == [HIDDEN, SALES]


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        pytest.param("{person}", {"groupIds": [SALES, "sales"]}, 400, id="malformed id"),
        pytest.param("{person}", {"groupIds": SALES}, 400, id="no list"),
        pytest.param("{person}", {}, 400, id="nothing"),
        pytest.param(EMPTY, {"groupIds": [SALES]}, 404, id="nobody"),
    ],
)
def test_check_member_groups_fails_as_a_whole(
    reader: Application, key: str, body: dict[str, object], status: int
) -> None:
    person = reader.emulator.control.members(SALES)[0]
    path = f"/users/{key.format(person=person)}/checkMemberGroups"

    assert reader.ask(path, method="POST", json=body).status_code == status


@pytest.mark.parametrize("roles", [["User.Read.All"], ["GroupMember.Read.All"]])
def test_check_member_groups_needs_both_permissions(
    application: Application, roles: list[str]
) -> None:
    person = application.emulator.control.members(SALES)[0]
    application.emulator.control.set_roles(roles)
    application.sign_in()
    path, body = f"/users/{person}/checkMemberGroups", {"groupIds": [SALES]}

    answer = application.ask(path, method="POST", json=body)

    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")


def test_a_soft_deleted_person_is_checked_in_no_group(application: Application) -> None:
    person = application.emulator.control.members(SALES)[0]
    application.emulator.control.soft_delete(person)
    path, body = f"/users/{person}/checkMemberGroups", {"groupIds": [SALES]}

    assert application.ask(path, method="POST", json=body).status_code == 404
