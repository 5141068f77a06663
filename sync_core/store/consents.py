"""The Consents table: consents that were begun, and those that Entra has not confirmed yet.

A connection has a partition. A begun consent is a row named by the digest of its state, never by the
state itself; whoever comes back with the state takes the row away, once. A consent that was given and
waits for Entra is the row `pending`: at most one a connection, the newest.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from sync_core.domain.errors import Conflict
from sync_core.store.tables import CONSENTS, Tables, asked
from sync_core.store.wire import BatchRefused, Operation, Verb, quoted, storage_unavailable, submit

STATE_LIFE = timedelta(minutes=30)
MAX_OPEN = 20
PENDING = "pending"
# Gone already, or another version by now.
NOT_OURS = {404, 412}


@dataclass(frozen=True, slots=True)
class PendingConsent:
    """A consent that somebody has given and Entra has not confirmed; `tenant_id` is still a claim."""

    connection_id: str
    tenant_id: str
    since: datetime
    etag: str


class ConsentStore:
    """Begun and pending consents by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, connection_id: str, digest: str, now: datetime) -> None:
        """Note a state that is handed out; raise `Conflict` when too many are on their way."""
        table = await self._tables.table(CONSENTS)
        on_their_way = 0
        async for row in self._rows(f"PartitionKey eq {quoted(connection_id)}"):
            if row["RowKey"] == PENDING:
                continue
            if row["ExpiresAt"] > now:
                on_their_way += 1
            else:
                await asked(partial(table.delete_entity, connection_id, row["RowKey"]))
        if on_their_way >= MAX_OPEN:
            raise Conflict(
                "consent.tooManyOpen",
                f"{on_their_way} consents were begun for this connection and not finished.",
                f"Finish one of them, or wait: each is forgotten after {STATE_LIFE.seconds // 60} "
                "minutes.",
            )
        row = {"PartitionKey": connection_id, "RowKey": digest, "ExpiresAt": now + STATE_LIFE}
        await asked(partial(table.create_entity, row))

    async def take(self, connection_id: str, digest: str) -> datetime | None:
        """Take a state away and give when it ends; None if there is none, or somebody was faster."""
        table = await self._tables.table(CONSENTS)
        row = await asked(partial(table.get_entity, connection_id, digest))
        if row is None:
            return None
        ends: datetime = row["ExpiresAt"]
        etag = str(row.metadata["etag"])
        return ends if await self._delete(connection_id, digest, etag) else None

    async def wait(self, connection_id: str, tenant_id: str, now: datetime) -> PendingConsent:
        """Note a consent that has to be confirmed, in place of an older one of the connection."""
        table = await self._tables.table(CONSENTS)
        row = {
            "PartitionKey": connection_id,
            "RowKey": PENDING,
            "TenantId": tenant_id,
            "Since": now,
        }
        try:
            answer = await table.upsert_entity(row, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error
        return PendingConsent(connection_id, tenant_id, now, str(answer["etag"]))

    async def waiting(self) -> list[PendingConsent]:
        """Give the consents of all connections that have to be confirmed."""
        return [_pending(row) async for row in self._rows(f"RowKey eq '{PENDING}'")]

    async def pending(self, connection_id: str) -> PendingConsent | None:
        """Give the consent of one connection that has to be confirmed, if there is one."""
        table = await self._tables.table(CONSENTS)
        row = await asked(partial(table.get_entity, connection_id, PENDING))
        return _pending(row) if row is not None else None

    async def settle(self, pending: PendingConsent) -> bool:
        """Forget a consent that waits no longer; false where a newer one has taken its place."""
        return await self._delete(pending.connection_id, PENDING, pending.etag)

    async def forget(self, connection_id: str) -> None:
        """Forget everything of a connection: one with the same id must not inherit a consent."""
        table = await self._tables.table(CONSENTS)
        async for row in self._rows(f"PartitionKey eq {quoted(connection_id)}"):
            await asked(partial(table.delete_entity, connection_id, row["RowKey"]))

    async def _rows(self, condition: str) -> AsyncIterator[Any]:
        table = await self._tables.table(CONSENTS)
        try:
            async for row in table.query_entities(condition):
                yield row
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def _delete(self, connection_id: str, name: str, etag: str) -> bool:
        """Delete this very version; false if it is not there, and so for all but one of several.

        As a batch of one, because the SDK's `delete_entity` takes "not there" (404) for success.
        """
        table = await self._tables.table(CONSENTS)
        entity = {"PartitionKey": connection_id, "RowKey": name}
        try:
            await submit(table, [Operation(Verb.DELETE, entity, etag)])
        except BatchRefused as error:
            if error.status in NOT_OURS:
                return False
            raise storage_unavailable(error) from error
        return True


def _pending(row: Any) -> PendingConsent:
    return PendingConsent(
        row["PartitionKey"], row["TenantId"], row["Since"], str(row.metadata["etag"])
    )
