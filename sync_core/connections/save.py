"""How a connection is saved: what goes to Key Vault, what is tried out, what to the table, in which order.

The secret is stored first, as a version of its own that the document pins. A save that then fails leaves a
version in Key Vault that nobody uses; it never leaves a document without its secret.
"""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TypeVar

from pydantic import SecretStr

from sync_core.concurrency import TimeLimit
from sync_core.connections import tenants, verify
from sync_core.connections.attributes import attribute_problems
from sync_core.connections.impact import SaveGuard
from sync_core.connections.verify import Saved
from sync_core.domain.connections import certificates
from sync_core.domain.connections.certificates import UnusableCertificate
from sync_core.domain.connections.deletion import being_deleted
from sync_core.domain.connections.draft import (
    SECRET_FIELDS,
    SECRET_NAME,
    Draft,
    JsonObject,
    certificate_problems,
    checked,
    secret_name_problems,
)
from sync_core.domain.connections.verification import waiting_credential
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.connection import Connection, Credential, CredentialKind
from sync_core.domain.errors import (
    Conflict,
    FieldProblem,
    FixConnection,
    Invalid,
    PreconditionFailed,
)
from sync_core.domain.matching.takeover import being_taken_over
from sync_core.domain.scope.overlap import chosen_people, doubled_people
from sync_core.domain.secret_names import folded, is_same
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.vault import SECRET_DISABLED, SECRET_MISSING

ATTEMPTS = 5

T = TypeVar("T")


# A person waits for the answer; a mapping's tests take milliseconds.
TESTS_LIMIT_S = 10.0


async def checked_draft(document: JsonObject, now: datetime) -> Draft:
    """Check a connection beside the event loop: a caller's patterns and tests may take seconds."""
    return await asyncio.to_thread(checked, document, now, TimeLimit(TESTS_LIMIT_S))


class Saver:
    """Saves one request's connections; a secret is stored once, however often the save is tried.

    `compared` are connections that the caller has compared with each other already.
    """

    def __init__(
        self,
        services: Services,
        compared: AbstractSet[str] = frozenset(),
        guard: SaveGuard | None = None,
    ) -> None:
        self._services = services
        self._guard = guard or SaveGuard(services)
        self._compared = compared
        self._versions: dict[str, str] = {}

    def now(self) -> datetime:
        return self._services.clock()

    def told(self, saved: Saved) -> list[Warning]:
        """Return what was found while the save was planned, and stopped nothing."""
        return self._guard.told(saved.stored.connection.id)

    async def create(self, draft: Draft) -> Saved:
        """Store a new connection; raise `Conflict` if the id is taken."""
        wanted = await self._ready(draft, None)
        saved = await verify.create(self._services, wanted, self._guard)
        await tenants.hold(self._services, saved.stored.connection)
        return saved

    async def replace(
        self, draft: Draft, stored: StoredConnection, alone: Draft | None = None
    ) -> Saved:
        """Store a new version of a connection; raise `PreconditionFailed` if somebody was faster.

        `alone` is the caller's change without the settings that waited before, if there are any.
        """
        wanted = await self._ready(draft, stored.connection)
        by_itself = await self._ready(alone, stored.connection) if alone is not None else None
        saved = await verify.replace(self._services, wanted, stored, by_itself, self._guard)
        if saved.stored.connection.tenant_id != stored.connection.tenant_id:
            await tenants.hold(self._services, saved.stored.connection)
        return saved

    async def secret_problems(self, draft: Draft, stored: Connection | None) -> list[FieldProblem]:
        """Say whether the connection would rely on a secret that is not in Key Vault, or is of no use."""
        if not draft.needs_known_secret(stored):
            return []
        credential = draft.connection.credential
        try:
            secret = await self._services.vault.get(
                credential.secret_name or "", credential.secret_version
            )
            if credential.kind is CredentialKind.CERTIFICATE:
                certificates.read(secret, self._services.clock())
        except UnusableCertificate as error:
            return certificate_problems(SECRET_NAME, error)
        except FixConnection as error:
            if error.code not in {SECRET_MISSING, SECRET_DISABLED}:
                raise
            field = SECRET_FIELDS[credential.kind]
            message = f"cannot be used ({error.message}) Send the secret as credential.{field}."
            return [FieldProblem(SECRET_NAME, message)]
        return []

    async def _ready(self, draft: Draft, stored: Connection | None) -> Connection:
        """Return what is to be stored, its secret in Key Vault; refuse before anything is written."""
        # A new connection, too: the end of the deletion would take it for the old one.
        if deletion := await self._services.store.deletions.find(draft.connection.id):
            raise being_deleted(deletion)
        if stored is None:
            await self._check_not_taken(draft.connection.id)
        if problems := await self._people_problems(draft.connection, stored):
            raise Invalid("Another connection brings in the same people.", problems)
        if problems := await tenants.cloud_problems(self._services, draft.connection, stored):
            raise Invalid("The tenant lives in another cloud.", problems)
        if problems := secret_name_problems(draft, stored, await self._credentials(draft)):
            raise Invalid("The connection names a secret that is not its own.", problems)
        if problems := await self.secret_problems(draft, stored):
            raise Invalid("The connection names a secret that does not exist.", problems)
        self._guard.need_reason(stored, draft.connection)
        wanted = draft.connection
        if draft.secret is not None:
            if problems := await self._untried_problems(draft):
                raise Invalid("The secret would be in use before it was tried.", problems)
            wanted = draft.pinned(await self._stored(draft, draft.secret))
        if problems := await attribute_problems(self._services, wanted, stored):
            raise Invalid("The connection names attributes that Graph does not have.", problems)
        return wanted

    async def _check_not_taken(self, connection_id: str) -> None:
        """Refuse a new connection whose people's rows are about to go to another one."""
        for leftover in await self._services.store.leftovers.of_connection(connection_id):
            if leftover.is_pending:
                raise being_taken_over(leftover)

    async def _people_problems(
        self, connection: Connection, stored: Connection | None
    ) -> list[FieldProblem]:
        """Compare with the others, unless it chooses whom it chose before: that must stay editable.

        Whoever switches a connection off wants it to stop; it is compared when it is switched on.
        """
        if stored is not None:
            goes_off = stored.enabled and not connection.enabled
            goes_on = connection.enabled and not stored.enabled
            same = chosen_people(stored) == chosen_people(connection)
            if goes_off or (same and not goes_on):
                return []
        others = [
            one
            async for one in self._services.store.connections.all()
            if one.id not in self._compared
        ]
        return doubled_people(connection, others)

    async def _credentials(self, draft: Draft) -> list[tuple[str, Credential]]:
        """Return the credentials of all connections, those that wait as well."""
        if draft.named_secret is None:
            return []
        store = self._services.store
        in_use = [(one.id, one.credential) async for one in store.connections.all()]
        waiting = [
            (state.connection_id, credential)
            async for state in store.verifications.all()
            if (credential := waiting_credential(state)) is not None
        ]
        return in_use + waiting

    async def _untried_problems(self, draft: Draft) -> list[FieldProblem]:
        """Refuse to store over a secret of which a connection uses whatever version is the latest.

        The new one would be in use from that moment on, whether it works or not.
        """
        if folded(draft.secret_name) in self._versions:  # stored by this request
            return []
        message = (
            "is a secret that the connection {!r} uses in its current version (secretVersion is null), "
            "so a new value would be in use before it was tried; send another name with it, or store "
            "the value in Key Vault yourself"
        )
        return [
            FieldProblem(SECRET_NAME, message.format(one.id))
            async for one in self._services.store.connections.all()
            if one.enabled
            and is_same(one.credential.secret_name, draft.secret_name)
            and one.credential.secret_version is None
        ][:1]

    async def _stored(self, draft: Draft, secret: SecretStr) -> str:
        name, known = draft.secret_name, folded(draft.secret_name)
        if known not in self._versions:
            self._versions[known] = await self._services.vault.set(
                name,
                secret.get_secret_value(),
                content_type=draft.content_type,
                expires_on=draft.secret_ends,
            )
        return self._versions[known]


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
