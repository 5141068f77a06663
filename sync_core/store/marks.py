"""Marks of the guard's window in the Users table: one row a batch, written with the people it is about.

They stand between the people of a partition and their histories, newest first. One range of row keys so
holds all people and the marks since a moment, and the same query reads both, however long the
connection has been there.
"""

from collections.abc import Sequence
from datetime import datetime

from sync_core.domain.plan.window import FIRST, Marks, WindowLog
from sync_core.store.rows import HISTORY, Stamp, moment, partition_key, time_left
from sync_core.store.wire import Entity, Operation, Verb

# Sorts before every history row: object ids begin with a hex digit.
MARKS = f"{HISTORY}!"
MARK_COLUMNS = frozenset({"RunId", "Marks", "First", "At"})
# More than a row takes of a batch of 49 people, at 38 bytes each.
MARKS_BYTES = 4096


def marks_before(since: datetime) -> str:
    """Return the row key before which all marks since a moment stand, and all people."""
    return f"{MARKS}{time_left(since)}"


def marks_of(people: Sequence[tuple[str, str]], stamp: Stamp) -> list[Operation]:
    """Return the operation that writes the marks of one batch: of each person a letter and the id."""
    marked = [(letter, object_id) for letter, object_id in people if letter]
    if not marked:
        return []
    named = [letter + object_id for letter, object_id in marked if letter != FIRST]
    # A run that comes again after a kill writes under the same name. No person is written twice by it,
    # so the first one's id keeps its rows apart from those of its first life.
    first_id = marked[0][1]
    row: Entity = {
        "PartitionKey": partition_key(stamp.connection_id, first_id),
        "RowKey": f"{marks_before(stamp.now)}{HISTORY}{stamp.run_id}{HISTORY}{first_id}",
        "ConnectionId": stamp.connection_id,
        "RunId": stamp.run_id,
        "Marks": ",".join(named),
        "First": len(marked) - len(named),
        **moment("At", stamp.now),
    }
    return [Operation(Verb.UPSERT, row)]


def note_marks(log: WindowLog, row: Entity) -> None:
    """Tell the log what a row of marks says."""
    marks = tuple(row["Marks"].split(",")) if row["Marks"] else ()
    log.add(Marks(datetime.fromisoformat(row["At"]), row["RunId"], marks, row["First"]))
