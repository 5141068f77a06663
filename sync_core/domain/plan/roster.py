"""Resolve references to managers: only to people who have a row in the table after this run. Pure.

The manager may be read after the person, come in with this very run, or be deleted by it. A person whose
manager's place is not certain yet is decided twice, for a manager who has a row and for one who has not;
which of the two outcomes holds is known when all people have been decided. The order in which people are
read makes no difference.
"""

from collections.abc import Container, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import Change

# What a decision about one person comes to; None when nothing has to be written.
Outcome = Change | RecordRejected | None


class EitherWay(NamedTuple):
    """One person decided twice: for a manager who has a row after this run, and for one who has not."""

    object_id: str
    manager: str
    inside: Outcome
    outside: Outcome


class Doubt(NamedTuple):
    """A new person who comes in only if the manager has a row, or only if the manager has none."""

    manager: str
    needs_manager: bool

    def comes(self, manager_comes: bool) -> bool:
        return manager_comes is self.needs_manager


@dataclass(slots=True)
class Roster:
    """The ids of all who will have a row after this run, as far as that is known.

    `stored` have one now. `may_delete`: the policy deletes rows of people who leave. `may_hold`: new people
    may have to wait, for approval or for a match to be decided. `newcomers` are the people decided later
    who may be created then.
    """

    stored: set[str]
    may_delete: bool
    may_hold: bool
    newcomers: set[str] = field(default_factory=set)
    is_closed: bool = False
    _coming: set[str] = field(default_factory=set)
    _doubtful: dict[str, Doubt] = field(default_factory=dict)
    _contradictory: set[str] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether what the guard says of the plan matters for who will have a row."""
        return self.may_delete or self.may_hold

    def is_certain(self, object_id: str, unseen: Container[str]) -> bool:
        """Whether a person is sure to have a row; `unseen` are stored and not found in scope yet."""
        if object_id in self.stored:
            return not (self.may_delete and object_id in unseen)
        return object_id in self._coming and not self.may_hold

    def note(self, object_id: str, outcome: Outcome) -> None:
        """Remember what was decided about a person whose manager is certain."""
        if isinstance(outcome, Change) and object_id not in self.stored:
            self._coming.add(object_id)

    def note_either_way(self, either_way: EitherWay) -> None:
        """Remember a person who is decided later."""
        if either_way.object_id in self.stored:
            return
        comes_inside = isinstance(either_way.inside, Change)
        comes_outside = isinstance(either_way.outside, Change)
        if comes_inside and comes_outside:
            self._coming.add(either_way.object_id)
        elif comes_inside or comes_outside:
            self._doubtful[either_way.object_id] = Doubt(either_way.manager, comes_inside)
        if comes_inside or comes_outside:
            self.newcomers.add(either_way.object_id)

    def lose(self, deleted: AbstractSet[str]) -> None:
        """Take out people whose rows this run deletes."""
        self.stored -= deleted

    def hold(self) -> None:
        """Take out all newcomers: they wait for approval."""
        self._coming.clear()
        self._doubtful.clear()

    def keep_out(self, waiting: AbstractSet[str]) -> None:
        """Take out these newcomers: they wait for a decision of their own."""
        self._coming -= waiting
        self.newcomers -= waiting
        for object_id in waiting & self._doubtful.keys():
            del self._doubtful[object_id]

    def close(self) -> None:
        """Resolve the doubts; afterwards it is known of every person whether there will be a row."""
        settled = _Doubts(self._doubtful, self.stored, self._coming).settle(sorted(self._doubtful))
        self._contradictory = settled.contradictory
        self.is_closed = True
        self._coming.update(newcomer for newcomer, comes in settled.comes.items() if comes)

    def has_row(self, object_id: str) -> bool:
        return object_id in self.stored or object_id in self._coming

    def reference(self, manager: str | None) -> str | None:
        """Return a manager who has a row, once the roster is closed; None for any other."""
        return manager if manager is not None and self.has_row(manager) else None

    def choose(self, either_way: EitherWay) -> Outcome:
        """Return the outcome that holds, once the roster is closed."""
        inside = self.has_row(either_way.manager)
        if either_way.object_id in self._contradictory:
            inside = not inside
        return either_way.inside if inside else either_way.outside


@dataclass(slots=True)
class _Doubts:
    """Which of the doubtful come in: each follows from the own manager, up to one who is certain.

    People who report to each other in a circle have no certain manager above them. The person with the
    smallest id is then taken to come in; if that contradicts itself, to stay out.
    """

    doubtful: dict[str, Doubt]
    stored: AbstractSet[str]
    coming: AbstractSet[str]
    comes: dict[str, bool] = field(default_factory=dict)
    contradictory: set[str] = field(default_factory=set)

    def settle(self, people: Iterable[str]) -> "_Doubts":
        for start in people:
            way: dict[str, None] = {}
            person = start
            while person in self.doubtful and person not in self.comes and person not in way:
                way[person] = None
                person = self.doubtful[person].manager
            reports = list(way)
            if person in way:
                place = reports.index(person)
                self._settle_circle(reports[place:])
                reports = reports[:place]
            self._follow(reversed(reports))
        return self

    def _settle_circle(self, circle: list[str]) -> None:
        place = circle.index(min(circle))
        first, above = circle[place], circle[place + 1 :] + circle[:place]
        for presumed in (True, False):
            self.comes[first] = presumed
            self._follow(reversed(above))
            if self._by_manager(first) is presumed:
                return
        self.contradictory.add(first)

    def _follow(self, people: Iterable[str]) -> None:
        for person in people:
            self.comes[person] = self._by_manager(person)

    def _by_manager(self, object_id: str) -> bool:
        doubt = self.doubtful[object_id]
        manager = doubt.manager
        known = manager in self.stored or manager in self.coming
        return doubt.comes(known or self.comes.get(manager, False))
