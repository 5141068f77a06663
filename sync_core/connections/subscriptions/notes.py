"""What became of a subscription, written into its row."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import PreconditionFailed, SyncError
from sync_core.domain.subscriptions import Failure, State, Subscription, place_of
from sync_core.logs import log_event
from sync_core.services import Services


@dataclass(frozen=True, slots=True)
class Notes:
    """Writes into the rows of one connection's subscriptions, and of those that serve it."""

    services: Services
    connection: Connection
    address: str

    async def fail(self, slot: str, row: Subscription | None, error: SyncError) -> None:
        """Note why a subscription could not be had; what lives of it stays."""
        failure = Failure.of(error)
        if row is not None and (row.state, row.failure) == (State.FAILING, failure):
            return
        log_event(
            "subscription.failing",
            level=logging.WARNING,
            connection=self.connection.id,
            slot=slot,
            code=error.code,
        )
        row = row or Subscription(self.connection.id, slot, place_of(self.connection), self.address)
        await self.note(row, state=State.FAILING, failure=failure)

    async def note(self, row: Subscription, **changes: Any) -> None:
        """Write into a row, also where somebody has written beside it, unless it is another's by now."""
        store = self.services.store.subscriptions
        for _ in range(3):
            try:
                await store.put(replace(row, **changes))
            except PreconditionFailed:
                found = await store.find(row.connection_id, row.slot)
                same = found is not None and (found.nonce, found.subscription_id) == (
                    row.nonce,
                    row.subscription_id,
                )
                if found is None or not same:
                    return
                row = found
            else:
                return

    async def add_sharer(self, other: Subscription) -> None:
        """Note that another connection's subscription serves this one, too."""
        if self.connection.id not in other.sharers:
            await self.note(other, sharers=(*other.sharers, self.connection.id))
