"""How a connection is saved and deleted: what goes to Key Vault, what to the table, and in which order.

The secret is stored first and its version is pinned in the document. A save that then fails leaves a
version in Key Vault that nobody uses; it never leaves a document without its secret.
"""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import TypeVar

from pydantic import SecretStr

from sync_core.api.drafts import Draft
from sync_core.api.moving import Moves
from sync_core.api.validation import chosen_people, doubled_people
from sync_core.documents import Connection
from sync_core.errors import Conflict, FieldProblem, FixConnection, Invalid, PreconditionFailed
from sync_core.store.connections import StoredConnection
from sync_core.wiring import Services

ATTEMPTS = 5
SECRET_MISSING = "vault.secretMissing"  # noqa: S105 -- a code, not a secret

T = TypeVar("T")


class Saver:
    """Saves one request's connections; a secret is stored once, however often the save is tried.

    `compared` are connections that the caller has compared with each other already.
    """

    def __init__(
        self,
        services: Services,
        compared: AbstractSet[str] = frozenset(),
        moves: Moves | None = None,
    ) -> None:
        self._services = services
        self._moves = moves or Moves(services)
        self._compared = compared
        self._versions: dict[str, str] = {}

    async def create(self, draft: Draft) -> StoredConnection:
        """Store a new connection; raise `Conflict` if the id is taken."""
        connection = await self._checked(draft, None)
        await self._moves.check(None, connection)
        return StoredConnection(connection, await self._services.connections.create(connection))

    async def replace(self, draft: Draft, stored: StoredConnection) -> StoredConnection:
        """Store a new version of a connection; raise `PreconditionFailed` if somebody was faster."""
        connection = await self._checked(draft, stored.connection)
        await self._moves.check(stored.connection, connection)
        etag = await self._services.connections.replace(connection, stored.etag)
        return StoredConnection(connection, etag)

    async def secret_problems(self, draft: Draft, stored: Connection | None) -> list[FieldProblem]:
        """Say whether the connection would rely on a secret that is not in Key Vault."""
        if not draft.needs_known_secret(stored):
            return []
        name = draft.connection.credential.secret_name or ""
        try:
            await self._services.vault.get(name, draft.connection.credential.secret_version)
        except FixConnection as error:
            if error.code != SECRET_MISSING:
                raise
            message = f"Key Vault has no such secret ({error.message}) Send it as credential.clientSecret."
            return [FieldProblem("credential.secretName", message)]
        return []

    async def _checked(self, draft: Draft, stored: Connection | None) -> Connection:
        """Give what is to be stored, its secret in Key Vault; refuse before anything is written."""
        if problems := await self._people_problems(draft.connection, stored):
            raise Invalid("Another connection brings in the same people.", problems)
        if problems := await self.secret_problems(draft, stored):
            raise Invalid("The connection names a secret that does not exist.", problems)
        if draft.secret is None:
            return draft.connection
        return draft.pinned(await self._stored(draft.secret_name, draft.secret))

    async def _people_problems(
        self, connection: Connection, stored: Connection | None
    ) -> list[FieldProblem]:
        """Compare with the others, unless it chooses whom it chose before: that must stay editable."""
        if stored is not None and chosen_people(stored) == chosen_people(connection):
            return []
        others = [
            one async for one in self._services.connections.all() if one.id not in self._compared
        ]
        return doubled_people(connection, others)

    async def _stored(self, name: str, secret: SecretStr) -> str:
        if name not in self._versions:
            self._versions[name] = await self._services.vault.set(
                name, secret.get_secret_value(), content_type="text/plain"
            )
        return self._versions[name]


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
