"""One tenant's directory to read from: people, groups, other objects, who is in which group."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from datetime import datetime
from typing import Self

from local.graph.directory.changes import PersonOrId
from local.graph.directory.objects import EnterpriseApp, Group, NotInDirectory, OtherObject
from local.graph.directory.people import People, Value


class View:
    """As it is (``Directory``), or as it was at some version (``Past``)."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.version = 0
        """The number of changes so far."""
        self.groups: dict[str, Group] = {}
        self.others: dict[str, OtherObject] = {}
        self.enterprise_apps: dict[str, EnterpriseApp] = {}
        self.soft_deleted: dict[int, datetime] = {}
        self.gone: set[int] = set()
        self._changed: dict[int, dict[str, Value]] = {}
        self._created: list[str] = []
        self._created_numbers: dict[str, int] = {}
        self._managers: dict[int, int | None] = {}
        self._new_principal_names: dict[str, int] = {}

    # People.

    @property
    def end(self) -> int:
        """One more than the highest number that was ever given to a person."""
        return self.people.count + len(self._created)

    def is_live(self, number: int) -> bool:
        return number not in self.soft_deleted and number not in self.gone

    def live(self, start: int = 0) -> Iterator[int]:
        dead = self.gone | self.soft_deleted.keys()
        for number in range(start, self.end):
            if number not in dead:
                yield number

    def live_count(self) -> int:
        return self.end - len(self.soft_deleted) - len(self.gone)

    def value(self, number: int, name: str) -> Value:
        changed = self._changed.get(number)
        if changed is not None and name in changed:
            return changed[name]
        return self.people.value(number, name) if number < self.people.count else None

    def is_agent(self, number: int) -> bool:
        """Whether the account is an agent's: it has an agent identity as its parent."""
        changed = self._changed.get(number)
        return changed is not None and changed.get("identityParentId") is not None

    def was_ever_set(self, number: int, name: str) -> bool:
        """Delta tells a cleared property as null, and one that was never set not at all."""
        return (
            self.value(number, name) not in (None, [])
            or name in self._changed.get(number, ())
            or (number < self.people.count and self.people.value(number, name) not in (None, []))
        )

    def object_id(self, number: int) -> str:
        generated = self.people.count
        return (
            self.people.object_id(number)
            if number < generated
            else self._created[number - generated]
        )

    def find(self, id_or_principal_name: str) -> int | None:
        """A person who exists or is soft-deleted, by object id or principal name."""
        text = id_or_principal_name
        number = self.people.number_by_id(text)
        if number is None:
            number = self._created_numbers.get(text.lower())
        if number is None and "@" in text:
            number = self._by_principal_name(text)
        return None if number in self.gone else number

    def _by_principal_name(self, text: str) -> int | None:
        number = self._new_principal_names.get(text.lower())
        if number is None:
            number = self.people.number_by_principal_name(text)
        if number is None:
            return None
        mine = self.value(number, "userPrincipalName")
        return number if mine is not None and str(mine).lower() == text.lower() else None

    def person(self, id_or_principal_name: str) -> int:
        number = self.find(id_or_principal_name)
        if number is None:
            raise NotInDirectory(id_or_principal_name)
        return number

    def manager_of(self, number: int) -> int | None:
        manager = (
            self._managers[number]
            if number in self._managers
            else self.people.manager_of(number)
            if number < self.people.count
            else None
        )
        return manager if manager is not None and self.is_live(manager) else None

    # Groups and their members.

    def group(self, group_id: str) -> Group:
        group = self.groups.get(group_id.lower())
        if group is None or group.deleted_at is not None:
            raise NotInDirectory(group_id)
        return group

    def with_groups(self, groups: dict[str, Group]) -> Self:
        """The same people with these groups."""
        twin = copy(self)
        twin.groups = groups
        return twin

    def live_groups(self) -> list[Group]:
        return [group for group in self.groups.values() if group.deleted_at is None]

    def groups_below(self, group_id: str) -> list[Group]:
        """Every group nested in this one, at any depth, once; never the group itself."""
        return self._walk(group_id, lambda group: group.nested)

    def groups_of(self, member: PersonOrId) -> list[Group]:
        """The groups that hold this member directly."""
        return [
            group
            for group in self.live_groups()
            if (
                member in group.people
                if isinstance(member, int)
                else member in group.nested or member in group.others
            )
        ]

    def groups_above(self, member: PersonOrId) -> list[Group]:
        """The groups that hold this member directly or through nesting."""
        found: dict[str, Group] = {}
        waiting = self.groups_of(member)
        while waiting:
            group = waiting.pop(0)
            if group.id not in found:
                found[group.id] = group
                waiting.extend(self.groups_of(group.id))
        return list(found.values())

    def _walk(self, start: str, onward: Callable[[Group], Iterable[str]]) -> list[Group]:
        found: dict[str, Group] = {}
        waiting = list(onward(self.group(start)))
        while waiting:
            group = self.groups.get(waiting.pop(0))
            if group is not None and group.deleted_at is None and group.id not in found:
                found[group.id] = group
                waiting.extend(onward(group))
        found.pop(start.lower(), None)
        return list(found.values())
