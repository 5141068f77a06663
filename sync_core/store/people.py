"""The Users table for those who look at it: a connection's people and their history, in pages.

Every query names one partition exactly. A range over all of a connection's partitions would also hold
those of another whose id begins with the same letters: `contoso-0` is a partition of "contoso", and
"contoso-0" may be a connection.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from typing import Any

import orjson
from azure.data.tables.aio import TableClient

from sync_core.domain.catalog.candidates import Standing
from sync_core.domain.compatibility import read, word
from sync_core.domain.documents.base import Document
from sync_core.domain.letters import comparable_text
from sync_core.domain.matching.registry import LINKED_BY, LINKED_TO
from sync_core.domain.model import HEX_DIGITS, Action, Origin, Reason, Status, Value
from sync_core.store.fences import FENCE, FENCED_OPERATIONS, Fence
from sync_core.store.rows import (
    HISTORY,
    IMPORT_RUN,
    LINKED_FROM,
    MANUAL_UNTIL,
    MAPPED_TARGETS,
    TAKEN_FROM,
    joined,
    mapped_values,
    partition_key,
)
from sync_core.store.tables import USERS, Tables
from sync_core.store.users import PARTITIONS_AT_ONCE, bounded
from sync_core.store.wire import (
    BatchRefused,
    Entity,
    Operation,
    Verb,
    point,
    query,
    quoted,
)

# A search cannot be left to the service, so one call looks at so many rows at most, about two seconds.
SCANNED_ROWS = 20_000
SEARCHED_TARGETS = ("displayName", "email")
NO_ROW = 404
# Of each partition at the same time.
LOOKS_AT_ONCE = 8
# From so many people of one partition on, reading all of it may be cheaper.
LOOKED_AT_ALONE = 10
STANDING_COLUMNS = ["RowKey", "ConnectionId", "Status", "Origin", LINKED_FROM, MANUAL_UNTIL]


class Person(Document):
    """One synced person: the system columns, and the mapped targets as `attributes`.

    `linked_from` is the address of the row that was taken over, `linked_by` what made the match;
    `linked_object_id` is the person who took this one's row over. `taken_over_from` is where the row stood
    under a connection that was deleted. Of somebody brought in by hand, `until` is the day on which the rules
    decide again, and `import_run_id` the run that did it.
    """

    object_id: str
    status: Status
    origin: Origin
    connection_id: str
    tenant_id: str
    user_principal_name: str
    created_at: datetime | None
    updated_at: datetime | None
    disabled_at: datetime | None
    disabled_reason: Reason | None
    last_run_id: str | None
    attributes: dict[str, Value]
    linked_from: str | None = None
    linked_by: str | None = None
    linked_object_id: str | None = None
    taken_over_from: str | None = None
    until: date | None = None
    import_run_id: str | None = None


class LinkNote(Document):
    """A link that was made, or broken; of a re-hire the row was a former person's."""

    row: str
    by: str
    rehire: bool
    broken: bool


class HistoryEntry(Document):
    """One change of a person: `fields` holds the old and the new value of each target that changed.

    `origin` is there where the change says how the person is in from then on: by hand, `until` a day, or by
    the rules.
    """

    at: datetime
    action: Action
    reason: Reason | None
    run_id: str
    user_principal_name: str
    fields: dict[str, tuple[Value, Value]]
    evidence: dict[str, Any] | None
    link: LinkNote | None = None
    origin: Origin | None = None
    until: date | None = None


class People:
    """One connection's rows of the Users table."""

    def __init__(
        self, tables: Tables, connection_id: str, *, scanned_rows: int = SCANNED_ROWS
    ) -> None:
        self._tables = tables
        self._connection_id = connection_id
        self._scanned_rows = scanned_rows

    async def page(
        self,
        *,
        top: int,
        after: str | None = None,
        status: Status | None = None,
        search: str | None = None,
        linked: bool = False,
    ) -> tuple[list[Person], str | None]:
        """Return up to `top` people by object id, and the id after which the next page begins.

        A page of a search may be short, or empty, and still have a next one. `linked` gives only those
        who took over a row.
        """
        table = await self._tables.table(USERS)
        wanted = _folded(search or "")
        found: list[Person] = []
        scanned = 0
        for digit in HEX_DIGITS[HEX_DIGITS.index(after[0]) if after else 0 :]:
            async for rows in query(
                table, self._condition(digit, after, status, linked=linked), typed=True
            ):
                for row in rows:
                    if not (self._owns(row) and _is_about(row, wanted)):
                        continue
                    if len(found) == top:
                        return found, found[-1].object_id
                    found.append(_person(row))
                scanned += len(rows)
                if scanned >= self._scanned_rows:
                    return found, rows[-1]["RowKey"]
        return found, None

    def _condition(
        self, digit: str, after: str | None, status: Status | None, *, linked: bool
    ) -> str:
        condition = f"{self._partition(digit)} and RowKey lt {quoted(HISTORY)}"
        if after is not None and after[0] == digit:
            condition += f" and RowKey gt {quoted(after)}"
        if status is not None:
            condition += f" and Status eq {quoted(status.value)}"
        if linked:
            condition += f" and {LINKED_FROM} gt ''"
        return condition

    def _partition(self, digit: str) -> str:
        return f"PartitionKey eq {quoted(f'{self._connection_id}-{digit}')}"

    def _owns(self, row: Entity) -> bool:
        """An application may keep rows of its own in the same partitions."""
        return row.get("ConnectionId") == self._connection_id and "Status" in row

    async def find(self, object_id: str) -> Person | None:
        table = await self._tables.table(USERS)
        row = await point(table, partition_key(self._connection_id, object_id), object_id)
        return _person(row) if row is not None and self._owns(row) else None

    async def standings(self, object_ids: Iterable[str]) -> dict[str, Standing]:
        """Return how these people stand in the table; who has no row of this connection is left out.

        Of a page of many, a partition with few rows is read whole: most who are not in have no row.
        """
        by_digit: defaultdict[str, set[str]] = defaultdict(set)
        for object_id in object_ids:
            by_digit[object_id[0]].add(object_id)
        table = await self._tables.table(USERS)
        found: dict[str, Standing] = {}

        async def look(object_id: str) -> None:
            row = await point(table, partition_key(self._connection_id, object_id), object_id)
            if row is not None and self._owns(row):
                found[object_id] = _standing(row)

        async def look_at(digit: str, ids: set[str]) -> None:
            rows = await self._few_rows(table, digit) if len(ids) > LOOKED_AT_ALONE else None
            if rows is None:
                await bounded(LOOKS_AT_ONCE, (partial(look, one) for one in ids))
                return
            found.update({row["RowKey"]: _standing(row) for row in rows if row["RowKey"] in ids})

        parts = (partial(look_at, digit, ids) for digit, ids in by_digit.items())
        await bounded(PARTITIONS_AT_ONCE, parts)
        return found

    async def _few_rows(self, table: TableClient, digit: str) -> list[Entity] | None:
        """Return the people of a partition, if one answer holds all of them."""
        people = f"{self._partition(digit)} and RowKey lt {quoted(HISTORY)}"
        first: list[Entity] | None = None
        async for rows in query(table, people, STANDING_COLUMNS):
            if first is not None:
                return None
            first = rows
        return [row for row in first or [] if self._owns(row)]

    async def history(
        self, object_id: str, *, top: int, after: str | None = None
    ) -> tuple[list[HistoryEntry], str | None]:
        """Return up to `top` changes of a person, newest first, and where the next page begins."""
        table = await self._tables.table(USERS)
        first = f"{HISTORY}{object_id}{HISTORY}"
        condition = (
            f"{self._partition(object_id[0])} and RowKey gt {quoted(first + (after or ''))} "
            f"and RowKey lt {quoted(first + HISTORY)}"
        )
        found: list[HistoryEntry] = []
        last = ""
        async for rows in query(table, condition):
            for row in rows:
                if len(found) == top:
                    return found, last
                found.append(_history_entry(row))
                last = row["RowKey"].removeprefix(first)
        return found, None

    async def delete_all(self, fence: Fence) -> int:
        """Delete this connection's people and their history; gives the number of rows.

        The `fence` raises before a batch when the deleting has to stop; what is left is deleted by the
        next call. It goes itself when all else of a partition has gone, and is not counted.
        """
        table = await self._tables.table(USERS)
        counts: list[int] = []

        async def clear(digit: str) -> None:
            counts.append(await self._clear(table, digit, fence))

        await bounded(PARTITIONS_AT_ONCE, (partial(clear, digit) for digit in HEX_DIGITS))
        return sum(counts)

    async def _clear(self, table: TableClient, digit: str, fence: Fence) -> int:
        partition = f"{self._connection_id}-{digit}"
        ours = f"{self._partition(digit)} and ConnectionId eq {quoted(self._connection_id)}"
        deleted, fenced, complete = 0, False, False
        while not complete:
            complete = True
            async for rows in query(table, ours, ["RowKey"]):
                fenced |= bool(rows)
                keys = [row["RowKey"] for row in rows if row["RowKey"] != FENCE]
                for start in range(0, len(keys), FENCED_OPERATIONS):
                    batch = keys[start : start + FENCED_OPERATIONS]
                    if await _delete(fence, partition, batch):
                        deleted += len(batch)
                    else:
                        complete = False
        if fenced:
            await fence.remove(USERS, partition)
        return deleted


async def _delete(fence: Fence, partition: str, keys: list[str]) -> bool:
    """Delete rows together; false if one of them is gone already and so none was deleted."""
    rows = [{"PartitionKey": partition, "RowKey": key} for key in keys]
    try:
        await fence.submit(USERS, [Operation(Verb.DELETE, row) for row in rows])
    except BatchRefused as refused:
        if refused.status == NO_ROW:
            return False
        raise
    return True


def _standing(row: Entity) -> Standing:
    return Standing(
        status=word(Status, row["Status"]),
        origin=word(Origin, row.get("Origin") or Origin.AUTO),
        linked=bool(row.get(LINKED_FROM)),
        until=row.get(MANUAL_UNTIL) or None,
    )


def _is_about(row: Entity, wanted: str) -> bool:
    if not wanted:
        return True
    values = [row["RowKey"], row.get("UserPrincipalName"), *map(row.get, SEARCHED_TARGETS)]
    return any(wanted in _folded(value) for value in values if isinstance(value, str))


def _folded(text: str) -> str:
    """Make texts comparable: as match keys are, without regard to case and to what cannot be seen."""
    return comparable_text(text)


def _person(row: Entity) -> Person:
    # Targets without a value are null here and absent in the table.
    targets = filter(None, str(row.get(MAPPED_TARGETS) or "").split(","))
    values = mapped_values(row)
    reason = row.get("DisabledReason")
    return Person(
        object_id=row["RowKey"],
        status=word(Status, row["Status"]),
        origin=word(Origin, row.get("Origin", Origin.AUTO)),
        connection_id=row["ConnectionId"],
        tenant_id=row.get("TenantId", ""),
        user_principal_name=row.get("UserPrincipalName", ""),
        created_at=row.get("CreatedAt"),
        updated_at=row.get("UpdatedAt"),
        disabled_at=row.get("DisabledAt"),
        disabled_reason=word(Reason, reason) if reason else None,
        last_run_id=row.get("LastRunId"),
        attributes={name: values.get(name) for name in targets},
        linked_from=row.get(LINKED_FROM),
        linked_by=row.get(LINKED_BY),
        linked_object_id=row.get(LINKED_TO),
        taken_over_from=row.get(TAKEN_FROM),
        until=row.get(MANUAL_UNTIL) or None,
        import_run_id=row.get(IMPORT_RUN),
    )


def _history_entry(row: Entity) -> HistoryEntry:
    return HistoryEntry(
        at=row["At"],
        action=word(Action, row["Action"]),
        reason=word(Reason, row["Reason"]) if row.get("Reason") else None,
        run_id=row["RunId"],
        user_principal_name=row.get("UserPrincipalName", ""),
        fields=orjson.loads(joined("Changes", row) or "{}"),
        evidence=orjson.loads(row["Evidence"]) if "Evidence" in row else None,
        link=read(LinkNote, row["Link"]) if "Link" in row else None,
        origin=word(Origin, row["Origin"]) if row.get("Origin") else None,
        until=row.get("Until") or None,
    )
