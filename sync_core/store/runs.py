"""The Runs table: one record a run, newest first; a run's id is its row key."""

import hashlib
import secrets
from datetime import datetime
from functools import partial

import orjson
from azure.core.exceptions import AzureError

from sync_core.domain.compatibility import read
from sync_core.domain.documents.run import Run
from sync_core.domain.errors import NotFound
from sync_core.domain.model import StillHeld
from sync_core.store.rows import joined, pieces, time_left
from sync_core.store.tables import RUNS, Tables, asked
from sync_core.store.wire import Entity, query, quoted, storage_unavailable


def new_run_id(now: datetime) -> str:
    """Return an id that sorts before those of all earlier runs."""
    return f"{time_left(now)}-{secrets.token_hex(4)}"


def run_id_of(message_id: str, sent_at: datetime) -> str:
    """Return the id of the run that a message of the queue asks for: the same one however often it comes."""
    digest = hashlib.blake2b(message_id.encode(), digest_size=4).hexdigest()
    return f"{time_left(sent_at)}-{digest}"


class RunStore:
    """Runs by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, run: Run) -> None:
        table = await self._tables.table(RUNS)
        try:
            await table.upsert_entity(_entity(run))
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def find(self, connection_id: str, run_id: str) -> Run | None:
        table = await self._tables.table(RUNS)
        entity = await asked(partial(table.get_entity, connection_id, run_id))
        return _run(entity) if entity is not None else None

    async def get(self, connection_id: str, run_id: str) -> Run:
        """Load one run or raise `NotFound`."""
        run = await self.find(connection_id, run_id)
        if run is None:
            raise NotFound(
                "run.notFound",
                f"The connection {connection_id!r} has no run {run_id!r}.",
                f"List its runs with GET /api/connections/{connection_id}/runs.",
            )
        return run

    async def page(self, connection_id: str, *, top: int, after: str | None) -> list[Run]:
        """Return up to `top` runs, newest first, beginning after the run with the id `after`."""
        table = await self._tables.table(RUNS)
        condition = f"PartitionKey eq {quoted(connection_id)}"
        if after is not None:
            condition += f" and RowKey gt {quoted(after)}"
        runs: list[Run] = []
        async for page in query(table, condition, top=top):
            runs += map(_run, page)
            if len(runs) >= top:
                break
        return runs[:top]

    async def delete_all_but(self, connection_id: str, run_id: str, still_held: StillHeld) -> None:
        """Delete every other run of a connection; `still_held` is called before every page of them."""
        table = await self._tables.table(RUNS)
        async for page in query(table, f"PartitionKey eq {quoted(connection_id)}", ["RowKey"]):
            await still_held()
            for row in page:
                if row["RowKey"] != run_id:
                    await asked(partial(table.delete_entity, connection_id, row["RowKey"]))


def _entity(run: Run) -> Entity:
    return {
        "PartitionKey": run.connection_id,
        "RowKey": run.id,
        "Status": run.status.value,
        "Trigger": run.trigger.value,
        "RequestedAt": run.requested_at,
        **pieces("Document", orjson.dumps(run.to_json()).decode()),
    }


def _run(entity: Entity) -> Run:
    return read(Run, joined("Document", entity))
