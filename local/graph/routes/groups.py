"""/groups: list and one group."""

import orjson

from local.graph.directory.directory import Directory, Group, NotInDirectory
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
from local.graph.odata.paging import page_answer
from local.graph.odata.properties import GROUP_FILTERS, GROUP_PROPERTIES, GROUP_SEARCHABLE
from local.graph.odata.renderer import group_values
from local.graph.odata.search import parse_search
from local.graph.routes.entities import LIST_OPTIONS, context, entity, list_cost
from local.graph.service import Service


async def list_groups(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_MEMBERS)
    options = read_options(
        request, service.links, allowed=LIST_OPTIONS, known=GROUP_PROPERTIES, resource="group"
    )
    request.cost = list_cost(2, request)
    groups = matching_groups(options, request.tenant.directory.live_groups())
    return groups_page(service, request, options, groups, context("groups", options.select))


def groups_page(
    service: Service, request: GraphRequest, options: ListOptions, groups: list[Group], where: str
) -> Answer:
    start = options.position or 0
    chosen = groups[start : start + options.top]
    end = start + options.top
    onward = None
    if end < len(groups):
        onward = ("@odata.nextLink",
                  service.links.next_link(request.path, options.next_state(end)))  # fmt: skip
    return page_answer(
        request,
        service.links,
        context=where,
        items=[orjson.dumps(group_values(group, options.select)) for group in chosen],
        link=onward,
        here=options.here_state(),
        count=len(groups) if options.advanced and options.page == 1 else None,
    )


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
    group = live_group(request.tenant.directory, key)
    item = orjson.dumps(group_values(group, select))
    return Answer(200, entity(service, context("groups", select) + "/$entity", item))


def live_group(directory: Directory, key: str) -> Group:
    try:
        return directory.group(key)
    except NotInDirectory as error:
        raise not_found(key) from error
