"""Graph's URLs: a request in, the answer of its route out; faults and ids on the way."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from local.graph.directory.objects import NotInDirectory
from local.graph.faults.kinds import PAGE_KINDS
from local.graph.http.access import TOKEN_OVER, unauthenticated
from local.graph.http.errors import GraphError, error_body, no_such_segment
from local.graph.http.failures import failure, spoil
from local.graph.http.messages import VERSION, Answer, GraphRequest
from local.graph.http.recorder import Recorded, body_shape
from local.graph.registrations import routes as registrations
from local.graph.routes import (
    directory_objects,
    extensions,
    group_delta,
    group_members,
    groups,
    member_of,
    metadata,
    service_principals,
    subscriptions,
    user_delta,
    users,
)
from local.graph.routes.batch import run_batch
from local.graph.service import Service

Route = Callable[[Service, GraphRequest], Awaitable[Answer]]
KeyRoute = Callable[[Service, GraphRequest, str], Awaitable[Answer]]

_ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "$metadata"): metadata.get_metadata,
    ("GET", "users"): users.list_users,
    ("GET", "users/$count"): users.count_users,
    ("GET", "users/delta"): user_delta.users_delta,
    ("GET", "groups"): groups.list_groups,
    ("GET", "groups/delta"): group_delta.groups_delta,
    ("GET", "organization"): directory_objects.list_organization,
    ("GET", "applications"): extensions.list_applications,
    ("GET", "serviceprincipals"): service_principals.list_service_principals,
    ("GET", "directory/deleteditems/microsoft.graph.user"): directory_objects.list_deleted_users,
    ("GET", "directory/deleteditems/microsoft.graph.group"): directory_objects.list_deleted_groups,
    ("GET", "subscriptions"): subscriptions.list_subscriptions,
    ("POST", "subscriptions"): subscriptions.create_subscription,
    ("POST", "directoryobjects/getbyids"): directory_objects.get_by_ids,
    ("POST", "directoryobjects/microsoft.graph.getbyids"): directory_objects.get_by_ids,
    ("POST", "directoryobjects/getavailableextensionproperties"): extensions.available_extensions,
}
_KEY_ROUTES: dict[tuple[str, str], KeyRoute] = {
    ("GET", "users/{}"): users.get_user,
    ("GET", "users/{}/manager"): users.get_manager,
    ("POST", "users/{}/checkmembergroups"): users.check_member_groups,
    ("POST", "users/{}/microsoft.graph.checkmembergroups"): users.check_member_groups,
    ("GET", "groups/{}"): groups.get_group,
    ("GET", "applications/{}/extensionproperties"): extensions.extensions_of_application,
    ("GET", "serviceprincipals/{}"): service_principals.get_service_principal,
    ("GET", "serviceprincipals/{}/approleassignedto"): service_principals.list_assigned,
    ("GET", "directory/deleteditems/{}"): directory_objects.get_deleted_item,
    ("GET", "subscriptions/{}"): subscriptions.get_subscription,
    ("PATCH", "subscriptions/{}"): subscriptions.renew_subscription,
    ("DELETE", "subscriptions/{}"): subscriptions.delete_subscription,
    ("POST", "subscriptions/{}/reauthorize"): subscriptions.reauthorize_subscription,
}
_LISTS = {
    "members": (group_members.list_members, "groups", False),
    "transitivemembers": (group_members.list_members, "groups", True),
    "memberof": (member_of.list_member_of, "users", False),
    "transitivememberof": (member_of.list_member_of, "users", True),
}


async def dispatch(service: Service, request: GraphRequest) -> Answer:
    """Never raises: every refusal becomes Graph's error body."""
    client_id = request.headers.get("client-request-id", request.id)
    is_batch = request.path == f"{VERSION}/$batch"
    account, now_s = service.account(request), service.clock.now().timestamp()
    try:
        if not is_batch:
            # Each item of a batch is throttled on its own: concepts/json-batching.
            priority = request.headers.get("x-ms-throttle-priority")
            service.budgets.refuse_if_empty(account, now_s, priority=priority)
        answer = await _with_faults(service, request)
    except GraphError as error:
        body = error_body(error.code, error.message, request.id, client_id)
        answer = Answer(error.status, body, dict(error.headers))
    spent = {} if is_batch else service.budgets.spend(account, now_s, request.cost)
    answer.headers.update({"request-id": request.id, "client-request-id": client_id, **spent})
    service.recorder.add(
        Recorded(
            request.method,
            request.path,
            request.raw_query,
            answer.status,
            request.inside_batch,
            request.caller.app_id,
            request.by_sdk,
            None if is_batch else body_shape(request.body),
            request.headers.get("x-ms-throttle-priority"),
        )
    )
    return answer


async def _with_faults(service: Service, request: GraphRequest) -> Answer:
    page = _page_number(service, request)
    picked = service.faults.pick(request.asked, page=page)
    service.faults.begin(request.asked, page=page)
    request.caller = service.caller_now(request.caller)
    request.hidden = service.hidden_attributes(request.caller)
    answer: Answer | None = None
    for fault in picked:
        if fault.kind == "slow":
            await asyncio.sleep(float(fault.options.get("milliseconds", 1000)) / 1000)
        elif fault.kind in PAGE_KINDS:
            request.page_fault = fault
        elif fault.kind == "deletedGroup":
            _delete_group(service, request, str(fault.options["group"]))
        elif fault.kind == "revokedSecret":
            _revoke_secrets(service, request)
            service.mint.over.add(request.headers.get("authorization", ""))
            raise unauthenticated(TOKEN_OVER)
        elif answer is None:
            if fault.kind == "expiredToken":
                service.mint.over.add(request.headers.get("authorization", ""))
            answer = failure(fault)
    if answer is None:
        answer = await route(service, request)
    for fault in picked:
        spoil(answer, fault, inside_batch=request.inside_batch)
    return answer


def _delete_group(service: Service, request: GraphRequest, group_id: str) -> None:
    """Between two requests of a client the group goes; whoever asks for it now is told so."""
    with contextlib.suppress(NotInDirectory):
        service.delete_group(request.tenant.directory, group_id)


def _revoke_secrets(service: Service, request: GraphRequest) -> None:
    """In the middle of a client's work the secrets go; it learns of it when its token has to be a new one."""
    app = service.registry.app(request.caller.app_id)
    if app is not None:
        app.secrets.clear()


def _page_number(service: Service, request: GraphRequest) -> int:
    try:
        return service.links.page_number(request.path, request.query)
    except GraphError:
        return 1


async def route(service: Service, request: GraphRequest) -> Answer:
    if not request.path.startswith(f"{VERSION}/"):
        raise GraphError(400, "BadRequest", "Invalid version.")
    if request.caller.account is not None:
        return await registrations.route(service, request)
    segments = request.path.removeprefix(f"{VERSION}/").rstrip("/").split("/")
    # Segments are matched without regard to case; keys keep theirs.
    lower = [
        segment.lower().removesuffix("()").replace("microsoft.graph.delta", "delta")
        for segment in segments
    ]
    if lower == ["$batch"] and request.method == "POST":
        return await run_batch(
            request,
            lambda item: dispatch(service, item),
            throttled_status=int(service.chosen("throttled_batch")),
        )
    plain = _ROUTES.get((request.method, "/".join(lower)))
    if plain is not None:
        return await plain(service, request)
    if lower[0].startswith("applications(") and len(segments) == 1 and request.method == "GET":
        return await directory_objects.get_application(service, request, segments[0])
    for place in range(1, len(segments)):
        pattern = "/".join([*lower[:place], "{}", *lower[place + 1 :]])
        with_key = _KEY_ROUTES.get((request.method, pattern))
        if with_key is not None:
            return await with_key(service, request, segments[place])
    return await _list_route(service, request, segments, lower)


async def _list_route(
    service: Service, request: GraphRequest, segments: list[str], lower: list[str]
) -> Answer:
    found = _LISTS.get(lower[2]) if len(segments) in (3, 4) else None
    if found is None or found[1] != lower[0]:
        raise _no_route(lower, segments)
    if request.method != "GET":
        raise _wrong_method()
    cast = group_members.CASTS.get(lower[3]) if len(segments) == 4 else None
    if len(segments) == 4 and cast is None:
        raise no_such_segment(segments[3])
    handler, _, transitive = found
    return await handler(service, request, segments[1], transitive=transitive, cast=cast)


def _no_route(lower: list[str], segments: list[str]) -> GraphError:
    patterns = {"/".join([*lower[:n], "{}", *lower[n + 1 :]]) for n in range(1, len(lower))}
    known = {path for _, path in _ROUTES} | {path for _, path in _KEY_ROUTES}
    if known & (patterns | {"/".join(lower)}):
        return _wrong_method()
    return no_such_segment(segments[-1])


def _wrong_method() -> GraphError:
    """Nothing here writes to the directory: a client that tries to shall notice."""
    return GraphError(
        405, "BadRequest", "Specified HTTP method is not allowed for the request target."
    )
