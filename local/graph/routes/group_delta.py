"""/groups/delta with members@delta: which groups there are, what changed, who came and went.

Facts: concepts/delta-query-groups. A group without (changed) members has no members@delta; a large
one comes in slices, with other groups in between; a soft-deleted person is not mentioned.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import orjson

from local.graph.directory.changes import Change, ChangeLog, Life, PersonOrId
from local.graph.directory.objects import Group
from local.graph.directory.view import View
from local.graph.http.access import READ_GROUPS, READ_HIDDEN
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.delta import Round, read_round, round_answer
from local.graph.odata.properties import GROUP_DEFAULTS, GROUP_PROPERTIES
from local.graph.odata.renderer import user_type
from local.graph.routes.entities import context
from local.graph.service import Service

Reference = dict[str, Any]


@dataclass(slots=True)
class _Changed:
    """What happened to one group in a round."""

    group: Group
    is_whole: bool = False
    """It appeared, went or came back."""
    names: set[str] = field(default_factory=set)
    members: dict[PersonOrId, bool] = field(default_factory=dict)
    """The last thing that happened to each: True when added."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One object on a page; a group with many changed members makes several."""

    group: Group
    names: frozenset[str] | None
    members: list[tuple[PersonOrId, bool]]


async def groups_delta(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_GROUPS)
    current = read_round(
        request,
        service.links,
        known=GROUP_PROPERTIES | {"members"},
        resource="group",
        terms=service.terms(request),
    )
    view = service.round_view(request, current)
    items: list[bytes] = []
    onward: Any = None
    if current.is_first and not current.sync_from_now:
        items, onward = _FirstPage(service, request, view, current).make()
    elif not current.is_first:
        items, onward = _changes(service, request, view, current)
    return round_answer(
        request,
        service.links,
        current,
        context=context("groups", current.select) + "/$delta",
        items=items,
        onward=onward,
    )


class _FirstPage:
    """A page of a first round.

    ``at`` is {"next": place of the next new group, "cut": [[place of a group whose members did not
    fit, where to go on], ...]}.
    """

    def __init__(self, service: Service, request: GraphRequest, view: View, current: Round) -> None:
        self._service = service
        self._log = request.tenant.directory.log
        self._view = view
        self._current = current
        self._may_read_hidden = request.caller.may(READ_HIDDEN)
        self._tells_removed = service.chosen("first_round") == "removedToo"
        self._groups = list(self._view.groups.values())
        at = current.at or {"next": 0, "cut": []}
        self._next: int = at["next"]
        self._cut: list[list[Any]] = at["cut"]
        self._room = service.settings.delta_members_per_page
        self._most = service.settings.delta_page_size
        self._items: list[bytes] = []

    def make(self) -> tuple[list[bytes], Any]:
        waiting, self._cut = self._cut, []
        if waiting and self._next < len(self._groups):
            # Another group comes between two slices of a large one.
            whole, self._room = self._room, self._room // 2
            self._take_new()
            self._room += whole - whole // 2
        for place, at in waiting:
            self._take(place, at)
        while self._next < len(self._groups) and self._room > 0:
            if len(self._items) >= self._most:
                break
            self._take_new()
        if self._next >= len(self._groups) and not self._cut:
            return self._items, None
        return self._items, {"next": self._next, "cut": self._cut}

    def _take_new(self) -> None:
        place = self._next
        self._next += 1
        group = self._groups[place]
        if self._current.ids is not None and group.id not in self._current.ids:
            return
        if group.deleted_at is None:
            self._take(place, ["people", 0])
        elif not group.gone:
            self._items.append(_removed(group))

    def _take(self, place: int, at: list[Any]) -> None:
        """A group with as many members as fit; what does not fit waits for a later page."""
        group = self._groups[place]
        if self._room <= 0:
            self._cut.append([place, at])
            return
        references: list[Reference] = []
        tells = _tells_members(self._current) and (self._may_read_hidden or not group.hides_members)
        if tells:
            members = self._members_from(group, at)
            references = [_reference(self._view, member) for member in islice(members, self._room)]
            following = next(members, None)
            if following is not None:
                is_person = isinstance(following, int)
                self._cut.append([place, ["people" if is_person else "rest", following]])
        self._room -= len(references)
        if tells and self._tells_removed and at == ["people", 0]:
            removed = _removed_members(self._log, group, self._current.until)
            references += [_removed_reference(self._view, member) for member in removed]
        self._items.append(_document(group, _set_names(group, self._current), references))

    def _members_from(self, group: Group, at: list[Any]) -> Iterator[PersonOrId]:
        """Members in a lasting order: what is removed meanwhile moves nobody else."""
        rest = sorted([*group.nested, *group.others])
        told = [member for member in rest if _is_told(self._service, self._view, member)]
        if at[0] == "rest":
            return iter([object_id for object_id in told if object_id >= at[1]])
        people = (n for n in group.people.start_at(at[1]) if self._view.is_live(n))
        return chain(people, told)


def _changes(
    service: Service, request: GraphRequest, view: View, current: Round
) -> tuple[list[bytes], Any]:
    log = request.tenant.directory.log
    may_read_hidden = request.caller.may(READ_HIDDEN)
    entries = service.rounds.changes(
        (request.tenant.id, "groups", current.since, current.until, current.lags, current.select,
         current.ids, may_read_hidden),
        lambda: _entries(service, log, view, current, may_read_hidden=may_read_hidden),
    )  # fmt: skip
    start = current.at or 0
    end, room = start, service.settings.delta_members_per_page
    while end < len(entries) and end - start < service.settings.delta_page_size and room > 0:
        room -= len(entries[end].members)
        end += 1
    # An object may come again on a later page: here the last one of each page does.
    shown = entries[max(0, start - 1) : end]
    items = [_changed_item(view, entry, current) for entry in shown]
    return items, end if end < len(entries) else None


def _entries(
    service: Service, log: ChangeLog, view: View, current: Round, *, may_read_hidden: bool
) -> list[_Entry]:
    slices: list[list[_Entry]] = []
    most = service.settings.delta_members_per_page
    tells_nested = service.chosen("nested_group_gone") == "told"
    for changed in _gather(log, view, current, tells_nested=tells_nested).values():
        tells = _tells_members(current) and (may_read_hidden or not changed.group.hides_members)
        members = [
            (member, added)
            for member, added in changed.members.items()
            # Added and soft-deleted since: not mentioned.
            if tells and not _is_unmentioned(service, view, member, added=added)
        ]
        names = None if changed.is_whole else frozenset(changed.names)
        if names is not None and not names and not members:
            continue
        slices.append(
            [
                _Entry(changed.group, names, members[start : start + most])
                for start in range(0, max(1, len(members)), most)
            ]
        )
    # First slices first: other groups come between the slices of a large one.
    longest = max(map(len, slices), default=0)
    return [of[turn] for turn in range(longest) for of in slices if turn < len(of)]


def _is_unmentioned(service: Service, view: View, member: PersonOrId, *, added: bool) -> bool:
    """Whether a member was added and deleted since, or is gone for good and left out for that."""
    if added:
        return not _is_told(service, view, member)
    group = view.groups.get(member) if isinstance(member, str) else None
    is_gone = group.gone if group is not None else member in view.gone
    return is_gone and service.chosen("gone_members") == "untold"


def _is_told(service: Service, view: View, member: PersonOrId) -> bool:
    """Whether a member is told of while it is soft-deleted."""
    if isinstance(member, int):
        return view.is_live(member)
    group = view.groups.get(member)
    tells_deletions = service.chosen("nested_group_gone") == "told"
    return group is None or group.deleted_at is None or not tells_deletions


def _removed_members(log: ChangeLog, group: Group, until: int) -> list[PersonOrId]:
    """Give who was ever taken out of a group and is not in it."""
    last: dict[PersonOrId, bool] = {}
    for change in log.between(0, until):
        if change.key == group.id and change.member is not None:
            last[change.member] = change.added
    return [member for member, added in last.items() if not added]


def _gather(
    log: ChangeLog, view: View, current: Round, *, tells_nested: bool
) -> dict[str, _Changed]:
    changes: dict[str, _Changed] = {}
    for change in log.between(current.since, current.until):
        key = change.key
        if not isinstance(key, str):
            continue
        if _is_asked_for(current, key):
            _note(changes.setdefault(key, _Changed(view.groups[key])), change, current)
        if tells_nested and change.life in (Life.DELETED, Life.RESTORED):
            for holder in view.groups.values():
                if key in holder.nested and _is_asked_for(current, holder.id):
                    told = Change(holder.id, member=key, added=change.life is Life.RESTORED)
                    _note(changes.setdefault(holder.id, _Changed(holder)), told, current)
    return changes


def _is_asked_for(current: Round, group_id: str) -> bool:
    return current.ids is None or group_id in current.ids


def _note(changed: _Changed, change: Change, current: Round) -> None:
    if change.member is not None:
        changed.members.pop(change.member, None)
        changed.members[change.member] = change.added
    elif change.life is not None:
        changed.is_whole = True
    else:
        changed.names |= change.names & set(current.select or GROUP_DEFAULTS)


def _changed_item(view: View, entry: _Entry, current: Round) -> bytes:
    group = entry.group
    if group.deleted_at is not None:
        return _removed(group)
    names = _set_names(group, current)
    if current.minimal and entry.names is not None:
        names = [name for name in current.select or GROUP_DEFAULTS if name in entry.names]
    elif entry.names is not None:
        names += [name for name in entry.names if name not in names]
    references = []
    for member, added in entry.members:
        reference = _reference if added else _removed_reference
        references.append(reference(view, member))
    return _document(group, names, references)


def _tells_members(current: Round) -> bool:
    return current.select is None or "members" in current.select


def _set_names(group: Group, current: Round) -> list[str]:
    """The tracked properties that are set: what never was is not sent."""
    return [
        name
        for name in current.select or GROUP_DEFAULTS
        if name not in ("id", "members") and group.properties.get(name) not in (None, [])
    ]


def _document(group: Group, names: list[str], references: list[Reference]) -> bytes:
    document: dict[str, Any] = {name: group.properties.get(name) for name in names}
    document["id"] = group.id
    if references:
        document["members@delta"] = references
    return orjson.dumps(document)


def _removed(group: Group) -> bytes:
    reason = "deleted" if group.gone else "changed"
    return orjson.dumps({"id": group.id, "@removed": {"reason": reason}})


def _removed_reference(view: View, member: PersonOrId) -> Reference:
    return {**_reference(view, member), "@removed": {"reason": "deleted"}}


def _reference(view: View, member: PersonOrId) -> Reference:
    if isinstance(member, int):
        return {"@odata.type": user_type(view, member), "id": view.object_id(member)}
    other = view.others.get(member)
    kind = "group" if other is None else other.kind
    return {"@odata.type": f"#microsoft.graph.{kind}", "id": member}
