"""Settings in, live clients out: everything that is opened is opened, and closed, here."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from sync_core.directory.access import Directory
from sync_core.directory.retry_budget import RetryBudget
from sync_core.draining import Draining
from sync_core.logs import log_event, quiet_clients
from sync_core.settings import Settings
from sync_core.store.queue import RequestQueue
from sync_core.store.store import Store
from sync_core.store.tables import Tables
from sync_core.store.vault import Vault
from sync_core.wakes import Wakes


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Looked:
    """When this process has looked last whether the timers fire."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a trigger or a route needs, opened once a process and used by all invocations."""

    settings: Settings
    store: Store
    directory: Directory
    vault: Vault
    queue: RequestQueue
    clock: Callable[[], datetime]
    draining: Draining = field(default_factory=Draining)
    looked: Looked = field(default_factory=Looked)
    wakes: Wakes = field(default_factory=Wakes)


def identity(settings: Settings) -> AsyncTokenCredential:
    """Return the app's own identity: managed in Azure and in the rig, the developer's elsewhere."""
    if settings.has_managed_identity:
        return ManagedIdentityCredential(client_id=settings.identity_client_id)
    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    retry_budget: Callable[[], RetryBudget] = RetryBudget,
) -> AsyncIterator[Services]:
    """Open everything; nothing is asked of any service before it is used."""
    quiet_clients()
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
        stack.push_async_callback(vault.close)
        queue = RequestQueue.open(settings.queues, own)
        stack.push_async_callback(queue.close)
        store = Store(Tables.open(settings.tables, own))
        stack.push_async_callback(store.close)
        directory = Directory(settings, vault, clock, retry_budget)
        yield Services(settings, store, directory, vault, queue, clock)


class Process:
    """The services of this process, opened from its environment at the first use and kept to its end.

    Not earlier: Azure keeps processes ready that belong to no app yet, and gives them the settings of the
    app that they are taken for (FunctionEnvironmentReloadRequest in
    github.com/Azure/azure-functions-language-worker-protobuf).
    """

    def __init__(self) -> None:
        # Holds what is open; a process is ended from outside, so it is never unwound.
        self._stack = AsyncExitStack()
        self._services: Services | None = None
        self._opening = asyncio.Lock()

    async def services(self) -> Services:
        async with self._opening:
            if self._services is None:
                settings = Settings.from_env(os.environ)
                for warning in settings.warnings:
                    log_event("settings.warning", level=logging.WARNING, message=warning)
                self._services = await self._stack.enter_async_context(open_services(settings))
                self._services.draining.listen()
                # What is imported stays; to look through it again took 55 ms of each full collection.
                gc.freeze()
        return self._services


process = Process()
