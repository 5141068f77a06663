"""Notifications as Graph sends them, for a subscription that is stored without asking Graph for one."""

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.sample import SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID
from sync_core.domain.notifications import client_state
from sync_core.domain.subscriptions import Place, State, Subscription
from sync_core.runs.notifications import client_state_key
from sync_core.services import Services, utc_now

Item = dict[str, Any]


@dataclass(frozen=True)
class Subscribed:
    """One subscription: what stands in each of its notifications."""

    id: str
    state: str

    def user(self, object_id: str, at: datetime | None = None) -> Item:
        return self._item("User", object_id, {}, at)

    def members(
        self, group: str, left: Mapping[str, bool] | None = None, at: datetime | None = None
    ) -> Item:
        """Tell of members by id: whether each has left the group, or come into it."""
        told: list[dict[str, str]] = [
            {"id": one, **({"@removed": "deleted"} if gone else {})}
            for one, gone in (left or {}).items()
        ]
        return self._item("Group", group, {"members@delta": told} if told else {}, at)

    def _item(
        self, kind: str, object_id: str, more: Mapping[str, Any], at: datetime | None
    ) -> Item:
        time = {"eventTime": at.isoformat()} if at is not None else {}
        return {
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": "2026-12-24T00:00:00.0000000Z",
            "clientState": self.state,
            "changeType": "updated",
            "resource": f"{kind}s/{object_id}",
            "tenantId": SAMPLE_TENANT_ID,
            "resourceData": {
                "@odata.type": f"#Microsoft.Graph.{kind}",
                "id": object_id,
                **more,
                **time,
            },
        }


def post(*items: Item) -> bytes:
    """Return the body of a POST."""
    return json.dumps({"value": items}).encode()


async def subscribed(
    services: Services, connection_id: str, slot: str = "users", *sharers: str, is_made: bool = True
) -> Subscribed:
    """Store a subscription as one that is active, or (not `is_made`) as one that Graph is asked for."""
    nonce = secrets.token_urlsafe(16)
    made = Subscribed(
        str(uuid.uuid4()),
        client_state(await client_state_key(services.vault), connection_id, nonce),
    )
    await services.store.subscriptions.put(
        Subscription(
            connection_id,
            slot,
            Place("global", SAMPLE_TENANT_ID, SAMPLE_CLIENT_ID),
            "https://sync.example/api/graph/notifications",
            nonce=nonce,
            state=State.ACTIVE if is_made else State.CREATING,
            subscription_id=made.id if is_made else None,
            expires_at=utc_now() + timedelta(days=28),
            sharers=sharers,
        )
    )
    return made
