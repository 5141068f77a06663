"""Whether a plan may be applied: counts and limits in, a verdict in words out. Pure.

Over a limit, everything of that kind waits for approval and the rest of the plan goes ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from sync_core.domain.documents import Guard
from sync_core.domain.model import Action, Tally

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has to wait, and the sentences for the administrator.

    `reasons` are those of the limits; `broken` are assertions that would not be true, which no
    confirmation overrules.
    """

    hold_removals: bool
    hold_creates: bool
    reasons: tuple[str, ...]
    broken: tuple[str, ...] = ()

    def blocked(self, broken: tuple[str, ...]) -> "Verdict":
        """Return the verdict once these assertions are broken: no person comes and none goes."""
        if not broken:
            return self
        return Verdict(hold_removals=True, hold_creates=True, reasons=self.reasons, broken=broken)

    @property
    def hold_reenables(self) -> bool:
        """Whether people who come back have to wait: no newcomers to the limits, but to an assertion."""
        return bool(self.broken)

    @property
    def holds(self) -> bool:
        return self.hold_removals or self.hold_creates


def tally_of(active: int, actions: Mapping[Action, int]) -> Tally:
    """Add up what the guard reads; `actions` counts the planned changes."""
    return Tally(
        active=active,
        creates=actions.get(Action.CREATE, 0),
        removals=sum(number for action, number in actions.items() if action.is_removal),
        reenables=actions.get(Action.REENABLE, 0),
        others=actions.get(Action.UPDATE, 0),
    )


def check_guard(tally: Tally, guard: Guard) -> Verdict:
    """Compare a plan with its connection's limits; a limit itself is still allowed."""
    removals = [_over_count(tally, guard), _over_percent(tally, guard)]
    creates = _over_creates(tally, guard)
    reasons = tuple(reason for reason in [*removals, creates] if reason)
    return Verdict(any(removals), creates is not None, reasons)


def careful(one: Guard, other: Guard) -> Guard:
    """Return the lower of each limit; no limit is higher than any."""
    return Guard(
        max_removals=_lower(one.max_removals, other.max_removals),
        max_removal_percent=_lower(one.max_removal_percent, other.max_removal_percent),
        max_creates=_lower(one.max_creates, other.max_creates),
    )


def _lower(one: Number | None, other: Number | None) -> Number | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)


def _over_count(tally: Tally, guard: Guard) -> str | None:
    limit = guard.max_removals
    if limit is None or tally.removals <= limit:
        return None
    return f"{tally.removals} people would be removed; the limit is {limit} a run"


def _over_percent(tally: Tally, guard: Guard) -> str | None:
    limit = guard.max_removal_percent
    # Exact: as floats, 69 of 1,500 people would be over a limit of 4.6 %.
    if limit is None or tally.removals * 100 <= Decimal(str(limit)) * tally.active:
        return None
    percent = 100 * tally.removals / tally.active if tally.active else 100
    return (
        f"{tally.removals} of {tally.active} active people ({percent:.1f} %) would be removed; "
        f"the limit is {limit:g} %"
    )


def _over_creates(tally: Tally, guard: Guard) -> str | None:
    limit = guard.max_creates
    if limit is None or tally.creates <= limit:
        return None
    return f"{tally.creates} people would be created; the limit is {limit} a run"
