"""/groups/{id}/members and /transitiveMembers, with and without a cast to user or group.

A caller who may not read users gets the limited information only: type, id, and null for the rest.
"""

from dataclasses import dataclass

import orjson

from local.graph.directory.members import PersonSet
from local.graph.directory.objects import Group
from local.graph.directory.view import View
from local.graph.http.access import READ_GROUPS, READ_HIDDEN, READ_MEMBERS, READ_USERS, Caller
from local.graph.http.errors import denied, unsupported_query
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.options import ListOptions, need_pair, read_options
from local.graph.odata.paging import Link, page_answer
from local.graph.odata.properties import (
    GROUP_DEFAULTS,
    GROUP_PROPERTIES,
    OTHER_DEFAULTS,
    USER_DEFAULTS,
    USER_PROPERTIES,
)
from local.graph.odata.renderer import group_values, limited, typed
from local.graph.odata.selection import Members, select_people
from local.graph.routes.entities import LIST_OPTIONS, context, lasting_places, list_cost
from local.graph.routes.groups import groups_page, live_group, matching_groups
from local.graph.service import Service

_ANY_PROPERTY = USER_PROPERTIES | GROUP_PROPERTIES
CASTS = {
    f"{namespace}graph.{kind}": kind
    # The SDKs write the alias `graph` of the namespace `microsoft.graph`.
    for namespace in ("microsoft.", "")
    for kind in ("user", "group")
}
_PLAIN_OPTIONS = frozenset(("$select", "$top"))


@dataclass(frozen=True, slots=True)
class _Held:
    """What a group holds, in the order in which it is listed: people, groups, others."""

    people: PersonSet
    groups: list[Group]
    others: list[str]


async def list_members(
    service: Service, request: GraphRequest, key: str, *, transitive: bool, cast: str | None
) -> Answer:
    request.caller.need(READ_GROUPS if transitive else READ_MEMBERS)
    if "$expand" in request.query and not request.is_eventual:
        # An application may not expand the managers of members, although it may read each of them:
        # learn.microsoft.com/answers/questions/1298947.
        raise denied()
    options = read_options(
        request,
        service.links,
        allowed=LIST_OPTIONS,
        known={"user": USER_PROPERTIES, "group": GROUP_PROPERTIES}.get(cast or "", _ANY_PROPERTY),
        resource=cast or "directoryObject",
    )
    request.cost = list_cost(5 if transitive else 3, options)
    view = service.view(request, "members")
    group = live_group(view, key)
    _check_query(options, group, cast)
    if not group.hides_members or request.caller.may(READ_HIDDEN):
        held = _held(service, view, group, request.caller, transitive=transitive)
    elif service.chosen("hidden_members") == "empty":
        held = _Held(PersonSet(), [], [])
    else:
        raise denied()
    if cast is not None:
        held = _found_by_cast(service, request, held)
    if cast == "user":
        return _users(service, request, options, view, held)
    if cast == "group":
        groups = matching_groups(options, held.groups)
        return groups_page(service, request, options, groups, context("groups", options.select))
    return _anything(service, request, options, view, held)


def _check_query(options: ListOptions, group: Group, cast: str | None) -> None:
    if cast is not None:
        # learn.microsoft.com/graph/api/group-list-members: every parameter but $expand needs it.
        need_pair(options, f"OData cast to microsoft.graph.{cast}")
        if cast == "group" and group.is_microsoft_365:
            raise unsupported_query(
                "Unsupported Query: the cast to microsoft.graph.group does not fit this group."
            )
        return
    for name in options.state["query"].keys() - _PLAIN_OPTIONS:
        need_pair(options, f"Query option '{name}'")
        if name != "$count":
            raise unsupported_query(f"'{name}' is supported with an OData cast only.")


def _held(service: Service, view: View, group: Group, caller: Caller, *, transitive: bool) -> _Held:
    if not transitive:
        nested = [view.groups[i] for i in group.nested if view.groups[i].deleted_at is None]
        # v1.0 leaves service principals out of /members: a known issue told on its page.
        others = [i for i in group.others if view.others[i].kind != "servicePrincipal"]
        return _Held(group.people, nested, others)
    below = view.groups_below(group.id)
    may_read_hidden = caller.may(READ_HIDDEN)
    read = [group, *(g for g in below if may_read_hidden or not g.hides_members)]
    if len(read) == 1:
        return _Held(group.people, below, list(group.others))
    people = service.unions.people([g.people for g in read])
    return _Held(people, below, list(dict.fromkeys(i for g in read for i in g.others)))


def _found_by_cast(service: Service, request: GraphRequest, held: _Held) -> _Held:
    """Everything, or under a fault less than there is."""
    people, groups = held.people, held.groups
    lacking = service.faults.left_out(len(people) + len(groups), request.asked)
    if not lacking:
        return held
    return _Held(
        PersonSet(number for place, number in enumerate(people) if place not in lacking),
        [group for place, group in enumerate(groups, len(people)) if place not in lacking],
        held.others,
    )


def _users(
    service: Service, request: GraphRequest, options: ListOptions, view: View, held: _Held
) -> Answer:
    source = Members(view, held.people, f"{request.path} {id(held.people)} {held.people.version}")
    selected = select_people(options, source, service.matches)
    names = options.select or USER_DEFAULTS
    onward: Link | None = None
    if selected.onward is not None:
        link = service.links.next_link(request.path, options.next_state(selected.onward))
        onward = ("@odata.nextLink", link)
    renderer = service.renderer(request, view)
    readable = request.caller.may(READ_USERS)
    return page_answer(
        request,
        service.links,
        context=context("users", options.select),
        items=(
            renderer.users(selected.numbers, names)
            if readable
            else renderer.limited_users(selected.numbers, names)
        ),
        link=onward,
        here=options.here_state(),
        count=selected.count,
    )


def _anything(
    service: Service, request: GraphRequest, options: ListOptions, view: View, held: _Held
) -> Answer:
    """People first; then, on the same or a later page, what is not a person."""
    source = Members(view, held.people, request.path)
    at = options.position or ["people", 0]
    items: list[bytes] = []
    onward = None
    if at[0] == "people":
        numbers: list[int] = []
        for number in source.start_at(at[1]):
            if len(numbers) == options.top:
                onward = ["people", number]
                break
            numbers.append(number)
        items = _people_items(service, request, view, options, numbers)
        at = ["rest", 0]
    if onward is None:
        rest = _rest(request, held, at[1])
        room = options.top - len(items)
        items += [_item(request, view, thing, options) for _, thing in rest[:room]]
        onward = ["rest", rest[room][0]] if room < len(rest) else None
    link: Link | None = None
    if onward is not None:
        url = service.links.next_link(request.path, options.next_state(onward))
        link = ("@odata.nextLink", url)
    count = (
        source.count() + len(held.groups) + len(held.others)
        if options.advanced and options.page == 1
        else None
    )
    return page_answer(
        request,
        service.links,
        context=context("directoryObjects", options.select),
        items=items,
        link=link,
        here=options.here_state(),
        count=count,
    )


def _rest(request: GraphRequest, held: _Held, start: int) -> list[tuple[int, Group | str]]:
    """What is not a person, from this place on, each with its place."""
    places = lasting_places(request.tenant.directory)
    rest: list[tuple[int, Group | str]] = [(places[group.id], group) for group in held.groups]
    rest += [(places[object_id], object_id) for object_id in held.others]
    return sorted((item for item in rest if item[0] >= start), key=lambda item: item[0])


def _people_items(
    service: Service, request: GraphRequest, view: View, options: ListOptions, numbers: list[int]
) -> list[bytes]:
    names = tuple(n for n in options.select or USER_DEFAULTS if n in USER_PROPERTIES)
    renderer = service.renderer(request, view)
    if not request.caller.may(READ_USERS):
        return renderer.limited_users(numbers, names)
    return typed("user", renderer.users(numbers, names))


def _item(request: GraphRequest, view: View, thing: Group | str, options: ListOptions) -> bytes:
    select = options.select
    if isinstance(thing, Group):
        names = tuple(n for n in select or GROUP_DEFAULTS if n in GROUP_PROPERTIES)
        if not request.caller.may(READ_GROUPS):
            return limited("group", thing.id, names)
        return typed("group", [orjson.dumps(group_values(thing, names))])[0]
    other = view.others[thing]
    # Devices, contacts and service principals need permissions of their own.
    return limited(other.kind, other.id, tuple(n for n in OTHER_DEFAULTS if n in (select or ())))
