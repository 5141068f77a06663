"""Lifecycle notifications of Microsoft Graph: a POST body in, what happened to which subscriptions out. Pure.

learn.microsoft.com/graph/change-notifications-lifecycle-events. Each item is checked by its `clientState`, as
a change notification is.
"""

from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.documents.request import LifecycleEvent, SubscriptionEvent
from sync_core.domain.notifications import Origin, items_of, origin_of

# Of all that Graph sends; what it may send one day is left alone.
EVENTS = {event.value: event for event in LifecycleEvent}
# More than an application has subscriptions in a tenant; so many fit into one message of the queue.
MOST_OF_ONE = 200


@dataclass(slots=True)
class LifecycleDelivery:
    """What one POST told, by connection.

    `unproven` are the events whose state nobody has signed, or the key of before or after it was replaced.
    `discarded` items have no state that this app makes, or say nothing known.
    """

    events: dict[str, list[SubscriptionEvent]] = field(default_factory=dict)
    unproven: list[tuple[str, SubscriptionEvent]] = field(default_factory=list)
    discarded: int = 0

    def add(self, connection_id: str, told: SubscriptionEvent) -> None:
        """Add an event of a connection, once."""
        of_one = self.events.setdefault(connection_id, [])
        if told not in of_one and len(of_one) < MOST_OF_ONE:
            of_one.append(told)


def read_lifecycle(body: bytes, key: bytes) -> LifecycleDelivery:
    """Sort a POST by connection, each event once.

    Raises `Invalid` or `TooManyItems` for what Graph would not send.
    """
    found = LifecycleDelivery()
    for item in items_of(body):
        origin = origin_of(item.get("clientState"), key)
        told = _event(item, origin) if origin is not None else None
        if origin is None or told is None:
            found.discarded += 1
        elif origin.is_proven:
            found.add(origin.connection_id, told)
        else:
            found.unproven.append((origin.connection_id, told))
    return found


def _event(item: dict[str, Any], origin: Origin) -> SubscriptionEvent | None:
    event = EVENTS.get(str(item.get("lifecycleEvent")))
    subscription_id = item.get("subscriptionId")
    if event is None or not isinstance(subscription_id, str) or not _is_id(subscription_id):
        return None
    return SubscriptionEvent(
        subscription_id=subscription_id.lower(), nonce=origin.nonce, event=event
    )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isprintable()
