"""Connections as a file: connections in, a document without secrets out; a document in, a plan out. Pure.

A file is one document, `{"apiVersion", "connections": [...]}`. The plan compares what is stored with what
would be stored, field by field; its hash is the same for the same changes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from typing import Any

import orjson

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem

JsonObject = dict[str, Any]

API_VERSION = "entra-user-sync/v1"
CONNECTIONS = "connections"
FILE_FIELDS = ("apiVersion", CONNECTIONS)
MAX_BYTES = 1024 * 1024
MAX_CONNECTIONS = 1_000

# What belongs to this installation and not to a file: which version of the secret was checked and stored.
NOT_EXPORTED = ("secretVersion",)
SECRETS = ("clientSecret", "certificate")

HEADER = """\
# Connections of Entra User Sync. Secrets are not in this file: they stay in Key Vault, under the name in
# credential.secretName. POST it to /api/config/plan to see what it would change.
"""


# --- connections to a document --------------------------------------------------------------------


def to_document(connections: Iterable[Connection]) -> JsonObject:
    """Return the file's document: connections by id, every setting written out, no secrets.

    Defaults are written, so a file means the same in a later version that has other defaults; only a
    null that is the default anyway is left out.
    """
    ordered = sorted(connections, key=lambda one: one.id)
    return {"apiVersion": API_VERSION, CONNECTIONS: [_exported(one) for one in ordered]}


def _exported(connection: Connection) -> JsonObject:
    document: JsonObject = _plain(connection)
    credential = document["credential"]
    kept = {name: value for name, value in credential.items() if name not in NOT_EXPORTED}
    return document | {"credential": kept}


def _plain(value: Any) -> Any:
    """Return a document as JSON has it, without the nulls that say nothing."""
    if isinstance(value, Document):
        fields = type(value).model_fields
        return {
            fields[name].alias or name: _plain(inner)
            for name, inner in value
            if inner is not None or fields[name].default is not None
        }
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


# --- a document to entries ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One connection of a file as it was written, without what a file must not hold."""

    path: str
    document: JsonObject

    @property
    def id(self) -> str | None:
        found = self.document.get("id")
        return found if isinstance(found, str) else None


def read_entries(document: Any) -> tuple[list[Entry], list[FieldProblem]]:
    """Return the connections of a file, and everything that is wrong with the file around them."""
    if not isinstance(document, dict):
        message = f'has to be an object with "apiVersion": "{API_VERSION}" and "connections"'
        return [], [FieldProblem("", message)]
    unknown = [name for name in document if name not in FILE_FIELDS]
    problems = [FieldProblem(name, "is not a known field; check the spelling") for name in unknown]
    if document.get("apiVersion") != API_VERSION:
        problems.append(FieldProblem("apiVersion", f'has to be "{API_VERSION}"'))
    listed = document.get(CONNECTIONS)
    if not isinstance(listed, list):
        return [], [*problems, FieldProblem(CONNECTIONS, "has to be a list of connections")]
    if len(listed) > MAX_CONNECTIONS:
        message = f"has {len(listed)} connections; send at most {MAX_CONNECTIONS} in one file"
        return [], [*problems, FieldProblem(CONNECTIONS, message)]
    entries = []
    for number, given in enumerate(listed):
        path = f"{CONNECTIONS}[{number}]"
        if isinstance(given, dict):
            problems += _secret_problems(path, given)
            entries.append(Entry(path, _without_secrets(given)))
        else:
            problems.append(FieldProblem(path, "has to be an object"))
    return entries, [*problems, *_doubled_ids(entries)]


def _secret_problems(path: str, given: JsonObject) -> list[FieldProblem]:
    credential = given.get("credential")
    if not isinstance(credential, dict):
        return []
    message = (
        "a file must not hold secrets; take it out (and renew it, if the file was shared), and send it "
        "alone: PATCH /api/connections/{id} with credential.%s"
    )
    return [
        FieldProblem(f"{path}.credential.{name}", message % name)
        for name in SECRETS
        if credential.get(name) is not None
    ]


def _without_secrets(given: JsonObject) -> JsonObject:
    credential = given.get("credential")
    if not isinstance(credential, dict):
        return given
    kept = {name: value for name, value in credential.items() if name not in SECRETS}
    return given | {"credential": kept}


def _doubled_ids(entries: Sequence[Entry]) -> list[FieldProblem]:
    first: dict[str, str] = {}
    problems = []
    for entry in entries:
        if entry.id is None:
            continue
        path = first.setdefault(entry.id, entry.path)
        if path != entry.path:
            message = f"is the id of {path}, too; a connection stands in a file once"
            problems.append(FieldProblem(f"{entry.path}.id", message))
    return problems


# --- the plan -------------------------------------------------------------------------------------


class Action(StrEnum):
    """What applying a file does with one connection."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field; None stands for nothing, before or after."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one connection, field by field."""

    connection_id: str
    action: Action
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a file does now, by id; those not in the file are left alone."""

    changes: tuple[Change, ...]
    unchanged: tuple[str, ...]
    not_in_file: tuple[str, ...]

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)

    @property
    def hash(self) -> str:
        """Tell plans apart by what they write: the same changes have the same hash."""
        return hashlib.blake2b(orjson.dumps(self.changes), digest_size=12).hexdigest()


def plan_changes(
    stored: Mapping[str, Connection], wanted: Iterable[Connection], *, prune: bool
) -> Plan:
    """Compare what is stored with what a file wants; `prune` disables what the file does not name."""
    named = {one.id: _as_loaded(one) for one in wanted}
    changes: list[Change] = []
    unchanged: list[str] = []
    left_alone: list[str] = []
    for connection_id in sorted(stored.keys() | named.keys()):
        before, after = stored.get(connection_id), named.get(connection_id)
        if before is None and after is not None:
            fields = tuple(differences({}, _plain(after)))
            changes.append(Change(connection_id, Action.CREATE, fields))
        elif before is not None and after is not None:
            fields = tuple(differences(_as_loaded(before).to_json(), after.to_json()))
            if fields:
                changes.append(Change(connection_id, Action.UPDATE, fields))
            else:
                unchanged.append(connection_id)
        elif before is not None and before.enabled and prune:
            fields = (FieldChange("enabled", old=True, new=False),)
            changes.append(Change(connection_id, Action.DISABLE, fields))
        else:
            left_alone.append(connection_id)
    return Plan(tuple(changes), tuple(unchanged), tuple(left_alone))


def _as_loaded(connection: Connection) -> Connection:
    """Return the document as it comes back from the table: a default is not checked, a loaded value is."""
    return Connection.model_validate(connection.to_json())


def differences(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """Name each field that differs; what was added to or taken out of a list stands alone."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(name for name in old if name not in new)]:
            inner = f"{path}.{name}" if path else name
            yield from differences(old.get(name), new.get(name), inner)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(old, new, path)
    elif not _same(old, new):
        yield FieldChange(path, old, new)


def _list_differences(old: list[Any], new: list[Any], path: str) -> Iterator[FieldChange]:
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    for number in range(max(len(before), len(after))):
        here = f"{path}[{start + number}]"
        if number >= len(after):
            yield FieldChange(here, before[number], None)
        elif number >= len(before):
            yield FieldChange(here, None, after[number])
        else:
            yield from differences(before[number], after[number], here)


def _common(old: Sequence[Any], new: Sequence[Any]) -> int:
    """Count the values with which both begin."""
    for number, (one, other) in enumerate(zip(old, new, strict=False)):
        if not _same(one, other):
            return number
    return min(len(old), len(new))


def _same(old: Any, new: Any) -> bool:
    """Compare as JSON: for Python True is 1 and 1 is 1.0, in a scope they are not."""
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(old, option=sort) == orjson.dumps(new, option=sort)
