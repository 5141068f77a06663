"""The rig in this process, for tests: real Azurite, and emulators where Microsoft's side has to be."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from local.azurite import Account, Azurite
from local.graph import GraphEmulator
from local.identity import IdentityInThread
from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    VENDOR_TENANT_ID,
)
from local.tls import TlsFiles
from local.vault import VaultInThread
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor, Run
from sync_core.domain.model import HEX_DIGITS
from sync_core.runs import worker
from sync_core.services import Services, open_services, utc_now
from sync_core.settings import Settings
from sync_core.store.fences import FENCE
from sync_core.store.tables import USERS
from sync_core.store.wire import Entity
from tests.trust import TLS

# More than the tests of one process ask for.
SPARE_ACCOUNTS = 100
ADMINISTRATOR = Actor(name="an administrator")


@dataclass(frozen=True)
class Rig:
    """Storage, Key Vault and the app's identity; each test brings its own tenant."""

    tls: TlsFiles
    azurite: Azurite | Account
    vault: VaultInThread
    identity: IdentityInThread

    def apart(self) -> "Rig":
        """Return the rig with storage of its own, for who must not meet what other tests have left."""
        assert isinstance(self.azurite, Azurite)
        return replace(self, azurite=self.azurite.another_account())

    def environment(self, emulator: GraphEmulator) -> dict[str, str]:
        """Give the app settings of a deployment on this rig."""
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "KEY_VAULT_URL": self.vault.url,
            "PUBLIC_BASE_URL": "http://localhost:7071",
            "GRAPH_ENDPOINT": emulator.graph_url,
            "AZURE_AUTHORITY_HOST": emulator.authority_url,
            "ADMIN_TENANT_IDS": VENDOR_TENANT_ID,
            "SYNC_LOCAL_ADMIN_TOKEN": "admin-token",
            "SYNC_LOCAL_READER_TOKEN": "reader-token",
            **self.identity.environment,
        }

    @asynccontextmanager
    async def services(
        self, emulator: GraphEmulator, retry_budget: Callable[[], RetryBudget] | None = None
    ) -> AsyncIterator[Services]:
        """Open the product's own services against this rig; waiting for Graph takes no time."""
        settings = Settings.from_env(self.environment(emulator))
        budget = retry_budget or impatient
        async with open_services(settings, clock=Clock(), retry_budget=budget) as services:
            # To make sure of the tables takes ten requests, and they stay as long as their Azurite.
            tables, storage = services.store.tables, self.azurite.connection_string
            tables._made = storage in _with_tables
            yield services
            if tables._made:
                _with_tables.add(storage)


BY_HAND = Actor(name="an administrator")
_with_tables: set[str] = set()
"""Connection strings of storage in which the tables have been made."""


class Clock:
    """The clock of the app under test: the real one, until `set_clock` puts another in its place."""

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = utc_now

    def __call__(self) -> datetime:
        return self.now()


def set_clock(services: Services, now: Callable[[], datetime]) -> None:
    """Let everything that these services hold tell the time by `now`."""
    assert isinstance(services.clock, Clock)
    services.clock.now = now


class Hurried:
    """Time in which every wait is over at once, and which nothing else moves: not a busy machine, either."""

    def __init__(self) -> None:
        self._slept_s = 0.0

    def now(self) -> float:
        return self._slept_s

    async def sleep(self, seconds: float) -> None:
        self._slept_s += seconds
        await asyncio.sleep(0)


def impatient(budget_s: float = 600.0) -> RetryBudget:
    hurried = Hurried()
    return RetryBudget(budget_s, sleep=hurried.sleep, clock=hurried.now)


@contextmanager
def running_rig() -> Iterator[Rig]:
    """Start storage, vault and identity; azure-identity finds the latter in the environment."""
    with ExitStack() as stack:
        rig = Rig(
            TLS,
            stack.enter_context(Azurite(spare_accounts=SPARE_ACCOUNTS)),
            stack.enter_context(VaultInThread(TLS)),
            stack.enter_context(IdentityInThread()),
        )
        os.environ.update(rig.identity.environment)
        yield rig
        for name in rig.identity.environment:
            del os.environ[name]


def connection(connection_id: str, **changes: Any) -> Connection:
    """Give a connection to the sample tenant; what matters to a test is in `changes`."""
    document: dict[str, Any] = {
        "id": connection_id,
        "displayName": "Contoso",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"kind": "clientSecret", "secretName": f"{connection_id}-client-secret"},
        "scope": group_scope(SAMPLE_GROUP_ID),
    }
    return Connection.model_validate(document | changes)


def group_scope(*group_ids: str, **changes: Any) -> dict[str, Any]:
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": list(group_ids)}
    return {"filters": [{"clauses": [clause]}], **changes}


async def stored_connection(services: Services, connection_id: str, **changes: Any) -> Connection:
    """Store a connection and its secret, as the API would."""
    made = connection(connection_id, **changes)
    await services.vault.set(
        f"{connection_id}-client-secret", SAMPLE_CLIENT_SECRET, content_type="text/plain"
    )
    await services.store.connections.create(made)
    return made


async def run_now(services: Services, connection_id: str, **changes: Any) -> Run:
    """Run a connection as the queue would, and give the record."""
    mode = os.environ.get("RUN_MODE", "auto")
    request = SyncRequest.model_validate(
        {"connectionId": connection_id, "trigger": "manual", "mode": mode} | changes
    )
    run = await worker.handle(services, request)
    assert run is not None
    return run


async def rows_of(services: Services, connection_id: str) -> dict[str, Entity]:
    """Return the Users rows of a connection's people, by object id, as an application reads them."""
    rows = await _all_rows(services, connection_id)
    return {row["RowKey"]: row for row in rows if row["RowKey"][0] != "~"}


async def history_of(services: Services, connection_id: str, object_id: str) -> list[Entity]:
    """Return the history rows of one person, newest first."""
    return (await histories_of(services, connection_id)).get(object_id, [])


async def histories_of(services: Services, connection_id: str) -> dict[str, list[Entity]]:
    """Return the history rows of each person, newest first, by object id."""
    found: dict[str, list[Entity]] = {}
    for row in await _all_rows(services, connection_id):
        if row["RowKey"][0] == "~" and row["RowKey"] != FENCE:
            found.setdefault(row["RowKey"].split("~")[1], []).append(row)
    return found


async def fences_of(services: Services, connection_id: str) -> dict[str, Entity]:
    """Return the fences of a connection's partitions, by hex digit."""
    rows = await _all_rows(services, connection_id)
    return {row["PartitionKey"][-1]: row for row in rows if row["RowKey"] == FENCE}


async def _all_rows(services: Services, connection_id: str) -> list[Entity]:
    table = await services.store.tables.table(USERS)
    # One question for all partitions: Azurite looks at every row of the table for each.
    partitions = " or ".join(f"PartitionKey eq '{connection_id}-{digit}'" for digit in HEX_DIGITS)
    return [dict(row) async for row in table.query_entities(partitions)]


def active(rows: Mapping[str, Entity]) -> set[str]:
    return {object_id for object_id, row in rows.items() if row["Status"] == "active"}


async def changes_of(services: Services, run: Run) -> list[dict[str, Any]]:
    """Give the plan of a run as the API shows it."""
    return [change async for change in services.store.plans.load(run.connection_id, run.id)]
