"""The directory's clock: real time and an offset that the control API can add to."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Ages delta links, subscriptions, secrets and deletions; access tokens live in real time."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)
