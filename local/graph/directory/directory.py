"""One tenant's directory: what an administrator changes in it, and what changed.

Reads come from the Graph routes, writes from the control API only: Graph itself is read-only here.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from local.graph.directory.changes import Change, ChangeLog, Life, PersonOrId
from local.graph.directory.objects import Group, NotInDirectory
from local.graph.directory.past import History, Past, Undo
from local.graph.directory.people import People, Value, timestamp
from local.graph.directory.view import View

KEPT_AFTER_DELETION = timedelta(days=30)


class Directory(View):
    """As it is now; ``as_of`` shows it as it was."""

    def __init__(self, people: People, now: Callable[[], datetime]) -> None:
        super().__init__(people)
        self.now = now
        self.log = ChangeLog()
        self._history = History()

    def version_at(self, moment: datetime) -> int:
        """How many changes there had been at that moment."""
        return self._history.version_at(moment)

    def as_of(self, version: int) -> View:
        """Show it as it was; good until the next change."""
        return self._history.as_of(self, version)

    def _record(self, change: Change, undo: Undo) -> None:
        self.version += 1
        self._history.add(self.now(), undo)
        self.log.append(change)

    # People.

    def change_person(self, number: int, values: Mapping[str, Value]) -> None:
        really = {
            name: value for name, value in values.items() if self.value(number, name) != value
        }
        if not really:
            return
        undo = self._undo_of_values(number, really)
        self._changed.setdefault(number, {}).update(really)
        self._know_name(number, really)
        self._record(Change(number, frozenset(really)), undo)

    def create_person(self, values: Mapping[str, Value], object_id: str | None = None) -> int:
        object_id = object_id or str(uuid.uuid4())
        number = self.end
        undo_values = self._undo_of_values(number, values)
        self._created.append(object_id)
        self._created_numbers[object_id.lower()] = number
        created = {"createdDateTime": timestamp(self.now())}
        self._changed[number] = created | dict(values) | {"id": object_id}
        self._know_name(number, values)

        def undo(past: Past) -> None:
            undo_values(past)
            past.take_newest_person()

        self._record(Change(number, life=Life.CREATED), undo)
        return number

    def _know_name(self, number: int, values: Mapping[str, Value]) -> None:
        name = _new_name(values)
        if name is not None:
            self._new_principal_names[name] = number

    def _undo_of_values(self, number: int, values: Mapping[str, Value]) -> Undo:
        """How to take back these values, which are about to be set."""
        kept = dict(self._changed[number]) if number in self._changed else None
        name = _new_name(values)
        holder = None if name is None else self._new_principal_names.get(name)

        def undo(past: Past) -> None:
            past.put_values(number, kept)
            if name is not None:
                past.put_principal_name(name, holder)

        return undo

    def set_manager(self, number: int, manager: int | None) -> None:
        kept = {number: self._managers[number]} if number in self._managers else {}
        self._managers[number] = manager
        self._record(
            Change(number, frozenset({"manager"})), lambda past: past.put_manager(number, kept)
        )

    def soft_delete(self, number: int) -> None:
        """The account goes to deletedItems and keeps its memberships for 30 days."""
        if self.is_live(number):
            self.soft_deleted[number] = self.now()
            self._record(
                Change(number, life=Life.DELETED), lambda past: past.put_deletion(number, None)
            )

    def restore(self, number: int) -> None:
        at = self.soft_deleted.pop(number, None)
        if at is not None:
            self._record(
                Change(number, life=Life.RESTORED), lambda past: past.put_deletion(number, at)
            )

    def purge(self, before: datetime) -> None:
        """What was deleted before this moment is gone for good."""
        for number in [n for n, at in self.soft_deleted.items() if at <= before]:
            self.hard_delete(number)
        for group in self.groups.values():
            if group.deleted_at is not None and group.deleted_at <= before and not group.gone:
                self._delete_for_good(group)

    def hard_delete(self, number: int) -> None:
        """Gone for good, from every group as well."""
        at = self.soft_deleted.pop(number, None)
        self.gone.add(number)
        self._record(Change(number, life=Life.GONE), lambda past: past.put_deletion(number, at))
        for group in self.groups.values():
            self.remove_member(group.id, number)

    # Groups and their members.

    def add_group(self, group: Group) -> None:
        self.groups[group.id] = group
        self._record(Change(group.id, life=Life.CREATED), lambda past: past.take_group(group.id))

    def change_group(self, group_id: str, values: Mapping[str, Value]) -> None:
        group = self.group(group_id)
        undo = self._undo_of_group(group)
        group.properties.update(values)
        self._record(Change(group.id, frozenset(values)), undo)

    def delete_group(self, group_id: str, *, for_good: bool) -> None:
        group = self.group(group_id)
        if for_good:
            self._delete_for_good(group)
            return
        undo = self._undo_of_group(group)
        group.deleted_at = self.now()
        self._record(Change(group.id, life=Life.DELETED), undo)

    def _delete_for_good(self, group: Group) -> None:
        """Out of every group that it was in, as a person is."""
        undo = self._undo_of_group(group)
        group.deleted_at, group.gone = group.deleted_at or self.now(), True
        self._record(Change(group.id, life=Life.GONE), undo)
        for holder in self.groups.values():
            self.remove_member(holder.id, group.id)

    def restore_group(self, group_id: str) -> None:
        """It comes back with its members, and into the groups that it was in."""
        group = self.groups.get(group_id.lower())
        if group is None or group.deleted_at is None or group.gone:
            raise NotInDirectory(group_id)
        undo = self._undo_of_group(group)
        group.deleted_at = None
        self._record(Change(group.id, life=Life.RESTORED), undo)

    def _undo_of_group(self, group: Group) -> Undo:
        """How to take back what is about to happen to a group, its members apart."""
        kept, at, gone = dict(group.properties), group.deleted_at, group.gone
        return lambda past: past.put_group(group.id, properties=kept, deleted_at=at, gone=gone)

    def add_member(self, group_id: str, member: PersonOrId) -> bool:
        group = self.group(group_id)
        if isinstance(member, int):
            is_new = group.people.add(member)
        else:
            container = group.nested if member in self.groups else group.others
            is_new = member not in container
            container[member] = None
        if is_new:
            self._record(
                Change(group.id, member=member, added=True),
                lambda past: past.take_member(group.id, member),
            )
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
            self._record(
                Change(group.id, member=member, added=False),
                lambda past: past.put_member(group.id, member),
            )
        return was_in


def _new_name(values: Mapping[str, Value]) -> str | None:
    name = values.get("userPrincipalName")
    return None if name is None else str(name).lower()
