"""Answers from a directory of some time ago: each kind by itself, replayable, and nothing is lost."""

import itertools
import random
from collections.abc import Callable

import pytest

from local.graph.control.base import ControlError
from local.graph.control.control import Control
from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, Document, ids, sync

SALES, SITE_RELIABILITY = sample_group_id(4), sample_group_id(3)
# The Graph product group on consistency (devblogs, 2026-03-24) names no number; 15 minutes were seen.
LAG_S = 900


@pytest.fixture
def control(application: Application) -> Control:
    """The clock moves only when a test moves it."""
    application.emulator.control.stop_clock()
    return application.emulator.control


def fixed(control: Control, *what: str, seconds: float = LAG_S) -> Document:
    """Let answers of these kinds be so old, neither more nor less."""
    return control.add_fault("lag", what=list(what), minSeconds=seconds, maxSeconds=seconds)


def somebody(control: Control) -> str:
    return str(control.members(SALES)[0])


# What is changed, and how an answer of each kind shows whether it knows.
Change = Callable[[Control, str], object]
Known = Callable[[Application, str], bool]


def rename(control: Control, person: str) -> object:
    return control.patch_person(person, {"department": "Moon"})


def leave(control: Control, person: str) -> object:
    return control.remove_members(SALES, person)


def delete(control: Control, person: str) -> object:
    return control.soft_delete(person)


def knows_by_id(application: Application, person: str) -> bool:
    answer = application.ask(f"/users/{person}?$select=department").json()
    return bool(answer["department"] == "Moon")


def knows_by_batch(application: Application, person: str) -> bool:
    item = {"id": "1", "method": "GET", "url": f"/users/{person}?$select=department"}
    answer = application.ask("/$batch", method="POST", json={"requests": [item]}).json()
    return bool(answer["responses"][0]["body"]["department"] == "Moon")


def knows_by_list(application: Application, person: str) -> bool:
    people = application.items("/users?$select=id,department")
    return any(p["id"] == person and p["department"] == "Moon" for p in people)


def knows_by_filter(application: Application, person: str) -> bool:
    return person in ids(application.items("/users?$select=id&$filter=department eq 'Moon'"))


def knows_by_count(application: Application, person: str) -> bool:
    return int(application.eventual("/users/$count").text) == 49


def knows_by_members(application: Application, person: str) -> bool:
    return person not in ids(application.items(f"/groups/{SALES}/members?$select=id"))


def knows_by_cast_members(application: Application, person: str) -> bool:
    path = f"/groups/{SALES}/members/microsoft.graph.user?$select=id"
    return person not in ids(application.counted_items(path))


def knows_by_member_of(application: Application, person: str) -> bool:
    return SALES not in ids(application.items(f"/users/{person}/memberOf?$select=id"))


def knows_by_check(application: Application, person: str) -> bool:
    path, body = f"/users/{person}/checkMemberGroups", {"groupIds": [SALES]}
    return bool(application.ask(path, method="POST", json=body).json()["value"] == [])


def knows_by_deleted_item(application: Application, person: str) -> bool:
    return application.ask(f"/directory/deletedItems/{person}").status_code == 200


def knows_by_deleted_list(application: Application, person: str) -> bool:
    path = "/directory/deletedItems/microsoft.graph.user?$select=id"
    return person in ids(application.items(path))


CASES: list[tuple[str, Change, Known]] = [
    ("user", rename, knows_by_id),
    ("user", rename, knows_by_batch),
    ("list", rename, knows_by_list),
    ("list", rename, knows_by_filter),
    ("list", delete, knows_by_count),
    ("members", leave, knows_by_members),
    ("members", leave, knows_by_cast_members),
    ("memberOf", leave, knows_by_member_of),
    ("memberOf", leave, knows_by_check),
    ("deletedItems", delete, knows_by_deleted_item),
    ("deletedItems", delete, knows_by_deleted_list),
]
EVERY_CASE = pytest.mark.parametrize(
    ("what", "change", "knows"), CASES, ids=[f"{c[0]} {c[2].__name__}" for c in CASES]
)


@EVERY_CASE
def test_a_change_is_known_when_the_lag_is_over(
    application: Application, control: Control, what: str, change: Change, knows: Known
) -> None:
    person = somebody(control)
    fixed(control, what)
    change(control, person)

    at_once = knows(application, person)
    control.advance_clock(LAG_S - 1)
    shortly_before = knows(application, person)
    control.advance_clock(1)

    assert (at_once, shortly_before, knows(application, person)) == (False, False, True)


@EVERY_CASE
def test_only_the_kinds_that_are_named_lag(
    application: Application, control: Control, what: str, change: Change, knows: Known
) -> None:
    person = somebody(control)
    kinds = {"user", "list", "groups", "members", "memberOf", "deletedItems", "delta"}
    fixed(control, *(kinds - {what}))
    change(control, person)

    assert knows(application, person)


def test_a_group_lags_as_well(application: Application, control: Control) -> None:
    fixed(control, "groups")
    created = control.create_group("New", group_id="0" * 8 + "-1111-4222-8333-" + "4" * 12)["id"]
    control.delete_group(SALES)

    def answers(group: str) -> tuple[int, bool]:
        by_id = application.ask(f"/groups/{group}").status_code
        return by_id, group in ids(application.items("/groups?$select=id"))

    assert (answers(created), answers(SALES)) == ((404, False), (200, True))
    control.advance_clock(LAG_S)
    assert (answers(created), answers(SALES)) == ((200, True), (404, False))


def test_a_manager_lags_with_the_person(application: Application, control: Control) -> None:
    person, boss = control.members(SALES)[:2]
    control.patch_person(person, {"manager": None})
    control.advance_clock(LAG_S)
    fixed(control, "user")
    control.patch_person(person, {"manager": boss})
    path = f"/users/{person}?$select=id&$expand=manager"

    at_once = application.ask(f"/users/{person}/manager"), application.ask(path)
    control.advance_clock(LAG_S)
    later = application.ask(f"/users/{person}/manager"), application.ask(path)

    assert at_once[0].status_code == 404
    assert "manager" not in at_once[1].json()
    assert later[0].json()["id"] == later[1].json()["manager"]["id"] == boss


def test_delta_tells_of_a_newcomer_whom_nothing_else_serves(
    application: Application, control: Control
) -> None:
    """microsoft-graph-docs/issues/15839: delta is ahead of reads."""
    _, link = sync(application, "/users/delta?$deltatoken=latest&$select=displayName")
    fixed(control, "user", "memberOf")
    person = control.create_person({"displayName": "Zoé Neu"})["id"]
    told = sync(application, link)[0]

    statuses = [
        application.ask(f"/users/{person}{rest}").status_code for rest in ("", "/memberOf?$top=5")
    ]

    assert told == [{"displayName": "Zoé Neu", "id": person}]
    assert statuses == [404, 404]


def test_who_was_restored_is_still_missed(application: Application, control: Control) -> None:
    person = somebody(control)
    control.soft_delete(person)
    control.advance_clock(2 * LAG_S)
    fixed(control, "user", "deletedItems")
    control.restore(person)

    statuses = [
        application.ask(path).status_code
        for path in (f"/users/{person}", f"/directory/deletedItems/{person}")
    ]

    assert statuses == [404, 200]


def test_who_was_deleted_is_still_served(application: Application, control: Control) -> None:
    person = somebody(control)
    fixed(control, "user")
    control.soft_delete(person)

    statuses = [
        application.ask(path).status_code
        for path in (f"/users/{person}", f"/directory/deletedItems/{person}")
    ]

    assert statuses == [200, 200]


def test_who_was_deleted_and_restored_can_be_nowhere(
    application: Application, control: Control
) -> None:
    """The one answer is older than the restore, the other older than the deletion."""
    person = somebody(control)
    control.advance_clock(LAG_S)
    control.soft_delete(person)
    control.advance_clock(100)
    control.restore(person)
    fixed(control, "user", seconds=50)
    fixed(control, "deletedItems", seconds=150)

    statuses = [
        application.ask(path).status_code
        for path in (f"/users/{person}", f"/directory/deletedItems/{person}")
    ]

    assert statuses == [404, 404]


def asked_again(application: Application, person: str, times: int = 40) -> list[bool]:
    return [knows_by_id(application, person) for _ in range(times)]


def test_no_answer_is_newer_for_being_later(application: Application, control: Control) -> None:
    person = somebody(control)
    control.add_fault("lag", maxSeconds=LAG_S, seed=7)
    rename(control, person)
    control.advance_clock(LAG_S / 2)

    known = asked_again(application, person)

    pairs = set(itertools.pairwise(known))
    assert {(True, False), (False, True)} <= pairs


def test_a_seed_repeats_the_answers_whatever_else_is_asked(
    application: Application, control: Control
) -> None:
    person, other = control.members(SALES)[:2]
    rename(control, person)
    control.advance_clock(LAG_S / 2)
    drawn: list[list[bool]] = []
    for seed in (7, 7, 8):
        fault = control.add_fault("lag", maxSeconds=LAG_S, seed=seed)
        known = []
        for turn in range(20):
            known.append(knows_by_id(application, person))
            for _ in range(turn % 3 if drawn else 0):
                knows_by_id(application, other)
        drawn.append(known)
        control.remove_fault(fault["id"])

    assert drawn[0] == drawn[1] != drawn[2]


def test_a_path_narrows_a_lag(application: Application, control: Control) -> None:
    person, other = control.members(SALES)[:2]
    control.add_fault("lag", path=f"/v1.0/users/{person}", minSeconds=LAG_S, maxSeconds=LAG_S)
    rename(control, person)
    rename(control, other)

    assert (knows_by_id(application, person), knows_by_id(application, other)) == (False, True)


def test_a_lag_can_end_after_some_answers(application: Application, control: Control) -> None:
    person = somebody(control)
    control.add_fault("lag", minSeconds=LAG_S, maxSeconds=LAG_S, times=2)
    rename(control, person)

    assert asked_again(application, person, 4) == [False, False, True, True]


@pytest.mark.parametrize(
    "options",
    [{}, {"maxSeconds": 5, "minSeconds": 6}, {"maxSeconds": 5, "what": ["user", "weather"]}],
    ids=["how much", "upside down", "of what"],
)
def test_a_lag_that_means_nothing_is_refused(control: Control, options: Document) -> None:
    with pytest.raises(ControlError):
        control.add_fault("lag", **options)


# Delta.


def test_a_round_tells_what_is_older_than_the_lag_and_the_next_one_the_rest(
    application: Application, control: Control
) -> None:
    person, other = control.members(SALES)[:2]
    _, link = sync(application, "/users/delta?$deltatoken=latest&$select=department")
    fixed(control, "delta")
    rename(control, person)
    control.advance_clock(LAG_S / 2)
    control.patch_person(person, {"department": "Mars"})
    rename(control, other)
    rounds = []
    for _ in range(3):
        items, link = sync(application, link)
        rounds.append({item["id"]: item["department"] for item in items})
        control.advance_clock(LAG_S / 2)

    # With the value of then, not with the one that a read would give.
    assert rounds == [{}, {person: "Moon"}, {person: "Mars", other: "Moon"}]


def test_membership_in_a_round_lags_alike(application: Application, control: Control) -> None:
    person = somebody(control)
    _, link = sync(application, "/groups/delta?$deltatoken=latest&$select=members")
    fixed(control, "delta")
    leave(control, person)
    early, link = sync(application, link)
    control.advance_clock(LAG_S)
    late, _ = sync(application, link)

    assert early == []
    assert [m["id"] for item in late for m in item["members@delta"]] == [person]


def test_a_first_round_shows_the_directory_of_then(
    application: Application, control: Control
) -> None:
    person = somebody(control)
    fixed(control, "delta")
    control.soft_delete(person)
    newcomer = control.create_person({"displayName": "New"})["id"]
    control.add_members(SALES, newcomer)
    people, link = sync(application, "/users/delta?$select=displayName")
    groups, _ = sync(application, f"/groups/delta?$select=members&$filter=id eq '{SALES}'")
    control.advance_clock(LAG_S)
    later, _ = sync(application, link)

    assert person in {item["id"] for item in people if "@removed" not in item}
    assert newcomer not in ids(people)
    assert newcomer not in {member["id"] for member in groups[0]["members@delta"]}
    assert {item["id"]: "@removed" in item for item in later} == {person: True, newcomer: False}


@pytest.mark.parametrize("seed", range(4))
def test_lagging_rounds_lose_nothing_and_tell_nothing_twice(
    application: Application, control: Control, seed: int
) -> None:
    control.settings(delta_page_size=4)
    choose = random.Random(seed)
    people = control.members(SALES)
    told: dict[str, list[str]] = {person: [] for person in people}
    link = sync(application, "/users/delta?$deltatoken=latest&$select=department")[1]
    fault = control.add_fault("lag", maxSeconds=LAG_S, seed=seed)
    for turn in range(16):
        if turn == 15:
            control.remove_fault(fault["id"])
        for person in choose.sample(people, 3):
            control.patch_person(person, {"department": f"D{turn:02d}"})
        control.advance_clock(choose.randint(0, 600))
        items, link = sync(application, link)
        # Within a round an object may come on two pages.
        for person, department in {item["id"]: item["department"] for item in items}.items():
            told[person].append(department)

    assert {person: values[-1] for person, values in told.items() if values} == {
        person: control.person(person)["department"] for person, values in told.items() if values
    }
    assert all(values == sorted(set(values)) for values in told.values())
    assert any(len(values) > 2 for values in told.values())


# Paging.


@pytest.mark.parametrize(
    "path",
    [
        f"/groups/{SITE_RELIABILITY}/members?$select=id&$top=2",
        f"/groups/{SALES}/members?$select=id&$top=2",
        "/groups?$select=id&$top=2",
        "/users?$select=id&$top=7",
        "/users/{person}/transitiveMemberOf?$select=id&$top=1",
        "/directory/deletedItems/microsoft.graph.user?$select=id&$top=1",
    ],
)
def test_whoever_was_there_all_the_time_is_on_some_page(
    application: Application, control: Control, path: str
) -> None:
    """Pages may come from different moments; none shifts what others hold."""
    person = str(control.members(SITE_RELIABILITY)[0])
    path = path.format(person=person)
    steady = ids(application.items(path))
    leaving = control.members(SALES)[0]
    early = control.create_group("Aaa", members=[person])["id"]
    control.add_members(SITE_RELIABILITY, early)
    control.add_members(SALES, early)
    control.advance_clock(LAG_S / 3)
    control.delete_group(early)
    control.soft_delete(leaving)
    control.advance_clock(LAG_S / 3)
    for seed in range(6):
        fault = control.add_fault("lag", maxSeconds=LAG_S, seed=seed)
        found = [item["id"] for item in application.items(path)]
        control.remove_fault(fault["id"])

        assert steady - {leaving} <= set(found)
        assert len(found) == len(set(found))


def test_stale_members_and_a_lag_go_together(application: Application, control: Control) -> None:
    control.create_person({"displayName": "Late", "id": "0" * 8 + "-1111-4222-8333-" + "5" * 12})
    newest = control.people("Late")[0]["id"]
    control.add_members(SALES, newest)
    control.add_fault("staleMembers")
    fixed(control, "members")

    assert newest not in ids(application.items(f"/groups/{SALES}/members?$select=id"))


def test_a_clock_that_was_stopped_goes_on_where_it_was(control: Control) -> None:
    before = control.service.clock.now()
    control.advance_clock(10)
    stopped = control.service.clock.now()
    control.stop_clock(False)

    assert (stopped - before).total_seconds() == 10
    assert 0 <= (control.service.clock.now() - stopped).total_seconds() < 60
