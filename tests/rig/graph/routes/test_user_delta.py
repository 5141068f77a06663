"""/users/delta: rounds, tracked properties, removals, duplicates, and tokens that are too old."""

import pytest

from tests.rig.graph.conftest import Application, error_code, sync

WEEK_S = 7 * 86400


def from_now(application: Application, select: str = "displayName") -> str:
    return sync(application, f"/users/delta?$deltatoken=latest&$select={select}")[1]


def first_id(application: Application) -> str:
    return str(application.ask("/users?$top=1&$select=id").json()["value"][0]["id"])


def test_a_first_round_holds_everybody_and_ends_with_a_delta_link(
    application: Application,
) -> None:
    application.emulator.control.settings(delta_page_size=20)
    pages = application.pages("/users/delta?$select=displayName")

    live = [i for page in pages for i in page["value"] if "@removed" not in i]
    assert len({item["id"] for item in live}) == 50
    assert all("@odata.deltaLink" not in page for page in pages[:-1])
    assert "@odata.nextLink" not in pages[-1]


def test_a_first_round_may_tell_of_people_who_are_deleted(application: Application) -> None:
    items, _ = sync(application, "/users/delta?$select=displayName")

    removed = [item for item in items if "@removed" in item]
    assert [item["@removed"] for item in removed] == [{"reason": "changed"}] * 2


def test_what_was_never_set_is_absent(application: Application) -> None:
    items, _ = sync(application, "/users/delta?$select=department,mail")

    live = [item for item in items if "@removed" not in item]
    assert all(None not in item.values() for item in live)
    assert any("department" not in item for item in live)
    assert all("id" in item for item in live)


def test_sync_from_now_is_empty(application: Application) -> None:
    items, link = sync(application, "/users/delta?$deltatoken=latest")

    assert items == []
    assert sync(application, link)[0] == []


def test_the_delta_link_changes_with_every_round(application: Application) -> None:
    link = from_now(application)
    application.emulator.control.advance_clock(60)

    assert sync(application, link)[1] != link


def test_a_change_is_told_once_with_all_that_was_selected(application: Application) -> None:
    user = first_id(application)
    link = from_now(application, "displayName,surname")
    application.emulator.control.patch_person(user, {"displayName": "New Name"})

    items, following = sync(application, link)

    assert [item["id"] for item in items] == [user]
    assert items[0]["displayName"] == "New Name"
    assert "surname" in items[0]
    assert sync(application, following)[0] == []


def test_only_selected_properties_are_tracked(application: Application) -> None:
    link = from_now(application, "displayName")
    application.emulator.control.patch_person(first_id(application), {"department": "Moon"})

    assert sync(application, link)[0] == []


def test_return_minimal_tells_what_changed_and_null_for_what_was_cleared(
    application: Application,
) -> None:
    user = first_id(application)
    link = from_now(application, "displayName,jobTitle,surname")
    control = application.emulator.control
    control.patch_person(user, {"jobTitle": "Boss"})
    items, link = sync(application, link, Prefer="return=minimal")
    control.patch_person(user, {"jobTitle": None})
    cleared, _ = sync(application, link, Prefer="return=minimal")

    assert items == [{"jobTitle": "Boss", "id": user}]
    assert cleared == [{"jobTitle": None, "id": user}]


def test_a_cleared_property_is_null_without_minimal_too(application: Application) -> None:
    user = first_id(application)
    link = from_now(application, "displayName,jobTitle")
    application.emulator.control.patch_person(user, {"jobTitle": None})

    items, _ = sync(application, link)

    assert items[0]["jobTitle"] is None


def test_leaving_and_coming_back(application: Application) -> None:
    """Soft-deleted is `changed`, gone is `deleted`, restored looks like new."""
    user = first_id(application)
    control = application.emulator.control
    link = from_now(application)
    control.soft_delete(user)
    soft, link = sync(application, link)
    control.restore(user)
    restored, link = sync(application, link, Prefer="return=minimal")
    control.hard_delete(user)
    gone, _ = sync(application, link)

    assert soft == [{"id": user, "@removed": {"reason": "changed"}}]
    assert restored[0].keys() == {"id", "displayName"}
    assert gone == [{"id": user, "@removed": {"reason": "deleted"}}]


def test_a_new_person_is_a_plain_object(application: Application) -> None:
    link = from_now(application)
    created = application.emulator.control.create_person({"displayName": "Zoé Neu"})

    assert sync(application, link)[0] == [{"displayName": "Zoé Neu", "id": created["id"]}]


def test_what_changes_during_a_round_is_told_in_the_next(application: Application) -> None:
    application.emulator.control.settings(delta_page_size=20)
    first = application.ask("/users/delta?$select=displayName").json()
    early = first["value"][0]["id"]
    application.emulator.control.patch_person(early, {"displayName": "Changed Meanwhile"})
    _, link = sync(application, first["@odata.nextLink"])

    items, _ = sync(application, link)

    assert [item["id"] for item in items] == [early]


def test_a_round_of_several_pages_repeats_objects(application: Application) -> None:
    """An object may come again on a later page; merging must not mind."""
    control = application.emulator.control
    link = from_now(application)
    control.settings(delta_page_size=10)
    changed = control.change_many("patch", count=25, values={"displayName": "All Alike"})

    items, _ = sync(application, link)

    assert {item["id"] for item in items} == set(changed)
    assert len(items) == 27


def test_ids_in_a_filter_are_the_only_ones_tracked(application: Application) -> None:
    ids = [u["id"] for u in application.items("/users?$select=id")[:3]]
    wanted = f"id eq '{ids[0]}' or id eq '{ids[1]}'"
    items, link = sync(application, f"/users/delta?$select=displayName&$filter={wanted}")
    for user in ids:
        application.emulator.control.patch_person(user, {"displayName": "Changed"})
    changed, _ = sync(application, link)

    assert {item["id"] for item in items} == set(ids[:2])
    assert {item["id"] for item in changed} == set(ids[:2])


@pytest.mark.parametrize(("count", "status"), [(50, 200), (51, 400)])
def test_a_filter_takes_fifty_ids(reader: Application, count: int, status: int) -> None:
    users = reader.items("/users?$select=id&$top=999")[:count]
    wanted = " or ".join(f"id eq '{user['id']}'" for user in users)

    assert reader.ask(f"/users/delta?$filter={wanted}").status_code == status


@pytest.mark.parametrize(
    "query",
    [
        "$top=5", "$expand=manager", "$orderby=displayName", "$count=true", "$skip=1",
        '$search="displayName:a"', "$filter=department eq 'Sales'", "$select=shoeSize",
        "$filter=id eq 'x'",
    ],
)  # fmt: skip
def test_what_delta_does_not_take_is_refused(reader: Application, query: str) -> None:
    assert reader.ask(f"/users/delta?{query}").status_code == 400


def test_a_delta_link_takes_no_further_parameters(application: Application) -> None:
    link = from_now(application)

    assert application.ask(f"{link}&$select=mail").status_code == 400


def test_the_name_that_the_sdk_writes_is_the_same(reader: Application) -> None:
    assert reader.ask("/users/delta()?$select=id").status_code == 200


@pytest.mark.parametrize(("age_s", "status"), [(WEEK_S - 60, 200), (WEEK_S + 60, 410)])
def test_a_link_lives_for_a_week(application: Application, age_s: int, status: int) -> None:
    link = from_now(application)
    application.emulator.control.advance_clock(age_s)

    assert application.ask(link).status_code == status


def test_an_old_link_says_where_to_start_again(application: Application) -> None:
    link = from_now(application)
    application.emulator.control.advance_clock(WEEK_S + 60)

    answer = application.ask(link)

    again = answer.headers["location"]
    assert error_code(answer) == "resyncRequired"
    assert again.startswith(f"{application.emulator.graph_url}/v1.0/users/delta?")
    assert again.endswith("$deltatoken=")
    assert len(sync(application, again)[0]) == 52


def test_a_link_of_another_service_is_unknown(
    application: Application, reader: Application
) -> None:
    """As after a restart of the emulator: what it does not know it does not guess."""
    token = from_now(reader).partition("$deltatoken=")[2]

    answer = application.ask(f"/users/delta?$deltatoken={token}")

    assert (answer.status_code, error_code(answer)) == (410, "syncStateNotFound")


def test_a_new_manager_is_told_as_manager_delta(application: Application) -> None:
    users = application.items("/users?$select=id")
    control = application.emulator.control
    link = from_now(application, "displayName,manager")
    control.patch_person(users[3]["id"], {"manager": users[1]["id"]})

    items, _ = sync(application, link, Prefer="return=minimal")

    assert items[0]["manager@delta"][-1] == {
        "@odata.type": "#microsoft.graph.user",
        "id": users[1]["id"],
    }


@pytest.mark.parametrize(("setting", "told"), [("changed", False), ("always", True)])
def test_the_manager_comes_along_or_not(application: Application, setting: str, told: bool) -> None:
    control = application.emulator.control
    control.settings(manager_in_delta=setting)
    person = control.people(top=2)[1]["id"]
    link = from_now(application, "department,manager")
    control.patch_person(person, {"department": "Moon"})

    [item], _ = sync(application, link)

    assert ("manager@delta" in item) is told


@pytest.mark.parametrize("name", ["signInActivity", "birthday", "skills", "aboutMe"])
def test_what_is_kept_elsewhere_is_refused_by_name(application: Application, name: str) -> None:
    answer = application.ask(f"/users/delta?$select=id,{name}")

    assert (answer.status_code, error_code(answer)) == (400, "BadRequest")
    assert name in answer.json()["error"]["message"]
