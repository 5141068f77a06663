"""What must be true after a run: an administrator's assertions and a plan in, the broken ones out. Pure.

What counts is the table as it would be once everything of the plan that is not held has been written.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sync_core.domain.documents.policy import Assertion
from sync_core.domain.model import Action, Change, Status, Value
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.headcounts import EVERYBODY, Shift, Where, asserted_columns, harm_to
from sync_core.domain.plan.name_patterns import Fits, fits, name_of
from sync_core.domain.plan.outcome import NOBODY, Outcome, in_words

# What is said of broken assertions, by their places.
Broken = dict[int, str]


@dataclass(slots=True)
class Assertions:
    """Says which assertions a plan's outcome breaks, and who has to wait for their sake.

    Of the people stored only those whom an assertion names are remembered. `bound` are the object ids that a
    name means, by the name: whom an `in` means counts by id, `never` by name as well. `people` says how many
    active people stand in the table whom an assertion with `where` counts: `stored` counts them, or whoever
    knows the numbers already puts them there.
    """

    assertions: Sequence[Assertion]
    bound: Mapping[str, frozenset[str]] = field(default_factory=dict)
    people: Counter[Where] = field(default_factory=Counter)
    _tests: list[Fits | None] = field(init=False)
    _meant: list[frozenset[str]] = field(init=False)
    _harms: dict[int, Shift] = field(init=False)
    _wheres: frozenset[Where] = field(init=False)
    _named: dict[int, set[str]] = field(default_factory=dict)
    _active: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._meant = [self.bound.get(name_of(one) or "", NOBODY) for one in self.assertions]
        self._tests = [
            None if meant and one.is_in is not None else fits(one)
            for one, meant in zip(self.assertions, self._meant, strict=True)
        ]
        found = enumerate(self.assertions)
        self._harms = {number: harm_to(one) for number, one in found if name_of(one) is None}
        self._wheres = frozenset(shift.where for shift in self._harms.values()) - {EVERYBODY}

    # --- what is stored -------------------------------------------------------------------------

    @property
    def columns(self) -> frozenset[str]:
        """The mapped columns that have to be known of everybody stored."""
        return asserted_columns(self.assertions)

    def stored(
        self, object_id: str, principal_name: str, status: Status, values: Mapping[str, Value]
    ) -> None:
        """Learn of a person who stands in the table, with the values of `columns`."""
        numbers = self._naming(object_id, principal_name)
        for number in numbers:
            self._named.setdefault(number, set()).add(object_id)
        if status is Status.ACTIVE:
            self._active.update([object_id] if numbers else ())
            self.people.update(where for where in self._wheres if where.fits(values))

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

    def written(self, change: Change) -> None:
        """Learn of a change that stands in the table now."""
        numbers = self._naming(change.object_id, change.user_principal_name)
        for number in numbers:
            self._named.setdefault(number, set()).add(change.object_id)
        if change.action.is_removal:
            self._active.discard(change.object_id)
        elif numbers:
            self._active.add(change.object_id)

    def _naming(self, object_id: str, principal_name: str) -> list[int]:
        """Return the places of the assertions that name a person."""
        names = (object_id, principal_name.casefold())
        return [
            number
            for number, test in enumerate(self._tests)
            if object_id in self._meant[number] or (test is not None and any(map(test, names)))
        ]

    # --- what is planned ------------------------------------------------------------------------

    def applied(self, verdict: Verdict, active: int, changes: Iterable[Change]) -> Verdict:
        """Return the verdict with what waits for the assertions' sake.

        `active` people stand in the table; `changes` are read several times. Whoever waits may break another
        assertion by that, so they are looked through until nothing more is broken.
        """
        broken: Broken = {}
        found = verdict
        while fresh := self._next_broken(found, active, changes, broken):
            broken |= fresh
            found = self._holding(verdict, broken)
        return found

    def applied_to_few(self, verdict: Verdict, changes: Iterable[Change]) -> Verdict:
        """Return the verdict on people who were named: of others, and of their number, nothing is known.

        But for `people`, where `needs_people` asked for it.
        """
        if not self.assertions:
            return verdict
        outcome = self._outcome(verdict, changes)
        counted = {
            number: text
            for number, text in self._broken_where(outcome).items()
            if outcome.harmed_by(self._harms[number])
        }
        return self._holding(verdict, counted | self._broken_by_few(changes))

    def applied_to_named(self, verdict: Verdict, active: int, changes: Iterable[Change]) -> Verdict:
        """Return the verdict on people who were named, of whom and of whose number all is known.

        Nobody waits for what was broken before and is made no worse by them.
        """
        if not self.assertions:
            return verdict
        nobody = replace(verdict, hold_removals=True, hold_creates=True)
        before = self.broken(nobody, active, ())
        outcome = self._outcome(verdict, changes)
        after = self._broken_where(outcome) | self._broken_others(outcome, active)
        found = {
            number: text
            for number, text in after.items()
            if (harm := self._harms.get(number)) is None or outcome.harmed_by(harm)
            if number not in before or harm is not None
        }
        return self._holding(verdict, found | self._broken_by_few(changes))

    def needs_people(self, changes: Iterable[Change]) -> bool:
        """Whether one of these changes could break an assertion with `where`."""
        harms = [shift for shift in self._harms.values() if shift.where in self._wheres]
        return any(shift.is_by(change) for change in changes for shift in harms)

    def broken(self, verdict: Verdict, active: int, changes: Iterable[Change]) -> Broken:
        """Say what would not be true once all was written that the verdict does not hold."""
        if not self.assertions:
            return {}
        outcome = self._outcome(verdict, changes)
        return self._broken_where(outcome) | self._broken_others(outcome, active)

    def _next_broken(
        self, verdict: Verdict, active: int, changes: Iterable[Change], known: Broken
    ) -> Broken:
        """Return what is broken beside the known.

        First what holds a few people only: when they wait, the others may be true.
        """
        if len(known) == len(self.assertions):
            return {}
        outcome = self._outcome(verdict, changes)
        counted = _without(self._broken_where(outcome), known)
        return counted or _without(self._broken_others(outcome, active), known)

    def _outcome(self, verdict: Verdict, changes: Iterable[Change]) -> Outcome:
        """Look through a plan once; a removal that is not confirmed yet stands for nothing."""
        outcome = Outcome(self._named, self._active, self._harms.values())
        for change in changes:
            if change.action.is_removal and change.reason is None:
                continue
            numbers = self._naming(change.object_id, change.user_principal_name)
            outcome.name(change.object_id, numbers)
            if not verdict.holds_change(change):
                outcome.write(change)
        return outcome

    def _holding(self, verdict: Verdict, broken: Broken) -> Verdict:
        """Return the verdict with what waits: who breaks a number with `where`, or all coming and going."""
        counted = [number for number in sorted(broken) if self._is_counted(number)]
        others = [number for number in sorted(broken) if not self._is_counted(number)]
        held = replace(
            verdict,
            hold_shifts=frozenset(self._harms[number] for number in counted),
            breaches=tuple(broken[number] for number in counted),
        )
        return held.blocked(tuple(broken[number] for number in others))

    def _is_counted(self, number: int) -> bool:
        return self.assertions[number].where is not None

    # --- what is said of it ---------------------------------------------------------------------

    def _broken_where(self, outcome: Outcome) -> Broken:
        """Name the assertions with `where`, the numbers, and whose change moves them."""
        found: Broken = {}
        for number, shift in self._harms.items():
            before, assertion = self.people[shift.where], self.assertions[number]
            after = before + outcome.gains[shift.where]
            if self._is_counted(number) and (limit := _limit(assertion, after)):
                people = outcome.harmed_by(shift)
                waiting = f"; waiting: {in_words(people)}" if people else ""
                whom = "1 active person" if after == 1 else f"{after} active people"
                found[number] = f"{whom} would have {shift.where} ({before} now); {limit}{waiting}"
        return found

    def _broken_others(self, outcome: Outcome, active: int) -> Broken:
        after = active + outcome.gains[EVERYBODY]
        found = (
            (number, self._problem(assertion, outcome, number, after))
            for number, assertion in enumerate(self.assertions)
            if not self._is_counted(number)
        )
        return {number: problem for number, problem in found if problem}

    def _problem(
        self, assertion: Assertion, outcome: Outcome, number: int, after: int
    ) -> str | None:
        inside = outcome.inside(number)
        if assertion.is_in is not None and not inside:
            gone = not self._active.isdisjoint(outcome.named(number))
            return _not_in(assertion, "would be removed" if gone else "is not in")
        if assertion.never is not None and inside:
            return _never(assertion, inside)
        limit = _limit(assertion, after)
        return f"{after} people would be active; {limit}" if limit else None

    def _broken_by_few(self, changes: Iterable[Change]) -> Broken:
        """Say what the changes of people who were named would break, by these people alone."""
        found: Broken = {}
        for change in changes:
            for number in self._naming(change.object_id, change.user_principal_name):
                assertion = self.assertions[number]
                if assertion.is_in is not None and change.action.is_removal:
                    found[number] = _not_in(assertion, "would be removed")
                if assertion.never is not None and _brings_in(change):
                    found[number] = _never(assertion, [change.object_id])
        return found


def _without(found: Broken, known: Broken) -> Broken:
    return {number: text for number, text in found.items() if number not in known}


def _limit(assertion: Assertion, people: int) -> str | None:
    """Say what an assertion about a number wants, if so many people are too few or too many."""
    if assertion.at_least is not None and people < assertion.at_least:
        return f"at least {assertion.at_least} are asserted"
    if assertion.at_most is not None and people > assertion.at_most:
        return f"at most {assertion.at_most} are asserted"
    return None


def _brings_in(change: Change) -> bool:
    return change.action in {Action.CREATE, Action.REENABLE}


def _not_in(assertion: Assertion, why: str) -> str:
    return f"{assertion.is_in} is asserted to be in, and {why}"


def _never(assertion: Assertion, object_ids: list[str]) -> str:
    return f"{assertion.never} is asserted never to be in, and would be ({in_words(object_ids)})"
