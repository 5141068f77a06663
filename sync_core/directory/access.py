"""The way to a tenant's Graph: a credential of the connection's kind, and a client over it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from sync_core.directory.client import GraphClient, open_graph
from sync_core.directory.client_proof import ASSERTION_TYPE, certificate_assertion
from sync_core.directory.credentials import (
    Application,
    AsyncCredential,
    GraphCredential,
    OwnIdentity,
)
from sync_core.directory.missing import with_all_missing
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.signing_keys import SigningKeys
from sync_core.directory.tenant_metadata import TenantMetadata
from sync_core.directory.token_errors import Asked
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.connections import certificates
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection, Credential, CredentialKind
from sync_core.domain.errors import FixConnection
from sync_core.settings import Settings


class Secrets(Protocol):
    """What the directory asks of Key Vault; the room of the store has it."""

    async def get(self, name: str, version: str | None = None) -> str: ...

    async def expires_on(self, name: str, version: str | None = None) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """The tenants of all connections; `retry_budget` makes the budget of who brings none."""

    settings: Settings
    vault: Secrets
    clock: Callable[[], datetime]
    retry_budget: Callable[[], RetryBudget] = RetryBudget
    signing_keys: SigningKeys = field(default_factory=SigningKeys)
    tenants: TenantMetadata = field(init=False)

    def __post_init__(self) -> None:
        # The global login service knows the tenants of every cloud.
        login_url = self.settings.authority_host or CLOUDS[CloudName.PUBLIC].login_url
        object.__setattr__(self, "tenants", TenantMetadata(login_url, self.clock))

    def login_url(self, connection: Connection) -> str:
        """Return the address of the login service of a connection's cloud."""
        return self.settings.authority_host or CLOUDS[connection.cloud].login_url

    @asynccontextmanager
    async def open(
        self, connection: Connection, retry_budget: RetryBudget | None = None
    ) -> AsyncIterator[GraphClient]:
        """Open a connection's way to Graph, with the secret from Key Vault.

        Whoever is refused for want of a permission is told of all that are missing, not of the first.
        """
        async with await self._credential(connection) as credential:
            cloud = CLOUDS[connection.cloud]
            async with open_graph(
                credential,
                graph_url=self.settings.graph_endpoint or cloud.graph_url,
                scope=cloud.graph_scope,
                retry_budget=retry_budget or self.retry_budget(),
            ) as client:
                try:
                    yield client
                except FixConnection as error:
                    told = await with_all_missing(client, connection, error)
                    if told is error:
                        raise
                    raise told from error

    async def token(self, connection: Connection) -> str:
        """Ask Entra for a new token for Graph: what it says of tenant and roles is Entra's own word."""
        async with await self._credential(connection) as credential:
            return (await credential.get_token(CLOUDS[connection.cloud].graph_scope)).token

    async def proof(self, connection: Connection, endpoint: str) -> Mapping[str, str]:
        """Return what a form of the token endpoint carries to prove that it comes from the app."""
        kind = connection.credential.kind
        if kind is CredentialKind.CLIENT_SECRET:
            return {"client_secret": await self._secret(connection.credential)}
        if kind is CredentialKind.CERTIFICATE:
            pem = certificates.signing_part(await self._secret(connection.credential), self.clock())
            assertion = certificate_assertion(pem, connection.client_id, endpoint, self.clock())
        else:
            self._check_has_identity()
            exchange = CLOUDS[connection.cloud].exchange
            async with GraphCredential(
                partial(OwnIdentity, self.settings.identity_client_id)
            ) as identity:
                assertion = (await identity.get_token(f"{exchange}/.default")).token
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    async def _credential(self, connection: Connection) -> GraphCredential:
        """Make a credential of the connection's kind; secrets come from Key Vault only."""
        kind = connection.credential.kind
        app = Application(
            connection.known_tenant(), connection.client_id, self._authority(connection)
        )
        make: Callable[[], AsyncCredential]
        secret_is_guid = False
        if kind is CredentialKind.CLIENT_SECRET:
            secret = await self._secret(connection.credential)
            secret_is_guid = GUID.fullmatch(secret) is not None
            make = partial(app.by_secret, secret)
        elif kind is CredentialKind.CERTIFICATE:
            pem = await self._secret(connection.credential)
            make = partial(app.by_certificate, certificates.signing_part(pem, self.clock()))
        else:
            make = self._by_identity(connection, app)
        return GraphCredential(make, Asked(connection.cloud, secret_is_guid))

    def _by_identity(
        self, connection: Connection, app: Application
    ) -> Callable[[], AsyncCredential]:
        """In its own tenant an identity is the app; elsewhere it signs for the connection's."""
        self._check_has_identity()
        if connection.credential.kind is CredentialKind.MANAGED_IDENTITY:
            return partial(OwnIdentity, connection.client_id)
        signer = self.settings.identity_client_id
        return partial(app.by_identity, signer, CLOUDS[connection.cloud].exchange)

    def _check_has_identity(self) -> None:
        if not self.settings.has_managed_identity:
            raise FixConnection(
                "credential.identityMissing",
                "This app has no managed identity.",
                "Assign one to the Function App (Settings, Identity) and name it in AZURE_CLIENT_ID, "
                "or use a client secret or a certificate.",
            )

    async def _secret(self, credential: Credential) -> str:
        if credential.secret_name is None:
            raise FixConnection(
                "credential.missing",
                "The connection has no secret or certificate.",
                "Store one: PATCH the connection with credential.clientSecret or "
                "credential.certificate.",
            )
        # What was put into Key Vault from a file often ends with a line break.
        secret = (await self.vault.get(credential.secret_name, credential.secret_version)).strip()
        if not secret:
            raise FixConnection(
                "credential.empty",
                f"The secret {credential.secret_name!r} in Key Vault is empty.",
                "Store the credential again through the connection.",
            )
        return secret

    def _authority(self, connection: Connection) -> dict[str, Any]:
        known = {cloud.login_url for cloud in CLOUDS.values()}
        host = self.login_url(connection)
        # azure-identity would ask login.microsoftonline.com about a host that it does not know.
        return {"authority": host, "disable_instance_discovery": host not in known}
