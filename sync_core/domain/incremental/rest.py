"""When a run that notifications ask for begins: soon where the last one wrote, else later and later. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Notifications come in bursts, one a change; one run serves them all.
FIRST_S = 1
# Between two runs that found nothing to write.
LONGEST_S = 60
# Between two looks into the tables that found nobody who matters: they ask nothing of Graph, and a leaver of
# a tenant in which others change all the time must not wait for a minute.
LONGEST_OF_LOOKS_S = 10
# Clocks differ, and a message that comes a little early is not sent away: no other one comes.
EARLY = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Rest:
    """The pause between runs of one connection that notifications start.

    `pause_s` is how long it is, in seconds, `quiet_until` when it ends. `woken_at` is when a message comes
    that was sent to come then: others have nothing to ask for.
    """

    pause_s: int = FIRST_S
    quiet_until: datetime | None = None
    woken_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        return self.quiet_until is None or now + EARLY >= self.quiet_until

    def is_awaiting(self, now: datetime) -> bool:
        """Whether a message is still to come."""
        return self.woken_at is not None and now + EARLY < self.woken_at

    def after_changes(self, now: datetime) -> "Rest":
        """Return the rest after a run that wrote."""
        return replace(self, pause_s=FIRST_S, quiet_until=now + timedelta(seconds=FIRST_S))

    def after_nothing(self, now: datetime, longest_s: int) -> "Rest":
        """Return the rest after a run, or a look into the tables, that found nothing."""
        pause_s = min(longest_s, 2 * self.pause_s)
        return replace(self, pause_s=pause_s, quiet_until=now + timedelta(seconds=pause_s))

    def at_least(self, until: datetime) -> "Rest":
        """Return the rest that ends no earlier than `until`."""
        ends = until if self.quiet_until is None else max(self.quiet_until, until)
        return replace(self, quiet_until=ends)

    def woken(self, at: datetime, now: datetime) -> "Rest":
        """Return the rest where a message comes `at`; unchanged where one comes before that anyway."""
        if self.woken_at is not None and self.is_awaiting(now) and self.woken_at <= at:
            return self
        return replace(self, woken_at=at)
