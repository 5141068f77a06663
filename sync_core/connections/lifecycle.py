"""Graph's lifecycle notifications: taken by the webhook, and heeded by whoever gets the message.

The webhook checks who wrote them and puts them on the queue, nothing else: it has three seconds to answer.
What is told of is looked at when the message comes, each time against what is stored by then, so that what
is told again, late or by somebody who keeps an old body changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sync_core.connections.subscriptions.access import OwnAddress
from sync_core.connections.subscriptions.ask import ask_for_run
from sync_core.connections.subscriptions.survey import surveyed
from sync_core.connections.subscriptions.upkeep import Upkeep
from sync_core.domain.documents.request import (
    LifecycleEvent,
    Purpose,
    SubscriptionEvent,
    SyncRequest,
)
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import PreconditionFailed, RetryLater
from sync_core.domain.lifecycle import LifecycleDelivery, read_lifecycle
from sync_core.domain.notifications import Notification
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import PAUSE, Subscription, Todo, has_realtime
from sync_core.logs import log_event
from sync_core.runs.known_subscriptions import KnownSubscriptions
from sync_core.services import Services

# Of the three seconds in which Graph wants an answer; it sends again what is not taken.
LIMIT_S = 2.5


async def take(services: Services, known: KnownSubscriptions, body: bytes) -> None:
    """Put what Graph tells on the queue; raise `Invalid` if it is nothing of the kind."""
    try:
        async with asyncio.timeout(LIMIT_S):
            told = read_lifecycle(body, await services.vault.own_key(CLIENT_STATE_KEY))
            await _judge(services, known, told)
            for connection_id, events in told.events.items():
                request = SyncRequest(
                    connection_id=connection_id,
                    trigger=Trigger.LIFECYCLE,
                    purpose=Purpose.SUBSCRIBE,
                    events=events,
                )
                await services.queue.send(request)
    except TimeoutError as error:
        raise RetryLater(
            "notifications.notTaken",
            "Key Vault or the queue did not answer in time; nothing is lost, as Graph sends it again.",
            "Nothing to do if it passes. Otherwise look at the storage account and Key Vault.",
        ) from error
    log_event(
        "lifecycle.received",
        connections=",".join(told.events) or None,
        discarded=told.discarded or None,
    )


async def _judge(services: Services, known: KnownSubscriptions, told: LifecycleDelivery) -> None:
    """Add what another key has signed: a subscription keeps its state for as long as it is renewed."""
    for connection_id, event in told.unproven:
        origin = Notification(connection_id, event.nonce, False, event.subscription_id)
        if await known.served_by(services, origin):
            told.add(connection_id, event)
        else:
            told.discarded += 1


@dataclass(slots=True)
class Heeded:
    """What follows from a message: which subscriptions are renewed and looked for, and whether to run."""

    work: Todo = field(default_factory=Todo)
    runs: set[str] = field(default_factory=set)

    def run_for(self, row: Subscription) -> None:
        """Have a run of the connection, and of those that the subscription serves, too."""
        self.runs |= {row.connection_id, *row.sharers}


async def heed(services: Services, connection_id: str, events: Sequence[SubscriptionEvent]) -> None:
    """Do what Graph asks for: renew, make again, or look for what was missed."""
    stored = await services.store.connections.find(connection_id)
    if stored is None or not has_realtime(stored.connection):
        return
    survey = await surveyed(services, stored.connection)
    heeded = Heeded()
    for event in events:
        row = _row_of(event, survey.rows)
        if row is None:
            log_event("lifecycle.discarded", connection=connection_id)
            continue
        log_event(f"lifecycle.{event.event.value}", connection=connection_id, resource=row.resource)
        await _sort(services, event.event, row, heeded)
    upkeep = Upkeep(services, stored.connection, survey, OwnAddress(services))
    await upkeep.do(heeded.work)
    if upkeep.made:  # which has asked for a run already
        heeded.runs.discard(connection_id)
    for one in sorted(heeded.runs):
        await ask_for_run(services, one)


def _row_of(event: SubscriptionEvent, rows: Sequence[Subscription]) -> Subscription | None:
    """Return the subscription that is meant; one that is being made has no id yet."""
    for row in rows:
        if row.nonce == event.nonce and row.subscription_id in {None, event.subscription_id}:
            return row
    return None


async def _sort(
    services: Services, event: LifecycleEvent, row: Subscription, heeded: Heeded
) -> None:
    now = services.clock()
    if event is LifecycleEvent.REAUTHORIZE:
        # Graph says so every 15 minutes until it is done; within ten of a renewal that is not asked again.
        if row.subscription_id is not None and row.may_be_tried(now):
            heeded.work.renew.append(row)
    elif event is LifecycleEvent.REMOVED:
        if row.subscription_id is not None:
            heeded.work.check.append(row)
        heeded.run_for(row)
    elif await _is_news(services, row, now):
        heeded.run_for(row)


async def _is_news(services: Services, row: Subscription, now: datetime) -> bool:
    """Note that notifications were missed; false where that was told a moment ago."""
    if row.missed_at is not None and now - row.missed_at < PAUSE:
        return False
    try:
        await services.store.subscriptions.put(replace(row, missed_at=now))
    except PreconditionFailed:
        return False
    return True
