"""/users/delta: who is there, and who has changed since a link was given."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from local.graph.directory.changes import Life
from local.graph.directory.directory import Directory
from local.graph.directory.people import Value
from local.graph.directory.view import View
from local.graph.http.access import READ_USERS
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.delta import Round, read_round, round_answer
from local.graph.odata.properties import UNTRACKED, USER_DEFAULTS, USER_PROPERTIES
from local.graph.odata.renderer import AGENT_TYPE, user_type
from local.graph.routes.entities import context
from local.graph.service import Service
from local.sample import SCHEMA_EXTENSION

Changed = tuple[int, frozenset[str] | None]
"""A person, and the names of what changed, or None when the person appeared, went or came back."""


@dataclass(slots=True)
class _Happened:
    """What a round knows of one person."""

    is_new: bool = False
    went_or_came: bool = False
    names: set[str] = field(default_factory=set)


async def users_delta(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_USERS)
    current = read_round(
        request,
        service.links,
        known=USER_PROPERTIES | {"manager"},
        resource="user",
        terms=service.terms(request),
    )
    view = service.round_view(request, current)
    items: list[bytes] = []
    onward: int | None = None
    if current.is_first and not current.sync_from_now:
        items, onward = _everybody(service, view, current)
    elif not current.is_first:
        items, onward = _changes(service, request, view, current)
    return round_answer(
        request,
        service.links,
        current,
        context=context("users", current.select) + "/$delta",
        items=items,
        onward=onward,
    )


def _everybody(service: Service, view: View, current: Round) -> tuple[list[bytes], int | None]:
    """A page of a first round; deleted people may appear in it, and here they do."""
    start = current.at or 0
    numbers: Iterable[int] = range(start, view.end)
    if current.ids is not None:
        found = {view.find(object_id) for object_id in current.ids}
        numbers = sorted(n for n in found if n is not None and n >= start)
    items: list[bytes] = []
    for number in numbers:
        if len(items) == service.settings.delta_page_size:
            return items, number
        if number in view.gone:
            continue
        items.append(_removed_or_whole(view, number, current))
    return items, None


def _changes(
    service: Service, request: GraphRequest, view: View, current: Round
) -> tuple[list[bytes], int | None]:
    directory = request.tenant.directory
    tells_restored = (
        current.select is None or service.chosen("restored_in_delta") != "untoldWithSelect"
    )
    changed = service.rounds.changes(
        (request.tenant.id, "users", current.since, current.until, current.select, current.ids,
         tells_restored),
        lambda: _gather(directory, current, tells_restored=tells_restored),
    )  # fmt: skip
    start = current.at or 0
    end = start + service.settings.delta_page_size
    # An object may come again on a later page (microsoft-graph-docs issue 6785): here the last one
    # of each page opens the next page as well.
    shown = changed[max(0, start - 1) : end]
    tells_managers = service.chosen("manager_in_delta") == "always"
    earlier = _earlier_managers(directory, current, shown)
    items = [
        _item(view, number, names, current, earlier, tells_managers=tells_managers)
        for number, names in shown
    ]
    return [item for item in items if item], end if end < len(changed) else None


def _earlier_managers(
    directory: Directory, current: Round, shown: Iterable[Changed]
) -> dict[int, int]:
    """Who was the manager when the round before ended, for those whose manager changed since."""
    moved = [number for number, names in shown if names is not None and "manager" in names]
    if not moved:
        return {}
    before = directory.as_of(current.since)
    managers = ((number, before.manager_of(number)) for number in moved if number < before.end)
    return {number: manager for number, manager in managers if manager is not None}


def _gather(directory: Directory, current: Round, *, tells_restored: bool) -> list[Changed]:
    tracked = frozenset(current.select or USER_DEFAULTS) - UNTRACKED
    ids = None if current.ids is None else set(current.ids)
    people: dict[int, _Happened] = {}
    for change in directory.log.between(current.since, current.until):
        if not isinstance(change.key, int) or (
            ids is not None and directory.object_id(change.key) not in ids
        ):
            continue
        happened = people.setdefault(change.key, _Happened())
        happened.names |= change.names & tracked
        if change.life is Life.CREATED:
            happened.is_new = True
        elif change.life is Life.RESTORED and not tells_restored:
            happened.went_or_came = False
        elif change.life is not None:
            happened.went_or_came = True
    told = ((number, _told(happened)) for number, happened in people.items())
    return [(number, names) for number, names in told if names is None or names]


def _told(happened: _Happened) -> frozenset[str] | None:
    is_whole = happened.is_new or happened.went_or_came
    return None if is_whole else frozenset(happened.names)


def _item(
    view: View,
    number: int,
    names: frozenset[str] | None,
    current: Round,
    earlier: dict[int, int],
    *,
    tells_managers: bool,
) -> bytes:
    if names is None:
        return _removed_or_whole(view, number, current)
    if not view.is_live(number):
        return b""
    shown = [
        name
        for name in _visible(current)
        if name in names or (not current.minimal and _is_told(view, number, name, tells_managers))
    ]
    return _document(view, number, shown, earlier.get(number))


def _is_told(view: View, number: int, name: str, tells_managers: bool) -> bool:
    """Whether an unchanged property comes along."""
    return tells_managers if name == "manager" else view.was_ever_set(number, name)


def _removed_or_whole(view: View, number: int, current: Round) -> bytes:
    if view.is_live(number):
        shown = [name for name in _visible(current) if _is_told(view, number, name, True)]
        return _document(view, number, shown)
    # Soft-deleted people can be restored: "changed". Gone for good: "deleted".
    reason = "deleted" if number in view.gone else "changed"
    return orjson.dumps({"id": view.object_id(number), "@removed": {"reason": reason}})


def _visible(current: Round) -> list[str]:
    """What the caller may not see is not told, as if it had never been set; nobody documents it."""
    kept = current.hidden | {SCHEMA_EXTENSION}
    return [name for name in current.select or USER_DEFAULTS if name not in kept]


def _document(view: View, number: int, names: list[str], before: int | None = None) -> bytes:
    document: dict[str, Value] = {
        name: view.value(number, name) for name in names if name not in ("id", "manager")
    }
    managers = _managers(view, number, before) if "manager" in names else []
    if managers:
        document["manager@delta"] = managers
    document["id"] = view.object_id(number)
    if view.is_agent(number):
        document["@odata.type"] = AGENT_TYPE
    return orjson.dumps(document)


def _managers(view: View, number: int, before: int | None) -> list[dict[str, Value]]:
    """Who is the manager now, after who was it before the round; nobody is not told at all."""
    manager = view.manager_of(number)
    listed: list[dict[str, Value]] = []
    if before is not None and before != manager:
        listed.append({**_reference(view, before), "@removed": {"reason": "deleted"}})
    if manager is not None:
        listed.append(_reference(view, manager))
    return listed


def _reference(view: View, number: int) -> dict[str, Value]:
    return {"@odata.type": user_type(view, number), "id": view.object_id(number)}
