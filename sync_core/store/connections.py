"""The Connections table: one document a connection, with an ETag for those who change it.

A row carries the number of its form (`Schema`). It is a column, not a field of the document: the
document is what callers see and send, and the number has to be readable where the document is not.
Rows without it are of the first releases. Fields and columns of other releases are kept by every
write; see `sync_core.domain.compatibility`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import orjson
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError
from azure.data.tables import UpdateMode
from pydantic import ValidationError

from sync_core.domain.compatibility import FIRST_SCHEMA, kept, read, schema_after, strange_paths
from sync_core.domain.connections.limits import with_new_limits
from sync_core.domain.connections.verification import with_unknown
from sync_core.domain.documents.base import is_connection_id
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import (
    Conflict,
    FieldProblem,
    Invalid,
    NotFound,
    NotUnderstood,
    PreconditionFailed,
)
from sync_core.domain.scope.patterns import changed_patterns
from sync_core.logs import log_event
from sync_core.store.rows import TEXT_PIECE, foreign_columns, joined, pieces
from sync_core.store.tables import CONNECTIONS, Tables, asked
from sync_core.store.wire import Entity, query, storage_unavailable

PARTITION = "connection"
DOCUMENT = "Document"
SCHEMA = "Schema"
COLUMNS = frozenset({"PartitionKey", "RowKey", "DisplayName", "Enabled", SCHEMA, "Patterns"})
# An entity holds 1 MiB, at two bytes a character; the rest of the row needs little.
MAX_DOCUMENT = 12 * TEXT_PIECE
NOTHING: Mapping[str, Any] = MappingProxyType({})
# How the patterns of the scope are read: as everywhere, or as the release did that stored them.
PATTERNS, DOTNET, AS_BEFORE = "Patterns", "dotnet", "before"


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection, the version of it that is stored, and its columns as they stand."""

    connection: Connection
    etag: str
    row: Entity

    @property
    def document(self) -> dict[str, Any]:
        """The document as stored, with what only another release knows."""
        document: dict[str, Any] = orjson.loads(joined(DOCUMENT, self.row))
        return document


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
        """Load one connection, or None where there is none; what cannot be an id is not asked for."""
        if not is_connection_id(connection_id):
            return None
        table = await self._tables.table(CONNECTIONS)
        entity = await asked(partial(table.get_entity, PARTITION, connection_id))
        if entity is None:
            return None
        return StoredConnection(_connection(entity), str(entity.metadata["etag"]), entity)

    async def all(self) -> AsyncIterator[Connection]:
        """Yield every connection, by id.

        One that only a newer release understands is left out: it must not be run by half of its rules,
        nor stop the others.
        """
        table = await self._tables.table(CONNECTIONS)
        async for page in query(table, f"PartitionKey eq '{PARTITION}'"):
            for entity in page:
                try:
                    yield _connection(entity)
                except NotUnderstood as error:
                    log_event(error.code, connection=entity["RowKey"])

    async def create(self, connection: Connection) -> StoredConnection:
        """Store a new connection; raise `Conflict` if the id is taken."""
        table = await self._tables.table(CONNECTIONS)
        row = _row(connection, connection.to_json())
        try:
            answer = await table.create_entity(row)
        except ResourceExistsError as error:
            raise Conflict(
                "connection.exists",
                f"There is a connection {connection.id!r} already.",
                "Choose another id, or change the existing one with PUT or PATCH.",
            ) from error
        except AzureError as error:
            raise storage_unavailable(error) from error
        return StoredConnection(_connection(row), str(answer["etag"]), row)

    async def replace(
        self,
        connection: Connection,
        stored: StoredConnection,
        waited: Mapping[str, Any] = NOTHING,
    ) -> StoredConnection:
        """Store a new version in place of a stored one, and give it as it is stored now.

        `waited` are settings that come into use by it. What another release has in either is kept.
        """
        table = await self._tables.table(CONNECTIONS)
        row = _replacement(connection, stored, waited)
        try:
            answer = await table.update_entity(
                row,
                mode=UpdateMode.REPLACE,
                etag=stored.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError as error:
            raise changed_meanwhile(connection.id) from error
        except AzureError as error:
            raise storage_unavailable(error) from error
        return StoredConnection(_connection(row), str(answer["etag"]), row)

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


def _replacement(
    connection: Connection, stored: StoredConnection, waited: Mapping[str, Any]
) -> Entity:
    raw = with_new_limits(stored.document)
    document = kept(raw, stored.connection.to_json(), connection.to_json())
    if waited:
        document = with_unknown(waited, stored.connection, document)
    columns = foreign_columns(stored.row, COLUMNS, DOCUMENT)
    return columns | _row(connection, document, stored.row.get(SCHEMA))


def _row(connection: Connection, document: Mapping[str, Any], schema: object = None) -> Entity:
    text = orjson.dumps(document).decode()
    if len(text) > MAX_DOCUMENT:
        message = f"the document has {len(text)} characters; at most {MAX_DOCUMENT} can be stored"
        raise Invalid("The connection is too large.", [FieldProblem("", message)])
    return {
        "PartitionKey": PARTITION,
        "RowKey": connection.id,
        "DisplayName": connection.display_name,
        "Enabled": connection.enabled,
        SCHEMA: schema_after(schema),
        PATTERNS: AS_BEFORE if connection.scope.reads_as_before else DOTNET,
        **pieces(DOCUMENT, text),
    }


def _document(row: Entity) -> dict[str, Any]:
    """Return the stored document; an empty one, in which all is missing, where it is no JSON object."""
    try:
        document = orjson.loads(joined(DOCUMENT, row))
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _connection(row: Entity) -> Connection:
    try:
        connection = read(Connection, with_new_limits(_document(row)))
    except ValidationError as error:
        name, schema = row["RowKey"], row.get(SCHEMA, FIRST_SCHEMA)
        raise NotUnderstood(
            "connection.notUnderstood",
            f"The connection {name!r} holds values that this release of the app does not know "
            f"({strange_paths(error)}); another release has stored them (schema {schema}).",
            "Deploy that release again; until then the connection is neither shown nor run.",
        ) from None
    # Rows of the first releases say nothing of it.
    if row.get(PATTERNS) == DOTNET or not changed_patterns(connection.scope):
        return connection
    return connection.model_copy(update={"scope": connection.scope.as_before()})
