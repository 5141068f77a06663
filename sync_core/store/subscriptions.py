"""The Subscriptions table: one row a subscription, in the partition of its connection.

Which ones are ours is known from here, and from Graph's answer about one id; Graph's list decides nothing. A
row is changed by its ETag only: of two workers at the same subscription, one goes on.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode

from sync_core.domain.errors import PreconditionFailed
from sync_core.domain.subscriptions import Failure, Place, State, Subscription
from sync_core.store.tables import SUBSCRIPTIONS, Tables, asked
from sync_core.store.wire import quoted, storage_unavailable

STATES = {state.value: state for state in State}


class SubscriptionStore:
    """Subscriptions by connection and slot."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def of(self, connection_id: str) -> list[Subscription]:
        """Return the subscriptions of one connection."""
        return [one async for one in self._found(f"PartitionKey eq {quoted(connection_id)}")]

    async def all(self) -> list[Subscription]:
        """Return the subscriptions of all connections."""
        return [one async for one in self._found(None)]

    async def find(self, connection_id: str, slot: str) -> Subscription | None:
        table = await self._tables.table(SUBSCRIPTIONS)
        row = await asked(partial(table.get_entity, connection_id, slot))
        return _subscription(row, str(row.metadata["etag"])) if row is not None else None

    async def put(self, one: Subscription) -> Subscription:
        """Write a subscription over the version that it was read as, or as a new one.

        Raises `PreconditionFailed` where another worker was faster.
        """
        table = await self._tables.table(SUBSCRIPTIONS)
        try:
            if one.etag is None:
                answer = await table.create_entity(_row(one))
            else:
                answer = await table.update_entity(
                    _row(one),
                    mode=UpdateMode.REPLACE,
                    etag=one.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            raise PreconditionFailed(
                "subscription.changedMeanwhile",
                f"The subscription to {one.resource} of {one.connection_id!r} was changed by another worker.",
                "Nothing to do: that worker goes on with it.",
            ) from error
        except AzureError as error:
            raise storage_unavailable(error) from error
        return replace(one, etag=str(answer["etag"]))

    async def delete(self, one: Subscription) -> None:
        """Delete a row, whatever became of it meanwhile."""
        table = await self._tables.table(SUBSCRIPTIONS)
        await asked(partial(table.delete_entity, one.connection_id, one.slot))

    async def delete_all(self, connection_id: str) -> None:
        for one in await self.of(connection_id):
            await self.delete(one)

    async def _found(self, condition: str | None) -> AsyncIterator[Subscription]:
        table = await self._tables.table(SUBSCRIPTIONS)
        rows = table.query_entities(condition) if condition else table.list_entities()
        try:
            async for row in rows:
                yield _subscription(row, str(row.metadata["etag"]))
        except AzureError as error:
            raise storage_unavailable(error) from error


def _row(one: Subscription) -> dict[str, Any]:
    failure = one.failure
    columns = {
        "PartitionKey": one.connection_id,
        "RowKey": one.slot,
        "Resource": one.resource,
        "State": one.state.value,
        "SubscriptionId": one.subscription_id,
        "ExpiresAt": one.expires_at,
        "CreatedAt": one.created_at,
        "RenewedAt": one.renewed_at,
        "TriedAt": one.tried_at,
        "MissedAt": one.missed_at,
        "Cloud": one.place.cloud,
        "TenantId": one.place.tenant_id,
        "ClientId": one.place.client_id,
        "Address": one.address,
        "Nonce": one.nonce or None,
        "Owner": one.owner,
        "Sharers": ",".join(one.sharers) or None,
        "Code": failure.code if failure else None,
        "Message": failure.message if failure else None,
        "Remedy": failure.remedy if failure else None,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _subscription(row: Mapping[str, Any], etag: str) -> Subscription:
    code = row.get("Code")
    sharers = row.get("Sharers") or ""
    return Subscription(
        connection_id=row["PartitionKey"],
        slot=row["RowKey"],
        place=Place(row["Cloud"], row["TenantId"], row["ClientId"]),
        address=row["Address"],
        nonce=row.get("Nonce") or "",
        # What only another release knows is looked at again.
        state=STATES.get(row["State"], State.FAILING),
        subscription_id=row.get("SubscriptionId"),
        expires_at=row.get("ExpiresAt"),
        created_at=row.get("CreatedAt"),
        renewed_at=row.get("RenewedAt"),
        tried_at=row.get("TriedAt"),
        missed_at=row.get("MissedAt"),
        owner=row.get("Owner"),
        sharers=tuple(filter(None, sharers.split(","))),
        failure=Failure(code, row.get("Message") or "", row.get("Remedy") or "") if code else None,
        etag=etag,
    )
