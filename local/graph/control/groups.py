"""Changing groups and their members, as an administrator of the tenant would."""

import uuid
from collections.abc import Iterable, Mapping
from itertools import islice

from local.graph.control.base import ControlBase, ControlError, Document
from local.graph.control.loop import on_loop
from local.graph.directory.changes import PersonOrId
from local.graph.directory.directory import Directory
from local.graph.directory.objects import Group
from local.graph.directory.people import Value
from local.graph.directory.sample_groups import group_properties
from local.graph.odata.properties import GROUP_PROPERTIES


class GroupsControl(ControlBase):
    @on_loop
    def groups(self, search: str = "", *, tenant: str | None = None) -> list[Document]:
        directory = self.directory(tenant)
        return [
            _described(directory, group)
            for group in directory.live_groups()
            if search.casefold() in str(group.properties["displayName"]).casefold()
        ]

    @on_loop
    def group(self, group_id: str, *, tenant: str | None = None) -> Document:
        directory = self.directory(tenant)
        return _described(directory, directory.group(group_id))

    @on_loop
    def members(
        self, group_id: str, *, transitive: bool = False, tenant: str | None = None
    ) -> list[str]:
        """Object ids of the live people in the group."""
        directory = self.directory(tenant)
        return [directory.object_id(n) for n in _people(directory, group_id, transitive)]

    @on_loop
    def create_group(
        self,
        name: str,
        *,
        values: Mapping[str, Value] | None = None,
        members: Iterable[str] = (),
        microsoft_365: bool = False,
        hidden: bool = False,
        membership_rule: str | None = None,
        group_id: str | None = None,
        tenant: str | None = None,
    ) -> Document:
        """With a rule it is a dynamic group; who fits the rule is for the caller to add and remove."""
        directory = self.directory(tenant)
        if group_id is not None and group_id.lower() in directory.groups:
            raise ControlError(f"{group_id} is taken")
        properties = group_properties(
            name,
            domain=directory.people.domain,
            microsoft_365=microsoft_365,
            hidden=hidden,
            membership_rule=membership_rule,
        )
        object_id = str(uuid.uuid4()) if group_id is None else group_id.lower()
        group = Group(object_id, properties | _checked(values or {}))
        directory.add_group(group)
        for member in members:
            directory.add_member(group.id, _member(directory, member))
        return _described(directory, group)

    @on_loop
    def patch_group(
        self, group_id: str, values: Mapping[str, Value], *, tenant: str | None = None
    ) -> Document:
        directory = self.directory(tenant)
        directory.change_group(group_id, _checked(values))
        return _described(directory, directory.group(group_id))

    @on_loop
    def delete_group(
        self, group_id: str, *, permanent: bool = False, tenant: str | None = None
    ) -> None:
        """For 30 days or for good, as Entra does with a group of its kind; or for good anyway."""
        directory = self.directory(tenant)
        if permanent:
            directory.delete_group(group_id, for_good=True)
        else:
            self.service.delete_group(directory, group_id)

    @on_loop
    def restore_group(self, group_id: str, *, tenant: str | None = None) -> Document:
        directory = self.directory(tenant)
        directory.restore_group(group_id)
        return _described(directory, directory.group(group_id))

    @on_loop
    def add_members(self, group_id: str, *members: str, tenant: str | None = None) -> int:
        """People (id or principal name), groups and other objects; the number really added."""
        directory = self.directory(tenant)
        return sum(directory.add_member(group_id, _member(directory, m)) for m in members)

    @on_loop
    def remove_members(
        self,
        group_id: str,
        *members: str,
        count: int | None = None,
        tenant: str | None = None,
    ) -> list[str]:
        """These members, or the first ``count`` people; answers the ids that were removed."""
        directory = self.directory(tenant)
        group = directory.group(group_id)
        leaving = [_member(directory, member) for member in members]
        if count is not None:
            leaving += list(islice(group.people, count))
        removed = [member for member in leaving if directory.remove_member(group.id, member)]
        return [m if isinstance(m, str) else directory.object_id(m) for m in removed]


def _member(directory: Directory, key: str) -> PersonOrId:
    number = directory.find(key)
    if number is not None:
        return number
    lower = key.lower()
    if lower in directory.groups or lower in directory.others:
        return lower
    raise ControlError(f"no person, group or other object {key}")


def _people(directory: Directory, group_id: str, transitive: bool) -> list[int]:
    groups = [directory.group(group_id)]
    if transitive:
        groups += directory.groups_below(group_id)
    numbers = {number for group in groups for number in group.people}
    return sorted(number for number in numbers if directory.is_live(number))


def _described(directory: Directory, group: Group) -> Document:
    live = sum(directory.is_live(number) for number in group.people)
    return {
        "id": group.id,
        **{name: value for name, value in group.properties.items() if value is not None},
        "people": live,
        "nested": list(group.nested),
        "others": list(group.others),
    }


def _checked(values: Mapping[str, Value]) -> dict[str, Value]:
    unknown = values.keys() - GROUP_PROPERTIES
    if unknown or "id" in values:
        raise ControlError(f"cannot be set: {', '.join(sorted(unknown or {'id'}))}")
    return dict(values)
