"""What a newer release does to the rows of a connection before it is rolled back."""

from collections.abc import Callable
from typing import Any

import orjson
from azure.data.tables import EdmType, EntityProperty, UpdateMode

from sync_core.domain.compatibility import SCHEMA
from sync_core.services import Services
from sync_core.store.rows import joined
from sync_core.store.tables import (
    CONNECTIONS,
)
from tests.api.conftest import Json

NEWER = SCHEMA + 8

Change = Callable[[Json], None]
EVERYWHERE = list(range(8))


class Tables:
    """What a newer release does to the rows of one connection."""

    def __init__(self, services: Services, connection_id: str) -> None:
        self.services = services
        self.connection_id = connection_id

    async def row(self, table: str, partition: str, key: str | None = None) -> Json:
        client = await self.services.store.tables.table(table)
        return dict(await client.get_entity(partition, key or self.connection_id))

    async def document(self, table: str, partition: str) -> Json:
        found: Json = orjson.loads(joined("Document", await self.row(table, partition)))
        return found

    async def add(self, table: str, partition: str, key: str | None = None, **columns: Any) -> None:
        """Write columns into a row, whether it is there or not."""
        client = await self.services.store.tables.table(table)
        keys = {"PartitionKey": partition, "RowKey": key or self.connection_id}
        await client.upsert_entity(keys | columns, mode=UpdateMode.MERGE)

    async def rewrite(self, table: str, partition: str, change: Change, **columns: Any) -> None:
        """Change the document of a row, and its columns."""
        document = await self.document(table, partition)
        change(document)
        await self.add(table, partition, Document=orjson.dumps(document).decode(), **columns)

    async def make_newer(self) -> None:
        """Store the connection as a release does that knows more, everywhere in it."""
        count = EntityProperty(2**40, EdmType.INT64)
        await self.rewrite(
            CONNECTIONS, "connection", add_everywhere, Schema=NEWER, Owner="Ann", Size=count
        )

    async def connection(self) -> Json:
        return await self.document(CONNECTIONS, "connection")


def parts(document: Json) -> list[Json]:
    """Return the objects of a connection's document in which there may be something new."""
    scope, policy = document["scope"], document["policy"]
    return [
        *(document, scope, scope["filters"][0], scope["filters"][0]["clauses"][0]),
        *(policy, policy["guard"], document["mapping"][1], document["credential"]),
    ]


def add_everywhere(document: Json) -> None:
    for number, part in enumerate(parts(document)):
        part["ofTomorrow"] = {"number": number}


def found_in(document: Json) -> list[int | None]:
    return [part.get("ofTomorrow", {}).get("number") for part in parts(document)]
