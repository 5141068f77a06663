"""/groups: list and one group."""

import orjson

from local.graph.directory.objects import Group, NotInDirectory
from local.graph.directory.view import View
from local.graph.http.access import READ_MEMBERS
from local.graph.http.errors import bad_request, not_found, unsupported_query
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.filters import Test, parse_filter
from local.graph.odata.options import (
    ListOptions,
    need_eventual_for_search,
    parse_select,
    read_options,
    refuse_unknown,
)
from local.graph.odata.paging import Link, page_answer
from local.graph.odata.properties import GROUP_FILTERS, GROUP_PROPERTIES, GROUP_SEARCHABLE
from local.graph.odata.renderer import group_values
from local.graph.odata.search import parse_search
from local.graph.routes.entities import (
    LIST_OPTIONS,
    context,
    entity,
    lasting_places,
)
from local.graph.service import Service


async def list_groups(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_MEMBERS)
    options = read_options(
        request, service.links, allowed=LIST_OPTIONS, known=GROUP_PROPERTIES, resource="group"
    )
    groups = matching_groups(options, service.view(request, "groups").live_groups())
    return groups_page(service, request, options, groups, context("groups", options.select))


def groups_page(
    service: Service, request: GraphRequest, options: ListOptions, groups: list[Group], where: str
) -> Answer:
    chosen, link = one_page(service, request, options, groups)
    return page_answer(
        request,
        service.links,
        context=where,
        items=[orjson.dumps(group_values(group, options.select)) for group in chosen],
        link=link,
        here=options.here_state(),
        count=len(groups) if options.advanced and options.page == 1 else None,
    )


def one_page(
    service: Service, request: GraphRequest, options: ListOptions, groups: list[Group]
) -> tuple[list[Group], Link | None]:
    """The groups of a page, in a lasting order unless they are sorted, and the link to the next page."""
    if options.orderby:
        places = {group.id: place for place, group in enumerate(groups)}
    else:
        places = lasting_places(request.tenant.directory)
        groups = sorted(groups, key=lambda group: places[group.id])
    rest = [group for group in groups if places[group.id] >= (options.position or 0)]
    if len(rest) <= options.top:
        return rest, None
    onward = options.next_state(places[rest[options.top].id])
    return rest[: options.top], ("@odata.nextLink", service.links.next_link(request.path, onward))


def matching_groups(options: ListOptions, groups: list[Group]) -> list[Group]:
    need_eventual_for_search(options)
    tests: list[Test] = []
    if options.filter:
        tests.append(
            parse_filter(
                options.filter,
                resource="Group",
                filterable=GROUP_FILTERS,
                known=GROUP_PROPERTIES,
                advanced=options.advanced,
            ).test
        )
    if options.search:
        tests.append(parse_search(options.search, GROUP_SEARCHABLE, "Group"))
    found = [
        group
        for group in groups
        if all(test({"id": group.id, **group.properties}.get) for test in tests)
    ]
    return _sorted(options, found) if options.orderby else found


def _sorted(options: ListOptions, groups: list[Group]) -> list[Group]:
    if (options.filter or options.search) and not options.advanced:
        raise unsupported_query("Sorting not supported for current query.")
    name, _, direction = (options.orderby or "").partition(" ")
    if name != "displayName":
        raise unsupported_query(f"Sorting by '{name}' is not supported for resource 'Group'.")
    if direction not in ("", "asc", "desc"):
        raise bad_request(f"Syntax error in '$orderby': '{direction}'.")
    return sorted(
        groups,
        key=lambda group: str(group.properties["displayName"]).casefold(),
        reverse=direction == "desc",
    )


async def get_group(service: Service, request: GraphRequest, key: str) -> Answer:
    request.caller.need(READ_MEMBERS)
    refuse_unknown(request.query, frozenset(("$select",)))
    select = parse_select(request.query.get("$select"), GROUP_PROPERTIES, "group", is_list=False)
    group = live_group(service.view(request, "groups"), key)
    item = orjson.dumps(group_values(group, select))
    return Answer(200, entity(service, context("groups", select) + "/$entity", item))


def live_group(directory: View, key: str) -> Group:
    try:
        return directory.group(key)
    except NotInDirectory as error:
        raise not_found(key) from error
