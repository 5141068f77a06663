"""Change notifications: whom each POST names is kept as open cases, and asked for, before it is acknowledged.

Graph waits three seconds for the answer, and drops notifications of who answers late too often
(learn.microsoft.com/graph/change-notifications-delivery-webhooks). So nothing is read or run here: the ids
are written beside the checkpoint, one message goes on the queue, and the POST is answered. While one write of
a connection is under way, the POSTs that come gather for the next one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import Invalid, RequestRefused, RetryLater
from sync_core.domain.incremental.notified import add, cases_of
from sync_core.domain.incremental.open_people import Key, OpenCase
from sync_core.domain.incremental.rest import FIRST_S
from sync_core.domain.notifications import Notification, read_delivery
from sync_core.domain.realtime import Channel
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.logs import log_event
from sync_core.runs.known_subscriptions import KnownSubscriptions
from sync_core.services import Services
from sync_core.store.vault import Vault

# Notifications come in bursts, one a change; one run serves them all.
DEBOUNCE_S = FIRST_S
# Of the three seconds that Graph waits; what the host and the network take is not ours.
ANSWER_WITHIN_S = 2.0
# So many people wait in memory for a write; whoever comes then is asked to send again.
MOST_WAITING = 20_000
# Anybody may post to the webhook, and Graph may post often: what came is told once in a while, in numbers.
TELL_EVERY = timedelta(seconds=10)

Write = Callable[[Mapping[Key, OpenCase], AbstractSet[Channel]], Awaitable[None]]


class Gathering:
    """The cases of one connection that wait for a write, what kinds came, and who waits for them."""

    def __init__(self) -> None:
        self.cases: dict[Key, OpenCase] = {}
        self.channels: set[Channel] = set()
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever waits may have given up by then.
        self.written.add_done_callback(lambda done: done.cancelled() or done.exception())


class Line:
    """Writes of one connection, one after another; what comes meanwhile is written together."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._next: Gathering | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return self._task is None

    async def put(self, cases: Mapping[Key, OpenCase], channels: AbstractSet[Channel]) -> None:
        """Return when these cases have been written; raise what has kept them from being written."""
        if self._next is None:
            self._next = Gathering()
        gathering = self._next
        if len(gathering.cases) + len(cases) > MOST_WAITING:
            raise not_stored()
        add(gathering.cases, cases.values())
        gathering.channels |= channels
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        await asyncio.shield(gathering.written)

    async def _work(self) -> None:
        try:
            while (gathering := self._next) is not None:
                self._next = None
                try:
                    await self._write(gathering.cases, gathering.channels)
                except Exception as error:  # noqa: BLE001 -- it is the answer of everybody who waits
                    gathering.written.set_exception(error)
                else:
                    gathering.written.set_result(None)
        finally:
            self._task = None


class Tally:
    """What came to the webhook since it was last told: POSTs, people kept, and what was not taken."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._slowest_ms = 0
        self._told_at: datetime | None = None

    def add(self, now: datetime, *, took_s: float = 0.0, **counts: int) -> None:
        """Count, and tell all that has come if the last time was some seconds ago."""
        self._counted.update(counts)
        self._slowest_ms = max(self._slowest_ms, round(took_s * 1000))
        if self._told_at is None or now - self._told_at >= TELL_EVERY:
            counted = {name: count for name, count in self._counted.items() if count}
            log_event("notifications.received", ms=self._slowest_ms, **counted)
            self._counted.clear()
            self._slowest_ms, self._told_at = 0, now


class Deliveries:
    """Takes what Graph delivers; one for each process."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self.known = KnownSubscriptions()
        self._tally = Tally()

    async def take(self, services: Services, body: bytes) -> None:
        """Keep whom a POST names, and have them looked at.

        Raises `Invalid` if it is no delivery, and `RetryLater` where what it says could not be kept in time:
        Graph sends it again.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._take(services, body)
        except TimeoutError as error:
            raise not_stored() from error
        except (Invalid, RequestRefused):
            self._tally.add(services.clock(), refused=1)
            raise

    async def _take(self, services: Services, body: bytes) -> None:
        began = monotonic()
        delivery = read_delivery(body, await client_state_key(services.vault))
        cases: dict[str, dict[Key, OpenCase]] = {}
        heard: dict[str, set[Channel]] = {}
        discarded, now = delivery.discarded, services.clock()
        for notification in delivery.notifications:
            served = await self.known.served_by(services, notification)
            discarded += not served
            for connection_id in served:
                add(cases.setdefault(connection_id, {}), cases_of(notification, now))
                heard.setdefault(connection_id, set()).add(channel_of(notification))
        people = sum(map(len, cases.values()))
        puts = (self._put(services, one, found, heard[one]) for one, found in cases.items())
        try:
            await asyncio.gather(*puts)
        finally:
            took_s = monotonic() - began
            self._tally.add(now, took_s=took_s, posts=1, people=people, discarded=discarded)

    async def _put(
        self,
        services: Services,
        connection_id: str,
        cases: Mapping[Key, OpenCase],
        channels: AbstractSet[Channel],
    ) -> None:
        line = self._lines.get(connection_id)
        if line is None:
            line = self._lines[connection_id] = Line(partial(_keep, services, connection_id))
        try:
            await line.put(cases, channels)
        finally:
            if line.is_idle:
                self._lines.pop(connection_id, None)


async def _keep(
    services: Services,
    connection_id: str,
    cases: Mapping[Key, OpenCase],
    channels: AbstractSet[Channel],
) -> None:
    """Write the cases, and then ask for whoever looks at them: a message must find them."""
    heard = dict.fromkeys(channels, services.clock())
    await services.store.checkpoints.notify(connection_id, cases.values(), heard)
    await ask_soon(services, connection_id)


async def ask_soon(services: Services, connection_id: str) -> None:
    """Send a request that becomes visible in a second; until then it stands for later ones too.

    The run that it starts reads the directory after all of them came, so none is lost.
    """
    now = services.clock()
    if services.wakes.is_awaited(connection_id, now):
        return
    request = SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK)
    await services.queue.send(request, delay_s=DEBOUNCE_S)
    services.wakes.note(connection_id, now + timedelta(seconds=DEBOUNCE_S))


def channel_of(notification: Notification) -> Channel:
    """Return what kind of subscription has told."""
    of_group = notification.is_of_group or notification.members
    return Channel.GROUPS if of_group else Channel.USERS


def not_stored() -> RetryLater:
    return RetryLater(
        "notifications.notKept",
        "The notifications could not be kept in time.",
        "Nothing to do if it passes: Graph sends them again. Otherwise look at the storage account.",
    )


async def client_state_key(vault: Vault) -> bytes:
    """Return the key that signs `clientState`."""
    return await vault.own_key(CLIENT_STATE_KEY)
