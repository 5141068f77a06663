"""Directory extensions: who has registered which, for those who may read applications or everything.

learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties and
application-list-extensionproperty
"""

from collections.abc import Mapping, Sequence

from local.graph.http.access import READ_ANY_OBJECT, READ_APPS
from local.graph.http.errors import not_found, unsupported_filter
from local.graph.http.messages import Answer, GraphRequest, json_answer
from local.graph.odata.options import need_pair, read_options, refuse_unknown
from local.graph.routes.entities import list_cost
from local.graph.service import Service
from local.sample import COST_CENTER, EXTENSION_APP_ID, SAMPLE_TENANT_ID

# The application object is in Contoso; elsewhere its extension is known through the consented app.
_OWNER_ID = "7a1e2501-0b6d-4a52-9c3f-8a1d4e5f6a7c"
_FILTER = "extensionProperties/$count ne 0"
_EXTENSION: dict[str, object] = {
    "id": "3f7c1d58-5b0e-4b6f-8f55-2f0e8f6f9a10",
    "deletedDateTime": None,
    "appDisplayName": "Payroll",
    "dataType": "String",
    "isMultiValued": False,
    "isSyncedFromOnPremises": False,
    "name": COST_CENTER,
    "targetObjects": ["User"],
}
_LIST_OPTIONS = frozenset(("$select", "$filter", "$count", "$top"))
_KNOWN = frozenset(("id", "appId", "displayName"))


async def available_extensions(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_ANY_OBJECT)
    refuse_unknown(request.query, frozenset())
    only_synced = request.json().get("isSyncedFromOnPremises")
    found = [] if only_synced is True else [_EXTENSION]
    return _listed(service, "Collection(extensionProperty)", found)


async def list_applications(service: Service, request: GraphRequest) -> Answer:
    """Applications of the tenant; the only filter that is known here asks who has extensions."""
    request.caller.need(READ_APPS)
    options = read_options(
        request, service.links, allowed=_LIST_OPTIONS, known=_KNOWN, resource="application"
    )
    request.cost = list_cost(2, options)
    if options.filter is not None and options.filter != _FILTER:
        raise unsupported_filter(options.filter, "Application")
    if options.filter is not None:
        # Tests of empty collections are advanced: learn.microsoft.com/graph/aad-advanced-queries.
        need_pair(options, "Filtering by the size of a collection")
    found = [
        {"id": _object_id(app.app_id), "appId": app.app_id, "displayName": app.name}
        for app in service.registry.apps.values()
        if app.home_tenant == request.tenant.id and options.filter is None
    ]
    if request.tenant.id == SAMPLE_TENANT_ID:
        owner = {"id": _OWNER_ID, "appId": EXTENSION_APP_ID, "displayName": "Payroll"}
        found.append(owner)
    chosen = [{name: one[name] for name in options.select or sorted(_KNOWN)} for one in found]
    return _listed(service, "applications", chosen[: options.top])


def _object_id(app_id: str) -> str:
    return app_id[::-1].replace("-", "")[:32]


async def extensions_of_application(service: Service, request: GraphRequest, key: str) -> Answer:
    request.caller.need(READ_APPS)
    refuse_unknown(request.query, frozenset())
    request.cost = 2
    if key.lower() != _OWNER_ID or request.tenant.id != SAMPLE_TENANT_ID:
        raise not_found(key)
    return _listed(service, f"applications('{key}')/extensionProperties", [_EXTENSION])


def _listed(service: Service, context: str, found: Sequence[Mapping[str, object]]) -> Answer:
    where = f"{service.links.graph_url}/v1.0/$metadata#{context}"
    return json_answer({"@odata.context": where, "value": found})
