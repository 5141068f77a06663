"""Whether a plan may be applied: counts and limits in, a verdict in words out. Pure.

Over a limit, everything of that kind waits for approval and the rest of the plan goes ahead. What runs
decided before, within the window, counts as if this plan held it, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from sync_core.domain.documents.policy import Guard
from sync_core.domain.model import Action, Change, Inventory, Tally
from sync_core.domain.plan.headcounts import Shift
from sync_core.domain.plan.values import Loss, Rise, Sensitive, over, reason, rise_reason, rises
from sync_core.domain.plan.values import losses as losses_of

Number = TypeVar("Number", int, float)

# A share says little of a handful of people: in a team of six, three new colleagues are no accident.
FEWEST_CREATES = 10
COMING = frozenset({Action.CREATE, Action.REENABLE})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has to wait, and the sentences for the administrator.

    `hold_creates` are people who come back as well, `hold_deletes` removals that take the row away;
    `hold_values` are columns: whoever would lose a value of one is not updated. `hold_rises` are sensitive
    values: whoever would get one is not written. `hold_shifts` are numbers of people: whoever would move
    one is not written.
    `reasons` are those of the limits. `broken` are assertions that would not be true, and for which all
    coming and going waits; for `breaches` only those of `hold_shifts` do. No confirmation overrules either.
    """

    hold_removals: bool
    hold_creates: bool
    reasons: tuple[str, ...]
    broken: tuple[str, ...] = ()
    hold_deletes: bool = False
    hold_values: frozenset[Loss] = frozenset()
    hold_rises: Sensitive = field(default_factory=dict)
    hold_shifts: frozenset[Shift] = frozenset()
    breaches: tuple[str, ...] = ()

    def blocked(self, broken: tuple[str, ...]) -> "Verdict":
        """Return the verdict once these assertions are broken: no person comes and none goes."""
        if not broken:
            return self
        return replace(self, hold_removals=True, hold_creates=True, broken=broken)

    def holds_change(self, change: Change) -> bool:
        """Whether a change waits, for its kind, or for the values that it brings or takes away."""
        if self._waits_by_kind(change) or any(True for _ in rises(change, self.hold_rises)):
            return True
        if any(shift.is_by(change) for shift in self.hold_shifts):
            return True
        return bool(self.hold_values) and not self.hold_values.isdisjoint(losses_of(change))

    def _waits_by_kind(self, change: Change) -> bool:
        """Whether its kind waits; a limit holds nobody whose return was confirmed, an assertion does."""
        return self.waits(change.action) and not (change.returns and not self.broken)

    @property
    def holds_single(self) -> bool:
        """Whether it takes the changes themselves to know which of them wait."""
        return bool(self.hold_values or self.hold_rises or self.hold_shifts)

    def waits(self, action: Action) -> bool:
        """Whether changes of this kind wait."""
        if action.is_removal:
            return self.hold_removals or (self.hold_deletes and action is Action.DELETE)
        return self.hold_creates and action in COMING

    @property
    def may_be_confirmed(self) -> bool:
        """Whether something waits that a confirmation lets through."""
        people = self.hold_removals or self.hold_creates or self.hold_deletes
        return not self.broken and (people or bool(self.hold_values or self.hold_rises))

    @property
    def red(self) -> tuple[str, ...]:
        """All assertions that would not be true."""
        return self.broken + self.breaches

    @property
    def holds(self) -> bool:
        people = self.hold_removals or self.hold_creates or self.hold_deletes
        return people or self.holds_single


def tally_of(inventory: Inventory, actions: Mapping[Action, int], returns: int = 0) -> Tally:
    """Add up what the guard reads; `actions` counts the planned changes, `returns` of them were confirmed."""
    return Tally(
        active=inventory.active + returns,
        creates=actions.get(Action.CREATE, 0),
        removals=sum(number for action, number in actions.items() if action.is_removal),
        reenables=actions.get(Action.REENABLE, 0) - returns,
        others=actions.get(Action.UPDATE, 0),
        deletes=actions.get(Action.DELETE, 0),
        window=inventory.window,
        first_import=inventory.first_import,
        returns=returns,
    )


def check_guard(tally: Tally, guard: Guard) -> Verdict:
    """Compare a plan with its connection's limits; a limit itself is still allowed."""
    removals = [_over_removals(tally, guard), _over_removal_percent(tally, guard)]
    deletes = _over_deletes(tally, guard)
    creates = [_over_creates(tally, guard), _over_create_percent(tally, guard)]
    reasons = tuple(reason for reason in [*removals, deletes, *creates] if reason)
    return Verdict(any(removals), any(creates), reasons, hold_deletes=deletes is not None)


def check_values(
    verdict: Verdict, counts: Mapping[Loss, int], guard: Guard, people: int
) -> Verdict:
    """Return the verdict once it is known from how many of `people` a plan takes which values."""
    held = over(counts, guard, people)
    reasons = tuple(reason(loss, counts[loss], guard, people) for loss in held)
    return replace(verdict, hold_values=frozenset(held), reasons=verdict.reasons + reasons)


def check_rises(verdict: Verdict, counts: Mapping[Rise, int], sensitive: Sensitive) -> Verdict:
    """Return the verdict once it is known how many people would get which sensitive value."""
    if not counts:
        return verdict
    reasons = tuple(rise_reason(rise, number) for rise, number in counts.items())
    return replace(verdict, hold_rises=sensitive, reasons=verdict.reasons + reasons)


def check_groups(verdict: Verdict, tally: Tally, losses: tuple[str, ...]) -> Verdict:
    """Return the verdict once it is known which groups were emptied: removals wait on their account."""
    if not (losses and tally.removals):
        return verdict
    return replace(verdict, hold_removals=True, reasons=verdict.reasons + losses)


def check_keepers(verdict: Verdict, tally: Tally, gone: Sequence[str]) -> Verdict:
    """Return the verdict once it is known what keeps people out and is `gone`: whoever comes in waits."""
    if not (gone and tally.comers):
        return verdict
    reason = (
        f"what keeps people out is gone ({', '.join(gone)}): {tally.comers} people would be "
        f"{_coming(tally)}, and nobody can tell which of them it has kept out"
    )
    return replace(verdict, hold_creates=True, reasons=(*verdict.reasons, reason))


def careful(one: Guard, other: Guard) -> Guard:
    """Return the lower of each limit and the longer window; no limit is higher than any."""
    lower = {
        name: _lower(getattr(one, name), getattr(other, name))
        for name in Guard.model_fields
        if name != "window_hours"
    }
    return Guard.model_validate(lower | {"window_hours": max(one.window_hours, other.window_hours)})


def _lower(one: Number | None, other: Number | None) -> Number | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)


def _over_removals(tally: Tally, guard: Guard) -> str | None:
    said = _counted(tally.removals, "removed", tally.window.removals, tally)
    return _over_count(tally.removals, tally.window.removals, guard.max_removals, said, tally)


def _over_deletes(tally: Tally, guard: Guard) -> str | None:
    said = _counted(tally.deletes, "deleted", tally.window.deletes, tally)
    return _over_count(tally.deletes, tally.window.deletes, guard.max_deletes, said, tally)


def _over_creates(tally: Tally, guard: Guard) -> str | None:
    if tally.first_import:
        return None
    said = _counted(tally.comers, _coming(tally), tally.window.creates, tally)
    return _over_count(tally.comers, tally.window.creates, guard.max_creates, said, tally)


def _over_removal_percent(tally: Tally, guard: Guard) -> str | None:
    return _over_percent(
        tally.removals, tally.window.removals, guard.max_removal_percent, "removed", tally
    )


def _over_create_percent(tally: Tally, guard: Guard) -> str | None:
    few = tally.comers + tally.window.creates < FEWEST_CREATES
    # Of a connection whose people are all disabled, no share can be said.
    if tally.first_import or few or tally.base <= 0:
        return None
    limit = guard.max_create_percent
    return _over_percent(tally.comers, tally.window.creates, limit, _coming(tally), tally)


def _over_count(
    planned: int, before: int, limit: int | None, said: str, tally: Tally
) -> str | None:
    if limit is None or not planned or planned + before <= limit:
        return None
    return f"{said}; the limit is {limit} in {_hours(tally)}"


def _over_percent(
    planned: int, before: int, limit: float | None, what: str, tally: Tally
) -> str | None:
    # Exact: as floats, 69 of 1,500 people would be over a limit of 4.6 %.
    number, base = planned + before, tally.base
    if limit is None or not planned or number * 100 <= Decimal(str(limit)) * base:
        return None
    percent = 100 * number / base if base else 100
    since = f", {before} of them in the last {_hours(tally)}" if before else ""
    return (
        f"{number} of {base} active people ({percent:.1f} %) would be {what}{since}; "
        f"the limit is {limit:g} %"
    )


def _counted(planned: int, what: str, before: int, tally: Tally) -> str:
    since = f", after {before} in the last {_hours(tally)}" if before else ""
    return f"{planned} people would be {what}{since}"


def _coming(tally: Tally) -> str:
    return "created or enabled again" if tally.reenables else "created"


def _hours(tally: Tally) -> str:
    return "1 hour" if tally.window.hours == 1 else f"{tally.window.hours} hours"
