"""The tree of groups under the ones that a scope names: read level by level, safe with cycles."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kiota_abstractions.request_information import RequestInformation

from sync_core.directory.answers import Page, to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.requests import GROUPS_READ, member_groups, one_group


@dataclass(slots=True)
class GroupTree:
    """Groups by id with their names, and which group is a member of which.

    `missing` are named groups that Graph does not have (deleted, or never there). Of the `dynamic` ones a
    rule decides who is in; for the `paused` of them Entra does not look at it at the moment.
    """

    names: dict[str, str] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    missing: set[str] = field(default_factory=set)
    dynamic: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)

    def above(self, roots: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """For each group, the given roots that contain it, directly or through nesting, itself too."""
        contained: dict[str, set[str]] = defaultdict(set)
        children: dict[str, set[str]] = defaultdict(set)
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


async def read_group_tree(client: GraphClient, roots: Iterable[str], *, nested: bool) -> GroupTree:
    """Read the named groups and, if wanted, all groups nested in them; each group once."""
    tree = GroupTree()
    wanted = sorted(set(roots))
    heads = await client.batch(
        [one_group(client.sdk, group) for group in wanted], needs=GROUPS_READ
    )
    tree.missing = {group for group, head in zip(wanted, heads, strict=True) if head is None}
    level = [head for head in heads if head is not None]
    while level:
        _add(tree, level)
        level = await _next_level(client, tree, level) if nested else []
    return tree


def _add(tree: GroupTree, groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        tree.names[group["id"]] = str(group.get("displayName") or "")
        if "DynamicMembership" in (group.get("groupTypes") or []):
            tree.dynamic.add(group["id"])
            if group.get("membershipRuleProcessingState") == "Paused":
                tree.paused.add(group["id"])


async def _next_level(
    client: GraphClient, tree: GroupTree, level: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    # A Microsoft 365 group cannot hold groups, and Graph refuses the cast on one (400
    # Request_UnsupportedQuery). learn.microsoft.com/graph/api/group-list-members
    parents = [group["id"] for group in level if "Unified" not in (group.get("groupTypes") or [])]
    requests = [member_groups(client.sdk, parent) for parent in parents]
    answers = await client.batch(requests, needs=GROUPS_READ)
    fresh: dict[str, dict[str, Any]] = {}
    for parent, request, answer in zip(parents, requests, answers, strict=True):
        if answer is None:  # deleted since its parent was read: it has no members any more
            continue
        async for page in _from_first(client, to_page(answer), request):
            for child in page.items:
                tree.parents[child["id"]].add(parent)
                if child["id"] not in tree.names:
                    fresh[child["id"]] = child
    return list(fresh.values())


async def _from_first(
    client: GraphClient, first: Page, request: RequestInformation
) -> AsyncIterator[Page]:
    """Give the page that came in a batch, then the others, which are followed outside of it."""
    yield first
    if first.next_link is not None:
        async for page in client.pages(client.follow(first.next_link, request), needs=GROUPS_READ):
            yield page
