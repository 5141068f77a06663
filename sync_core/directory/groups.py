"""The tree of groups under the ones that a scope names: read level by level, safe with cycles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sync_core.directory.client import GraphClient
from sync_core.directory.members import first_pages, groups_in, rest, users_in
from sync_core.directory.requests import GROUP_PROPERTIES, GROUPS_READ, one_group
from sync_core.domain.connections.permissions import HIDDEN
from sync_core.domain.errors import FixConnection
from sync_core.domain.plan.groups import GroupNow

HIDDEN_MEMBERSHIP = "HiddenMembership"
NO_GROUPS: Mapping[str, Iterable[str]] = MappingProxyType({})


@dataclass(slots=True)
class GroupTree:
    """Groups by id with their names, and which group is a member of which.

    `missing` are named groups that Graph does not have (deleted, or never there). `hiding` are groups that
    hide their members, `unreadable` those of them whose members this app does not get to see. Of the
    `dynamic` ones a rule decides who is in; of the `paused` ones Entra does not look at it now.
    """

    names: dict[str, str] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    missing: set[str] = field(default_factory=set)
    dynamic: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    hiding: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)

    def above(
        self, roots: Iterable[str], awaited: Mapping[str, Iterable[str]] = NO_GROUPS
    ) -> Mapping[str, frozenset[str]]:
        """For each group, the given roots that contain it, directly or through nesting, itself too.

        `awaited` are nested groups, by their groups, that count although no list shows them.
        """
        contained: dict[str, set[str]] = defaultdict(set)
        children = defaultdict(set, {group: set(below) for group, below in awaited.items()})
        for child, parents in self.parents.items():
            for parent in parents:
                children[parent].add(child)
        for root in set(roots) & self.names.keys():
            reached, frontier = {root}, [root]
            while frontier:
                fresh = children[frontier.pop()] - reached
                reached |= fresh
                frontier += fresh
            for group in reached:
                contained[group].add(root)
        return {group: frozenset(inside) for group, inside in contained.items()}

    def name(self, group: str) -> str:
        """Return what a group is called, or its id."""
        return self.names.get(group) or group

    def group_now(self, group: str, people: int) -> GroupNow:
        """Return how many people are directly in a group, and whether a rule decides that."""
        return GroupNow(self.names[group], people, group in self.dynamic, group in self.paused)


def inside(
    groups: AbstractSet[str], wanted: AbstractSet[str], above: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Return the wanted groups that a person who is in these groups is in; `above` is the tree's.

    Graph's own answer about a person has been seen to lack groups (microsoft-graph-explorer-v4 issues
    2518 and 3336), so it has to agree with every group of the tree before it counts as absence.
    """
    return frozenset(wanted & groups).union(*(above.get(one, frozenset()) for one in groups))


async def read_group_tree(
    client: GraphClient, roots: Iterable[str], *, nested: bool, tree: GroupTree | None = None
) -> GroupTree:
    """Read the named groups and, if wanted, all groups nested in them; each group once.

    A `tree` of the caller is filled level by level, so that who stops waiting has what was read so far.
    """
    tree = GroupTree() if tree is None else tree
    wanted = sorted(set(roots))
    heads = await client.batch(
        [one_group(client.sdk, group) for group in wanted], needs=GROUPS_READ
    )
    tree.missing = {group for group, head in zip(wanted, heads, strict=True) if head is None}
    level = [head for head in heads if head is not None]
    while level:
        _add(tree, level)
        level = await _next_level(client, tree, level) if nested else []
    tree.unreadable = await _unreadable(client, tree.hiding)
    return tree


async def existing(client: GraphClient, groups: Sequence[str]) -> set[str]:
    """Return those of these groups that are there and not deleted."""
    heads = await client.batch(
        [one_group(client.sdk, group) for group in groups], needs=GROUPS_READ
    )
    return {group for group, head in zip(groups, heads, strict=True) if head is not None}


def _add(tree: GroupTree, groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        tree.names[group["id"]] = str(group.get("displayName") or "")
        if "DynamicMembership" in (group.get("groupTypes") or []):
            tree.dynamic.add(group["id"])
            if group.get("membershipRuleProcessingState") == "Paused":
                tree.paused.add(group["id"])
        if group.get("visibility") == HIDDEN_MEMBERSHIP:
            tree.hiding.add(group["id"])


async def _next_level(
    client: GraphClient, tree: GroupTree, level: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    # A Microsoft 365 group cannot hold groups, and Graph refuses the cast on one (400
    # Request_UnsupportedQuery). learn.microsoft.com/graph/api/group-list-members
    parents = [group["id"] for group in level if "Unified" not in (group.get("groupTypes") or [])]
    lists = [groups_in(client, parent, GROUP_PROPERTIES) for parent in parents]
    answers = await first_pages(client, lists) if lists else []
    fresh: dict[str, dict[str, Any]] = {}
    for parent, wanted, answer in zip(parents, lists, answers, strict=True):
        if answer is None:  # deleted since its parent was read: it has no members any more
            continue
        if isinstance(answer, FixConnection):
            if parent in tree.hiding:  # told with the others whose members are hidden
                continue
            raise refused_members(answer, tree.name(parent))
        async for page in rest(client, wanted, answer):
            for child in page.items:
                tree.parents[child["id"]].add(parent)
                if child["id"] not in tree.names:
                    fresh[child["id"]] = child
    return list(fresh.values())


async def _unreadable(client: GraphClient, hiding: set[str]) -> set[str]:
    """Tell which of the groups that hide their members hide them from this app.

    By the token, for Graph may answer as if such a group were empty. A token that tells nothing is tried
    out, and an empty list is not believed then.
    """
    if not hiding:
        return set()
    allowed = await client.grants.may(HIDDEN)
    if allowed is not None:
        return set() if allowed else set(hiding)
    groups = sorted(hiding)
    firsts = await first_pages(client, [users_in(client, one, ["id"], 1) for one in groups])
    return {
        group
        for group, first in zip(groups, firsts, strict=True)
        if isinstance(first, FixConnection) or (first is not None and not first.items)
    }


def refused_members(error: FixConnection, group: str) -> FixConnection:
    """Return the same error with the group whose members were asked for, where it may matter which one.

    Without a token nothing can be read, whatever was asked for.
    """
    if error.code.startswith("credential.") or error.code == "graph.tokenRefused":
        return error
    message = f"The members of the group {group!r} cannot be read. {error.message}"
    return FixConnection(error.code, message, error.remedy)


def members_hidden(groups: Iterable[str]) -> FixConnection:
    """Return the error where it has to be known who is in these groups, and this app does not see it."""
    return FixConnection(
        "scope.membersHidden",
        f"{hidden_words(groups)} Nothing was changed, since the scope keeps members of that group out, or "
        "the mapping asks for them.",
        f"Grant the application permission {HIDDEN} and admin consent, or take the group out of the scope "
        "and the mapping.",
    )


def hidden_words(groups: Iterable[str]) -> str:
    """Say which groups hide their members from this app, and what it takes to see them."""
    names = ", ".join(sorted(groups))
    return f"The members of {names} are hidden, and the application permission {HIDDEN} is not granted."
