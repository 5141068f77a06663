"""/users/delta: who is there, and who has changed since a link was given."""

from collections.abc import Iterable

import orjson

from local.graph.directory.changes import Change
from local.graph.directory.directory import Directory
from local.graph.directory.people import Value
from local.graph.directory.view import View
from local.graph.http.access import READ_USERS
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.delta import Round, read_round, round_answer
from local.graph.odata.properties import USER_DEFAULTS, USER_PROPERTIES
from local.graph.odata.renderer import AGENT_TYPE, user_type
from local.graph.routes.entities import context
from local.graph.service import Service

Changed = dict[int, frozenset[str] | None]
"""By person: the names of what changed, or None when the person appeared, went or came back."""


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
    tracked = frozenset(current.select or USER_DEFAULTS)
    changed = service.rounds.changes(
        (request.tenant.id, "users", current.since, current.until, tracked, current.ids),
        lambda: list(_gather(directory, current, tracked).items()),
    )
    start = current.at or 0
    end = start + service.settings.delta_page_size
    # An object may come again on a later page (microsoft-graph-docs issue 6785): here the last one
    # of each page opens the next page as well.
    shown = changed[max(0, start - 1) : end]
    tells_managers = service.chosen("manager_in_delta") == "always"
    items = [
        _item(view, number, names, current, tells_managers=tells_managers)
        for number, names in shown
    ]
    return [item for item in items if item], end if end < len(changed) else None


def _gather(directory: Directory, current: Round, tracked: frozenset[str]) -> Changed:
    ids = None if current.ids is None else set(current.ids)
    changed: Changed = {}
    for change in directory.log.between(current.since, current.until):
        if not isinstance(change.key, int) or not _is_tracked(change, tracked):
            continue
        if ids is not None and directory.object_id(change.key) not in ids:
            continue
        names = changed.get(change.key, frozenset())
        changed[change.key] = (
            None if names is None or change.names is None else names | change.names
        )
    return changed


def _is_tracked(change: Change, tracked: frozenset[str]) -> bool:
    return change.names is None or not tracked.isdisjoint(change.names)


def _item(
    view: View,
    number: int,
    names: frozenset[str] | None,
    current: Round,
    *,
    tells_managers: bool,
) -> bytes:
    if names is None:
        return _removed_or_whole(view, number, current)
    if not view.is_live(number):
        return b""
    selected = _visible(current)
    if current.minimal:
        shown = [name for name in selected if name in names]
    else:
        shown = [
            name
            for name in selected
            if name in names
            or (tells_managers if name == "manager" else view.was_ever_set(number, name))
        ]
    return _document(view, number, shown)


def _removed_or_whole(view: View, number: int, current: Round) -> bytes:
    if view.is_live(number):
        selected = _visible(current)
        return _document(view, number, [n for n in selected if view.was_ever_set(number, n)])
    # Soft-deleted people can be restored: "changed". Gone for good: "deleted".
    reason = "deleted" if number in view.gone else "changed"
    return orjson.dumps({"id": view.object_id(number), "@removed": {"reason": reason}})


def _visible(current: Round) -> list[str]:
    """What the caller may not see is not told, as if it had never been set; nobody documents it."""
    return [name for name in current.select or USER_DEFAULTS if name not in current.hidden]


def _document(view: View, number: int, names: list[str]) -> bytes:
    document: dict[str, Value] = {
        name: view.value(number, name) for name in names if name not in ("id", "manager")
    }
    if "manager" in names:
        manager = view.manager_of(number)
        before = view.manager_before.get(number)
        listed: list[dict[str, Value]] = []
        if before is not None and before != manager:
            listed.append({**_reference(view, before), "@removed": {"reason": "deleted"}})
        if manager is not None:
            listed.append(_reference(view, manager))
        document["manager@delta"] = listed
    document["id"] = view.object_id(number)
    if view.is_agent(number):
        document["@odata.type"] = AGENT_TYPE
    return orjson.dumps(document)


def _reference(view: View, number: int) -> dict[str, Value]:
    return {"@odata.type": user_type(view, number), "id": view.object_id(number)}
