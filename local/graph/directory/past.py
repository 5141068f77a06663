"""A directory as it was: each change keeps when it happened and how to take it back.

Nothing is copied while the directory changes; a view of the past costs what happened since.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from local.graph.directory.changes import PersonOrId
from local.graph.directory.objects import Group
from local.graph.directory.people import Value
from local.graph.directory.view import View


class Past(View):
    """The present with its latest changes taken back, in copies of what they touched."""

    def __init__(self, present: View, version: int, undos: Iterable["Undo"]) -> None:
        super().__init__(present.people)
        self.version = version
        self.others = present.others
        self.enterprise_apps = present.enterprise_apps
        self.groups = dict(present.groups)
        self.soft_deleted = dict(present.soft_deleted)
        self.gone = set(present.gone)
        self._changed = dict(present._changed)  # noqa: SLF001 -- of its own kind
        self._created = list(present._created)  # noqa: SLF001
        self._created_numbers = dict(present._created_numbers)  # noqa: SLF001
        self._managers = dict(present._managers)  # noqa: SLF001
        self._new_principal_names = dict(present._new_principal_names)  # noqa: SLF001
        self._own: set[str] = set()
        for undo in undos:
            undo(self)

    def is_live(self, number: int) -> bool:
        # A later group may name people who were not there yet.
        return number < self.end and super().is_live(number)

    # What each kind of change takes back.

    def put_values(self, number: int, values: dict[str, Value] | None) -> None:
        if values is None:
            self._changed.pop(number, None)
        else:
            self._changed[number] = values

    def put_principal_name(self, name: str, number: int | None) -> None:
        if number is None:
            self._new_principal_names.pop(name, None)
        else:
            self._new_principal_names[name] = number

    def put_manager(self, number: int, kept: dict[int, int | None]) -> None:
        """``kept`` holds the manager that was set, if one was."""
        self._managers.pop(number, None)
        self._managers.update(kept)

    def put_deletion(self, number: int, at: datetime | None) -> None:
        """Soft-deleted at that moment, or live."""
        self.gone.discard(number)
        self.soft_deleted.pop(number, None)
        if at is not None:
            self.soft_deleted[number] = at

    def take_newest_person(self) -> None:
        object_id = self._created.pop()
        del self._created_numbers[object_id.lower()]

    def take_group(self, group_id: str) -> None:
        del self.groups[group_id]

    def put_group(
        self,
        group_id: str,
        *,
        properties: dict[str, Value],
        deleted_at: datetime | None,
        gone: bool,
    ) -> None:
        group = self._group_of_its_own(group_id)
        group.properties, group.deleted_at, group.gone = properties, deleted_at, gone

    def put_member(self, group_id: str, member: PersonOrId) -> None:
        group = self._group_of_its_own(group_id)
        if isinstance(member, int):
            group.people.add(member)
        else:
            (group.others if member in self.others else group.nested)[member] = None

    def take_member(self, group_id: str, member: PersonOrId) -> None:
        group = self._group_of_its_own(group_id)
        if isinstance(member, int):
            group.people.discard(member)
        else:
            group.nested.pop(member, None)
            group.others.pop(member, None)

    def _group_of_its_own(self, group_id: str) -> Group:
        if group_id not in self._own:
            self._own.add(group_id)
            self.groups[group_id] = copied(self.groups[group_id])
        return self.groups[group_id]


Undo = Callable[[Past], None]


def copied(group: Group) -> Group:
    return replace(
        group,
        people=group.people.copy(),
        nested=dict(group.nested),
        others=dict(group.others),
    )


class History:
    """When each change happened, and how to take it back."""

    def __init__(self) -> None:
        self._times = array("d")
        self._undos: list[Undo] = []

    def add(self, moment: datetime, undo: Undo) -> None:
        at = moment.timestamp()
        # A clock that is put back reorders nothing.
        self._times.append(max(at, self._times[-1]) if self._times else at)
        self._undos.append(undo)

    def version_at(self, moment: datetime) -> int:
        return bisect_right(self._times, moment.timestamp())

    def as_of(self, present: View, version: int) -> View:
        if version >= len(self._undos):
            return present
        return Past(present, version, reversed(self._undos[version:]))
