"""Small parts of the directory: deletedItems, organization, an app's credentials, getByIds."""

import re

import orjson

from local.graph.directory.objects import Group, NotInDirectory
from local.graph.directory.people import Value, timestamp
from local.graph.directory.tenants import App
from local.graph.directory.view import View
from local.graph.http.access import (
    READ_ANY_OBJECT,
    READ_APPS,
    READ_GROUPS,
    READ_ORGANIZATION,
    READ_OWN_APPS,
    READ_USERS,
)
from local.graph.http.errors import GraphError, bad_request, denied, not_found
from local.graph.http.messages import Answer, GraphRequest, json_answer
from local.graph.odata.options import parse_select, read_options, refuse_unknown
from local.graph.odata.paging import page_answer
from local.graph.odata.properties import GROUP_PROPERTIES, USER_DEFAULTS, USER_PROPERTIES
from local.graph.odata.renderer import group_values, typed, user_type
from local.graph.routes.entities import context, entity
from local.graph.routes.groups import groups_page, matching_groups
from local.graph.service import Service

_LIST_OPTIONS = frozenset(("$select", "$top", "$count"))
_APP_KEY = re.compile(r"applications\(appId='([0-9A-Fa-f-]{36})'\)")
_MAX_IDS = 1000
_ALL_KINDS = ["user", "group", "device", "servicePrincipal", "orgContact"]


async def list_deleted_users(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_USERS)
    options = read_options(
        request, service.links, allowed=_LIST_OPTIONS, known=USER_PROPERTIES, resource="user"
    )
    view = service.view(request, "deletedItems")
    rest = sorted(number for number in view.soft_deleted if number >= (options.position or 0))
    link = None
    if len(rest) > options.top:
        url = service.links.next_link(request.path, options.next_state(rest[options.top]))
        link = ("@odata.nextLink", url)
    names = options.select or (*USER_DEFAULTS, "deletedDateTime")
    return page_answer(
        request,
        service.links,
        context=context("users", options.select),
        items=[orjson.dumps(_deleted_person(view, n, names)) for n in rest[: options.top]],
        link=link,
        here=options.here_state(),
        count=len(view.soft_deleted) if options.advanced and options.page == 1 else None,
    )


async def list_deleted_groups(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_GROUPS)
    options = read_options(
        request, service.links, allowed=_LIST_OPTIONS, known=GROUP_PROPERTIES, resource="group"
    )
    groups = [
        group
        for group in service.view(request, "deletedItems").groups.values()
        if group.deleted_at is not None and not group.gone
    ]
    groups = matching_groups(options, groups)
    return groups_page(service, request, options, groups, context("groups", options.select))


async def get_deleted_item(service: Service, request: GraphRequest, key: str) -> Answer:
    refuse_unknown(request.query, frozenset(("$select",)))
    view = service.view(request, "deletedItems")
    group = view.groups.get(key.lower())
    if group is not None and group.deleted_at is not None and not group.gone:
        return _deleted_group(service, request, group)
    request.caller.need(READ_USERS)
    select = parse_select(request.query.get("$select"), USER_PROPERTIES, "user", is_list=False)
    number = view.find(key) if "@" not in key else None
    if number is None or number not in view.soft_deleted:
        raise not_found(key)
    names = select or (*USER_DEFAULTS, "deletedDateTime")
    document = {
        "@odata.type": user_type(view, number),
        **_deleted_person(view, number, names),
    }
    where = context("directoryObjects", select) + "/$entity"
    return Answer(200, entity(service, where, orjson.dumps(document)))


def _deleted_group(service: Service, request: GraphRequest, group: Group) -> Answer:
    request.caller.need(READ_GROUPS)
    select = parse_select(request.query.get("$select"), GROUP_PROPERTIES, "group", is_list=False)
    values = group_values(group, select)
    if "deletedDateTime" in values and group.deleted_at is not None:
        values["deletedDateTime"] = timestamp(group.deleted_at)
    where = context("directoryObjects", select) + "/$entity"
    [item] = typed("group", [orjson.dumps(values)])
    return Answer(200, entity(service, where, item))


def _deleted_person(directory: View, number: int, names: tuple[str, ...]) -> dict[str, Value]:
    document = {name: directory.value(number, name) for name in names}
    if "deletedDateTime" in document:
        document["deletedDateTime"] = timestamp(directory.soft_deleted[number])
    if document.get("userPrincipalName") is not None:
        # Entra frees the name by putting the object id in front of it.
        plain_id = directory.object_id(number).replace("-", "")
        document["userPrincipalName"] = f"{plain_id}{document['userPrincipalName']}"
    return document


async def list_organization(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_ORGANIZATION)
    refuse_unknown(request.query, frozenset(("$select",)))
    tenant = request.tenant
    organization: dict[str, object] = {
        "id": tenant.id,
        "displayName": tenant.name,
        "tenantType": "AAD",
        "countryLetterCode": "CH",
        "verifiedDomains": [
            {
                "name": domain,
                "type": "Managed",
                "isDefault": place == 0,
                "isInitial": place == len(tenant.domains) - 1,
            }
            for place, domain in enumerate(tenant.domains)
        ],
    }
    known = frozenset(organization)
    select = parse_select(request.query.get("$select"), known, "organization", is_list=True)
    chosen = {name: organization[name] for name in select or organization}
    url = service.links.graph_url
    where = context("organization", select)
    return json_answer({"@odata.context": f"{url}/v1.0/$metadata#{where}", "value": [chosen]})


async def get_application(service: Service, request: GraphRequest, segment: str) -> Answer:
    """`applications(appId='…')?$select=passwordCredentials`: when do the secrets end?"""
    match = _APP_KEY.fullmatch(segment)
    app = service.registry.app(match.group(1)) if match else None
    owned = app is not None and app.app_id == request.caller.app_id
    if not request.caller.may(READ_APPS) and not (owned and request.caller.may(READ_OWN_APPS)):
        raise denied()
    # An application object lives in its home tenant only.
    if app is None or app.home_tenant != request.tenant.id:
        raise not_found(segment)
    refuse_unknown(request.query, frozenset(("$select",)))
    document = _application(app)
    select = parse_select(
        request.query.get("$select"), frozenset(document), "application", is_list=False
    )
    item = orjson.dumps({name: document[name] for name in select or document})
    return Answer(200, entity(service, context("applications", select) + "/$entity", item))


def _application(app: App) -> dict[str, object]:
    return {
        "id": app.app_id[::-1].replace("-", "")[:32],
        "appId": app.app_id,
        "displayName": app.name,
        "passwordCredentials": [
            {
                "customKeyIdentifier": None,
                "displayName": secret.name,
                "endDateTime": timestamp(secret.ends),
                "hint": secret.value[:3],
                "keyId": secret.key_id,
                "secretText": None,
                "startDateTime": timestamp(secret.starts),
            }
            for secret in app.secrets
        ],
        "keyCredentials": [],
    }


async def get_by_ids(service: Service, request: GraphRequest) -> Answer:
    request.caller.need(READ_ANY_OBJECT)
    refuse_unknown(request.query, frozenset(("$select",)))
    select = parse_select(
        request.query.get("$select"), USER_PROPERTIES | GROUP_PROPERTIES, "directoryObject",
        is_list=True,
    )  # fmt: skip
    request.cost = 2 if select else 5
    body = request.json()
    # Without types every kind is meant: learn.microsoft.com/graph/api/directoryobject-getbyids
    ids, types = body.get("ids"), body.get("types", _ALL_KINDS)
    if not isinstance(ids, list) or not isinstance(types, list):
        raise bad_request("Invalid value specified for property 'ids' or 'types'.")
    if len(ids) > _MAX_IDS:
        raise GraphError(
            400, "Request_BadRequest", f"Too many ids: {len(ids)}. Max allowed: {_MAX_IDS}."
        )
    view = service.view(request, "user")
    found = [_object(view, str(i), types, select) for i in ids]
    url = service.links.graph_url
    return json_answer(
        {
            "@odata.context": f"{url}/v1.0/$metadata#{context('directoryObjects', select)}",
            "value": [item for item in found if item is not None],
        }
    )


def _object(
    directory: View, object_id: str, types: list[str], select: tuple[str, ...] | None
) -> dict[str, Value] | None:
    """What cannot be found is left out, without an error."""
    number = directory.find(object_id) if "@" not in object_id else None
    if number is not None:
        if not directory.is_live(number) or "user" not in types:
            return None
        names = [n for n in select or USER_DEFAULTS if n in USER_PROPERTIES]
        values = {name: directory.value(number, name) for name in names}
        return {"@odata.type": user_type(directory, number), **values}
    if other := directory.others.get(object_id):
        known = {"id": other.id, "displayName": other.display_name}
        values = {name: known.get(name) for name in select or known}
        return (
            {"@odata.type": f"#microsoft.graph.{other.kind}", **values}
            if other.kind in types
            else None
        )
    try:
        group = directory.group(object_id)
    except NotInDirectory:
        return None
    if "group" not in types:
        return None
    return {"@odata.type": "#microsoft.graph.group", **group_values(group, select)}
