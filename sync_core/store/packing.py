"""Contents of any size in rows of a table: compressed, and cut into the columns that a row can hold."""

import base64
import zlib
from collections.abc import Iterable, Sequence

from sync_core.store.wire import Entity, Operation, Verb

# What a binary column holds; so many of them stay below the 1 MiB of an entity.
# learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
COLUMN_BYTES = 65_536
MAX_COLUMNS = 15
ROW_BYTES = COLUMN_BYTES * MAX_COLUMNS


def packed(partition: str, kind: str, content: bytes) -> list[Operation]:
    """Return the operations that write a content, as rows `kind|000` and on."""
    pressed = zlib.compress(content)
    parts = [pressed[start : start + ROW_BYTES] for start in range(0, len(pressed), ROW_BYTES)]
    return [
        upsert(partition, f"{kind}|{number:03d}", **columns_of(part))
        for number, part in enumerate(parts)
    ]


def columns_of(part: bytes) -> Entity:
    """Return the columns that hold a part of up to `ROW_BYTES`."""
    columns: Entity = {}
    for number, start in enumerate(range(0, len(part), COLUMN_BYTES)):
        piece = base64.b64encode(part[start : start + COLUMN_BYTES]).decode()
        columns |= {f"Data{number}": piece, f"Data{number}@odata.type": "Edm.Binary"}
    return columns


def piece_of(row: Entity) -> bytes:
    """Return what one row holds of its content."""
    pieces = [row[f"Data{number}"] for number in range(MAX_COLUMNS) if f"Data{number}" in row]
    return b"".join(map(base64.b64decode, pieces))


def unpacked(pieces: Sequence[bytes]) -> bytes:
    """Return the content of rows, in the order of their keys."""
    return zlib.decompress(b"".join(pieces))


def left_over(
    partition: str, stored: Iterable[str], rows: Iterable[Operation], kinds: Iterable[str]
) -> list[Operation]:
    """Return what takes away the rows that an earlier, larger content had."""
    now = {row.entity["RowKey"] for row in rows}
    ours = tuple(f"{kind}|" for kind in kinds)
    return [
        delete(partition, key) for key in sorted(stored) if key not in now and key.startswith(ours)
    ]


def upsert(partition: str, key: str, **columns: object) -> Operation:
    """Return the operation that writes a row."""
    return Operation(Verb.UPSERT, {"PartitionKey": partition, "RowKey": key, **columns})


def delete(partition: str, key: str) -> Operation:
    """Return the operation that deletes a row."""
    return Operation(Verb.DELETE, {"PartitionKey": partition, "RowKey": key})
