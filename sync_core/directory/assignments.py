"""Who is assigned to an enterprise application: people, and the members of assigned groups."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from sync_core.directory.answers import GraphNotFound
from sync_core.directory.client import GraphClient
from sync_core.directory.members import pages, users_in
from sync_core.directory.requests import APPLICATIONS_READ, assigned_to


@dataclass(slots=True)
class Assignments:
    """The service principals that each person is assigned to, and their names.

    `missing` are those that Graph does not have.
    """

    by_person: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    names: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def of(self, object_id: str) -> frozenset[str]:
        return frozenset(self.by_person.get(object_id, ()))

    def count(self, application: str) -> int:
        return sum(application in assigned for assigned in self.by_person.values())


async def read_assignments(client: GraphClient, applications: Iterable[str]) -> Assignments:
    """Read who is assigned to these service principals, with whatever role.

    Of a group its direct members: Entra does not assign through nested groups
    (learn.microsoft.com/entra/identity/enterprise-apps/assign-user-or-group-access-portal).
    """
    found = Assignments()
    for application in sorted(applications):
        try:
            groups = await _assigned_directly(client, application, found)
        except GraphNotFound:
            found.missing.add(application)
            continue
        for group in groups:
            async for object_id in _members(client, group):
                found.by_person[object_id].add(application)
    return found


async def _assigned_directly(
    client: GraphClient, application: str, found: Assignments
) -> list[str]:
    """Note the people who are assigned themselves; return the groups that are."""
    groups: list[str] = []
    request = assigned_to(client.sdk, application)
    async for page in client.pages(request, needs=APPLICATIONS_READ):
        for item in page.items:
            _note(item, application, found, groups)
    return sorted(set(groups))


def _note(item: dict[str, Any], application: str, found: Assignments, groups: list[str]) -> None:
    found.names[application] = str(item.get("resourceDisplayName") or "")
    if item.get("principalType") == "User":
        found.by_person[str(item["principalId"])].add(application)
    elif item.get("principalType") == "Group":
        groups.append(str(item["principalId"]))


async def _members(client: GraphClient, group: str) -> AsyncIterator[str]:
    try:
        async for page in pages(client, users_in(client, group, ["id"])):
            for item in page.items:
                yield str(item["id"])
    except GraphNotFound:
        # Deleted since the assignments were read; a deleted group assigns nobody.
        return
