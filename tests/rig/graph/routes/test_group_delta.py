"""/groups/delta with members@delta: slices, absence, removals, and equality with a full reading."""

import random

import pytest

from local.sample import SAMPLE_GROUP_ID, sample_group_id
from tests.rig.graph.conftest import Application, Document, error_code, ids, sync

SALES, FIELD_SALES = sample_group_id(4), sample_group_id(5)
EVERYBODY, HIDDEN, EMPTY = (sample_group_id(n) for n in (9, 10, 11))


def from_now(application: Application, select: str = "members") -> str:
    return sync(application, f"/groups/delta?$deltatoken=latest&$select={select}")[1]


def merge(known: dict[str, set[str]], items: list[Document]) -> None:
    """What every client has to do: later items win, absent members mean nothing."""
    for item in items:
        if "@removed" in item:
            known.pop(item["id"], None)
            continue
        members = known.setdefault(item["id"], set())
        for member in item.get("members@delta", ()):
            if "@removed" in member:
                members.discard(member["id"])
            else:
                members.add(member["id"])


def test_without_select_members_come_with_the_default_properties(reader: Application) -> None:
    items, _ = sync(reader, "/groups/delta")

    sales = next(item for item in items if item["id"] == SALES)
    assert sales["displayName"] == "Sales"
    assert {m["@odata.type"] for m in sales["members@delta"]} == {
        "#microsoft.graph.user",
        "#microsoft.graph.group",
    }
    assert all(member.keys() == {"@odata.type", "id"} for member in sales["members@delta"])


def test_members_come_only_when_selected(reader: Application) -> None:
    items, _ = sync(reader, "/groups/delta?$select=displayName")

    assert all(item.keys() == {"displayName", "id"} for item in items)


def test_an_empty_group_has_no_members_delta(reader: Application) -> None:
    items, _ = sync(reader, "/groups/delta?$select=displayName,members")

    empty = next(item for item in items if item["id"] == EMPTY)
    assert empty.keys() == {"displayName", "id"}


def test_hidden_members_are_not_told_without_the_permission(reader: Application) -> None:
    items, _ = sync(reader, f"/groups/delta?$select=members&$filter=id eq '{HIDDEN}'")

    assert items == [{"id": HIDDEN}]


def test_a_large_group_comes_in_slices_with_others_in_between(application: Application) -> None:
    application.emulator.control.settings(delta_members_per_page=10)
    pages = application.pages("/groups/delta?$select=members")

    order = [item["id"] for page in pages for item in page["value"]]
    places = [n for n, group_id in enumerate(order) if group_id == EVERYBODY]
    merged: dict[str, set[str]] = {}
    for page in pages:
        merge(merged, page["value"])
    assert len(places) > 2
    assert places[-1] - places[0] >= len(places), "another group stands between two slices"
    assert merged[EVERYBODY] == set(application.emulator.control.members(EVERYBODY))
    assert all(
        sum(len(item.get("members@delta", ())) for item in page["value"]) <= 10 for page in pages
    )


def test_coming_and_going_is_told_by_id(application: Application) -> None:
    control = application.emulator.control
    link = from_now(application)
    leaver = control.members(SALES)[0]
    newcomer = control.create_person({"displayName": "New"})["id"]
    control.remove_members(SALES, leaver)
    control.add_members(SALES, newcomer)

    items, following = sync(application, link)

    assert [item["id"] for item in items] == [SALES]
    assert items[0]["members@delta"] == [
        {
            "@odata.type": "#microsoft.graph.user",
            "id": leaver,
            "@removed": {"reason": "deleted"},
        },
        {"@odata.type": "#microsoft.graph.user", "id": newcomer},
    ]
    assert sync(application, following)[0] == []


def test_the_last_thing_that_happened_to_a_member_counts(application: Application) -> None:
    control = application.emulator.control
    link = from_now(application)
    member = control.members(SALES)[0]
    control.remove_members(SALES, member)
    control.add_members(SALES, member)

    items, _ = sync(application, link)

    assert items[0]["members@delta"] == [{"@odata.type": "#microsoft.graph.user", "id": member}]


def test_a_change_of_a_nested_group_surfaces_there_only(application: Application) -> None:
    control = application.emulator.control
    link = from_now(application)
    control.remove_members(FIELD_SALES, count=1)

    items, _ = sync(application, link)

    assert [item["id"] for item in items] == [FIELD_SALES]


def test_a_renamed_group_has_no_members_delta(application: Application) -> None:
    link = from_now(application, "displayName,members")
    application.emulator.control.patch_group(SALES, {"displayName": "Vendita"})

    items, _ = sync(application, link, Prefer="return=minimal")

    assert items == [{"displayName": "Vendita", "id": SALES}]


def test_soft_deletion_of_a_member_is_silent_and_permanent_deletion_is_not(
    application: Application,
) -> None:
    control = application.emulator.control
    member = control.members(SALES)[0]
    link = from_now(application)
    control.soft_delete(member)
    soft, link = sync(application, link)
    control.hard_delete(member)
    gone, _ = sync(application, link)

    assert soft == []
    removed = next(item for item in gone if item["id"] == SALES)["members@delta"]
    assert removed[0]["@removed"] == {"reason": "deleted"}


def test_groups_that_are_deleted(application: Application) -> None:
    """A Microsoft 365 group and a security group can be restored; others are gone."""
    control = application.emulator.control
    news, gone = sample_group_id(8), sample_group_id(1)
    link = from_now(application)
    control.delete_group(SALES)
    control.delete_group(news)
    control.delete_group(gone, permanent=True)

    items, _ = sync(application, link)

    reasons = {item["id"]: item["@removed"]["reason"] for item in items if "@removed" in item}
    assert reasons == {SALES: "changed", news: "changed", gone: "deleted"}


def test_a_restored_group_is_a_plain_object(application: Application) -> None:
    """It has its members again, and delta does not repeat them."""
    control = application.emulator.control
    members = control.members(SALES)
    link = from_now(application, "displayName,members")
    control.delete_group(SALES)
    deleted, link = sync(application, link)
    control.restore_group(SALES)
    restored, _ = sync(application, link)

    assert deleted == [{"id": SALES, "@removed": {"reason": "changed"}}]
    assert restored == [{"displayName": "Sales", "id": SALES}]
    assert ids(application.items(f"/groups/{SALES}/members?$select=id")) >= set(members)


NESTED = {"@odata.type": "#microsoft.graph.group", "id": FIELD_SALES}


@pytest.mark.parametrize(("setting", "told"), [("untold", False), ("told", True)])
def test_a_parent_may_be_told_that_a_nested_group_went_and_came_back(
    application: Application, setting: str, told: bool
) -> None:
    control = application.emulator.control
    control.settings(nested_group_gone=setting)
    link = from_now(application)
    rounds = []
    for change in (control.delete_group, control.restore_group):
        change(FIELD_SALES)
        items, link = sync(application, link)
        found = {item["id"]: item.get("members@delta") for item in items}
        rounds.append(found.get(SALES))

    removed = {**NESTED, "@removed": {"reason": "deleted"}}
    assert rounds == ([[removed], [NESTED]] if told else [None, None])


@pytest.mark.parametrize(("setting", "told"), [("untold", True), ("told", False)])
def test_a_first_round_tells_of_a_nested_group_that_is_deleted(
    application: Application, setting: str, told: bool
) -> None:
    control = application.emulator.control
    control.settings(nested_group_gone=setting)
    control.delete_group(FIELD_SALES)

    items, _ = sync(application, f"/groups/delta?$select=members&$filter=id eq '{SALES}'")

    assert (NESTED in items[0]["members@delta"]) is told


@pytest.mark.parametrize(("setting", "told"), [("told", True), ("untold", False)])
@pytest.mark.parametrize("permanent", [True, False], ids=["at once", "after 30 days"])
def test_a_nested_group_that_is_gone_for_good_leaves_where_it_was(
    application: Application, setting: str, told: bool, permanent: bool
) -> None:
    """As a person does."""
    control = application.emulator.control
    control.settings(gone_members=setting)
    link = from_now(application)
    control.delete_group(FIELD_SALES, permanent=permanent)
    for _ in range(0 if permanent else 5):
        # A link lives for a week only.
        _, link = sync(application, link)
        control.advance_clock(6 * 86400)

    items, _ = sync(application, link)

    found = {item["id"]: item.get("members@delta") for item in items}
    removed = {**NESTED, "@removed": {"reason": "deleted"}}
    assert found.get(SALES) == ([removed] if told else None)
    assert FIELD_SALES not in control.group(SALES)["nested"]


def test_sync_from_now_keeps_what_was_selected_and_filtered(application: Application) -> None:
    control = application.emulator.control
    path = f"/groups/delta?$deltatoken=latest&$select=members&$filter=id eq '{SALES}'"
    nothing, link = sync(application, path)
    [leaver] = control.remove_members(SALES, count=1)
    control.remove_members(EVERYBODY, count=1)
    control.patch_group(SALES, {"displayName": "Vendita"})

    items, _ = sync(application, link)

    assert nothing == []
    assert [item.keys() for item in items] == [{"id", "members@delta"}]
    assert [member["id"] for member in items[0]["members@delta"]] == [leaver]


@pytest.mark.parametrize(("setting", "told"), [("members", False), ("removedToo", True)])
def test_a_first_round_may_tell_removed_members(
    application: Application, setting: str, told: bool
) -> None:
    control = application.emulator.control
    control.settings(first_round=setting)
    [person] = control.remove_members(SALES, count=1)

    items, _ = sync(application, "/groups/delta?$select=members")

    [sales] = [item for item in items if item["id"] == SALES]
    removed = [member["id"] for member in sales["members@delta"] if "@removed" in member]
    assert removed == ([person] if told else [])


@pytest.mark.parametrize(("setting", "told"), [("told", True), ("untold", False)])
def test_a_member_who_is_gone_for_good(application: Application, setting: str, told: bool) -> None:
    control = application.emulator.control
    control.settings(gone_members=setting)
    person = control.members(SALES)[0]
    link = from_now(application, "members")
    control.hard_delete(person)

    items, _ = sync(application, link)

    removed = {m["id"] for item in items for m in item["members@delta"]}
    assert (person in removed) is told


@pytest.mark.parametrize("code", [410, 400, 404])
def test_a_lost_link_has_one_status_or_another(application: Application, code: int) -> None:
    application.emulator.control.settings(lost_link=code)
    link = from_now(application)
    application.emulator.control.advance_clock(8 * 86400)

    answer = application.ask(link)

    assert (answer.status_code, error_code(answer)) == (code, "resyncRequired")


def test_a_new_group_comes_with_its_members(application: Application) -> None:
    control = application.emulator.control
    link = from_now(application, "displayName,members")
    person = control.members(SALES)[0]
    created = control.create_group("Brand New", members=[person, SALES])

    items, _ = sync(application, link)

    assert [item["id"] for item in items] == [created["id"]]
    assert items[0]["displayName"] == "Brand New"
    assert {member["id"] for member in items[0]["members@delta"]} == {person, SALES}


def test_a_filter_tracks_the_groups_it_names(application: Application) -> None:
    control = application.emulator.control
    path = f"/groups/delta?$select=members&$filter=id eq '{SAMPLE_GROUP_ID}'"
    items, link = sync(application, path)
    control.remove_members(SALES, count=1)
    control.remove_members(SAMPLE_GROUP_ID, count=1)
    changed, _ = sync(application, link)

    assert {item["id"] for item in items} == {SAMPLE_GROUP_ID}
    assert {item["id"] for item in changed} == {SAMPLE_GROUP_ID}


@pytest.mark.parametrize("query", ["$expand=members", "$top=5", "$orderby=displayName"])
def test_what_delta_does_not_take_is_refused(reader: Application, query: str) -> None:
    assert reader.ask(f"/groups/delta?{query}").status_code == 400


def test_many_changes_of_one_group_come_in_slices(application: Application) -> None:
    control = application.emulator.control
    link = from_now(application)
    before = set(control.members(EVERYBODY))
    control.settings(delta_members_per_page=7)
    removed = control.remove_members(EVERYBODY, count=20)

    pages = application.pages(link)

    known = {EVERYBODY: set(before)}
    for page in pages:
        merge(known, page["value"])
    assert len(pages) > 2
    assert known[EVERYBODY] == before - set(removed)


@pytest.mark.parametrize("seed", range(4))
def test_merging_every_round_equals_a_full_reading(application: Application, seed: int) -> None:
    """Whatever happens, in whatever slices, and also while a round is being read."""
    control = application.emulator.control
    control.settings(delta_page_size=3, delta_members_per_page=5)
    choose = random.Random(seed)
    groups = [group["id"] for group in control.groups() if group["id"] != HIDDEN]
    people = [person["id"] for person in control.people()]
    known: dict[str, set[str]] = {}
    link = "/groups/delta?$select=members"

    def change_something() -> None:
        group, person = choose.choice(groups), choose.choice(people)
        if choose.random() < 0.5:
            control.remove_members(group, count=choose.randint(1, 6))
        else:
            control.add_members(group, person)

    for _ in range(6):
        onward: str | None = link
        while onward is not None:
            page = application.ask(onward).json()
            merge(known, page["value"])
            onward = page.get("@odata.nextLink")
            link = page.get("@odata.deltaLink", link)
            if choose.random() < 0.3:
                change_something()
        for _ in range(choose.randint(0, 5)):
            change_something()
    items, link = sync(application, link)
    merge(known, items)

    for group in groups:
        nested = {m for m in known[group] if m in groups or m == HIDDEN}
        others = set(control.group(group)["others"])
        assert known[group] - nested - others == set(control.members(group))
