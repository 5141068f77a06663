"""Settings in, live clients out: everything that is opened is opened, and closed, here."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from sync_core.directory.client import GraphClient, open_graph
from sync_core.directory.credentials import (
    Application,
    AsyncCredential,
    GraphCredential,
    OwnIdentity,
)
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.token_errors import Asked
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections import certificates
from sync_core.domain.documents import GUID, Connection, Credential, CredentialKind
from sync_core.domain.errors import FixConnection
from sync_core.settings import Settings
from sync_core.store.approvals import ApprovalStore
from sync_core.store.connections import ConnectionStore
from sync_core.store.consents import ConsentStore
from sync_core.store.leases import LeaseStore
from sync_core.store.plans import PlanStore
from sync_core.store.queue import RequestQueue
from sync_core.store.runs import RunStore
from sync_core.store.tables import Tables
from sync_core.store.users import UserStore
from sync_core.store.vault import Vault
from sync_core.store.verifications import VerificationStore


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """Everything a trigger or a route needs, opened once a process and used by all invocations."""

    settings: Settings
    tables: Tables
    queue: RequestQueue
    vault: Vault
    clock: Callable[[], datetime] = utc_now
    retry_budget: Callable[[], RetryBudget] = RetryBudget
    client_state_key: bytes | None = field(default=None, repr=False)
    asked_until: dict[str, datetime] = field(default_factory=dict)
    connections: ConnectionStore = field(init=False)
    runs: RunStore = field(init=False)
    plans: PlanStore = field(init=False)
    leases: LeaseStore = field(init=False)
    consents: ConsentStore = field(init=False)
    verifications: VerificationStore = field(init=False)
    approvals: ApprovalStore = field(init=False)

    def __post_init__(self) -> None:
        self.connections = ConnectionStore(self.tables)
        self.runs = RunStore(self.tables)
        self.plans = PlanStore(self.tables)
        self.leases = LeaseStore(self.tables)
        self.consents = ConsentStore(self.tables)
        self.verifications = VerificationStore(self.tables)
        self.approvals = ApprovalStore(self.tables)

    def users(self, connection_id: str) -> UserStore:
        return UserStore(self.tables, connection_id)

    @asynccontextmanager
    async def directory(
        self, connection: Connection, retry_budget: RetryBudget | None = None
    ) -> AsyncIterator[GraphClient]:
        """Open a connection's way to Graph, with the secret from Key Vault."""
        async with await self._credential(connection) as credential:
            cloud = CLOUDS[connection.cloud]
            async with open_graph(
                credential,
                graph_url=self.settings.graph_endpoint or cloud.graph_url,
                scope=cloud.graph_scope,
                retry_budget=retry_budget or self.retry_budget(),
            ) as client:
                yield client

    async def token(self, connection: Connection) -> str:
        """Ask Entra for a new token for Graph: what it says of tenant and roles is Entra's own word."""
        async with await self._credential(connection) as credential:
            return (await credential.get_token(CLOUDS[connection.cloud].graph_scope)).token

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
            self._need_identity()
            # In its own tenant an identity is the app; elsewhere it signs for the connection's.
            if kind is CredentialKind.MANAGED_IDENTITY:
                make = partial(OwnIdentity, connection.client_id)
            else:
                signer = self.settings.identity_client_id
                make = partial(app.by_identity, signer, CLOUDS[connection.cloud].exchange)
        return GraphCredential(make, Asked(connection.cloud, secret_is_guid))

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

    def _need_identity(self) -> None:
        if not self.settings.has_managed_identity:
            raise FixConnection(
                "credential.identityMissing",
                "This app has no managed identity.",
                "Assign one to the Function App (Settings, Identity) and name it in AZURE_CLIENT_ID, "
                "or use a client secret or a certificate.",
            )

    def _authority(self, connection: Connection) -> dict[str, Any]:
        known = {cloud.login_url for cloud in CLOUDS.values()}
        host = self.settings.authority_host or CLOUDS[connection.cloud].login_url
        # azure-identity would ask login.microsoftonline.com about a host that it does not know.
        return {"authority": host, "disable_instance_discovery": host not in known}

    async def close(self) -> None:
        await self.tables.close()
        await self.queue.close()
        await self.vault.close()


def identity(settings: Settings) -> AsyncTokenCredential:
    """Give the app's own identity: managed in Azure and in the rig, the developer's elsewhere."""
    if settings.has_managed_identity:
        return ManagedIdentityCredential(client_id=settings.identity_client_id)
    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything; nothing is asked of any service before it is used."""
    async with AsyncExitStack() as stack:
        own = identity(settings)
        stack.push_async_callback(own.close)
        vault = Vault(
            SecretClient(
                settings.key_vault_url,
                own,
                # The client insists on a vault's own domain, which an emulator does not have.
                verify_challenge_resource=not settings.vault_is_local,
            )
        )
        services = Services(
            settings=settings,
            tables=Tables.open(settings.tables, own),
            queue=RequestQueue.open(settings.queues, own),
            vault=vault,
        )
        stack.push_async_callback(services.close)
        yield services


class Process:
    """The services of this process, opened at the first use and kept."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._stack = AsyncExitStack()
        self._services: Services | None = None
        self._opening = asyncio.Lock()

    async def services(self) -> Services:
        async with self._opening:
            if self._services is None:
                settings = Settings.from_env(self._env)
                self._services = await self._stack.enter_async_context(open_services(settings))
        return self._services

    async def close(self) -> None:
        self._services = None
        await self._stack.aclose()


process = Process(dict(os.environ))
