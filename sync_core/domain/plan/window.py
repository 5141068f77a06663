"""What runs have decided by themselves in the last hours, person by person: marks in, a `Window` out. Pure.

Every batch that writes people writes their marks, too, so the count is neither lost nor doubled by a run
that is killed. A mark is a letter and an object id; a capital letter marks what was approved or done by
hand. Of one person the latest mark decides: a person who left and came back has not left.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sync_core.domain.model import Action, Window

LETTERS = {Action.CREATE: "c", Action.REENABLE: "r", Action.DISABLE: "d", Action.DELETE: "x"}
COMES = frozenset("crCR")
# A person of a first import: counted, not named, as there may be a million of them.
FIRST = "f"
# Of an update nothing is marked.
NOTHING = ""


def mark_of(action: Action, *, decided_by_run: bool, first_import: bool) -> str:
    """Return the letter that marks a change of this kind."""
    letter = LETTERS.get(action, NOTHING)
    if not decided_by_run:
        return letter.upper()
    return FIRST if first_import and action is Action.CREATE else letter


class Marks(NamedTuple):
    """What one run, or one batch of it, has marked; `first` people came in by a first import."""

    at: datetime
    run_id: str
    marks: tuple[str, ...]
    first: int = 0


@dataclass(slots=True)
class WindowLog:
    """Takes the marks of a window, of each person newest first.

    `first_runs` are the runs that have written people of a first import, `taken` all marks as they came.
    """

    first_runs: set[str] = field(default_factory=set)
    taken: list[Marks] = field(default_factory=list)
    _latest: dict[str, str] = field(default_factory=dict)
    _earliest: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, taken: Iterable[Marks]) -> "WindowLog":
        """Return the log of marks that come newest first."""
        log = cls()
        for marks in taken:
            log.add(marks)
        return log

    def add(self, marks: Marks) -> None:
        """Learn of marks that are older than all that came before."""
        self.taken.append(marks)
        for mark in marks.marks:
            letter, object_id = mark[0], mark[1:]
            self._latest.setdefault(object_id, letter)
            self._earliest[object_id] = letter
        if marks.first:
            self.first_runs.add(marks.run_id)

    def holds_all(self, stored: int) -> bool:
        """Whether there is no person stored but those brought in by hand within the window."""
        return stored <= sum(letter == "C" for letter in self._latest.values())

    def window(self, hours: int) -> Window:
        """Return the counts; people whose last change was approved or made by hand are in none of them."""
        counted = {person: letter for person, letter in self._latest.items() if letter.islower()}
        came = [letter for letter in counted.values() if letter in COMES]
        return Window(
            hours=hours,
            creates=len(came),
            removals=len(counted) - len(came),
            deletes=sum(letter == "x" for letter in counted.values()),
            gain=len(came) - sum(self._earliest[person] not in COMES for person in counted),
        )
