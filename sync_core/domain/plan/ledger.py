"""What a run counts, and the people it could not handle. Pure."""

from dataclasses import dataclass, field

from sync_core.domain.documents.run import Counts, RecordError, RunWarning
from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import Action, Change, Reason
from sync_core.domain.plan.roster import Outcome

MAX_ERRORS = 100
WRITTEN = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REENABLE: "reenabled",
    Action.DISABLE: "disabled",
    Action.DELETE: "deleted",
}


@dataclass(slots=True)
class Ledger:
    """Filled while a run decides and writes; its counts, errors and warnings go into the run's record.

    `unfinished` are all people whom the run could not finish with, by the code of the reason, however many;
    `unconfirmed` those who would be removed and have one witness, by what that one says; `ends` those of whom
    the row says that they are in by hand until a day, with the day.
    """

    errors: list[RecordError] = field(default_factory=list)
    # While batches are under way, or if they broke off, more may be written than is counted.
    at_least: bool = False
    warnings: list[RunWarning] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    unconfirmed: dict[str, Reason] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        return Counts.model_validate(self._counts)

    def count(self, name: str, by: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + by

    def set(self, name: str, number: int) -> None:
        self._counts[name] = number

    def reject(self, object_id: str, error: RecordRejected) -> None:
        self.count("failed")
        self.unfinished[object_id] = error.code
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(
                RecordError(object_id=object_id, code=error.code, message=error.message)
            )

    def wait(self, object_id: str, reason: Reason) -> None:
        """Note a person who is not removed before a second witness agrees."""
        self.unconfirmed[object_id] = reason
        self.set("unconfirmed", len(self.unconfirmed))

    def take(self, object_id: str, outcome: Outcome) -> Change | None:
        """Count what was decided about a person who is there; return what there is to be written."""
        if isinstance(outcome, RecordRejected):
            self.reject(object_id, outcome)
            return None
        if outcome is None:
            self.count("unchanged")
        return outcome

    def written(self, change: Change) -> None:
        self.count(WRITTEN[change.action])
        if change.link is not None:
            self.count("linked")
