"""Which of the named groups contain a group, through any nesting; cycles and diamonds included."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.directory.groups import GroupTree, inside, refused_members
from sync_core.domain.errors import FixConnection


def tree(edges: str, names: str | None = None) -> GroupTree:
    """Make a tree of `parent>child` pairs; every letter is a group unless `names` says which."""
    made = GroupTree(
        names=dict.fromkeys(names if names is not None else set(edges) - set(" >"), "")
    )
    for parent, child in (pair.split(">") for pair in edges.split()):
        made.parents[child].add(parent)
    return made


@pytest.mark.parametrize(
    ("edges", "roots", "above"),
    [
        pytest.param("a>b", "", {}, id="none named"),
        pytest.param("a>b", "a", {"a": "a", "b": "a"}, id="one level"),
        pytest.param("a>b b>c", "a", {"a": "a", "b": "a", "c": "a"}, id="two levels"),
        pytest.param("a>b b>c", "b", {"b": "b", "c": "b"}, id="from the middle"),
        pytest.param("a>b b>c", "ac", {"a": "a", "b": "a", "c": "ac"}, id="both ends"),
        pytest.param(
            "a>b a>c b>d c>d", "a", {"a": "a", "b": "a", "c": "a", "d": "a"}, id="diamond"
        ),
        pytest.param("a>c b>c", "ab", {"a": "a", "b": "b", "c": "ab"}, id="two above one"),
        pytest.param("a>a", "a", {"a": "a"}, id="in itself"),
        pytest.param("a>b b>a", "a", {"a": "a", "b": "a"}, id="cycle"),
        pytest.param("a>b b>a", "ab", {"a": "ab", "b": "ab"}, id="cycle, both named"),
        pytest.param("a>b b>c c>a", "b", {"a": "b", "b": "b", "c": "b"}, id="longer cycle"),
    ],
)
def test_groups_above(edges: str, roots: str, above: dict[str, str]) -> None:
    expected = {group: frozenset(inside) for group, inside in above.items()}

    assert tree(edges).above(roots) == expected


def test_a_group_alone_contains_itself() -> None:
    assert tree("", names="a").above(["a"]) == {"a": frozenset("a")}


def test_a_named_group_that_graph_does_not_have_contains_nobody() -> None:
    """It is noted as missing; nobody is in it, and nobody is out because of it."""
    assert tree("", names="a").above(["a", "gone"]) == {"a": frozenset("a")}


@pytest.mark.parametrize(
    ("groups", "roots"),
    [
        pytest.param("a", "a", id="the named one"),
        pytest.param("c", "a", id="only one below it, as Graph may answer"),
        pytest.param("e", "de", id="in two of them"),
        pytest.param("x", "", id="another one"),
        pytest.param("", "", id="none"),
    ],
)
def test_who_is_in_a_group_below_is_in_the_named_one(groups: str, roots: str) -> None:
    wanted = frozenset("ade")

    assert inside(set(groups), wanted, tree("a>b b>c d>e").above(wanted)) == set(roots)


def test_looking_does_not_change_the_tree() -> None:
    made = tree("a>b b>c")
    made.above("ac")

    assert made.parents == {"b": {"a"}, "c": {"b"}}


LETTERS = st.sampled_from("abcdef")


@given(st.sets(st.tuples(LETTERS, LETTERS)), st.sets(LETTERS))
def test_a_root_is_above_what_can_be_reached_from_it(
    edges: set[tuple[str, str]], roots: set[str]
) -> None:
    text = " ".join(f"{parent}>{child}" for parent, child in edges)
    found = tree(text, names="abcdef").above(roots)

    assert found == {
        group: frozenset(root for root in roots if reaches(edges, root, group))
        for group in "abcdef"
        if any(reaches(edges, root, group) for root in roots)
    }


def reaches(edges: set[tuple[str, str]], start: str, goal: str) -> bool:
    seen, waiting = {start}, deque([start])
    while waiting:
        here = waiting.popleft()
        fresh = {child for parent, child in edges if parent == here} - seen
        seen |= fresh
        waiting.extend(fresh)
    return goal in seen


@pytest.mark.parametrize(
    ("code", "named"),
    [("graph.permissionMissing", True), ("graph.tokenRefused", False), ("credential.x", False)],
)
def test_a_group_is_named_where_it_may_matter_which_one(code: str, *, named: bool) -> None:
    error = FixConnection(code, "No.", "Do this.")

    told = refused_members(error, "Sales")

    assert ("Sales" in told.message) is named
    assert (told.code, told.remedy) == (code, "Do this.")
