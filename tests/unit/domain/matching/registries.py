"""Rows that stand in the table, for the tests of this folder."""

from typing import Any

from sync_core.domain.matching.registry import Registry
from sync_core.domain.model import Status, StoredPerson
from tests.unit.builders import stored

BEN = "b0000000-0000-4000-8000-00000000000b"
CAT = "c0000000-0000-4000-8000-00000000000c"
FORMER = stored(Status.DISABLED)


def registry(*protected: str, keys: tuple[str, ...] = ("email", "employeeId")) -> Registry:
    return Registry("contoso", keys, protected)


def add(
    known: Registry,
    row_key: str,
    owned: StoredPerson | None = None,
    digit: str = "",
    **columns: Any,
) -> bool:
    entity = {"RowKey": row_key} | columns
    if owned is not None:
        entity["ConnectionId"] = "contoso"
    return known.add(f"contoso-{digit or row_key[0]}", entity, owned)
