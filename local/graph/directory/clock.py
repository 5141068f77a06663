"""The directory's clock: real time and an offset that the control API can add to."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Ages delta links, subscriptions, secrets and deletions; access tokens live in real time."""

    def __init__(self) -> None:
        self.offset = timedelta()
        self._stopped_at: datetime | None = None

    def now(self) -> datetime:
        return (self._stopped_at or datetime.now(UTC)) + self.offset

    def stop(self) -> None:
        """Only ``advance`` moves it now, so that a sequence can be replayed to the second."""
        if self._stopped_at is None:
            self._stopped_at = datetime.now(UTC)

    def go_on(self) -> None:
        if self._stopped_at is not None:
            self.offset -= datetime.now(UTC) - self._stopped_at
            self._stopped_at = None

    def advance(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)
