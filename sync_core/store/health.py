"""The Health table: what is remembered of each connection's health, one entity a connection.

Changed only with its ETag: of two workers that change it at once, the slower one starts again from
what the faster one wrote, so neither's incident is lost.
"""

from collections.abc import AsyncIterator, Callable
from functools import partial

import orjson
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode
from pydantic import ValidationError

from sync_core.errors import RetryLater
from sync_core.health import Health, Step
from sync_core.logs import log_event
from sync_core.store.entities import joined, pieces
from sync_core.store.tables import HEALTH, Tables, asked
from sync_core.store.wire import Entity, query, storage_unavailable

PARTITION = "health"
ATTEMPTS = 20


class HealthStore:
    """Health by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, connection_id: str) -> Health:
        """Load what is remembered of a connection; of most it is nothing."""
        health, _ = await self._read(connection_id)
        return health

    async def all(self) -> AsyncIterator[Health]:
        """Give what is remembered of every connection."""
        table = await self._tables.table(HEALTH)
        async for page in query(table, f"PartitionKey eq '{PARTITION}'"):
            for entity in page:
                yield _health(entity["RowKey"], entity)

    async def change(self, connection_id: str, change: Callable[[Health], Step]) -> Step:
        """Read, change, write; again from the start when somebody was faster.

        Gives the step that was written, so its events are told once. No change writes nothing.
        """
        for _ in range(ATTEMPTS):
            health, etag = await self._read(connection_id)
            step = change(health)
            if step.health == health or await self._write(step.health, etag):
                return step
        raise RetryLater(
            "health.busy",
            "The health of the connection is being changed by too many workers at once.",
            "Nothing to do: the next run notes it again.",
        )

    async def delete(self, connection_id: str) -> None:
        table = await self._tables.table(HEALTH)
        await asked(partial(table.delete_entity, PARTITION, connection_id))

    async def _read(self, connection_id: str) -> tuple[Health, str | None]:
        table = await self._tables.table(HEALTH)
        entity = await asked(partial(table.get_entity, PARTITION, connection_id))
        if entity is None:
            return Health(connection_id=connection_id), None
        return _health(connection_id, entity), str(entity.metadata["etag"])

    async def _write(self, health: Health, etag: str | None) -> bool:
        table = await self._tables.table(HEALTH)
        try:
            if etag is None:
                await table.create_entity(_entity(health))
            else:
                await table.update_entity(
                    _entity(health),
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError):
            return False
        except ResourceNotFoundError as error:
            # Without an ETag nothing but the table itself can be missing; with one, somebody deleted
            # the state with its connection, and reading again shows that.
            if etag is None:
                raise storage_unavailable(error) from error
            return False
        except AzureError as error:
            raise storage_unavailable(error) from error
        return True


def _entity(health: Health) -> Entity:
    return {
        "PartitionKey": PARTITION,
        "RowKey": health.connection_id,
        "Status": health.status.value,
        **pieces("Document", orjson.dumps(health.to_json()).decode()),
    }


def _health(connection_id: str, entity: Entity) -> Health:
    """Read a state; one that cannot be read is begun anew, since it must not stop any run."""
    try:
        return Health.model_validate_json(joined("Document", entity))
    except ValidationError:
        log_event("health.unreadable", connection=connection_id)
        return Health(connection_id=connection_id)
