"""Rows of the Users table: changes in, operations on entities out. Pure.

System columns are PascalCase, mapped targets camelCase, and columns that an application adds by itself
are left alone. A person's change and its history row are one group of operations, written together.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from sync_core.domain.matching.registry import LINKED_BY, LINKED_TO, NO_AUTO_LINK, parted
from sync_core.domain.matching.takeover import TAKEOVER, is_return
from sync_core.domain.model import (
    Action,
    Change,
    Link,
    Origin,
    Status,
    StoredPerson,
    Value,
    utf16_length,
)
from sync_core.store.wire import Entity, Operation, Verb

# On the row of somebody brought in by hand: the day on which the rules decide again, and the run that did it.
MANUAL_UNTIL = "ManualUntil"
IMPORT_RUN = "ImportRunId"
INDEX_COLUMNS = ("RowKey", "Status", "Origin", "ConnectionId", "Digest", MANUAL_UNTIL)
# Rows of people sort before this, rows of their history after it.
HISTORY = "~"
# Newest first: what is left until this moment, in milliseconds.
END_OF_TIME_MS = 9_999_999_999_999
INT32 = 2**31
# Text columns hold 32 Ki characters of UTF-16; longer texts go on in the next column.
TEXT_PIECE = 30_000
# A row that is written again is enabled.
NOT_REWRITTEN = frozenset({"DisabledAt", "DisabledReason", "Returns"})
LINKED_FROM = "LinkedFrom"
# On a row that was moved from a deleted connection: the address at which it stood.
TAKEN_FROM = "TakenOverFrom"
DISABLED_REASON = "DisabledReason"
# Of a person whom only the deletion had disabled; goes when the person comes back.
RETURNS = "Returns"
# Names the columns that the mapping has filled; all others are the application's own.
MAPPED_TARGETS = "MappedTargets"
# What a row that is taken over keeps to itself: its address, and columns whose meaning is ours.
NOT_TAKEN_OVER = frozenset(
    {"PartitionKey", "RowKey", "Timestamp", "Status", "Origin", "ConnectionId", "TenantId"}
    | {"UserPrincipalName", "CreatedAt", "UpdatedAt", "DisabledAt", "DisabledReason", "LastRunId"}
    | {"Digest", MAPPED_TARGETS, LINKED_FROM, LINKED_TO, LINKED_BY, NO_AUTO_LINK}
    | {TAKEN_FROM, RETURNS, MANUAL_UNTIL, IMPORT_RUN}
)
STATUSES = frozenset(Status)
ORIGINS = frozenset(Origin)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row written by one run carries."""

    connection_id: str
    tenant_id: str
    run_id: str
    now: datetime


def partition_key(connection_id: str, object_id: str) -> str:
    """Return the partition of a person: the first hex digit of a random id fills 16 of them evenly."""
    return f"{connection_id}-{object_id[0]}"


def to_stored(entity: Entity, connection_id: str) -> StoredPerson | None:
    """Read what planning needs from a row; None for a row that this connection does not own.

    A status or origin that is none of ours was written by somebody else: such a row is not touched
    either, and does not stop the run for the others.
    """
    # A column that was asked for and is not there may come as null.
    status, origin = entity.get("Status"), entity.get("Origin") or Origin.AUTO
    if entity.get("ConnectionId") != connection_id:
        return None
    if status not in STATUSES or origin not in ORIGINS:
        return None
    returns = status == Status.DISABLED and entity.get(RETURNS) is True
    until = str(entity.get(MANUAL_UNTIL) or "") if origin == Origin.MANUAL else ""
    return StoredPerson(Status(status), Origin(origin), entity.get("Digest") or "", returns, until)


def to_be_taken(entity: Entity, source: str) -> StoredPerson | None:
    """Read a row of a deleted connection as it will be when it was moved; None for one that stays."""
    stored = to_stored(entity, source)
    if stored is None:
        return None
    return stored._replace(returns=is_return(stored.status, entity.get(DISABLED_REASON)))


def needs_row(change: Change) -> bool:
    """Whether a stored row has to be at hand to write the change."""
    return change.action is not Action.CREATE or change.link is not None


def old_values(change: Change, row: Entity) -> dict[str, Value]:
    """Return what the row at a person's own address holds of the targets, before the change."""
    return _values(row, change.values) if change.link else mapped_values(row)


def mapped_values(row: Entity) -> dict[str, Value]:
    """Return the mapped targets of a stored row."""
    return _values(row, str(row.get(MAPPED_TARGETS) or "").split(","))


def _values(row: Entity, names: Iterable[str]) -> dict[str, Value]:
    return {
        name: row[name] if not _is_long(row, name) else int(row[name])
        for name in names
        if name in row
    }


def _is_long(row: Entity, name: str) -> bool:
    return row.get(f"{name}@odata.type") == "Edm.Int64"


def operations(change: Change, row: Entity | None, stamp: Stamp) -> list[Operation]:
    """Return the operations of one change: the person and the history row, to be written together."""
    history = Operation(Verb.UPSERT, _history(change, stamp))
    if not needs_row(change):
        return [Operation(Verb.UPSERT, _created(change, stamp)), history]
    if row is None:
        msg = f"no stored row for a change of kind {change.action}"
        raise ValueError(msg)
    etag = row["odata.etag"]
    if change.link is not None:
        return [_linked(change, change.link, row, stamp), history]
    if change.action is Action.DELETE:
        return [Operation(Verb.DELETE, _keys(change, stamp), etag), history]
    if change.action is Action.DISABLE and change.origin is None:
        return [Operation(Verb.MERGE, _disabled(change, stamp), etag), history]
    return [Operation(Verb.REPLACE, _replaced(change, row, stamp), etag), history]


def _replaced(change: Change, row: Entity, stamp: Stamp) -> Entity:
    """Return the whole row as it is written again."""
    if change.action is Action.DISABLE:
        return _given_back(change, row, stamp)
    if change.is_given_back:
        return _of_the_rules(row, stamp)
    return _rewritten(change, row, stamp)


def _of_the_rules(row: Entity, stamp: Stamp) -> Entity:
    """Return the row of somebody who is given back to the rules, and otherwise as it is."""
    kept = without(row, {MANUAL_UNTIL, IMPORT_RUN})
    noted = {"Origin": Origin.AUTO.value, "LastRunId": stamp.run_id}
    return kept | noted | moment("UpdatedAt", stamp.now)


def _keys(change: Change, stamp: Stamp) -> Entity:
    return {
        "PartitionKey": partition_key(stamp.connection_id, change.object_id),
        "RowKey": change.object_id,
    }


def _created(change: Change, stamp: Stamp) -> Entity:
    return {
        **_keys(change, stamp),
        **_system(change, stamp),
        "Status": Status.ACTIVE.value,
        **_how_they_came(change, stamp),
        "ConnectionId": stamp.connection_id,
        **moment("CreatedAt", stamp.now),
        **_mapped(change.values),
        MAPPED_TARGETS: ",".join(sorted(change.values.keys() | set(change.kept))),
    }


def _how_they_came(change: Change, stamp: Stamp) -> Entity:
    """Return the columns of how a person came in: by the rules; or by hand, until when and by which run."""
    if change.origin is not Origin.MANUAL:
        return {"Origin": Origin.AUTO.value}
    until = {MANUAL_UNTIL: change.until} if change.until else {}
    return {"Origin": Origin.MANUAL.value, IMPORT_RUN: stamp.run_id, **until}


def _linked(change: Change, link: Link, row: Entity, stamp: Stamp) -> Operation:
    """Return the new person's row with the columns of the row that is taken over.

    Where that one stands in place it is replaced, if it is still the same; elsewhere it stays.
    """
    person = {
        **_taken_over(row, change),
        **_created(change, stamp),
        LINKED_FROM: link.address,
        LINKED_BY: link.by,
    }
    if link.in_place:
        return Operation(Verb.REPLACE, person, row["odata.etag"])
    return Operation(Verb.UPSERT, person)


def _taken_over(row: Entity, change: Change) -> Entity:
    """Return the columns that are not ours; of a former person's targets those that are kept."""
    former = set(str(row.get(MAPPED_TARGETS) or "").split(",")) - set(change.kept)
    return without(row, NOT_TAKEN_OVER | change.values.keys() | former)


def linked_mark(link: Link, object_id: str, etag: str) -> Operation:
    """Return what says on a row who takes it over; its other columns stay."""
    keys = {"PartitionKey": link.partition, "RowKey": link.row_key}
    return Operation(Verb.MERGE, keys | {LINKED_TO: object_id, LINKED_BY: link.by}, etag)


def moved_row(row: Entity, address: str, stamp: Stamp) -> list[Operation]:
    """Return the operations that make a row of a deleted connection one of the stamp's: row and history.

    All columns stay, those of the application and the status among them.
    """
    connection_id, object_id = stamp.connection_id, row["RowKey"]
    person = without(row, ()) | {
        "PartitionKey": partition_key(connection_id, object_id),
        "ConnectionId": connection_id,
        "LastRunId": stamp.run_id,
        TAKEN_FROM: address,
        **moment("UpdatedAt", stamp.now),
    }
    if is_return(Status(row["Status"]), row.get("DisabledReason")):
        person[RETURNS] = True
    if row.get(LINKED_FROM) == address:  # linked in place, and still is
        person[LINKED_FROM] = f"{person['PartitionKey']}|{object_id}"
    return [Operation(Verb.INSERT, person), _moved_note(row, address, stamp)]


def joined_row(
    row: Entity, here: Entity, address: str, stamp: Stamp, *, newer: bool
) -> list[Operation]:
    """Return the operations that put what an application has kept in a row into the one that is there.

    Of a column that both have, the value of the row that is there stays, unless the other one's is `newer`.
    """
    kept = without(row, NOT_TAKEN_OVER | set(str(row.get(MAPPED_TARGETS) or "").split(",")))
    own = without(here, ())
    person = {
        **(own | kept if newer else _without_doubles(kept, own) | own),
        "LastRunId": stamp.run_id,
        TAKEN_FROM: address,
        **moment("UpdatedAt", stamp.now),
    }
    created = {name: row[name] for name in ("CreatedAt", "CreatedAt@odata.type") if name in row}
    replaced = Operation(Verb.REPLACE, person | created, here["odata.etag"])
    return [replaced, _moved_note(row, address, stamp)]


def _without_doubles(kept: Entity, own: Entity) -> Entity:
    """Return the columns that the other row does not have; a type goes with its column."""
    return {name: value for name, value in kept.items() if name.partition("@")[0] not in own}


def _moved_note(row: Entity, address: str, stamp: Stamp) -> Operation:
    """Return what the history says of a row that was moved, beside what the same run does to the person."""
    moved = Change(Action.UPDATE, row["RowKey"], row.get("UserPrincipalName") or "")
    partition, row_key = parted(address)
    note = _history(moved, stamp)
    note["RowKey"] += f"{HISTORY}{TAKEOVER}"
    return Operation(Verb.UPSERT, note | {"Link": link_note(Link(partition, row_key, TAKEOVER))})


def moved_history(row: Entity, stamp: Stamp) -> Operation:
    """Return the operation that writes a row of history for the connection that took the person over."""
    partition = partition_key(stamp.connection_id, row["ObjectId"])
    own = {"PartitionKey": partition, "ConnectionId": stamp.connection_id}
    return Operation(Verb.UPSERT, without(row, ()) | own)


def unlinked(row: Entity, link: Link, stamp: Stamp) -> list[Operation]:
    """Return the operations that break a person's link: the row without its marks, and the history."""
    broken = Change(Action.UPDATE, row["RowKey"], row.get("UserPrincipalName") or "")
    person = without(row, {LINKED_FROM, LINKED_BY}) | moment("UpdatedAt", stamp.now)
    history = _history(broken, stamp) | {"Link": link_note(link, broken=True)}
    return [
        Operation(Verb.REPLACE, person, row["odata.etag"]),
        Operation(Verb.UPSERT, history),
    ]


def without(row: Entity, columns: Collection[str]) -> Entity:
    """Return a row as it is written again without some columns."""
    # The time stamp is the service's own.
    left = {"Timestamp", *columns}
    return {
        name: value
        for name, value in row.items()
        if name.partition("@")[0] not in left and not name.startswith("odata.")
    }


def _rewritten(change: Change, row: Entity, stamp: Stamp) -> Entity:
    """Return the whole row again, as a replacement is the only way to take a column away."""
    ours = set(str(row.get(MAPPED_TARGETS) or "").split(","))
    replaced = (ours - set(change.kept)) | change.values.keys() | NOT_REWRITTEN
    origin = _how_they_came(change, stamp) if change.origin is not None else {}
    replaced |= {MANUAL_UNTIL, IMPORT_RUN} if origin else set()
    return {
        **without(row, replaced),
        **_system(change, stamp),
        **origin,
        "Status": Status.ACTIVE.value,
        **_mapped(change.values),
        MAPPED_TARGETS: ",".join(sorted(change.values.keys() | (ours & set(change.kept)))),
    }


def _disabled(change: Change, stamp: Stamp) -> Entity:
    return {
        **_keys(change, stamp),
        "Status": Status.DISABLED.value,
        "DisabledReason": change.reason.value if change.reason else "",
        "LastRunId": stamp.run_id,
        **moment("DisabledAt", stamp.now),
        **moment("UpdatedAt", stamp.now),
    }


def _given_back(change: Change, row: Entity, stamp: Stamp) -> Entity:
    """Return the row of somebody who leaves as they are given back to the rules."""
    left = without(row, {MANUAL_UNTIL, IMPORT_RUN, "DisabledAt", "DisabledReason"})
    return left | _disabled(change, stamp) | _how_they_came(change, stamp)


def _system(change: Change, stamp: Stamp) -> Entity:
    return {
        "TenantId": stamp.tenant_id,
        "UserPrincipalName": change.user_principal_name,
        "LastRunId": stamp.run_id,
        "Digest": change.digest,
        **moment("UpdatedAt", stamp.now),
    }


def _mapped(values: Mapping[str, Value]) -> Entity:
    entity: Entity = {}
    for name, value in values.items():
        entity |= column(name, value)
    return entity


def column(name: str, value: Value) -> Entity:
    """Return a value with the annotation that its type needs on the wire; null is an absent column."""
    if value is None:
        return {}
    if isinstance(value, float):
        return {name: value, f"{name}@odata.type": "Edm.Double"}
    if isinstance(value, int) and not isinstance(value, bool) and not -INT32 <= value < INT32:
        return {name: str(value), f"{name}@odata.type": "Edm.Int64"}
    return {name: value}


def moment(name: str, value: datetime) -> Entity:
    """Return a date and time as a column of that type, in UTC."""
    text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {name: text, f"{name}@odata.type": "Edm.DateTime"}


def _history(change: Change, stamp: Stamp) -> Entity:
    """Return the row that says who was changed, when, why and how; old values of what was deleted too."""
    row: dict[str, Any] = {
        "PartitionKey": partition_key(stamp.connection_id, change.object_id),
        "RowKey": history_key(change.object_id, stamp),
        "ConnectionId": stamp.connection_id,
        "ObjectId": change.object_id,
        "UserPrincipalName": change.user_principal_name,
        "RunId": stamp.run_id,
        "Action": change.action.value,
        **moment("At", stamp.now),
    }
    if change.reason is not None:
        row["Reason"] = change.reason.value
    if change.origin is not None:
        row["Origin"] = change.origin.value
    if change.until:
        row["Until"] = change.until
    if change.has_row:
        row |= pieces("Changes", orjson.dumps(change.fields()).decode())
    if change.evidence is not None:
        row["Evidence"] = orjson.dumps(change.evidence).decode()
    if change.link is not None:
        row["Link"] = link_note(change.link)
    return row


def link_note(link: Link, *, broken: bool = False) -> str:
    """Return a link as the history keeps it."""
    note = {"row": link.address, "by": link.by, "rehire": link.former, "broken": broken}
    return orjson.dumps(note).decode()


def history_key(object_id: str, stamp: Stamp) -> str:
    return f"{HISTORY}{object_id}{HISTORY}{time_left(stamp.now)}{HISTORY}{stamp.run_id}"


def time_left(at: datetime) -> str:
    """Return the part of a key by which what is newer sorts first."""
    return f"{END_OF_TIME_MS - int(at.timestamp() * 1000):013d}"


def pieces(name: str, text: str) -> Entity:
    """Spread a long text over as many columns as it needs: Name, Name1, Name2 ..."""
    parts: list[str] = []
    start = 0
    while start < len(text) or not parts:
        part = text[start : start + TEXT_PIECE]
        if utf16_length(part) > TEXT_PIECE:  # half as many letters fit, whatever they are
            part = part[: TEXT_PIECE // 2]
        parts.append(part)
        start += len(part)
    return {f"{name}{number or ''}": part for number, part in enumerate(parts)}


def foreign_columns(row: Entity, ours: Collection[str], text: str | None = None) -> Entity:
    """Return the columns of a row that only another release knows.

    `ours` names those of this one; `text` the first column of a text that `pieces` spread.
    """
    piece = re.compile(rf"{text}\d*" if text else r"(?!)")
    return {
        name: value for name, value in row.items() if name not in ours and not piece.fullmatch(name)
    }


def joined(name: str, entity: Mapping[str, Any]) -> str:
    """Put together what `pieces` spread."""
    parts, number = [], 0
    while (part := entity.get(f"{name}{number or ''}")) is not None:
        parts.append(str(part))
        number += 1
    return "".join(parts)
