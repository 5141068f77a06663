"""A plan as a value: what a run would write, what of it has to wait, and how it is shown and stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sync_core.domain.model import Action, Change, Tally
from sync_core.domain.plan.guard import Verdict

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
    """

    changes: Changes
    tally: Tally
    verdict: Verdict
    plan_hash: str
    unconfirmed: int = 0

    def is_held(self, change: Change) -> bool:
        """Whether a change has to wait; a removal without a reason was not confirmed, and does."""
        if change.action.is_removal:
            return self.verdict.hold_removals or change.reason is None
        if change.action is Action.REENABLE:
            return self.verdict.hold_reenables
        return self.verdict.hold_creates and change.action is Action.CREATE

    def blocked(self, change: Change | None) -> str | None:
        """Say which assertion keeps a change from being made; None where none does."""
        if change is None or not self.verdict.broken or not self.is_held(change):
            return None
        return f"Nothing: an assertion would be broken. {'; '.join(self.verdict.broken)}."

    def to_write(self, digit: str) -> Iterator[Change]:
        """Return the changes of one partition that are not held."""
        return (change for change in self.changes.stream(digit) if not self.is_held(change))

    @property
    def held(self) -> int:
        removals = self.tally.removals if self.verdict.hold_removals else self.unconfirmed
        creates = self.tally.creates if self.verdict.hold_creates else 0
        return removals + creates + (self.tally.reenables if self.verdict.hold_reenables else 0)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Return the changes as they are stored and shown."""
        for change in self.changes:
            yield {
                "action": change.action.value,
                "objectId": change.object_id,
                "userPrincipalName": change.user_principal_name,
                "reason": change.reason.value if change.reason else None,
                "held": self.is_held(change),
                "fields": {name: list(pair) for name, pair in change.fields().items()},
                "evidence": change.evidence,
                "link": change.link and {"row": change.link.address, "by": change.link.by},
            }
