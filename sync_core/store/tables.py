"""The tables by name, and how to open them; each is made on first use."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables.aio import TableClient, TableServiceClient

from sync_core.settings import StorageAccess
from sync_core.store.patience import PatientTransport
from sync_core.store.wire import storage_unavailable

USERS = "Users"
CONNECTIONS = "Connections"
RUNS = "Runs"
PLANS = "Plans"
LEASES = "Leases"
HEALTH = "Health"
CONSENTS = "Consents"
VERIFICATIONS = "Verifications"
MATCHES = "Matches"
APPROVALS = "Approvals"
GROUPS = "Groups"
INCIDENTS = "Incidents"
TENANT_CLAIMS = "TenantClaims"
BINDINGS = "Bindings"
DELETIONS = "Deletions"
AUDIT = "Audit"
REFUSED_PLANS = "RefusedPlans"
LEFTOVERS = "Leftovers"
CHECKPOINTS = "Checkpoints"
RETENTION = "Retention"
READINGS = "Readings"
SPENDING = "Spending"
SUBSCRIPTIONS = "Subscriptions"
CLOCKS = "Clocks"
NAMED = "NamedPeople"


class OnDelete(Enum):
    """What becomes of a connection's rows in a table when the connection is deleted.

    `KEPT` with the people if they are kept: the next connection of the same id has them again.
    `DELETED` in any case: the next connection of the same id must not inherit them.
    `ORDERED`: deleted in any case, the document first or last, and the lease by the holder at the end; its
    epoch stays, so that who held this connection cannot write into the next one of the same id.
    `STAYS`: it tells of connections that were deleted, or of none.
    """

    KEPT = "kept"
    DELETED = "deleted"
    ORDERED = "ordered"
    STAYS = "stays"


# In the order in which their rows are deleted: plans are found by their runs.
TABLES: Mapping[str, OnDelete] = MappingProxyType(
    {
        USERS: OnDelete.KEPT,
        PLANS: OnDelete.KEPT,
        RUNS: OnDelete.KEPT,
        HEALTH: OnDelete.DELETED,
        CONSENTS: OnDelete.DELETED,
        VERIFICATIONS: OnDelete.DELETED,
        MATCHES: OnDelete.DELETED,
        APPROVALS: OnDelete.DELETED,
        GROUPS: OnDelete.DELETED,
        INCIDENTS: OnDelete.DELETED,
        TENANT_CLAIMS: OnDelete.DELETED,
        BINDINGS: OnDelete.DELETED,
        REFUSED_PLANS: OnDelete.DELETED,
        CHECKPOINTS: OnDelete.DELETED,
        READINGS: OnDelete.DELETED,
        SUBSCRIPTIONS: OnDelete.DELETED,
        NAMED: OnDelete.DELETED,
        CONNECTIONS: OnDelete.ORDERED,
        LEASES: OnDelete.ORDERED,
        DELETIONS: OnDelete.ORDERED,
        LEFTOVERS: OnDelete.STAYS,
        AUDIT: OnDelete.STAYS,
        RETENTION: OnDelete.STAYS,
        SPENDING: OnDelete.STAYS,
        CLOCKS: OnDelete.STAYS,
    }
)

T = TypeVar("T")


class Tables:
    """One account's tables, over one set of connections."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._clients = {name: service.get_table_client(name) for name in TABLES}
        self._made = False

    @classmethod
    def open(cls, access: StorageAccess, credential: AsyncTokenCredential | None) -> Self:
        transport = PatientTransport(storage_unavailable)
        if access.connection_string:
            text = access.connection_string
            return cls(TableServiceClient.from_connection_string(text, transport=transport))
        if access.service_url is None or credential is None:
            msg = "a table service needs a connection string, or a URL and an identity"
            raise ValueError(msg)
        client = TableServiceClient(access.service_url, credential=credential, transport=transport)
        return cls(client)

    async def table(self, name: str) -> TableClient:
        """Return a table's client; all tables are made once a process, where they are missing."""
        if not self._made:
            # One request, where all are there: an app that is idle begins a process for each tick of a timer.
            there = await self._there()
            for missing in self._clients.keys() - there:
                await self._make(self._clients[missing])
            self._made = True
        return self._clients[name]

    async def _there(self) -> set[str]:
        try:
            return {table.name async for table in self._service.list_tables()}
        except AzureError as error:
            raise storage_unavailable(error) from error

    @staticmethod
    async def _make(client: TableClient) -> None:
        try:
            await client.create_table()
        except ResourceExistsError:
            pass
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def close(self) -> None:
        await self._service.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def asked(call: Callable[[], Awaitable[T]]) -> T | None:
    """Make one call of the SDK: None for what is not there, our error for what does not work."""
    try:
        return await call()
    except ResourceNotFoundError:
        return None
    except AzureError as error:
        raise storage_unavailable(error) from error
