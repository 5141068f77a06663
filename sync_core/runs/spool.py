"""Changes of one run, kept in temporary files: memory stays flat however many there are.

What will be written is sorted by the first hex digit of the object id, as the Users table is partitioned.
What is decided later, when all people have been read, is kept in the order of reading.
"""

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Any, Self

import orjson

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import HEX_DIGITS, Action, Change, Link, Origin, Reason
from sync_core.domain.plan.roster import EitherWay, Outcome

SIXTEEN = frozenset(HEX_DIGITS)
# Below this size a file stays in memory.
MEMORY_BYTES = 256 * 1024


class ChangeSpool:
    """Add each person once, in any order; read back a digit at a time, sorted by object id."""

    def __init__(self) -> None:
        self._files: dict[str, IO[bytes]] = {}

    def add(self, change: Change) -> None:
        digit = change.object_id[:1]
        if digit not in SIXTEEN:
            # It would never be read back: a change must not get lost silently.
            msg = f"an object id begins with a hex digit in lower case, not with {digit!r}"
            raise ValueError(msg)
        file = self._files.get(digit)
        if file is None:
            file = self._files[digit] = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 -- closed with the spool
        file.write(orjson.dumps(change) + b"\n")

    def extend(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self.add(change)

    @property
    def digits(self) -> list[str]:
        """The partitions that have changes, in their order."""
        return sorted(self._files)

    def read(self, digit: str) -> list[Change]:
        """Return the changes of one partition in the order of their object ids."""
        file = self._files.get(digit)
        if file is None:
            return []
        file.seek(0)
        changes = [to_change(orjson.loads(line)) for line in file]
        file.seek(0, 2)
        return sorted(changes, key=lambda change: change.object_id)

    def stream(self, digit: str) -> Iterator[Change]:
        """Yield the changes of one partition one by one, in the order in which they were added.

        The partition must not be added to or read in another way meanwhile: there is one file.
        """
        file = self._files.get(digit)
        if file is None:
            return
        file.seek(0)
        for line in file:
            yield to_change(orjson.loads(line))

    def __iter__(self) -> Iterator[Change]:
        for digit in self.digits:
            yield from self.read(digit)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class EitherWaySpool:
    """Add people who are decided later; read them back in the order of adding."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self.size = 0

    def add(self, either_way: EitherWay) -> None:
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 -- closed with the spool
        inside, outside = _document(either_way.inside), _document(either_way.outside)
        line = orjson.dumps([either_way.object_id, either_way.manager, inside, outside])
        self._file.write(line + b"\n")
        self.size += 1

    def __iter__(self) -> Iterator[EitherWay]:
        if self._file is None:
            return
        self._file.seek(0)
        for line in self._file:
            object_id, manager, inside, outside = orjson.loads(line)
            yield EitherWay(object_id, manager, _outcome(inside), _outcome(outside))

    def changes(self) -> Iterator[Change]:
        """Yield one change for each person; either outcome names the same person by the same keys."""
        for either_way in self:
            for outcome in (either_way.inside, either_way.outside):
                if isinstance(outcome, Change):
                    yield outcome
                    break

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()


def _document(outcome: Outcome) -> dict[str, Any] | None:
    if isinstance(outcome, RecordRejected):
        return {"code": outcome.code, "message": outcome.message, "remedy": outcome.remedy}
    return None if outcome is None else {"change": outcome}


def _outcome(document: dict[str, Any] | None) -> Outcome:
    if document is None:
        return None
    change = document.get("change")
    return RecordRejected(**document) if change is None else to_change(change)


def to_change(document: dict[str, Any]) -> Change:
    """Make a change of its JSON again."""
    document["action"] = Action(document["action"])
    if document["reason"] is not None:
        document["reason"] = Reason(document["reason"])
    if document["origin"] is not None:
        document["origin"] = Origin(document["origin"])
    document["kept"] = tuple(document["kept"])
    if document["link"] is not None:
        document["link"] = Link(**document["link"])
    return Change(**document)
