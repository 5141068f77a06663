"""/subscriptions: create with a handshake, read, renew, reauthorize, delete."""

from local.graph.http.access import SUBSCRIBE_GROUPS, SUBSCRIBE_USERS
from local.graph.http.errors import GraphError, bad_request
from local.graph.http.messages import Answer, GraphRequest, json_answer
from local.graph.odata.options import refuse_unknown
from local.graph.service import Service
from local.graph.subscriptions.rules import (
    Subscription,
    checked_url,
    expiry,
    invalid,
    keep_apart,
    new_subscription,
    permission_for,
)

_TENANT_QUOTA = 1000
_RENEWABLE = frozenset(("expirationDateTime", "notificationUrl", "@odata.type"))


async def create_subscription(service: Service, request: GraphRequest) -> Answer:
    refuse_unknown(request.query, frozenset())
    if not request.tenant.advanced_queries:
        # "Not supported in Azure AD B2C tenants" (change-notifications-overview); the words are ours.
        raise invalid("Subscriptions are not supported in this kind of tenant.")
    body = request.json()
    if service.chosen("client_state") == "required" and not body.get("clientState"):
        raise invalid("The required property 'clientState' is missing.")
    subscription = new_subscription(
        body,
        caller=request.caller,
        directory=request.tenant.directory,
        now=service.clock.now(),
    )
    _check_room(service, subscription)
    await _handshakes(service, subscription)
    # Another request may have been faster while this one waited for the webhook.
    _check_room(service, subscription)
    service.notifier.subscriptions[subscription.id] = subscription
    return _answer(service, subscription, 201, with_state=True)


def _check_room(service: Service, asked: Subscription) -> None:
    live = [s for s in service.notifier.live() if s.tenant_id == asked.tenant_id]
    of_app = [s for s in live if s.app_id == asked.app_id]
    for other in of_app:
        same_resource = other.resource.strip("/").lower() == asked.resource.strip("/").lower()
        if same_resource and other.change_types == asked.change_types:
            raise GraphError(
                409,
                "Conflict",
                f"Subscription Id {other.id} already exists for the requested combination.",
            )
    if len(of_app) >= service.settings.subscription_quota or len(live) >= _TENANT_QUOTA:
        raise GraphError(
            403,
            "Forbidden",
            "The number of subscriptions of this application in the tenant has reached its limit "
            f"of {service.settings.subscription_quota}.",
        )


async def _handshakes(service: Service, subscription: Subscription) -> None:
    timeout_s = service.settings.handshake_timeout_s
    webhooks = service.notifier.webhooks
    await webhooks.handshake(subscription.notification_url, timeout_s)
    if subscription.lifecycle_url is not None:
        await webhooks.handshake(subscription.lifecycle_url, timeout_s)


async def list_subscriptions(service: Service, request: GraphRequest) -> Answer:
    refuse_unknown(request.query, frozenset())
    _need_any(request)
    listed = service.notifier.listed(
        hides=service.faults.hides_subscriptions, shows_dead=service.faults.shows_dead_subscriptions
    )
    mine = [s for s in listed if _is_mine(s, request)]
    url = service.links.graph_url
    return json_answer(
        {
            "@odata.context": f"{url}/v1.0/$metadata#subscriptions",
            "value": [s.document(with_state=False) for s in mine],
        }
    )


async def get_subscription(service: Service, request: GraphRequest, key: str) -> Answer:
    refuse_unknown(request.query, frozenset())
    return _answer(service, _mine(service, request, key), 200, with_state=False)


async def renew_subscription(service: Service, request: GraphRequest, key: str) -> Answer:
    """A new end, or a new address; either is validated by another handshake
    (github.com/microsoftgraph/msgraph-sdk-dotnet/issues/2805).
    """
    subscription, now = _mine(service, request, key), service.clock.now()
    body = request.json()
    fixed = body.keys() - _RENEWABLE
    if fixed:
        raise invalid(f"The property {', '.join(sorted(fixed))} cannot be changed.")
    if not body.keys() & {"expirationDateTime", "notificationUrl"}:
        raise bad_request("expirationDateTime or notificationUrl is needed.")
    keep_apart(subscription, subscription.reauthorized, now)
    ends = subscription.expires
    if "expirationDateTime" in body:
        ends = expiry(str(body["expirationDateTime"]), now)
    before = subscription.notification_url
    if "notificationUrl" in body:
        url = checked_url(str(body["notificationUrl"]), "notificationUrl")
        subscription.notification_url = url
    try:
        await _handshakes(service, subscription)
    except GraphError:
        subscription.notification_url = before
        raise
    subscription.expires, subscription.renewed = ends, now
    service.notifier.authorize(subscription)
    return _answer(service, subscription, 200, with_state=False)


async def reauthorize_subscription(service: Service, request: GraphRequest, key: str) -> Answer:
    subscription, now = _mine(service, request, key), service.clock.now()
    keep_apart(subscription, subscription.renewed, now)
    await _handshakes(service, subscription)
    subscription.reauthorized = now
    service.notifier.authorize(subscription)
    return Answer(204)


async def delete_subscription(service: Service, request: GraphRequest, key: str) -> Answer:
    service.notifier.drop(_mine(service, request, key).id)
    return Answer(204)


def _mine(service: Service, request: GraphRequest, key: str) -> Subscription:
    _need_any(request)
    found = next((s for s in service.notifier.live() if s.id == key.lower()), None)
    if found is None or not _is_mine(found, request):
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    request.caller.need(permission_for(found.kind))
    return found


def _need_any(request: GraphRequest) -> None:
    """Whoever may subscribe to nothing may not ask for subscriptions, either."""
    request.caller.need(SUBSCRIBE_USERS | SUBSCRIBE_GROUPS)


def _is_mine(subscription: Subscription, request: GraphRequest) -> bool:
    caller = request.caller
    return (subscription.app_id, subscription.tenant_id) == (caller.app_id, caller.tenant_id)


def _answer(
    service: Service, subscription: Subscription, status: int, *, with_state: bool
) -> Answer:
    url = service.links.graph_url
    document = subscription.document(with_state=with_state)
    return json_answer(
        {"@odata.context": f"{url}/v1.0/$metadata#subscriptions/$entity", **document}, status
    )
