"""Tables in memory, with the rules of Azure Table Storage for keys, values, sizes and ETags.

Changes in, the new ETags out, or `Refused` with the service's status and code. A row is kept as the bytes of
its JSON behind its moment of change, so that two million of them need no more than a few GiB.

learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model (keys, types, sizes),
.../update-entity2 (If-Match), .../insert-entity, .../merge-entity, .../delete-entity1.
"""

import base64
import binascii
import re
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from sync_core.domain.model import utf16_length

MAX_KEY_BYTES = 1024
MAX_PROPERTIES = 252
MAX_NAME = 255
MAX_VALUE_BYTES = 64 * 1024
MAX_ENTITY_BYTES = 1024 * 1024
INT32, INT64 = 2**31, 2**63
TYPE = "@odata.type"
KEYS = ("PartitionKey", "RowKey")
# Written by the service; what a client sends of them is ignored.
OWN = ("Timestamp", "odata.")
NOT_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)?")
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS_A_SECOND = 10_000_000
TICK_BYTES = 8

Entity = dict[str, Any]


class Refused(Exception):
    """A request that Table Storage refuses, with its status and code; `index` is the operation at fault."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.index: int | None = None


class Unknown(Refused):
    """A request that Table Storage may answer and this service cannot."""

    def __init__(self, what: str) -> None:
        super().__init__(501, "NotImplemented", what)


@dataclass(frozen=True, slots=True)
class Command:
    """One change of a row; `condition` is its If-Match, None where there is none."""

    method: str
    table: str
    partition: str
    row: str
    condition: str | None
    entity: Entity

    @property
    def is_insert(self) -> bool:
        return self.method == "POST"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a query asks for: one partition, the keys from `low` to below `high`, columns that are equal."""

    partition: str
    low: str = ""
    high: str | None = None
    equal: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Partition:
    """Rows by key, and the keys in order."""

    keys: list[str] = field(default_factory=list)
    rows: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, row: bytes | None) -> None:
        if row is None:
            del self.rows[key]
            del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.rows:
            insort(self.keys, key)
        self.rows[key] = row


class Account:
    """The tables of one storage account."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Partition]] = {}
        self._last_tick = 0

    @property
    def names(self) -> list[str]:
        return sorted(self._tables)

    def make(self, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", name):
            raise Refused(400, "InvalidResourceName", "The table's name is not allowed.")
        if name in self._tables:
            raise Refused(409, "TableAlreadyExists", "The table specified already exists.")
        self._tables[name] = {}

    def change(self, commands: Sequence[Command]) -> list[str | None]:
        """Do all of it or none; return the new ETag of each row, None for one that was deleted."""
        prepared: list[bytes | None] = []
        for index, one in enumerate(commands):
            try:
                prepared.append(self._prepared(one))
            except Refused as refused:
                refused.index = index
                raise
        for one, row in zip(commands, prepared, strict=True):
            partitions = self._partitions(one.table)
            partitions.setdefault(one.partition, Partition()).put(one.row, row)
        return [None if row is None else etag_of(row) for row in prepared]

    def find(self, table: str, partition: str, row: str) -> bytes:
        found = self._found(table, partition, row)
        if found is None:
            raise _not_found()
        return found

    def query(
        self, table: str, condition: Condition, *, top: int, start: str
    ) -> tuple[list[tuple[str, bytes]], str | None]:
        """Return up to `top` rows from the key `start` on, and the key at which the next page begins."""
        page: list[tuple[str, bytes]] = []
        for key, row in self._matching(table, condition, start):
            if len(page) == top:
                return page, key
            page.append((key, row))
        return page, None

    def _matching(
        self, table: str, condition: Condition, start: str
    ) -> Iterator[tuple[str, bytes]]:
        partition = self._partitions(table).get(condition.partition, Partition())
        first = bisect_left(partition.keys, max(condition.low, start))
        for place in range(first, len(partition.keys)):
            key = partition.keys[place]
            if condition.high is not None and key >= condition.high:
                return
            row = partition.rows[key]
            if not condition.equal or condition.equal.items() <= values_of(row).items():
                yield key, row

    def _partitions(self, table: str) -> dict[str, Partition]:
        if table not in self._tables:
            raise Refused(404, "TableNotFound", "The table specified does not exist.")
        return self._tables[table]

    def _found(self, table: str, partition: str, row: str) -> bytes | None:
        found = self._partitions(table).get(partition)
        return None if found is None else found.rows.get(row)

    def _prepared(self, one: Command) -> bytes | None:
        """Return the row as it will be stored, None for one that is deleted."""
        for key in (one.partition, one.row):
            if utf16_length(key) * 2 > MAX_KEY_BYTES:
                raise Refused(400, "KeyValueTooLarge", "A key is larger than 1 KiB.")
            if NOT_IN_KEYS.search(key):
                raise Refused(400, "OutOfRangeInput", "A key has a character that is not allowed.")
        found = self._found(one.table, one.partition, one.row)
        _check_condition(one, found)
        if one.method == "DELETE":
            return None
        entity = checked(one.entity)
        if one.method == "PATCH" and found is not None:
            entity = _merged(values_of(found), entity)
        _check_size(one, entity)
        return self._tick().to_bytes(TICK_BYTES, "big") + orjson.dumps(entity)

    def _tick(self) -> int:
        """Return the time as the service counts it, and never the same twice: ETags are made of it."""
        self._last_tick = max(self._last_tick + 1, time.time_ns() // 100)
        return self._last_tick


def values_of(row: bytes) -> Entity:
    """Return what is stored of a row beside its keys and its moment."""
    values: Entity = orjson.loads(memoryview(row)[TICK_BYTES:])
    return values


def timestamp_of(row: bytes) -> str:
    seconds, ticks = divmod(int.from_bytes(row[:TICK_BYTES], "big"), TICKS_A_SECOND)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{ticks:07}Z"


def etag_of(row: bytes) -> str:
    moment = timestamp_of(row).replace(":", "%3A")
    return f"W/\"datetime'{moment}'\""


def checked(entity: Entity) -> Entity:
    """Return the properties that are stored; a null is no value, and is not."""
    stored: Entity = {}
    for name, value in entity.items():
        if name in KEYS or name.startswith(OWN) or name.endswith(TYPE) or value is None:
            continue
        if not name.isidentifier() or len(name) > MAX_NAME:
            raise Refused(400, "PropertyNameInvalid", f"{name} is no name of a property.")
        kind = entity.get(name + TYPE)
        if kind == "Edm.Double" and isinstance(value, str):
            raise Unknown(f"the number {value}")  # NaN and the infinite ones
        stored[name] = float(value) if kind == "Edm.Double" else value
        if _kind(name, stored[name], kind) in KINDS_TOLD:
            stored[name + TYPE] = kind
    return stored


KINDS_TOLD = frozenset({"Edm.Int64", "Edm.DateTime", "Edm.Guid", "Edm.Binary"})


def _kind(name: str, value: object, told: str | None) -> str:
    """Return the type of a value; refuse one that does not have the type that it is said to have."""
    fits = {
        "Edm.Boolean": isinstance(value, bool),
        "Edm.Int32": type(value) is int and -INT32 <= value < INT32,
        "Edm.Double": isinstance(value, float),
        "Edm.String": isinstance(value, str),
    }
    if told in KINDS_TOLD:
        fits[told] = isinstance(value, str) and _reads_as(told, value)
    kinds = [told] if told else [kind for kind, fit in fits.items() if fit]
    if not kinds or not fits.get(kinds[0]):
        raise Refused(400, "InvalidInput", f"{name} is no value of the type {told}.")
    return kinds[0]


def _reads_as(kind: str, text: str) -> bool:
    if kind == "Edm.DateTime":
        return MOMENT.fullmatch(text) is not None
    if kind == "Edm.Guid":
        return GUID.fullmatch(text) is not None
    if kind == "Edm.Int64":
        return re.fullmatch(r"-?\d{1,19}", text) is not None and -INT64 <= int(text) < INT64
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _check_condition(one: Command, found: bytes | None) -> None:
    if one.is_insert:
        if found is not None:
            raise Refused(409, "EntityAlreadyExists", "The specified entity already exists.")
        return
    if one.condition is None:
        if one.method == "DELETE":
            raise Refused(400, "MissingRequiredHeader", "A deletion needs an If-Match.")
        return
    if found is None:
        raise _not_found()
    if one.condition not in ("*", etag_of(found)):
        raise Refused(412, "UpdateConditionNotSatisfied", "The entity was changed meanwhile.")


def _merged(before: Entity, news: Entity) -> Entity:
    replaced = {name + TYPE for name in news}
    return {name: value for name, value in before.items() if name not in replaced} | news


def _check_size(one: Command, entity: Entity) -> None:
    """Sizes as learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model."""
    names = [name for name in entity if not name.endswith(TYPE)]
    if len(names) > MAX_PROPERTIES:
        raise Refused(400, "TooManyProperties", "The entity has more than 252 properties.")
    size = 4 + 2 * (utf16_length(one.partition) + utf16_length(one.row))
    for name in names:
        value = _size(entity[name], entity.get(name + TYPE))
        if value > MAX_VALUE_BYTES:
            raise Refused(400, "PropertyValueTooLarge", f"{name} is larger than 64 KiB.")
        size += 8 + 2 * utf16_length(name) + value
    if size > MAX_ENTITY_BYTES:
        raise Refused(400, "EntityTooLarge", "The entity is larger than 1 MiB.")


def _size(value: object, kind: str | None) -> int:
    if isinstance(value, str) and kind is None:
        return 2 * utf16_length(value)
    if isinstance(value, str) and kind == "Edm.Binary":
        return len(value) * 3 // 4
    return 16


def _not_found() -> Refused:
    return Refused(404, "ResourceNotFound", "The specified resource does not exist.")
