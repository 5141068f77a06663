"""Sequences of changes, answers that lag and runs, which break a program that believes what it is told once.

Each is a story of a few people in one tenant, and all of them share the runs (`tests.runs.world`). In every
state nobody is removed who is in scope, and once answers are true again the table is what a full run makes.
Those that need a connection of their own stand in `test_sequences_apart.py`, and these elsewhere:

- people removed one by one, with a run after each: `test_incremental.py`, the guard counts
- a person or a nested group, deleted and restored without a word: `test_incremental.py`, comes back
- a named group deleted and restored: `test_incremental.py`, a root group that is deleted
- a decision about a match taken back, a link broken: `test_matching.py`
- a holder that was taken over writes: `test_fences.py`
- all of it in any order, with kills: `test_incremental_equals_full.py`

Grace, undo and notifications as hints are not there yet, and have no sequences.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.runs.world import LAG, MINUTES, Steps, Story, World
from tests.system import Rig

# Runs until what an answer showed too early has been looked at again.
UNTIL_TRUE = LAG // MINUTES + 2
MAPPING = [
    {"target": "name", "source": "displayName"},
    {"target": "department", "source": "department"},
    {"target": "boss", "source": "manager"},
    {"target": "bossName", "source": "manager.displayName"},
]
DELETING = {"hardDeleted": "delete"}

STORIES: dict[str, Story] = {}
# Each of these alone in its tenant: what others tell of groups would have all groups read again.
ALONE: dict[str, Story] = {}


def story(tell: Story) -> Story:
    STORIES[tell.__name__] = tell
    return tell


def alone(tell: Story) -> Story:
    ALONE[tell.__name__] = tell
    return tell


def runs(number: int = UNTIL_TRUE) -> Steps:
    for _ in range(number):
        yield


# --- people ---------------------------------------------------------------------------------------


@story
def a_department_changes_and_the_look_is_older_than_the_change(world: World) -> Steps:
    person = world.always(world.person(world.root(), department="Sales"))
    yield
    world.control.patch_person(person, {"department": "Kitchen"})
    lag = world.lag(f"users/{person}", "user")
    yield
    assert world.row(person)["department"] == "Sales"
    world.mend(lag)
    yield
    assert world.row(person)["department"] == "Kitchen"


@story
def a_person_is_blocked_and_the_look_shows_it_one_run_later(world: World) -> Steps:
    """The delta told it, and the look agrees: nobody waits for a third answer."""
    person = world.person(world.root())
    yield
    world.control.patch_person(person, {"accountEnabled": False})
    lag = world.lag(f"users/{person}", "user")
    yield
    assert world.is_in(person)
    world.mend(lag)
    yield
    assert not world.is_in(person)


@story
def a_new_person_is_told_of_and_answers_404_for_ten_minutes(world: World) -> Steps:
    root = world.root()
    yield
    person = world.always(world.person(root))
    lag = world.lag(f"users/{person}", "user", "memberOf", minutes=60)
    yield
    world.mend(lag)
    yield
    assert world.is_in(person)


@story
def a_person_is_deleted_and_restored_and_seems_to_be_gone_for_good(world: World) -> Steps:
    person = world.always(world.person(world.root()))
    yield
    world.control.soft_delete(person)
    world.control.restore(person)
    gone = [world.fault("notFound", f"{path}/{person}") for path in
            ("users", "directory/deletedItems")]  # fmt: skip
    yield
    assert world.is_in(person)
    world.mend(*gone)
    yield from runs()
    assert world.is_in(person)
    assert not world.cases(person)


@story
def an_attribute_changes_and_graph_names_no_groups_of_the_person(world: World) -> Steps:
    person = world.always(world.person(world.root()))
    yield
    world.control.patch_person(person, {"displayName": "After"})
    lag = world.forgetful(person)
    yield
    world.mend(lag)
    yield
    assert world.row(person)["name"] == "After"


@story
def a_person_passes_a_group_that_keeps_out_and_graph_names_no_groups(world: World) -> Steps:
    """That they left it is no second witness of an answer that lacks the group which lets them in."""
    person = world.always(world.person(world.root()))
    yield
    world.control.add_members(world.out, person)
    world.control.remove_members(world.out, person)
    lag = world.forgetful(person)
    yield
    world.mend(lag)
    yield
    assert world.is_in(person)


@story
def a_person_is_added_and_removed_in_one_round_and_the_other_way_round(world: World) -> Steps:
    root, one, other = world.root(), world.group("one"), world.group("other")
    world.control.add_members(root, one, other)
    stays, goes = world.always(world.person(one)), world.person(one)
    comes, passes = world.person(), world.person()
    yield
    for _ in range(2):
        world.control.remove_members(one, stays)
        world.control.add_members(one, stays)
        world.control.add_members(other, passes)
        world.control.remove_members(other, passes)
    world.control.add_members(other, goes, comes)
    world.control.remove_members(one, goes)
    world.control.remove_members(other, goes)
    yield from runs(2)
    assert (world.is_in(goes), world.is_in(comes)) == (False, True)
    assert passes not in world.rows


@story
def people_leave_one_group_and_are_in_scope_by_another(world: World) -> Steps:
    root, one, other = world.root(), world.group("one"), world.group("other")
    world.control.add_members(root, one, other)
    people = [world.always(world.person(one, other)) for _ in range(3)]
    yield
    world.control.remove_members(one, *people)
    yield from runs()
    assert [world.cases(person) for person in people] == [set()] * 3


@story
def a_person_leaves_by_one_path_comes_by_another_and_the_look_lags_behind_both(
    world: World,
) -> Steps:
    root, one, other = world.root(), world.group("one"), world.group("other")
    world.control.add_members(root, one, other)
    person = world.always(world.person(one))
    yield
    world.control.remove_members(one, person)
    world.pass_time(2)
    world.control.add_members(other, person)
    between = world.lag(f"users/{person}", "memberOf", minutes=MINUTES + 1)
    yield
    world.mend(between)
    yield from runs()
    assert not world.cases(person)


@story
def a_row_in_the_way_is_taken_away_without_any_change_of_the_person(world: World) -> Steps:
    root = world.root()
    yield
    person = world.person(root)
    world.put_row(person, Owner="the application")
    yield
    assert "Status" not in world.rows[person]
    world.drop_row(person)
    yield
    assert world.is_in(person)


@story
def graph_does_not_say_which_groups_a_newcomer_is_in(world: World) -> Steps:
    root = world.root()
    yield
    person = world.person(root)
    fault = world.fault("notFound", f"users/{person}/transitiveMemberOf")
    yield from runs(4)
    assert person not in world.rows
    world.mend(fault)
    yield
    assert world.is_in(person)


@story
def a_manager_is_renamed_and_deleted_and_restored(world: World) -> Steps:
    root = world.root()
    boss = world.person(root, displayName="Ann")
    reports = [world.always(world.person(root)) for _ in range(2)]
    for person in reports:
        world.control.patch_person(person, {"manager": boss})
    yield
    world.control.patch_person(boss, {"displayName": "Bea"})
    yield
    assert [world.row(person)["bossName"] for person in reports] == ["Bea"] * 2
    world.control.soft_delete(boss)
    yield from runs(2)
    assert ["bossName" in world.row(person) for person in reports] == [False] * 2
    world.control.restore(boss)
    yield from runs(2)
    assert [world.row(person)["boss"] for person in reports] == [boss] * 2


# --- groups ---------------------------------------------------------------------------------------


@story
def a_group_enters_the_tree_and_its_list_of_members_is_empty_for_some_minutes(
    world: World,
) -> Steps:
    root, group = world.root(), world.group("group")
    person = world.person()
    yield
    world.control.add_members(group, person)
    world.control.add_members(root, group)
    lag = world.lag(f"groups/{group}/members", "members", minutes=60 * 24)
    yield
    world.mend(lag)
    yield from runs()
    assert world.is_in(person)


@story
def a_group_that_entered_is_listed_again_and_graph_does_not_name_it_for_a_member(
    world: World,
) -> Steps:
    """The second list brings everybody in it to a look; that the look differs is no second witness."""
    root, group = world.root(), world.group("group")
    person = world.always(world.person(root))
    yield
    world.control.add_members(group, person)
    yield
    world.control.add_members(root, group)
    yield from runs(LAG // MINUTES + 1)
    lag = world.forgetful(person)
    yield
    world.mend(lag)
    yield from runs(2)
    assert world.is_in(person)


@alone
def a_nested_group_is_taken_away_and_the_list_of_nested_groups_lags(world: World) -> Steps:
    root, group = world.root(), world.group("group")
    world.control.add_members(root, group)
    person = world.person(group)
    yield
    world.control.remove_members(root, group)
    lag = world.lag(f"groups/{root}/members", "members")
    yield
    world.mend(lag)
    yield from runs()
    assert not world.is_in(person)


@alone
def a_nested_group_is_added_and_the_list_of_nested_groups_lags(world: World) -> Steps:
    root, group = world.root(), world.group("group")
    person = world.person(group)
    yield
    world.control.add_members(root, group)
    lag = world.lag(f"groups/{root}/members", "members")
    yield
    world.mend(lag)
    yield from runs()
    assert world.is_in(person)


@story
def a_group_leaves_the_tree_and_a_member_had_left_it_just_before(world: World) -> Steps:
    root, group = world.root(), world.group("group")
    world.control.add_members(root, group)
    before, with_it = world.person(group), world.person(group)
    yield
    world.control.remove_members(group, before)
    world.control.remove_members(root, group)
    yield from runs(2)
    assert (world.is_in(before), world.is_in(with_it)) == (False, False)


@story
def a_group_enters_and_leaves_in_one_round_and_a_cycle_is_made_and_cut(world: World) -> Steps:
    root, one, other = world.root(), world.group("one"), world.group("other")
    world.control.add_members(root, one)
    person = world.always(world.person(one))
    passing = world.person(other)
    yield
    world.control.add_members(one, other)
    world.control.remove_members(one, other)
    yield
    assert passing not in world.rows
    world.control.add_members(one, other)
    world.control.add_members(other, one)
    yield from runs(2)
    assert world.is_in(passing)
    world.control.remove_members(one, other)
    yield from runs(2)
    assert (world.is_in(person), world.is_in(passing)) == (True, False)


@pytest.fixture(scope="module")
def played(rig: Rig) -> Iterator[World]:
    with closing(World(rig, "sequences")) as world:
        world.play(STORIES, mapping=MAPPING, policy=DELETING)
        yield world


@pytest.mark.parametrize("name", STORIES)
def test_the_sequence_ends_well(played: World, name: str) -> None:
    failure = played.failures.get(name)
    if failure is not None:
        raise failure


def test_after_all_of_them_a_full_run_has_nothing_to_change(played: World) -> None:
    assert played.settle() == set()


@pytest.mark.parametrize("name", ALONE)
def test_the_sequence_ends_well_alone(rig: Rig, connection_id: str, name: str) -> None:
    with closing(World(rig, connection_id)) as world:
        world.play({name: ALONE[name]})
        failure = world.failures.get(name)
        if failure is not None:
            raise failure
        assert world.settle() == set()
