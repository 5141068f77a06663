"""The Connections table: one document a connection, with an ETag for those who change it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import orjson
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError
from azure.data.tables import UpdateMode

from sync_core.domain.documents import Connection
from sync_core.domain.errors import Conflict, FieldProblem, Invalid, NotFound, PreconditionFailed
from sync_core.store.rows import TEXT_PIECE, joined, pieces
from sync_core.store.tables import CONNECTIONS, Tables, asked
from sync_core.store.wire import Entity, query, storage_unavailable

PARTITION = "connection"
# An entity holds 1 MiB, at two bytes a character; the rest of the row needs little.
MAX_DOCUMENT = 12 * TEXT_PIECE


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection and the version of it that is stored."""

    connection: Connection
    etag: str


class ConnectionStore:
    """Connections by id."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, connection_id: str) -> StoredConnection:
        """Load one connection or raise `NotFound`."""
        found = await self.find(connection_id)
        if found is None:
            raise NotFound(
                "connection.notFound",
                f"There is no connection {connection_id!r}.",
                "List the connections with GET /api/connections.",
            )
        return found

    async def find(self, connection_id: str) -> StoredConnection | None:
        table = await self._tables.table(CONNECTIONS)
        entity = await asked(partial(table.get_entity, PARTITION, connection_id))
        if entity is None:
            return None
        return StoredConnection(_connection(entity), str(entity.metadata["etag"]))

    async def all(self) -> AsyncIterator[Connection]:
        """Give every connection, by id."""
        table = await self._tables.table(CONNECTIONS)
        async for page in query(table, f"PartitionKey eq '{PARTITION}'"):
            for entity in page:
                yield _connection(entity)

    async def create(self, connection: Connection) -> str:
        """Store a new connection and give its ETag; raise `Conflict` if the id is taken."""
        table = await self._tables.table(CONNECTIONS)
        try:
            answer = await table.create_entity(_entity(connection))
        except ResourceExistsError as error:
            raise Conflict(
                "connection.exists",
                f"There is a connection {connection.id!r} already.",
                "Choose another id, or change the existing one with PUT or PATCH.",
            ) from error
        except AzureError as error:
            raise storage_unavailable(error) from error
        return str(answer["etag"])

    async def replace(self, connection: Connection, etag: str) -> str:
        """Store a new version in place of the one with this ETag, and give the new ETag."""
        table = await self._tables.table(CONNECTIONS)
        try:
            answer = await table.update_entity(
                _entity(connection),
                mode=UpdateMode.REPLACE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError as error:
            raise changed_meanwhile(connection.id) from error
        except AzureError as error:
            raise storage_unavailable(error) from error
        return str(answer["etag"])

    async def delete(self, connection_id: str, etag: str) -> None:
        """Delete the version with this ETag."""
        table = await self._tables.table(CONNECTIONS)
        try:
            await table.delete_entity(
                PARTITION,
                connection_id,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError as error:
            raise changed_meanwhile(connection_id) from error
        except AzureError as error:
            raise storage_unavailable(error) from error


def changed_meanwhile(connection_id: str) -> PreconditionFailed:
    return PreconditionFailed(
        "connection.changedMeanwhile",
        f"The connection {connection_id!r} was changed by somebody else.",
        "Load it again, repeat the change, and send it with the new ETag.",
    )


def _entity(connection: Connection) -> Entity:
    text = orjson.dumps(connection.to_json()).decode()
    if len(text) > MAX_DOCUMENT:
        message = f"the document has {len(text)} characters; at most {MAX_DOCUMENT} can be stored"
        raise Invalid("The connection is too large.", [FieldProblem("", message)])
    return {
        "PartitionKey": PARTITION,
        "RowKey": connection.id,
        "DisplayName": connection.display_name,
        "Enabled": connection.enabled,
        **pieces("Document", text),
    }


def _connection(entity: Entity) -> Connection:
    return Connection.model_validate_json(joined("Document", entity))
