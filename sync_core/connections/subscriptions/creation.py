"""Subscriptions made at Graph; one that is there already is adopted, shared or deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from secrets import randbelow, token_urlsafe
from typing import Any

from sync_core.connections.subscriptions.access import AT_ONCE
from sync_core.connections.subscriptions.ask import ask
from sync_core.connections.subscriptions.notes import Notes
from sync_core.connections.subscriptions.survey import Survey
from sync_core.directory import subscriptions as graph
from sync_core.directory.client import GraphClient
from sync_core.directory.own_address import LIFECYCLE
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import PreconditionFailed, RetryLater, SyncError
from sync_core.domain.notifications import client_state
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import (
    LIFE,
    Failure,
    Listed,
    State,
    Subscription,
    is_of_groups,
    place_of,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded

# The end of a life is drawn from so many seconds: it tells one subscription from another.
JITTER_S = 3_600


@dataclass(slots=True)
class Creation:
    """Makes the subscriptions of one connection; `made` are the slots of those it has made."""

    services: Services
    connection: Connection
    survey: Survey
    notes: Notes
    made: set[str] = field(default_factory=set)
    refused: dict[bool, SyncError] = field(default_factory=dict)

    async def make(self, client: GraphClient, slots: Sequence[str]) -> None:
        """Make subscriptions where there are none."""
        kept = {row.slot: row for row in self.survey.rows if self.survey.wanted.fits(row)}
        calls = (partial(self.make_one, client, slot, kept.get(slot)) for slot in slots)
        await bounded(AT_ONCE, calls)

    async def make_one(self, client: GraphClient, slot: str, kept: Subscription | None) -> None:
        """Make one subscription in place of a row without one; what is refused for one is for all alike."""
        if refused := self.refused.get(is_of_groups(slot)):
            await self.notes.fail(slot, kept, refused)
            return
        try:
            # Written first: what Graph tells meanwhile is known by its nonce, and nobody else makes one.
            row = await self.services.store.subscriptions.put(self._begun(slot, kept))
        except PreconditionFailed:
            return
        try:
            made = await self._made(client, row, kept)
        except RetryLater as error:
            # It may have been made, and only the answer is lost.
            await self.notes.note(row, failure=Failure.of(error))
        except SyncError as error:
            if error.code in {"graph.permissionMissing", "subscription.quota"}:
                self.refused[is_of_groups(slot)] = error
            await self.notes.fail(slot, row, error)
        else:
            await self.notes.note(row, **made)
            self.made.add(slot)
            log_event("subscription.made", connection=self.connection.id, resource=row.resource)
            for sharer in row.sharers:
                await ask(self.services, sharer)

    def _begun(self, slot: str, kept: Subscription | None) -> Subscription:
        """Return the row of a subscription that is about to be made.

        Where the answer to an earlier try is lost, its nonce is used again: Graph may have taken it.
        """
        now = self.services.clock()
        again = kept is not None and kept.state is State.CREATING and kept.nonce
        return Subscription(
            self.connection.id,
            slot,
            place_of(self.connection),
            self.survey.wanted.address,
            nonce=kept.nonce if kept is not None and again else token_urlsafe(16),
            # Of two that are made at the same moment, each is known again by its end.
            expires_at=now + LIFE - timedelta(seconds=randbelow(JITTER_S)),
            tried_at=now,
            sharers=kept.sharers if kept is not None else (),
            etag=kept.etag if kept is not None else None,
        )

    async def _made(
        self, client: GraphClient, row: Subscription, kept: Subscription | None
    ) -> dict[str, Any]:
        """Ask Graph for a subscription; return what there is to note of it, or of the one that is there."""
        key = await self.services.vault.own_key(CLIENT_STATE_KEY)
        wanted = graph.NewSubscription(
            slot=row.slot,
            notification_url=row.address,
            lifecycle_url=f"{self.services.settings.public_base_url}{LIFECYCLE}",
            client_state=client_state(key, row.connection_id, row.nonce),
            expires_at=row.expires_at or self.services.clock() + LIFE,
        )
        try:
            return self._active(await graph.create(client, wanted))
        except graph.AlreadyThere as clash:
            found = await self._there(client, row, kept, clash)
        # What was in the way is gone.
        return found or self._active(await graph.create(client, wanted))

    async def _there(
        self,
        client: GraphClient,
        row: Subscription,
        kept: Subscription | None,
        clash: graph.AlreadyThere,
    ) -> dict[str, Any] | None:
        """Return what to note of the subscription that is in the way; None once it is not any more.

        Ours whose answer was lost is adopted, and another connection's serves both. One with our address
        that nobody knows is deleted: with which `clientState` it was made, Graph does not tell. Raises the
        clash for another installation's.
        """
        if clash.subscription_id is None:
            raise clash
        [found] = await graph.find_all(client, [clash.subscription_id], [row.slot])
        if isinstance(found, SyncError):
            raise found
        if found is None:
            return None
        if (nonce := _nonce_of(found, row, kept)) is not None:
            log_event("subscription.adopted", connection=row.connection_id, resource=row.resource)
            return self._active(found) | {"nonce": nonce}
        every = await self.services.store.subscriptions.all()
        for other in every:
            if other.connection_id == row.connection_id or other.owner is not None:
                continue
            if other.subscription_id == found.subscription_id or found.was_asked_by(other):
                await self.notes.add_sharer(other)
                return self._active(found) | {"owner": other.connection_id}
        if not found.is_ours(row.address):
            raise clash
        await graph.remove(client, found.subscription_id, row.slot)
        return None

    def _active(self, found: Listed) -> dict[str, Any]:
        now = self.services.clock()
        return {
            "state": State.ACTIVE,
            "subscription_id": found.subscription_id,
            "expires_at": found.expires_at,
            "created_at": now,
            "renewed_at": None,
            "failure": None,
        }


def _nonce_of(found: Listed, row: Subscription, kept: Subscription | None) -> str | None:
    """Return the nonce with which a subscription was made that is there already; None where nobody knows."""
    if kept is not None and kept.subscription_id == found.subscription_id:
        return kept.nonce
    was_asked_before = kept is not None and kept.nonce == row.nonce and found.was_asked_by(kept)
    return row.nonce if was_asked_before or found.was_asked_by(row) else None
