"""Change notifications: changes of the directory in, items for the subscribers' webhooks out.

The shape of an item is the one of the Event Grid page for Entra events, and of captures told in
github.com/microsoftgraph/microsoft-graph-docs/issues/9915.
"""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from local.graph.directory.changes import Change
from local.graph.directory.clock import Clock
from local.graph.directory.directory import Directory
from local.graph.directory.people import timestamp
from local.graph.directory.view import View
from local.graph.faults.faults import Faults
from local.graph.subscriptions.rules import Subscription, moment
from local.graph.subscriptions.webhooks import Webhooks

_MOST_IN_ONE_POST = 100
# change-notifications-lifecycle-events, and change-notifications-overview of the token.
_REMINDED_AFTER = timedelta(minutes=15)
_HELD_FOR = timedelta(hours=4)
Item = dict[str, Any]


class Notifier:
    """Holds the subscriptions, gathers changes for a moment, and sends them in batches."""

    def __init__(
        self, clock: Clock, webhooks: Webhooks, faults: Faults, tells_time: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._tells_time = tells_time
        self.webhooks = webhooks
        self.subscriptions: dict[str, Subscription] = {}
        self.delay_s = 0.2
        """Changes are gathered for so long; nobody says how long Graph takes."""
        self.first_retry_s = 1.0
        self.token_life_s = 0.0
        """A subscription's token is good for so long, by the directory's clock; 0: for ever."""
        self._dead: list[Subscription] = []
        self._waiting: dict[tuple[str, str, str], Item] = {}
        self._flush_is_due = False
        self._numbers = itertools.count(1)

    def watch(self, tenant_id: str, directory: Directory) -> None:
        directory.log.listen(lambda change: self._changed(tenant_id, directory, change))

    def live(self) -> list[Subscription]:
        """Subscriptions that have not ended; the others are forgotten."""
        now = self._clock.now()
        for ended in [s for s in self.subscriptions.values() if s.expires <= now]:
            self.drop(ended.id)
        return list(self.subscriptions.values())

    def drop(self, subscription_id: str) -> bool:
        """Forget one, but for lists that show what is dead."""
        dropped = self.subscriptions.pop(subscription_id, None)
        self._dead += [dropped] if dropped is not None else []
        return dropped is not None

    def listed(self, *, hides: bool, shows_dead: bool) -> list[Subscription]:
        """What a list shows: it has left out what lives, and told what was dead
        (microsoft-graph-docs issues 4644, 5603).
        """
        return [*([] if hides else self.live()), *(self._dead if shows_dead else [])]

    def authorize(self, subscription: Subscription) -> None:
        """Leave another token with it; what waited for one is sent, up to four hours old."""
        now = self._clock.now()
        subscription.authorized, subscription.reminded = now, None
        kept = [item for at, item in subscription.held if now - at <= _HELD_FOR]
        subscription.held = []
        if kept:
            self.webhooks.deliver(subscription.notification_url, kept, self.first_retry_s)

    def remind(self) -> None:
        """Ask for new tokens where they are over, every 15 minutes of the directory's clock."""
        now = self._clock.now()
        for subscription in self.live():
            reminded = subscription.reminded
            again = reminded is None or now - reminded >= _REMINDED_AFTER
            if self._is_over(subscription) and again:
                subscription.reminded = now
                self.send_lifecycle(subscription, "reauthorizationRequired")

    def _is_over(self, subscription: Subscription) -> bool:
        age_s = (self._clock.now() - subscription.authorized).total_seconds()
        return 0 < self.token_life_s <= age_s

    def send_lifecycle(self, subscription: Subscription, event: str) -> None:
        item = {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": moment(subscription.expires),
            "tenantId": subscription.tenant_id,
            "clientState": subscription.client_state,
            "lifecycleEvent": event,
        }
        if subscription.lifecycle_url is not None:
            self.webhooks.deliver(subscription.lifecycle_url, [item], self.first_retry_s)

    def _changed(self, tenant_id: str, directory: View, change: Change) -> None:
        if not self.subscriptions:
            return
        for subscription in self.live():
            if subscription.tenant_id == tenant_id and _concerns(subscription, directory, change):
                self._gather(subscription, directory, change)
        if self._waiting and not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(self.delay_s, self._flush)

    def _gather(self, subscription: Subscription, directory: View, change: Change) -> None:
        event = _event(directory, change)
        if change.life is not None and "updated" not in subscription.change_types:
            # Who asks for updates gets new objects as updates; who asks for nothing else, as such.
            event = "created" if event == "updated" else event
        if event not in subscription.change_types:
            return
        object_id = _id_of(directory, change)
        key = (subscription.id, object_id, event)
        item = self._waiting.get(key)
        if item is None:
            item = self._waiting[key] = self._item(subscription, object_id, event)
        if change.member is not None:
            item["resourceData"].setdefault("members@delta", []).append(_member(directory, change))

    def _item(self, subscription: Subscription, object_id: str, event: str) -> Item:
        kind = "User" if subscription.kind == "users" else "Group"
        time = {"eventTime": timestamp(self._clock.now())} if self._tells_time() else {}
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": moment(subscription.expires),
            "clientState": subscription.client_state,
            "changeType": event,
            "resource": f"{kind}s/{object_id}",
            "tenantId": subscription.tenant_id,
            "resourceData": {
                "@odata.type": f"#Microsoft.Graph.{kind}",
                "@odata.id": f"{kind}s/{object_id}",
                "id": object_id,
                "organizationId": subscription.tenant_id,
                **time,
                "sequenceNumber": next(self._numbers),
            },
        }

    def _flush(self) -> None:
        """Items for one address share a POST, whichever subscription they belong to."""
        self._flush_is_due = False
        by_url: dict[str, list[Item]] = {}
        for (subscription_id, _, _), item in self._waiting.items():
            subscription = self.subscriptions.get(subscription_id)
            if subscription is not None and self._is_over(subscription):
                subscription.held.append((self._clock.now(), item))
            elif subscription is not None:
                by_url.setdefault(subscription.notification_url, []).append(item)
        self._waiting = {}
        for url, items in by_url.items():
            for start in range(0, len(items), _MOST_IN_ONE_POST):
                self._send(url, items[start : start + _MOST_IN_ONE_POST])

    def _send(self, url: str, items: list[Item]) -> None:
        """Send a POST, unless a fault loses it, holds it back, sends it twice or turns it round."""
        faults = {fault.kind: fault for fault in self._faults.sent(f"/{items[0]['resource']}")}
        if "lostNotifications" in faults:
            return
        if "shuffledNotifications" in faults:
            items.reverse()
        late = faults.get("lateNotifications")
        wait_s = float(late.options["milliseconds"]) / 1000 if late is not None else 0.0
        loop = asyncio.get_running_loop()
        for _ in range(2 if "doubledNotifications" in faults else 1):
            loop.call_later(wait_s, self.webhooks.deliver, url, items, self.first_retry_s)


def _concerns(subscription: Subscription, directory: View, change: Change) -> bool:
    is_person = isinstance(change.key, int)
    if is_person != (subscription.kind == "users"):
        return False
    if subscription.members_only and change.member is None:
        return False
    return subscription.object_id in (None, _id_of(directory, change))


def _event(directory: View, change: Change) -> str:
    """Created, changed and soft-deleted are `updated`; only what is gone for good is `deleted`."""
    if isinstance(change.key, int):
        return "deleted" if change.key in directory.gone else "updated"
    return "deleted" if directory.groups[change.key].gone else "updated"


def _id_of(directory: View, change: Change) -> str:
    return change.key if isinstance(change.key, str) else directory.object_id(change.key)


def _member(directory: View, change: Change) -> Item:
    """Here `@removed` is a text, unlike in a delta query."""
    member = change.member
    object_id = directory.object_id(member) if isinstance(member, int) else member
    return {"id": object_id} if change.added else {"id": object_id, "@removed": "deleted"}
