"""A dump: every table of an installation as JSON, one row a line, with the directory that belongs to it.

Each closed issue leaves one in `dumps/`, made by the release as it then stands; from there on every later
release has to read it (`test_upgrade.py`). To make one, from a clean checkout of that release:

    python -m tests.upgrade.dump tests/upgrade/dumps/<number of the issue>.json

It starts the rig (storage, directory, vault, Functions host) and plays `story.py` against what is
public: the REST API, the emulator's control interface, and Table Storage as an application uses it.
So it also runs in a checkout of an older release: copy this folder into its `tests/`. What a release
adds belongs into the story before its dump is made; dumps that are there already are never made again.

No secret is in a dump: of those in Key Vault it names the version, and the constant that it holds.
"""

import base64
import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.data.tables import EdmType, EntityProperty, TableServiceClient

from local.rig import Options, Rig
from tests.upgrade.story import SIZE, tell

Json = dict[str, Any]


def read_tables(connection_string: str) -> dict[str, list[Json]]:
    """Read every row of every table, sorted; `null` rows do not exist, so an empty table is just empty."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        names = sorted(table.name for table in service.list_tables())
        return {name: list(_rows(service, name)) for name in names}


def write_tables(connection_string: str, tables: dict[str, list[Json]]) -> None:
    """Make the tables and write their rows, each value with the type that it had."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        for name, rows in tables.items():
            table = service.create_table_if_not_exists(name)
            for row in rows:
                table.create_entity({column: _value(stored) for column, stored in row.items()})


def _rows(service: TableServiceClient, name: str) -> Iterator[Json]:
    rows = service.get_table_client(name).list_entities()
    for row in sorted(rows, key=lambda row: (row["PartitionKey"], row["RowKey"])):
        yield {column: _stored(row[column]) for column in sorted(row)}


def _stored(value: Any) -> Any:
    """Write a value so that its type can be told: JSON has no moments, bytes and 64-bit numbers."""
    if isinstance(value, datetime):
        return {"moment": value.astimezone(UTC).isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, EntityProperty) and value.edm_type is EdmType.INT64:
        return {"int64": str(value.value)}
    if isinstance(value, str | bool | int | float):
        return value
    msg = f"a dump cannot hold {value!r}"
    raise TypeError(msg)


def _value(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    [(kind, text)] = stored.items()
    if kind == "moment":
        return datetime.fromisoformat(text)
    if kind == "bytes":
        return base64.b64decode(text)
    return EntityProperty(int(text), EdmType.INT64)


def written(dump: Json) -> str:
    """Lay a dump out so that a difference between two of them can be read."""
    parts = [f"{json.dumps(name)}: {_part(value)}" for name, value in dump.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part(value: Any) -> str:
    """Write a list as one item a line, and each table so."""
    if isinstance(value, list):
        items = (json.dumps(item, ensure_ascii=False) for item in value)
        return "[\n" + ",\n".join(items) + "\n]"
    if isinstance(value, dict) and any(isinstance(part, list) for part in value.values()):
        parts = (f"{json.dumps(name)}: {_part(part)}" for name, part in value.items())
        return "{\n" + ",\n".join(parts) + "\n}"
    return json.dumps(value, ensure_ascii=False)


def make(target: Path) -> None:
    """Play the story on a fresh rig and write down what it leaves."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        options = replace(Options(port=port, data=Path(data)), **SIZE)
        with Rig(options) as rig:
            rig.start()
            changes, secrets = tell(rig)
            dump = {
                "madeAt": datetime.now(UTC).isoformat(),
                "directory": SIZE,
                "changes": changes,
                "secrets": secrets,
                "tables": read_tables(rig.addresses.storage),
            }
    target.write_text(written(dump), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
