"""/servicePrincipals and who is assigned to one: the enterprise applications of a tenant.

learn.microsoft.com/graph/api/serviceprincipal-list-approleassignedto: Application.Read.All is the least
permission of an application; a group is told as the group, nobody is expanded.
"""

import orjson

from local.graph.directory.objects import Assignment, EnterpriseApp, NotInDirectory
from local.graph.directory.view import View
from local.graph.http.access import READ_APPS
from local.graph.http.errors import not_found, unsupported_filter
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.options import ListOptions, parse_select, read_options, refuse_unknown
from local.graph.odata.paging import page_answer
from local.graph.odata.search import parse_search
from local.graph.routes.entities import context, entity
from local.graph.service import Service

_KNOWN = frozenset(("id", "appId", "displayName", "servicePrincipalType", "accountEnabled"))
_LIST_OPTIONS = frozenset(("$select", "$top", "$count", "$search"))
_ASSIGNED_OPTIONS = frozenset(("$select", "$top"))
_ASSIGNED_KNOWN = frozenset(
    ("id", "deletedDateTime", "appRoleId", "createdDateTime", "principalDisplayName", "principalId",
     "principalType", "resourceDisplayName", "resourceId")
)  # fmt: skip
# An application without roles of its own is assigned with this one: resources/approleassignment.
_DEFAULT_ROLE = "00000000-0000-0000-0000-000000000000"


async def list_service_principals(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_APPS)
    options = read_options(
        request,
        service.links,
        allowed=_LIST_OPTIONS,
        known=_KNOWN,
        resource="servicePrincipal",
    )
    found = list(request.tenant.directory.enterprise_apps.values())
    if options.search is not None:
        if not options.is_eventual:
            raise unsupported_filter("$search", "ServicePrincipal")
        test = parse_search(options.search, ("displayName",), "ServicePrincipal")
        found = [app for app in found if test(_described(app).get)]
    items = [orjson.dumps(_chosen(_described(app), options.select)) for app in found]
    return _page(service, request, options, items, context("servicePrincipals", options.select))


async def get_service_principal(service: Service, request: GraphRequest, key: str) -> Answer:
    request.caller.need(READ_APPS)
    refuse_unknown(request.query, frozenset(("$select",)))
    select = parse_select(request.query.get("$select"), _KNOWN, "servicePrincipal", is_list=False)
    item = orjson.dumps(_chosen(_described(_enterprise_app(request, key)), select))
    return Answer(200, entity(service, context("servicePrincipals", select) + "/$entity", item))


async def list_assigned(service: Service, request: GraphRequest, key: str) -> Answer:
    """Users, groups and applications that were assigned, soft-deleted people among them."""
    request.caller.need(READ_APPS)
    options = read_options(
        request,
        service.links,
        allowed=_ASSIGNED_OPTIONS,
        known=_ASSIGNED_KNOWN,
        resource="appRoleAssignment",
    )
    app, directory = _enterprise_app(request, key), request.tenant.directory
    items = [
        orjson.dumps(_chosen(_assignment(directory, app, assigned), options.select))
        for assigned in app.assigned.values()
    ]
    return _page(service, request, options, items, context("appRoleAssignments", options.select))


def _page(
    service: Service, request: GraphRequest, options: ListOptions, items: list[bytes], where: str
) -> Answer:
    start = options.position or 0
    end = start + options.top
    link = None
    if end < len(items):
        url = service.links.next_link(request.path, options.next_state(end))
        link = ("@odata.nextLink", url)
    return page_answer(
        request,
        service.links,
        context=where,
        items=items[start:end],
        link=link,
        here=options.here_state(),
        count=len(items) if options.advanced and options.page == 1 else None,
    )


def _enterprise_app(request: GraphRequest, key: str) -> EnterpriseApp:
    app = request.tenant.directory.enterprise_apps.get(key.lower())
    if app is None:
        raise not_found(key)
    return app


def _described(app: EnterpriseApp) -> dict[str, object]:
    return {
        "id": app.id,
        "appId": app.app_id,
        "displayName": app.name,
        "servicePrincipalType": "Application",
        "accountEnabled": True,
    }


def _assignment(directory: View, app: EnterpriseApp, assigned: Assignment) -> dict[str, object]:
    return {
        "id": assigned.id,
        "deletedDateTime": None,
        "appRoleId": _DEFAULT_ROLE,
        "createdDateTime": assigned.created,
        "principalDisplayName": _name(directory, assigned),
        "principalId": assigned.principal_id,
        "principalType": assigned.kind,
        "resourceDisplayName": app.name,
        "resourceId": app.id,
    }


def _name(directory: View, assigned: Assignment) -> object:
    if assigned.kind == "User":
        number = directory.find(assigned.principal_id)
        return None if number is None else directory.value(number, "displayName")
    try:
        return directory.group(assigned.principal_id).properties["displayName"]
    except NotInDirectory:
        other = directory.others.get(assigned.principal_id)
        return None if other is None else other.display_name


def _chosen(document: dict[str, object], select: tuple[str, ...] | None) -> dict[str, object]:
    return {name: document[name] for name in select or document}
