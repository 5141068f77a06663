"""How a connection is saved and deleted: what goes to Key Vault, what to the table, and in which order.

The secret is stored first and its version is pinned in the document. A save that then fails leaves a
version in Key Vault that nobody uses; it never leaves a document without its secret.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import SecretStr

from sync_core.api.drafts import Draft
from sync_core.documents import Connection
from sync_core.errors import Conflict, FieldProblem, FixConnection, Invalid, PreconditionFailed
from sync_core.store.connections import StoredConnection
from sync_core.wiring import Services

ATTEMPTS = 5
SECRET_MISSING = "vault.secretMissing"  # noqa: S105 -- a code, not a secret

T = TypeVar("T")


class Saver:
    """Saves one request's connection; a secret is stored once, however often the save is tried."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._versions: dict[str, str] = {}

    async def create(self, draft: Draft) -> StoredConnection:
        """Store a new connection; raise `Conflict` if the id is taken."""
        connection = await self._with_secret(draft, None)
        return StoredConnection(connection, await self._services.connections.create(connection))

    async def replace(self, draft: Draft, stored: StoredConnection) -> StoredConnection:
        """Store a new version of a connection; raise `PreconditionFailed` if somebody was faster."""
        connection = await self._with_secret(draft, stored.connection)
        etag = await self._services.connections.replace(connection, stored.etag)
        return StoredConnection(connection, etag)

    async def _with_secret(self, draft: Draft, stored: Connection | None) -> Connection:
        if draft.secret is not None:
            return draft.pinned(await self._stored(draft.secret_name, draft.secret))
        if draft.needs_known_secret(stored):
            await self._look_for(draft.connection)
        return draft.connection

    async def _stored(self, name: str, secret: SecretStr) -> str:
        if name not in self._versions:
            self._versions[name] = await self._services.vault.set(
                name, secret.get_secret_value(), content_type="text/plain"
            )
        return self._versions[name]

    async def _look_for(self, connection: Connection) -> None:
        """Refuse to rely on a secret that is not in Key Vault."""
        name = connection.credential.secret_name or ""
        try:
            await self._services.vault.get(name, connection.credential.secret_version)
        except FixConnection as error:
            if error.code != SECRET_MISSING:
                raise
            message = f"Key Vault has no such secret ({error.message}) Send it as credential.clientSecret."
            raise Invalid(
                "The connection names a secret that does not exist.",
                [FieldProblem("credential.secretName", message)],
            ) from error


async def settled(attempt: Callable[[], Awaitable[T]], *, conditional: bool) -> T:
    """Without a condition the last write wins, so a change in between only means to look again."""
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except PreconditionFailed:
            if conditional:
                raise
    raise Conflict(
        "connection.busy",
        "The connection is being changed by several callers at once.",
        "Load it again and repeat the change.",
    )
