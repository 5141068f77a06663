"""What must be true after a run: an administrator's assertions and a plan in, the broken ones out. Pure.

What counts is the table as it would be once everything of the plan that is not held has been written.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sync_core.domain.documents import Assertion
from sync_core.domain.model import Action, Change, Status
from sync_core.domain.plan.guard import Verdict

NAMED = 3
NOBODY: frozenset[str] = frozenset()

Fits = Callable[[str], bool]


@dataclass(slots=True)
class Assertions:
    """Looks on while a plan is made, and says which assertions its outcome breaks.

    Only people whom an assertion names are remembered. `bound` are the object ids that a name means, by the
    name: whom an `in` means counts by id, `never` by name as well.
    """

    assertions: Sequence[Assertion]
    bound: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _tests: list[Fits | None] = field(init=False)
    _meant: list[frozenset[str]] = field(init=False)
    _named: dict[int, set[str]] = field(default_factory=dict)
    _active: set[str] = field(default_factory=set)
    _changes: dict[str, Change] = field(default_factory=dict)
    _counts: dict[Action, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._meant = [self.bound.get(_name_of(one) or "", NOBODY) for one in self.assertions]
        self._tests = [
            None if meant and one.is_in is not None else _fits(one)
            for one, meant in zip(self.assertions, self._meant, strict=True)
        ]

    def stored(self, object_id: str, principal_name: str, status: Status) -> None:
        """Learn of a person who stands in the table."""
        if self._is_named(object_id, principal_name) and status is Status.ACTIVE:
            self._active.add(object_id)

    @property
    def named(self) -> dict[int, list[str]]:
        """Return whom each assertion names, by its place."""
        return {number: sorted(ids) for number, ids in sorted(self._named.items())}

    @property
    def active(self) -> list[str]:
        """Return those of the named people who are active in the table."""
        return sorted(self._active)

    def recall(self, named: Mapping[int, Iterable[str]], active: Iterable[str]) -> None:
        """Take over what an earlier run knew of the people who stand in the table."""
        self._named = {number: set(ids) for number, ids in named.items()}
        self._active = set(active)

    def begin(self) -> None:
        """Forget the changes of an earlier plan."""
        self._changes.clear()
        self._counts.clear()

    def change(self, change: Change) -> None:
        """Learn of a change that is planned; a removal that is not confirmed yet stands for nothing."""
        if change.action.is_removal and change.reason is None:
            return
        self._counts[change.action] = self._counts.get(change.action, 0) + 1
        if self._is_named(change.object_id, change.user_principal_name):
            self._changes[change.object_id] = change

    def written(self, change: Change) -> None:
        """Learn of a change that stands in the table now."""
        if not self._is_named(change.object_id, change.user_principal_name):
            return
        if change.action.is_removal:
            self._active.discard(change.object_id)
        else:
            self._active.add(change.object_id)

    def _is_named(self, object_id: str, principal_name: str) -> bool:
        names = (object_id, principal_name.casefold())
        found = False
        for number, test in enumerate(self._tests):
            is_meant = object_id in self._meant[number]
            if is_meant or (test is not None and any(map(test, names))):
                self._named.setdefault(number, set()).add(object_id)
                found = True
        return found

    def applied(self, verdict: Verdict, active: int) -> Verdict:
        """Return the verdict with all coming and going held, if what it lets through would break one."""
        return verdict.blocked(self.broken(active, verdict))

    def broken(self, active: int, verdict: Verdict) -> tuple[str, ...]:
        """Say what would not be true; `active` people are in the table now, `verdict` holds some changes."""
        after = active + self._gain(verdict)
        found = (
            self._problem(number, assertion, after, verdict)
            for number, assertion in enumerate(self.assertions)
        )
        return tuple(problem for problem in found if problem)

    def broken_by_one(self) -> tuple[str, ...]:
        """Say what a plan of one person would break; of others, and of their number, nothing is known."""
        return tuple(self._by_changes())

    def _by_changes(self) -> Iterator[str]:
        for number, assertion in enumerate(self.assertions):
            known = self._ids(number) & self._changes.keys()
            changes = [self._changes[object_id] for object_id in known]
            if assertion.is_in is not None and any(found.action.is_removal for found in changes):
                yield _not_in(assertion, "would be removed")
            if assertion.never is not None and any(_brings_in(found) for found in changes):
                yield _never(assertion, [found.object_id for found in changes])

    def _problem(
        self, number: int, assertion: Assertion, after: int, verdict: Verdict
    ) -> str | None:
        ids = self._ids(number)
        inside = sorted(object_id for object_id in ids if self._is_in(object_id, verdict))
        if assertion.is_in is not None and not inside:
            gone = not ids.isdisjoint(self._active)
            return _not_in(assertion, "would be removed" if gone else "is not in")
        if assertion.never is not None and inside:
            return _never(assertion, inside)
        if assertion.at_least is not None and after < assertion.at_least:
            return f"{after} people would be active; at least {assertion.at_least} are asserted"
        if assertion.at_most is not None and after > assertion.at_most:
            return f"{after} people would be active; at most {assertion.at_most} are asserted"
        return None

    def _ids(self, number: int) -> set[str]:
        return self._named.get(number, set())

    def _is_in(self, object_id: str, verdict: Verdict) -> bool:
        """Whether a person is active once everything that is not held was written."""
        change = self._changes.get(object_id)
        if change is None or verdict.waits(change.action):
            return object_id in self._active
        return not change.action.is_removal

    def _gain(self, verdict: Verdict) -> int:
        gain = 0
        for action, count in self._counts.items():
            if not verdict.waits(action):
                gain += count * WORTH[action]
        return gain


WORTH = {
    Action.CREATE: 1,
    Action.REENABLE: 1,
    Action.UPDATE: 0,
    Action.DISABLE: -1,
    Action.DELETE: -1,
}


def _brings_in(change: Change) -> bool:
    return change.action in {Action.CREATE, Action.REENABLE}


def _name_of(assertion: Assertion) -> str | None:
    return assertion.is_in if assertion.is_in is not None else assertion.never


def _fits(assertion: Assertion) -> Fits | None:
    """Return the test for what names people; each `*` stands for any letters."""
    name = _name_of(assertion)
    if name is None:
        return None
    first, *rest = re.split(r"\*+", name.casefold())
    if not rest:
        return lambda text: text == first
    *inner, last = rest
    return lambda text: _is_like(text, first, inner, last)


def _is_like(text: str, first: str, inner: Sequence[str], last: str) -> bool:
    """Whether a text is these pieces in this order, with anything between them.

    The leftmost place of a piece leaves most room for the others, so no place is tried twice. As a
    regular expression with seven `*`, the same took seconds for one name that nearly fits.
    """
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in inner:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _not_in(assertion: Assertion, why: str) -> str:
    return f"{assertion.is_in} is asserted to be in, and {why}"


def _never(assertion: Assertion, object_ids: Sequence[str]) -> str:
    shown = ", ".join(object_ids[:NAMED]) + ("..." if len(object_ids) > NAMED else "")
    return f"{assertion.never} is asserted never to be in, and would be ({shown})"
