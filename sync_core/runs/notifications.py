"""A delivery of change notifications: which connections it names, and that each is asked for once."""

from datetime import datetime, timedelta
from time import monotonic

from sync_core.domain.documents import SyncRequest, Trigger
from sync_core.domain.notifications import read_delivery
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.vault import Vault

# Notifications come in bursts, one a change; one run serves them all.
DEBOUNCE_S = 1
# Clocks of this process and of the queue differ a little.
MARGIN = timedelta(milliseconds=250)
# So long it is remembered which connections a subscription serves.
SHARED_FOR = timedelta(minutes=5)


class Deliveries:
    """Takes what Graph delivers; who was asked for a moment ago is kept in between."""

    def __init__(self) -> None:
        self._asked_until: dict[str, datetime] = {}
        self._sharers: dict[str, tuple[datetime, frozenset[str]]] = {}

    async def take(self, services: Services, body: bytes, trigger: Trigger) -> None:
        """Ask for a run of every connection that a delivery names; raise `Invalid` if it is none."""
        began = monotonic()
        delivery = read_delivery(body, await client_state_key(services.vault))
        asked = dict.fromkeys(delivery.connection_ids)
        for connection_id in delivery.connection_ids:
            asked |= dict.fromkeys(sorted(await self._served(services, connection_id)))
        for connection_id in asked:
            await self._ask_soon(services, connection_id, trigger)
        log_event(
            "notifications.received",
            trigger=trigger.value,
            connections=",".join(delivery.connection_ids) or None,
            discarded=delivery.discarded or None,
            ms=round((monotonic() - began) * 1000),
        )

    async def _served(self, services: Services, connection_id: str) -> frozenset[str]:
        """Return the connections that the subscriptions of this one serve as well.

        Graph has one subscription of an application for each thing (`domain/subscriptions.py`).
        """
        now, known = services.clock(), self._sharers.get(connection_id)
        if known is None or now - known[0] >= SHARED_FOR:
            rows = await services.store.subscriptions.of(connection_id)
            sharers = frozenset(one for row in rows for one in row.sharers)
            known = self._sharers[connection_id] = (now, sharers)
        return known[1]

    async def _ask_soon(self, services: Services, connection_id: str, trigger: Trigger) -> None:
        """Send a request that becomes visible in a second; until then it stands for later ones too.

        The run that it starts reads the directory after all of them came, so none is lost.
        """
        now = services.clock()
        waiting_until = self._asked_until.get(connection_id)
        if waiting_until is not None and now + MARGIN < waiting_until:
            return
        request = SyncRequest(connection_id=connection_id, trigger=trigger)
        await services.queue.send(request, delay_s=DEBOUNCE_S)
        self._asked_until[connection_id] = now + timedelta(seconds=DEBOUNCE_S)


async def client_state_key(vault: Vault) -> bytes:
    """Return the key that signs `clientState`."""
    return await vault.own_key(CLIENT_STATE_KEY)
