"""Lifecycle notifications of Microsoft Graph: a POST body in, what happened to which subscriptions out. Pure.

learn.microsoft.com/graph/change-notifications-lifecycle-events. Each item is checked by its `clientState`, as
a change notification is.
"""

import hmac
from dataclasses import dataclass, field

import orjson

from sync_core.domain.documents import LifecycleEvent, SubscriptionEvent
from sync_core.domain.notifications import (
    MAX_CLIENT_STATE,
    MAX_ITEMS,
    TooManyItems,
    client_state,
    not_notifications,
)

# Of all that Graph sends; what it may send one day is left alone.
EVENTS = {event.value: event for event in LifecycleEvent}
# More than an application has subscriptions in a tenant; so many fit into one message of the queue.
MOST_OF_ONE = 200


@dataclass(slots=True)
class LifecycleDelivery:
    """What one POST told, by connection; `discarded` items were not signed by us, or say nothing known."""

    events: dict[str, list[SubscriptionEvent]] = field(default_factory=dict)
    discarded: int = 0


def read_lifecycle(body: bytes, key: bytes) -> LifecycleDelivery:
    """Sort a POST by connection, each event once.

    Raises `Invalid` or `TooManyItems` for what Graph would not send.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise not_notifications() from error
    items = document.get("value") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise not_notifications()
    if len(items) > MAX_ITEMS:
        raise TooManyItems(
            "notifications.tooMany",
            f"The body holds {len(items)} notifications; at most {MAX_ITEMS} are taken.",
            "Send them in several requests.",
        )
    found = LifecycleDelivery()
    for item in items:
        origin = _origin(key, item.get("clientState"))
        event = EVENTS.get(str(item.get("lifecycleEvent")))
        subscription_id = item.get("subscriptionId")
        if origin is None or event is None or not _is_id(subscription_id):
            found.discarded += 1
            continue
        connection_id, nonce = origin
        told = SubscriptionEvent(subscription_id=subscription_id, nonce=nonce, event=event)
        of_one = found.events.setdefault(connection_id, [])
        if told not in of_one and len(of_one) < MOST_OF_ONE:
            of_one.append(told)
    return found


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _origin(key: bytes, state: object) -> tuple[str, str] | None:
    """Return the connection and the nonce of a `clientState` that this app has signed."""
    if not isinstance(state, str) or len(state) > MAX_CLIENT_STATE or state.count(".") != 2:
        return None
    connection_id, nonce, _ = state.split(".")
    expected = client_state(key, connection_id, nonce)
    # Bytes: compare_digest refuses text that is not ASCII.
    return (
        (connection_id, nonce) if hmac.compare_digest(expected.encode(), state.encode()) else None
    )
