"""One tenant's directory: people, groups, other objects, what changed and what was deleted.

Reads come from the Graph routes, writes from the control API only: Graph itself is read-only here.
"""

import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.graph.directory.changes import Change, ChangeLog, PersonOrId
from local.graph.directory.members import PersonSet
from local.graph.directory.people import People, Value, timestamp

KEPT_AFTER_DELETION = timedelta(days=30)


class NotInDirectory(LookupError):
    """Nobody and nothing has this id."""


@dataclass(slots=True)
class Group:
    id: str
    properties: dict[str, Value]
    people: PersonSet = field(default_factory=PersonSet)
    nested: dict[str, None] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    deleted_at: datetime | None = None
    gone: bool = False
    """Deleted and not to be restored."""

    @property
    def is_kept_when_deleted(self) -> bool:
        """Whether it can be restored for 30 days, with its members.

        Microsoft 365 groups, and since March 2026 security groups of the cloud; not distribution groups
        and not what is synced from Active Directory (learn.microsoft.com/graph/api/group-delete, MC1183299).
        """
        is_distribution = self.properties.get("mailEnabled") and not self.is_microsoft_365
        return not is_distribution and not self.properties.get("onPremisesSyncEnabled")

    @property
    def is_microsoft_365(self) -> bool:
        return "Unified" in self.group_types

    @property
    def group_types(self) -> list[str]:
        types = self.properties.get("groupTypes")
        return types if isinstance(types, list) else []

    @property
    def hides_members(self) -> bool:
        return self.properties.get("visibility") == "HiddenMembership"


@dataclass(frozen=True, slots=True)
class OtherObject:
    """A member that is neither user nor group."""

    id: str
    kind: str
    """device, servicePrincipal or orgContact"""
    display_name: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Somebody, or a group, may use an enterprise application."""

    principal_id: str
    kind: str
    """User, Group or ServicePrincipal"""
    created: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(slots=True)
class EnterpriseApp:
    """A service principal that people and groups are assigned to."""

    app_id: str
    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    assigned: dict[str, Assignment] = field(default_factory=dict)
    """By the id of who is assigned."""


class Directory:
    def __init__(self, people: People, now: Callable[[], datetime]) -> None:
        self.people = people
        self.now = now
        self.groups: dict[str, Group] = {}
        self.others: dict[str, OtherObject] = {}
        self.enterprise_apps: dict[str, EnterpriseApp] = {}
        self.log = ChangeLog()
        self.soft_deleted: dict[int, datetime] = {}
        self.gone: set[int] = set()
        self._changed: dict[int, dict[str, Value]] = {}
        self._created: list[str] = []
        self._created_numbers: dict[str, int] = {}
        self._managers: dict[int, int | None] = {}
        self.manager_before: dict[int, int] = {}
        self._new_principal_names: dict[str, int] = {}

    # Reading people.

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
            name == "manager"
            or self.value(number, name) not in (None, [])
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
            number = self._new_principal_names.get(text.lower())
            if number is None:
                number = self.people.number_by_principal_name(text)
            if number is None or self.value(number, "userPrincipalName") is None:
                return None
            if str(self.value(number, "userPrincipalName")).lower() != text.lower():
                return None
        return None if number in self.gone else number

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

    # Changing people.

    def change_person(self, number: int, values: Mapping[str, Value]) -> None:
        before = {name: self.value(number, name) for name in values}
        really = {name: value for name, value in values.items() if before[name] != value}
        if not really:
            return
        self._changed.setdefault(number, {}).update(really)
        if really.get("userPrincipalName") is not None:
            self._new_principal_names[str(really["userPrincipalName"]).lower()] = number
        self.log.append(Change(number, frozenset(really)))

    def create_person(self, values: Mapping[str, Value], object_id: str | None = None) -> int:
        object_id = object_id or str(uuid.uuid4())
        number = self.end
        self._created.append(object_id)
        self._created_numbers[object_id.lower()] = number
        created = {"createdDateTime": timestamp(self.now())}
        self._changed[number] = created | dict(values) | {"id": object_id}
        principal_name = values.get("userPrincipalName")
        if principal_name is not None:
            self._new_principal_names[str(principal_name).lower()] = number
        self.log.append(Change(number, names=None))
        return number

    def set_manager(self, number: int, manager: int | None) -> None:
        before = self.manager_of(number)
        if before is not None:
            self.manager_before[number] = before
        self._managers[number] = manager
        self.log.append(Change(number, frozenset({"manager"})))

    def soft_delete(self, number: int) -> None:
        """The account goes to deletedItems and keeps its memberships for 30 days."""
        if self.is_live(number):
            self.soft_deleted[number] = self.now()
            self.log.append(Change(number, names=None))

    def restore(self, number: int) -> None:
        if self.soft_deleted.pop(number, None) is not None:
            self.log.append(Change(number, names=None))

    def purge(self, before: datetime) -> None:
        """What was deleted before this moment is gone for good."""
        for number in [n for n, at in self.soft_deleted.items() if at <= before]:
            self.hard_delete(number)
        for group in self.groups.values():
            if group.deleted_at is not None and group.deleted_at <= before and not group.gone:
                group.gone = True
                self.log.append(Change(group.id, names=None))

    def hard_delete(self, number: int) -> None:
        """Gone for good, from every group as well."""
        self.soft_deleted.pop(number, None)
        self.gone.add(number)
        self.log.append(Change(number, names=None))
        for group in self.groups.values():
            self.remove_member(group.id, number)

    # Groups and their members.

    def group(self, group_id: str) -> Group:
        group = self.groups.get(group_id.lower())
        if group is None or group.deleted_at is not None:
            raise NotInDirectory(group_id)
        return group

    def with_groups(self, groups: dict[str, Group]) -> "Directory":
        """The same people with these groups, to read from."""
        twin = copy(self)
        twin.groups = groups
        return twin

    def live_groups(self) -> list[Group]:
        return [group for group in self.groups.values() if group.deleted_at is None]

    def add_group(self, group: Group) -> None:
        self.groups[group.id] = group
        self.log.append(Change(group.id, names=None))

    def change_group(self, group_id: str, values: Mapping[str, Value]) -> None:
        self.group(group_id).properties.update(values)
        self.log.append(Change(group_id.lower(), frozenset(values)))

    def delete_group(self, group_id: str, *, for_good: bool) -> None:
        group = self.group(group_id)
        group.deleted_at, group.gone = self.now(), for_good
        self.log.append(Change(group.id, names=None))

    def restore_group(self, group_id: str) -> None:
        """It comes back with its members, and into the groups that it was in."""
        group = self.groups.get(group_id.lower())
        if group is None or group.deleted_at is None or group.gone:
            raise NotInDirectory(group_id)
        group.deleted_at = None
        self.log.append(Change(group.id, names=None))

    def add_member(self, group_id: str, member: PersonOrId) -> bool:
        group = self.group(group_id)
        if isinstance(member, int):
            is_new = group.people.add(member)
        else:
            container = group.nested if member in self.groups else group.others
            is_new = member not in container
            container[member] = None
        if is_new:
            self.log.append(Change(group.id, member=member, added=True))
        return is_new

    def remove_member(self, group_id: str, member: PersonOrId) -> bool:
        group = self.groups[group_id.lower()]
        if isinstance(member, int):
            was_in = group.people.discard(member)
        else:
            was_in = member in group.nested or member in group.others
            group.nested.pop(member, None)
            group.others.pop(member, None)
        if was_in:
            self.log.append(Change(group.id, member=member, added=False))
        return was_in

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
