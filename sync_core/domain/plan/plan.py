"""A plan as a value: what a run would write, what of it has to wait, and how it is shown and stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sync_core.domain.documents.run import ColumnCount
from sync_core.domain.model import Change, Tally
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.window import mark_of

# Where the guard has no say: a person was named, or an administrator has confirmed the plan.
ALLOWED = Verdict(hold_removals=False, hold_creates=False, reasons=())


class Changes(Protocol):
    """Changes sorted by object id, wherever they are kept."""

    def __iter__(self) -> Iterator[Change]:
        """Return all of them."""

    def stream(self, digit: str) -> Iterator[Change]:
        """Return those of one partition."""


@dataclass(frozen=True, slots=True)
class FewChanges:
    """Changes in memory, sorted by object id: those of a plan about a person or two."""

    changes: tuple[Change, ...] = ()

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def stream(self, digit: str) -> Iterator[Change]:
        return (change for change in self.changes if change.object_id.startswith(digit))


@dataclass(slots=True)
class Plan:
    """What a run would write, sorted by object id; the changes of a large one are spooled on disk.

    `unconfirmed` removals have no reason yet, because Graph was not asked for the people by id.
    `approved` held what an administrator has let through since; with `by_name`, all of it was asked for.
    """

    changes: Changes
    tally: Tally
    verdict: Verdict
    plan_hash: str
    unconfirmed: int = 0
    approved: Verdict = ALLOWED
    by_name: bool = False
    columns: Mapping[str, ColumnCount] = field(default_factory=dict)
    _held: int | None = field(default=None, init=False)

    def mark(self, change: Change) -> str:
        """Return the letter with which the guard's window remembers a change."""
        asked_for = self.by_name or change.returns or self.approved.holds_change(change)
        first = self.tally.first_import
        return mark_of(change.action, decided_by_run=not asked_for, first_import=first)

    def is_held(self, change: Change) -> bool:
        """Whether a change has to wait; a removal without a reason was not confirmed, and does."""
        unconfirmed = change.action.is_removal and change.reason is None
        return unconfirmed or self.verdict.holds_change(change)

    def blocked(self, change: Change | None) -> str | None:
        """Say which assertion keeps a change from being made; None where none does."""
        if change is None or not self.verdict.red or not self.is_held(change):
            return None
        return f"Nothing: an assertion would be broken. {'; '.join(self.verdict.red)}."

    def to_write(self, digit: str) -> Iterator[Change]:
        """Return the changes of one partition that are not held."""
        return (change for change in self.changes.stream(digit) if not self.is_held(change))

    @property
    def held(self) -> int:
        """How many changes have to wait; see `count_held`."""
        return self.count_held()

    def count_held(self) -> int:
        """Count the changes that have to wait, once: those of a large plan are on disk."""
        verdict, tally = self.verdict, self.tally
        if verdict.holds_single:
            if self._held is None:
                self._held = sum(map(self.is_held, self.changes))
            return self._held
        held = tally.comers if verdict.hold_creates else 0
        held += tally.returns if verdict.broken else 0
        if verdict.hold_removals:
            return held + tally.removals
        return held + self.unconfirmed + (tally.deletes if verdict.hold_deletes else 0)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Return the changes as they are stored and shown."""
        for change in self.changes:
            yield {
                "action": change.action.value,
                "objectId": change.object_id,
                "userPrincipalName": change.user_principal_name,
                "reason": change.reason.value if change.reason else None,
                "cause": change.cause,
                "held": self.is_held(change),
                "fields": {name: list(pair) for name, pair in change.fields().items()},
                "evidence": change.evidence,
                "link": change.link and {"row": change.link.address, "by": change.link.by},
            }
