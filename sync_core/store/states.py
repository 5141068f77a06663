"""What is remembered of each connection beside its document: one entity a connection, of several kinds.

Changed only with its ETag: of two workers that change it at once, the slower one starts again from
what the faster one wrote, so neither's news is lost. Fields and columns of another release are kept.
"""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import orjson
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableEntity, UpdateMode
from pydantic import ValidationError

from sync_core.domain.compatibility import kept, read_partly
from sync_core.domain.documents.base import Document
from sync_core.domain.errors import RetryLater
from sync_core.logs import log_event
from sync_core.store.rows import foreign_columns, joined, pieces
from sync_core.store.tables import Tables, asked
from sync_core.store.wire import Entity, query, storage_unavailable

ATTEMPTS = 20
DOCUMENT = "Document"
COLUMNS = frozenset({"PartitionKey", "RowKey", "Status"})

State = TypeVar("State", bound=Document)
Step = TypeVar("Step")


class StateStore(Generic[State]):
    """States of one kind by connection; `empty` makes the state of a connection without any."""

    def __init__(
        self, tables: Tables, *, table: str, kind: str, empty: Callable[[str], State]
    ) -> None:
        self._tables = tables
        self._table = table
        self._kind = kind
        self._empty = empty

    async def read(self, connection_id: str) -> State:
        """Load what is remembered of a connection; of most it is nothing."""
        state, _ = await self._read(connection_id)
        return state

    async def all(self) -> AsyncIterator[State]:
        """Return what is remembered of every connection."""
        table = await self._tables.table(self._table)
        async for page in query(table, f"PartitionKey eq '{self._kind}'"):
            for entity in page:
                yield self._state(entity["RowKey"], entity)

    async def update(
        self,
        connection_id: str,
        change: Callable[[State], Step],
        state_of: Callable[[Step], State],
    ) -> Step:
        """Read, change, write; again from the start when somebody was faster.

        Gives the step that was written, so what it has to tell is told once. No change writes nothing.
        """
        for _ in range(ATTEMPTS):
            known, row = await self._read(connection_id)
            step = change(known)
            after = state_of(step)
            if after == known or await self._write(connection_id, known, after, row):
                return step
        raise RetryLater(
            f"{self._kind}.busy",
            f"The {self._kind} of the connection is being changed by too many workers at once.",
            "Nothing to do: it is noted again the next time.",
        )

    async def delete(self, connection_id: str) -> None:
        table = await self._tables.table(self._table)
        await asked(partial(table.delete_entity, self._kind, connection_id))

    async def _read(self, connection_id: str) -> tuple[State, TableEntity | None]:
        table = await self._tables.table(self._table)
        entity = await asked(partial(table.get_entity, self._kind, connection_id))
        if entity is None:
            return self._empty(connection_id), None
        return self._state(connection_id, entity), entity

    async def _write(
        self, connection_id: str, known: State, state: State, row: TableEntity | None
    ) -> bool:
        table = await self._tables.table(self._table)
        entity = self._entity(connection_id, known, state, row)
        try:
            if row is None:
                await table.create_entity(entity)
            else:
                await table.update_entity(
                    entity,
                    mode=UpdateMode.REPLACE,
                    etag=row.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError):
            return False
        except ResourceNotFoundError as error:
            # Without an ETag nothing but the table itself can be missing; with one, somebody deleted
            # the state with its connection, and reading again shows that.
            if row is None:
                raise storage_unavailable(error) from error
            return False
        except AzureError as error:
            raise storage_unavailable(error) from error
        return True

    def _entity(
        self, connection_id: str, known: State, state: State, row: TableEntity | None
    ) -> Entity:
        status, document = getattr(state, "status", None), state.to_json()
        if row is not None:
            document = kept(_raw(row), known.to_json(), document)
        return {
            **foreign_columns(row or {}, COLUMNS, DOCUMENT),
            "PartitionKey": self._kind,
            "RowKey": connection_id,
            **({"Status": str(status)} if status is not None else {}),
            **pieces(DOCUMENT, orjson.dumps(document).decode()),
        }

    def _state(self, connection_id: str, entity: Entity) -> State:
        """Read a state; one that cannot be read is begun anew, since it must not stop any run."""
        empty = self._empty(connection_id)
        try:
            return read_partly(type(empty), joined(DOCUMENT, entity))
        except ValidationError:
            log_event(f"{self._kind}.unreadable", connection=connection_id)
            return empty


def _raw(row: Entity) -> Any:
    """Return the stored document; none where it is no JSON, as of such a state nothing can be kept."""
    try:
        return orjson.loads(joined(DOCUMENT, row))
    except orjson.JSONDecodeError:
        return None
