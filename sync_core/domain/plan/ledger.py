"""What a run counts, and whom it could not handle. Pure."""

from dataclasses import dataclass, field

from sync_core.domain.documents import Counts, RecordError
from sync_core.domain.errors import RecordRejected

MAX_ERRORS = 100


@dataclass(slots=True)
class Ledger:
    """Filled while a run decides and writes; its counts and errors go into the run's record."""

    errors: list[RecordError] = field(default_factory=list)
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
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(
                RecordError(object_id=object_id, code=error.code, message=error.message)
            )
