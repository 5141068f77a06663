"""/users/{id}/memberOf and /transitiveMemberOf, with and without a cast to group."""

import orjson

from local.graph.directory.objects import Group
from local.graph.http.access import READ_GROUPS, READ_HIDDEN, READ_USERS
from local.graph.http.errors import unsupported_query
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.options import need_pair, read_options
from local.graph.odata.paging import page_answer
from local.graph.odata.properties import GROUP_PROPERTIES
from local.graph.odata.renderer import group_values, limited, typed
from local.graph.routes.entities import LIST_OPTIONS, context, list_cost
from local.graph.routes.groups import groups_page, matching_groups, one_page
from local.graph.routes.users import live_person
from local.graph.service import Service


async def list_member_of(
    service: Service, request: GraphRequest, key: str, *, transitive: bool, cast: str | None
) -> Answer:
    # Without a permission to read groups the answer holds types and ids only:
    # learn.microsoft.com/graph/api/user-list-memberof, "limited information".
    request.caller.need(READ_USERS)
    options = read_options(
        request,
        service.links,
        allowed=LIST_OPTIONS,
        known=GROUP_PROPERTIES,
        resource="group",
    )
    request.cost = list_cost(2, options)
    if cast is not None or options.filter or options.search or options.orderby:
        need_pair(options, f"OData cast to microsoft.graph.{cast or 'group'}")
    if cast is None and (options.filter or options.search or options.orderby):
        raise unsupported_query("This query option is supported with an OData cast only.")
    view = service.view(request, "memberOf")
    number = live_person(view, key)
    groups = view.groups_above(number) if transitive else view.groups_of(number)
    readable = request.caller.may(READ_GROUPS)
    may_read_hidden = request.caller.may(READ_HIDDEN)
    groups = [group for group in groups if may_read_hidden or not group.hides_members]
    if cast == "user":
        groups = []
    groups = matching_groups(options, groups)
    if cast is not None:
        lacking = service.faults.left_out(len(groups), request.asked)
        groups = [group for place, group in enumerate(groups) if place not in lacking]
    if cast is not None and readable:
        return groups_page(service, request, options, groups, context("groups", options.select))
    chosen, link = one_page(service, request, options, groups)
    return page_answer(
        request,
        service.links,
        context=context("directoryObjects", options.select),
        items=[_item(group, options.select, readable=readable) for group in chosen],
        link=link,
        here=options.here_state(),
        count=len(groups) if options.advanced and options.page == 1 else None,
    )


def _item(group: Group, select: tuple[str, ...] | None, *, readable: bool) -> bytes:
    if not readable:
        return limited("group", group.id, select)
    return typed("group", [orjson.dumps(group_values(group, select))])[0]
