"""/users/delta: rounds, tracked properties, removals, duplicates, and tokens that are too old."""

import pytest

from local.sample import SCHEMA_EXTENSION
from tests.rig.graph.conftest import Application, Document, error_code, sync

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


def reference(person: str) -> Document:
    return {"@odata.type": "#microsoft.graph.user", "id": person}


def test_a_new_manager_is_told_after_the_one_before(application: Application) -> None:
    control = application.emulator.control
    person, first, second, last = (user["id"] for user in control.people(top=4))
    control.patch_person(person, {"manager": first})
    link = from_now(application, "displayName,manager")
    control.patch_person(person, {"manager": second})
    control.patch_person(person, {"manager": last})

    items, following = sync(application, link, Prefer="return=minimal")
    control.patch_person(person, {"manager": None})
    cleared, _ = sync(application, following, Prefer="return=minimal")

    removed = {"@removed": {"reason": "deleted"}}
    told = [{**reference(first), **removed}, reference(last)]
    assert items == [{"id": person, "manager@delta": told}]
    assert cleared == [{"id": person, "manager@delta": [{**reference(last), **removed}]}]


def test_who_has_no_manager_has_no_manager_delta(application: Application) -> None:
    control = application.emulator.control
    person, boss = (user["id"] for user in control.people(top=2))
    for one, manager in ((person, None), (boss, person)):
        control.patch_person(one, {"manager": manager})

    items, _ = sync(application, "/users/delta?$select=id,manager")

    told = {item["id"]: item.get("manager@delta") for item in items}
    assert (told[person], told[boss]) == (None, [reference(person)])


@pytest.mark.parametrize(("setting", "told"), [("changed", False), ("always", True)])
def test_the_manager_comes_along_or_not(application: Application, setting: str, told: bool) -> None:
    control = application.emulator.control
    control.settings(manager_in_delta=setting)
    person, boss = (user["id"] for user in control.people(top=2))
    control.patch_person(person, {"manager": boss})
    link = from_now(application, "department,manager")
    control.patch_person(person, {"department": "Moon"})

    [item], _ = sync(application, link)

    assert item.get("manager@delta") == ([reference(boss)] if told else None)


def test_the_manager_surfaces_nobody_unless_selected(application: Application) -> None:
    control = application.emulator.control
    person, boss = (user["id"] for user in control.people(top=2))
    link = from_now(application, "department")
    control.patch_person(person, {"manager": boss})

    assert sync(application, link)[0] == []


@pytest.mark.parametrize("setting", ["changed", "always"])
def test_a_manager_who_is_deleted_or_renamed_surfaces_no_report(
    application: Application, setting: str
) -> None:
    """Only what changes in an object itself surfaces it."""
    control = application.emulator.control
    control.settings(manager_in_delta=setting)
    person, boss = (user["id"] for user in control.people(top=2))
    control.patch_person(person, {"manager": boss})
    link = from_now(application, "displayName,manager")
    told = []
    for change in (
        lambda: control.patch_person(boss, {"displayName": "New Name"}),
        lambda: control.soft_delete(boss),
        lambda: control.restore(boss),
        lambda: control.hard_delete(boss),
    ):
        change()
        items, link = sync(application, link)
        told.append({item["id"] for item in items})

    assert told == [{boss}] * 4


@pytest.mark.parametrize("name", ["signInActivity", "birthday", "skills", "aboutMe"])
def test_what_is_kept_elsewhere_is_refused_by_name(application: Application, name: str) -> None:
    answer = application.ask(f"/users/delta?$select=id,{name}")

    assert (answer.status_code, error_code(answer)) == (400, "BadRequest")
    assert answer.json()["error"]["message"] == (
        "Invalid request for delta query: for this entity set, $expand/$select is not supported for "
        f"the following properties: {name}"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("licenseAssignmentStates", [{"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900"}]),
        (SCHEMA_EXTENSION, {"costCenter": "CC-7"}),
    ],
)
def test_some_properties_are_taken_and_never_tracked(
    application: Application, name: str, value: object
) -> None:
    """graph/api/user-delta; graph/known-issues, "Delta query"."""
    control = application.emulator.control
    person = control.people(top=1)[0]["id"]
    link = from_now(application, f"displayName,{name}")
    control.patch_person(person, {name: value})
    silent, link = sync(application, link)
    control.patch_person(person, {"displayName": "New Name"})
    heard, _ = sync(application, link)

    assert silent == []
    assert [item["id"] for item in heard] == [person]
    assert application.ask(f"/users/{person}?$select={name}").json()[name] == value


def test_delta_knows_no_open_extensions(reader: Application) -> None:
    assert reader.ask("/users/delta?$expand=extensions").status_code == 400


RESTORES = pytest.mark.parametrize(
    ("setting", "select", "told"),
    [
        ("told", "?$select=displayName", True),
        ("told", "", True),
        ("untoldWithSelect", "?$select=displayName", False),
        ("untoldWithSelect", "", True),
    ],
)


@RESTORES
def test_a_restored_person_may_not_surface(
    application: Application, setting: str, select: str, told: bool
) -> None:
    """microsoft-graph-docs-contrib/issues/6555, against what is documented."""
    control = application.emulator.control
    control.settings(restored_in_delta=setting)
    person = control.people(top=1)[0]["id"]
    _, link = sync(application, f"/users/delta{select}")
    control.soft_delete(person)
    deleted, link = sync(application, link)
    control.restore(person)
    restored, link = sync(application, link)
    control.patch_person(person, {"displayName": "New Name"})
    changed, _ = sync(application, link)

    assert [item["id"] for item in deleted] == [person]
    assert [item["id"] for item in restored] == ([person] if told else [])
    assert all("@removed" not in item for item in restored)
    assert [item["displayName"] for item in changed] == ["New Name"]


def test_an_untold_restore_hides_nothing_else(application: Application) -> None:
    """Of what happened in the same round."""
    control = application.emulator.control
    control.settings(restored_in_delta="untoldWithSelect")
    renamed, plain = (user["id"] for user in control.people(top=2))
    link = from_now(application)
    newcomer = control.create_person({"displayName": "Zoé Neu"})["id"]
    control.patch_person(renamed, {"displayName": "New Name"})
    for person in (renamed, plain, newcomer):
        control.soft_delete(person)
        control.restore(person)
    again = control.create_person({"displayName": "Two Times"})["id"]
    control.soft_delete(again)

    items, _ = sync(application, link)

    assert {item["id"]: "@removed" in item for item in items} == {
        renamed: False,
        newcomer: False,
        again: True,
    }


def test_sync_from_now_keeps_what_was_selected_and_filtered(application: Application) -> None:
    """Shown on no page, and sent by others: teleport/issues/66283, MicrosoftDocs/MIMDocs/issues/198."""
    control = application.emulator.control
    people = [user["id"] for user in control.people(top=3)]
    tracked = " or ".join(f"id eq '{person}'" for person in people[:2])
    path = f"/users/delta?$deltatoken=latest&$select=displayName&$filter={tracked}"
    nothing, link = sync(application, path)
    control.change_many("patch", keys=people, values={"displayName": "All Alike"})
    control.change_many("patch", keys=people, values={"department": "Moon"})

    items, link = sync(application, link)
    control.patch_person(people[0], {"department": "Mars"})

    assert nothing == []
    assert {item["id"] for item in items} == set(people[:2])
    assert all(item.keys() == {"displayName", "id"} for item in items)
    assert sync(application, link)[0] == []
