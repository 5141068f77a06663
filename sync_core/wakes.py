"""Messages that come at a time which this process knows: what they stand for is not asked for again."""

from datetime import datetime, timedelta

# Clocks of this process and of the queue differ a little.
MARGIN = timedelta(milliseconds=250)
MOST_KEPT = 10_000


class Wakes:
    """When the next message for a connection comes, as far as this process has sent it."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def note(self, connection_id: str, at: datetime) -> None:
        """Remember that a message was sent which becomes visible `at`."""
        if len(self._until) >= MOST_KEPT:
            self._until.clear()
        self._until[connection_id] = at

    def forget(self, connection_id: str) -> None:
        """Forget what was sent: the pause that it was to end is another one by now."""
        self._until.pop(connection_id, None)

    def is_awaited(self, connection_id: str, now: datetime) -> bool:
        """Whether a message is still to come: it finds whatever is written before."""
        at = self._until.get(connection_id)
        return at is not None and now + MARGIN < at
