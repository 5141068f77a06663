"""/users: list, count, one user, the manager, group checks."""

from local.graph.directory.view import View
from local.graph.http.access import READ_GROUPS, READ_HIDDEN, READ_USERS
from local.graph.http.errors import bad_request, denied, not_found
from local.graph.http.messages import Answer, GraphRequest, json_answer
from local.graph.odata.filters import is_guid
from local.graph.odata.options import (
    expands_the_manager,
    need_own_permissions,
    parse_select,
    read_options,
    refuse_unknown,
)
from local.graph.odata.paging import page_answer
from local.graph.odata.properties import USER_DEFAULTS, USER_PROPERTIES
from local.graph.odata.renderer import typed
from local.graph.odata.selection import Everybody, select_people
from local.graph.routes.entities import LIST_OPTIONS, context, entity, list_cost
from local.graph.service import Service

_EXPANDABLE = LIST_OPTIONS | {"$expand"}
_MAX_CHECKED = 20


async def list_users(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_USERS)
    options = read_options(
        request, service.links, allowed=_EXPANDABLE, known=USER_PROPERTIES, resource="user"
    )
    request.cost = list_cost(2, options)
    view = service.view(request, "list")
    selected = select_people(options, _everybody(request, view), service.matches)
    names = options.select or USER_DEFAULTS
    items = service.renderer(request, view).users(selected.numbers, names)
    if options.expands_manager:
        items = _with_managers(service, request, view, selected.numbers, items)
    onward = None
    if selected.onward is not None:
        link = service.links.next_link(request.path, options.next_state(selected.onward))
        onward = ("@odata.nextLink", link)
    return page_answer(
        request,
        service.links,
        context=context("users", options.select),
        items=items,
        link=onward,
        here=options.here_state(),
        count=selected.count,
    )


async def count_users(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_USERS)
    refuse_unknown(request.query, frozenset(("$filter", "$search")))
    if not request.is_eventual:
        # The documented answer: concepts/aad-advanced-queries, "Error handling".
        raise bad_request("$count is not currently supported.")
    # As a segment, $count is the second half of the pair by itself.
    counted = read_options(
        _with_count(request), service.links, allowed=LIST_OPTIONS, known=USER_PROPERTIES,
        resource="user",
    )  # fmt: skip
    everybody = _everybody(request, service.view(request, "list"))
    selected = select_people(counted, everybody, service.matches)
    return Answer(200, str(selected.count).encode(), content_type="text/plain")


def _everybody(request: GraphRequest, view: View) -> Everybody:
    return Everybody(view, f"{request.tenant.id}/users")


def _with_count(request: GraphRequest) -> GraphRequest:
    query = f"{request.raw_query}&$count=true" if request.raw_query else "$count=true"
    return GraphRequest(
        request.method,
        request.path,
        query,
        request.headers,
        b"",
        request.tenant,
        request.caller,
        hidden=request.hidden,
    )


async def get_user(service: Service, request: GraphRequest, key: str) -> Answer:
    request.caller.need(READ_USERS)
    refuse_unknown(request.query, frozenset(("$select", "$expand")))
    select = parse_select(request.query.get("$select"), USER_PROPERTIES, "user", is_list=False)
    need_own_permissions(request, select)
    expands_manager = expands_the_manager(request, request.query)
    view = service.view(request, "user")
    number = live_person(view, key)
    item = service.renderer(request, view).user(number, select or USER_DEFAULTS)
    if expands_manager:
        request.cost += 1
        [item] = _with_managers(service, request, view, [number], [item])
    return Answer(200, entity(service, context("users", select) + "/$entity", item))


def _with_managers(
    service: Service, request: GraphRequest, view: View, numbers: list[int], items: list[bytes]
) -> list[bytes]:
    """Put each person's manager into the item, with the default properties; nobody's is left out."""
    if service.faults.hides_managers:
        return items
    renderer = service.renderer(request, view)

    def expanded(number: int, item: bytes) -> bytes:
        manager = view.manager_of(number)
        if manager is None:
            return item
        [told] = typed("user", renderer.users([manager], USER_DEFAULTS))
        return item[:-1] + (b"," if len(item) > 2 else b"") + b'"manager":' + told + b"}"

    return [expanded(number, item) for number, item in zip(numbers, items, strict=True)]


async def get_manager(service: Service, request: GraphRequest, key: str) -> Answer:
    request.caller.need(READ_USERS)
    if service.faults.hides_managers:
        raise denied()
    refuse_unknown(request.query, frozenset(("$select",)))
    select = parse_select(request.query.get("$select"), USER_PROPERTIES, "user", is_list=False)
    view = service.view(request, "user")
    manager = view.manager_of(live_person(view, key))
    if manager is None:
        raise not_found("manager")
    item = service.renderer(request, view).user(manager, select or USER_DEFAULTS)
    return Answer(
        200,
        entity(service, context("directoryObjects", select) + "/$entity", typed("user", [item])[0]),
    )


async def check_member_groups(service: Service, request: GraphRequest, key: str) -> Answer:
    """Which of up to 20 groups the user is in, directly or through nesting."""
    request.caller.need(READ_USERS)
    request.caller.need(READ_GROUPS)
    request.cost = 4
    refuse_unknown(request.query, frozenset())
    group_ids = request.json().get("groupIds")
    if not isinstance(group_ids, list) or not all(isinstance(i, str) for i in group_ids):
        raise bad_request("Invalid value specified for property 'groupIds'.")
    if len(group_ids) > _MAX_CHECKED:
        raise bad_request(
            f"Too many elements in the collection 'groupIds': {len(group_ids)}. "
            f"Max allowed: {_MAX_CHECKED}."
        )
    for group_id in group_ids:
        # One malformed id fails the whole call; whatever may not be evaluated is left out in silence.
        if not is_guid(group_id):
            raise bad_request(f"Invalid object identifier '{group_id}'.")
    view = service.view(request, "memberOf")
    number = live_person(view, key)
    may_read_hidden = request.caller.may(READ_HIDDEN)
    above = {
        group.id
        for group in view.groups_above(number)
        if may_read_hidden or not group.hides_members
    }
    return json_answer(
        {
            "@odata.context": f"{service.links.graph_url}/v1.0/$metadata#Collection(Edm.String)",
            "value": [i for i in group_ids if i.lower() in above],
        }
    )


def live_person(view: View, key: str) -> int:
    number = view.find(key)
    if number is None or not view.is_live(number):
        raise not_found(key)
    return number
