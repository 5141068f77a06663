"""Numbers of a checkpoint go on from the ones before."""

from datetime import timedelta

import pytest

from sync_core.domain.incremental.checkpoint import (
    Checkpoint,
    GroupStream,
    ToldPeople,
    TrackedGroups,
    counted,
    without_doubles,
)
from tests.unit.builders import ANN, NOW


def test_people_are_counted_by_the_first_digit_of_their_ids() -> None:
    assert counted({"a": 2, "b": 1}, {"a": 1, "b": -3, "c": 1}) == {"a": 3, "b": 0, "c": 1}


def test_who_was_told_of_twice_was_told_of_the_last_time() -> None:
    minutes = [NOW + timedelta(minutes=number) for number in (0, 5, 10)]
    told = [ToldPeople(at=minutes[0], people=["bob"])]
    told += [ToldPeople(at=at, people=[ANN]) for at in minutes[1:]]
    checkpoint = Checkpoint(digest="", source="", full_at=NOW, first_at=NOW, told=told)

    assert checkpoint.told_since(NOW) == {ANN: minutes[2]}


TREE = TrackedGroups(
    names=dict.fromkeys("abcd", ""),
    parents={"b": ["a"], "c": ["b"]},
    awaited={"a": ["d"]},
    gone={"d": NOW},
)


def test_groups_that_may_come_back_can_matter() -> None:
    tree = TREE.model_copy(update={"missing": ["e"], "gone": {"f": NOW}})

    assert tree.known() == frozenset("abcdef")


@pytest.mark.parametrize(
    ("names", "seen", "told", "lacking"),
    [
        ("abc", {"b": {"a"}, "c": {"b"}}, {}, {}),
        ("ab", {"b": {"a"}}, {}, {"b": ["c"]}),
        # What is below a group that is awaited is awaited with it.
        ("a", {}, {}, {"a": ["b"], "b": ["c"]}),
        ("a", {}, {("a", "b"): False}, {}),
        ("ab", {"b": {"a"}}, {("b", "c"): False, ("a", "c"): True}, {"a": ["c"]}),
        ("abc", {"b": {"a"}, "c": {"a", "b"}}, {("a", "c"): True}, {}),
    ],
    ids=["all seen", "one lacks", "two lack", "told to be gone", "moved", "came and is seen"],
)
def test_a_nested_group_is_awaited_until_a_list_shows_it_or_it_is_told_to_be_gone(
    names: str,
    seen: dict[str, set[str]],
    told: dict[tuple[str, str], bool],
    lacking: dict[str, list[str]],
) -> None:
    assert TREE.lacks(set(names), seen, told) == lacking


def test_the_groups_that_are_awaited_are_expected() -> None:
    assert TREE.expected == {"d"}


def stream(*groups: str) -> GroupStream:
    return GroupStream(link="https://graph", taken_at=NOW, groups=list(groups))


@pytest.mark.parametrize(
    ("streams", "kept", "is_sparse"),
    [
        ([], [], False),
        (["a", "b", "c"], ["a", "b", "c"], False),
        (["a", "b", "c", "d"], ["a", "b", "c", "d"], True),
        (["a", "b", "c", "abcd"], ["abcd"], False),
        (["ab", "bc", "x"], ["ab", "bc"], False),
    ],
)
def test_streams_whose_groups_are_in_larger_ones_or_gone_are_dropped(
    streams: list[str], kept: list[str], is_sparse: bool
) -> None:
    found, sparse = without_doubles([stream(*one) for one in streams], set("abcd"))

    assert (["".join(one.groups) for one in found], sparse) == (kept, is_sparse)
