"""Which subscriptions there are, as the webhook knows them: kept in memory, read again where one is unknown.

The proof in a `clientState` says that this app made a subscription once; the stored rows say that there still
is one. They are known by nonces, which nobody else knows, so a row proves a notification as well as the
key does: while the key in the vault is replaced, subscriptions that were signed with the other one count on.
"""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_core.domain.errors import SyncError
from sync_core.domain.notifications import Notification
from sync_core.domain.subscriptions import Subscription
from sync_core.logs import log_event
from sync_core.services import Services

KEPT_FOR = timedelta(minutes=5)
# An unknown nonce may be that of a subscription which another process has made just now.
READ_AGAIN_AFTER = timedelta(seconds=5)
# Whatever connections it names, what nobody has signed makes the table be read no more often.
UNPROVEN_EVERY = timedelta(seconds=1)
MOST_CONNECTIONS = 2_000


@dataclass(frozen=True, slots=True)
class Page:
    """The subscriptions of one connection as they were read, None where they could not be."""

    read_at: datetime
    found: Sequence[Subscription] | None

    def of(self, notification: Notification) -> Subscription | None:
        """Return the subscription that a notification is of; one that is being made has no id yet."""
        for one in self.found or ():
            if not hmac.compare_digest(one.nonce.encode(), notification.nonce.encode()):
                continue
            if one.subscription_id in {None, notification.subscription_id}:
                return one
        return None


class KnownSubscriptions:
    """Subscriptions by connection, for some minutes."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._reading = asyncio.Lock()
        self._unproven_at: datetime | None = None

    async def served_by(self, services: Services, notification: Notification) -> list[str]:
        """Return the connections that a notification is for; none if its subscription is none of ours.

        Where the rows cannot be read, the proof alone decides: a hint costs a look, and no data.
        """
        page = await self._page(services, notification)
        if page is None or page.found is None:
            return [notification.connection_id] if notification.is_proven else []
        found = page.of(notification)
        return [found.connection_id, *found.sharers] if found is not None else []

    async def _page(self, services: Services, notification: Notification) -> Page | None:
        # Whoever floods does not wait in memory for a storage that hangs.
        may_wait = notification.is_proven or not self._reading.locked()
        if may_wait and self._is_read_for(notification, services.clock()):
            async with self._reading:
                # Whoever was first has read it for all who waited.
                if self._is_read_for(notification, services.clock()):
                    await self._read(services, notification)
        return self._pages.get(notification.connection_id)

    def _is_read_for(self, notification: Notification, now: datetime) -> bool:
        """Whether the rows are read before a notification is judged."""
        if not notification.is_proven and not self._may_read_unproven(now):
            return False
        page = self._pages.get(notification.connection_id)
        if page is None or now - page.read_at >= KEPT_FOR:
            return True
        return page.of(notification) is None and now - page.read_at >= READ_AGAIN_AFTER

    def _may_read_unproven(self, now: datetime) -> bool:
        return self._unproven_at is None or now - self._unproven_at >= UNPROVEN_EVERY

    async def _read(self, services: Services, notification: Notification) -> None:
        connection_id, now = notification.connection_id, services.clock()
        if not notification.is_proven:
            self._unproven_at = now
        found: list[Subscription] | None = None
        try:
            found = await services.store.subscriptions.of(connection_id)
        except SyncError as error:
            log_event("subscriptions.unreadable", connection=connection_id, code=error.code)
        self._pages[connection_id] = Page(now, found)
        self._pages.move_to_end(connection_id)
        if len(self._pages) > MOST_CONNECTIONS:
            self._pages.popitem(last=False)
