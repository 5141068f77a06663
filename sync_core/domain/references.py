"""Whom a `manager` may point at: people who have a row in the table after this run. Pure.

The manager may be read after the person, come in with this very run, or be deleted by it. Whoever points
at somebody whose place is not certain yet is decided twice, for a manager who is in and for one who is
not; which of the two outcomes holds is known when everybody has been decided. The outcome is the same in
whatever order people are read.
"""

from collections.abc import Container, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import Attributes, Change

MANAGER = "manager"
# What Graph tells of an expanded manager without $select: the default properties of a user. $select inside
# $expand is not to be relied on: developer.microsoft.com/graph/known-issues (13635) says "no support",
# learn.microsoft.com/graph/api/user-list-manager shows it with $levels, for one user at a time.
MANAGER_PROPERTIES = frozenset(
    {
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    }
)

# What a decision about one person comes to; None when nothing has to be written.
Outcome = Change | RecordRejected | None


class EitherWay(NamedTuple):
    """One person decided twice: for a manager who has a row after this run, and for one who has not."""

    object_id: str
    manager: str
    inside: Outcome
    outside: Outcome


class Doubt(NamedTuple):
    """Somebody new who comes in only with a manager who is in, or only without such a one."""

    manager: str
    needs_manager: bool

    def comes(self, manager_comes: bool) -> bool:
        return manager_comes is self.needs_manager


def manager_of(person: Attributes) -> str | None:
    """Give the id of the person's manager in the directory; None for nobody."""
    manager = person.get(MANAGER)
    return str(manager["id"]) if manager else None


def with_reference(person: Attributes, reference: str | None) -> Attributes:
    """Give the person as a mapping reads it: `manager` is the reference, `manager.mail` the directory's."""
    told = person.get(MANAGER) or {}
    return {**person, **{f"{MANAGER}.{name}": value for name, value in told.items()}} | {
        MANAGER: reference
    }


def manager_name_problem(name: str) -> str | None:
    """Say what is wrong with an attribute name, if it reads something of the manager that Graph keeps."""
    relation, _, wanted = name.partition(".")
    if relation != MANAGER or not wanted or wanted in MANAGER_PROPERTIES:
        return None
    known = ", ".join(sorted(MANAGER_PROPERTIES))
    return f"of a manager, Graph tells only {known}; {wanted!r} is not among them"


@dataclass(slots=True)
class Roster:
    """The ids of all who will have a row after this run, as far as that is known.

    `stored` have one now. `may_delete`: the policy deletes rows of people who leave. `may_hold`: new people
    may have to wait, for approval or for a match to be decided. `newcomers` are those decided later who may
    be created then.
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
        """Tell whether somebody is sure to have a row; `unseen` are stored and not found in scope yet."""
        if object_id in self.stored:
            return not (self.may_delete and object_id in unseen)
        return object_id in self._coming and not self.may_hold

    def note(self, object_id: str, outcome: Outcome) -> None:
        """Remember what was decided about somebody whose manager is certain."""
        if isinstance(outcome, Change) and object_id not in self.stored:
            self._coming.add(object_id)

    def note_either_way(self, either_way: EitherWay) -> None:
        """Remember somebody who is decided later."""
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
        """Take out whose row this run deletes."""
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
        """Make up the mind about the doubtful; everybody's place is certain then."""
        settled = _Doubts(self._doubtful, self.stored, self._coming).settle(sorted(self._doubtful))
        self._contradictory = settled.contradictory
        self.is_closed = True
        self._coming.update(one for one, comes in settled.comes.items() if comes)

    def has_row(self, object_id: str) -> bool:
        return object_id in self.stored or object_id in self._coming

    def reference(self, manager: str | None) -> str | None:
        """Give a manager who has a row, once the roster is closed; None for any other."""
        return manager if manager is not None and self.has_row(manager) else None

    def choose(self, either_way: EitherWay) -> Outcome:
        """Give the future that holds, once the roster is closed."""
        inside = self.has_row(either_way.manager)
        if either_way.object_id in self._contradictory:
            inside = not inside
        return either_way.inside if inside else either_way.outside


@dataclass(slots=True)
class _Doubts:
    """Who of the doubtful comes in: each follows from the own manager, up to somebody who is certain.

    People who report to each other in a circle have nobody certain above them. The one with the smallest
    id is then taken to come in; if that contradicts itself, to stay out.
    """

    doubtful: dict[str, Doubt]
    stored: AbstractSet[str]
    coming: AbstractSet[str]
    comes: dict[str, bool] = field(default_factory=dict)
    contradictory: set[str] = field(default_factory=set)

    def settle(self, everybody: Iterable[str]) -> "_Doubts":
        for start in everybody:
            way: dict[str, None] = {}
            one = start
            while one in self.doubtful and one not in self.comes and one not in way:
                way[one] = None
                one = self.doubtful[one].manager
            reports = list(way)
            if one in way:
                place = reports.index(one)
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
        for one in people:
            self.comes[one] = self._by_manager(one)

    def _by_manager(self, object_id: str) -> bool:
        doubt = self.doubtful[object_id]
        manager = doubt.manager
        known = manager in self.stored or manager in self.coming
        return doubt.comes(known or self.comes.get(manager, False))
