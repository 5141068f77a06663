"""The Consents table: consents and sign-ins on their way, consents that wait for Entra, the last refusal.

A connection has a partition. What is on its way is a row named by the digest of its state, never by the
state itself; whoever comes back with the state takes the row away, once. A consent that was given and
waits for Entra is the row `pending`, and how the last one was refused the row `refused`: at most one each,
the newest.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from sync_core.domain.connections.consent import Outcome, Refusal
from sync_core.domain.errors import Conflict
from sync_core.domain.sign_in import SignIn
from sync_core.store.tables import CONSENTS, Tables, asked
from sync_core.store.wire import BatchRefused, Operation, Verb, quoted, storage_unavailable, submit

STATE_LIFE = timedelta(minutes=30)
MAX_OPEN = 20
PENDING = "pending"
REFUSED = "refused"
# So long a connection shows how a consent of it was refused, unless another one ends before.
REFUSAL_LIFE = timedelta(days=30)
# Gone already, or another version by now.
NOT_OURS = {404, 412}


@dataclass(frozen=True, slots=True)
class PendingConsent:
    """A consent that was given and that Entra has not confirmed; `tenant_id` is still a claim.

    `by` is who signed in to the tenant and may consent there; None where nobody has to, because an
    administrator of ours had set the tenant before.
    """

    connection_id: str
    tenant_id: str
    by: str | None
    since: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """What a state stands for: a consent, or a sign-in in the browser that has the secret of this digest."""

    ends: datetime
    sign_in: SignIn | None = None
    browser: str | None = None


class ConsentStore:
    """Begun and pending consents by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, connection_id: str, digest: str, now: datetime) -> None:
        """Note a state that is handed out; raise `Conflict` when too many are on their way."""
        table = await self._tables.table(CONSENTS)
        on_their_way = 0
        async for row in self._rows(f"PartitionKey eq {quoted(connection_id)}"):
            if row["RowKey"] in {PENDING, REFUSED}:
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

    async def open_sign_in(
        self, connection_id: str, digest: str, sign_in: SignIn, browser: str, now: datetime
    ) -> None:
        """Note a sign-in that follows a consent, and the digest of what only its browser has."""
        table = await self._tables.table(CONSENTS)
        row = {
            "PartitionKey": connection_id,
            "RowKey": digest,
            "ExpiresAt": now + STATE_LIFE,
            "TenantId": sign_in.tenant_id,
            "Nonce": sign_in.nonce,
            "Verifier": sign_in.verifier,
            "Browser": browser,
        }
        await asked(partial(table.create_entity, row))

    async def take(self, connection_id: str, digest: str) -> OnItsWay | None:
        """Take a state away, with what it stands for; None if there is none, or somebody was faster."""
        table = await self._tables.table(CONSENTS)
        row = await asked(partial(table.get_entity, connection_id, digest))
        if row is None:
            return None
        etag = str(row.metadata["etag"])
        return _on_its_way(row) if await self._delete(connection_id, digest, etag) else None

    async def wait(
        self, connection_id: str, tenant_id: str, now: datetime, *, by: str | None = None
    ) -> PendingConsent:
        """Note a consent that has to be confirmed, in place of an older one of the connection."""
        row = {"RowKey": PENDING, "TenantId": tenant_id, "Since": now}
        etag = await self._put(connection_id, row if by is None else row | {"By": by})
        return PendingConsent(connection_id, tenant_id, by, now, etag)

    async def refuse(self, connection_id: str, refusal: Refusal) -> None:
        """Note how a consent ended that was not granted, in place of an older one."""
        row = {
            "RowKey": REFUSED,
            "ExpiresAt": refusal.at + REFUSAL_LIFE,
            "At": refusal.at,
            "Code": refusal.outcome.value,
            "TenantId": refusal.tenant_id or "",
            "Others": ",".join(refusal.others),
        }
        await self._put(connection_id, row)

    async def refusal(self, connection_id: str, now: datetime) -> Refusal | None:
        """Return how the last consent of a connection was refused, if that is not long ago."""
        table = await self._tables.table(CONSENTS)
        row = await asked(partial(table.get_entity, connection_id, REFUSED))
        if row is None or row["ExpiresAt"] <= now or row["Code"] not in set(Outcome):
            return None
        others = tuple(filter(None, row["Others"].split(",")))
        return Refusal(Outcome(row["Code"]), row["At"], row["TenantId"] or None, others)

    async def forget_refusal(self, connection_id: str) -> None:
        table = await self._tables.table(CONSENTS)
        await asked(partial(table.delete_entity, connection_id, REFUSED))

    async def waiting(self) -> list[PendingConsent]:
        """Return the consents of all connections that have to be confirmed."""
        return [_pending(row) async for row in self._rows(f"RowKey eq '{PENDING}'")]

    async def pending(self, connection_id: str) -> PendingConsent | None:
        """Return the consent of one connection that has to be confirmed, if there is one."""
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

    async def _put(self, connection_id: str, row: dict[str, Any]) -> str:
        table = await self._tables.table(CONSENTS)
        entity = {"PartitionKey": connection_id, **row}
        try:
            answer = await table.upsert_entity(entity, mode=UpdateMode.REPLACE)
        except AzureError as error:
            raise storage_unavailable(error) from error
        return str(answer["etag"])

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
    etag = str(row.metadata["etag"])
    return PendingConsent(row["PartitionKey"], row["TenantId"], row.get("By"), row["Since"], etag)


def _on_its_way(row: Any) -> OnItsWay:
    if "Nonce" not in row:
        return OnItsWay(row["ExpiresAt"])
    sign_in = SignIn(row["TenantId"], row["Nonce"], row["Verifier"])
    return OnItsWay(row["ExpiresAt"], sign_in, row["Browser"])
