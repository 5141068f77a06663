"""Who is assigned to an enterprise application: people, and the members of assigned groups."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from sync_core.directory.answers import GraphNotFound
from sync_core.directory.client import GraphClient
from sync_core.directory.groups import read_group_tree
from sync_core.directory.members import pages, users_in
from sync_core.directory.requests import APPLICATIONS_READ, assigned_to
from sync_core.directory.transcript import Transcript
from sync_core.domain.plan.groups import GroupNow


@dataclass(slots=True)
class Assignments:
    """The service principals that each person is assigned to, and their names.

    `missing` are those that Graph does not have. `hidden` are the names of assigned groups, by their ids,
    whose members this app does not get to see; `groups` tell how many people are in the others.
    """

    by_person: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    names: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    hidden: dict[str, str] = field(default_factory=dict)
    groups: dict[str, GroupNow] = field(default_factory=dict)

    def of(self, object_id: str) -> frozenset[str]:
        return frozenset(self.by_person.get(object_id, ()))

    def count(self, application: str) -> int:
        return sum(application in assigned for assigned in self.by_person.values())


async def read_assignments(
    client: GraphClient, applications: Iterable[str], transcript: Transcript | None = None
) -> Assignments:
    """Read who is assigned to these service principals, with whatever role.

    Of a group its direct members: Entra does not assign through nested groups
    (learn.microsoft.com/entra/identity/enterprise-apps/assign-user-or-group-access-portal).
    """
    found = Assignments()
    assigned: dict[str, set[str]] = defaultdict(set)
    for application in sorted(applications):
        try:
            await _read_directly(client, application, found, assigned, transcript)
        except GraphNotFound:
            found.missing.add(application)
    tree = await read_group_tree(client, assigned, nested=False)
    found.hidden = {group: tree.name(group) for group in tree.unreadable}
    for group in sorted(tree.names.keys() - tree.unreadable):
        members = {object_id async for object_id in _members(client, group, transcript)}
        found.groups[group] = tree.group_now(group, len(members))
        for object_id in members:
            found.by_person[object_id] |= assigned[group]
    return found


async def _read_directly(
    client: GraphClient,
    application: str,
    found: Assignments,
    assigned: dict[str, set[str]],
    transcript: Transcript | None,
) -> None:
    """Note the people who are assigned themselves, and the applications of the groups that are."""
    request = assigned_to(client.sdk, application)
    async for page in client.pages(request, needs=APPLICATIONS_READ, transcript=transcript):
        for item in page.items:
            found.names[application] = str(item.get("resourceDisplayName") or "")
            if item.get("principalType") == "User":
                found.by_person[str(item["principalId"])].add(application)
        for group in assigned_groups(page.items):
            assigned[group].add(application)


def assigned_groups(items: Iterable[dict[str, Any]]) -> list[str]:
    """Return the groups among those that are assigned."""
    return [str(one["principalId"]) for one in items if one.get("principalType") == "Group"]


async def _members(
    client: GraphClient, group: str, transcript: Transcript | None
) -> AsyncIterator[str]:
    try:
        async for page in pages(client, users_in(client, group, ["id"]), transcript):
            for item in page.items:
                yield str(item["id"])
    except GraphNotFound:
        # Deleted since the assignments were read; a deleted group assigns nobody.
        return
