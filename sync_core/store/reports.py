"""Who reports to whom, as runs saw it: a manager who changes changes what their reports are mapped to.

A superset: a pair stays until the next full reading, and costs a look at most. Packed by the first digit of
the manager's id, 32 bytes a pair, so that one change reads a row or two.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from uuid import UUID

from sync_core.concurrency import in_thread
from sync_core.store.checkpoints import reports_of
from sync_core.store.fences import Fence
from sync_core.store.packing import delete, packed, piece_of, unpacked
from sync_core.store.tables import CHECKPOINTS, Tables
from sync_core.store.users import bounded
from sync_core.store.wire import Operation, query, quoted

ID_BYTES = 16
DIGITS_AT_ONCE = 4

Reports = dict[str, set[str]]


class ReportStore:
    """People by manager, for each connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def load(self, connection_id: str, digits: Iterable[str]) -> dict[str, Reports]:
        """Return the reports of managers whose ids begin with these digits."""
        found: dict[str, Reports] = {}

        async def load(digit: str) -> None:
            _, found[digit] = await self._read(connection_id, digit)

        await bounded(DIGITS_AT_ONCE, (partial(load, digit) for digit in sorted(set(digits))))
        return found

    async def _read(self, connection_id: str, digit: str) -> tuple[set[str], Reports]:
        table = await self._tables.table(CHECKPOINTS)
        keys = f"RowKey ge {quoted(f'{digit}|')} and RowKey lt {quoted(f'{digit}}}')}"
        condition = f"PartitionKey eq {quoted(reports_of(connection_id))} and {keys}"
        rows = {
            row["RowKey"]: piece_of(row) async for page in query(table, condition) for row in page
        }
        pieces = [rows[key] for key in sorted(rows)]
        return set(rows), _pairs(unpacked(pieces)) if pieces else {}

    async def save(self, connection_id: str, reports: Mapping[str, Reports], fence: Fence) -> None:
        """Write the reports of managers by the first digits of their ids."""
        partition = reports_of(connection_id)
        for digit, pairs in reports.items():
            stored, _ = await self._read(connection_id, digit)
            rows = await in_thread(_packed, partition, digit, pairs)
            now = {row.entity["RowKey"] for row in rows}
            await fence.submit(
                CHECKPOINTS, [*rows, *(delete(partition, key) for key in stored - now)]
            )


def by_digit(reports: Mapping[str, set[str]]) -> dict[str, Reports]:
    """Sort reports by the first digit of the manager's id."""
    sorted_: defaultdict[str, Reports] = defaultdict(dict)
    for manager, people in reports.items():
        sorted_[manager[0]][manager] = people
    return dict(sorted_)


def _packed(partition: str, digit: str, reports: Reports) -> list[Operation]:
    return packed(partition, digit, _bytes(reports))


def _bytes(reports: Mapping[str, set[str]]) -> bytes:
    pairs = [
        UUID(one).bytes
        for manager in sorted(reports)
        for report in sorted(reports[manager])
        for one in (manager, report)
    ]
    return b"".join(pairs)


def _pairs(content: bytes) -> Reports:
    found: Reports = {}
    ids = list(_ids(content))
    for manager, report in zip(ids[::2], ids[1::2], strict=True):
        found.setdefault(manager, set()).add(report)
    return found


def _ids(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), ID_BYTES):
        yield str(UUID(bytes=content[start : start + ID_BYTES]))
