"""What was measured, as values: rows of the table, and the targets beside what was reached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one side over a tenant of `people`; `mode` is the product's word for what it did.

    `held_s` is the longest time for which its event loop did one thing.
    """

    people: int
    what: str
    cpu_s: float
    wall_s: float
    peak_mib: float
    graph_requests: int
    table_calls: int
    written: int
    mode: str = ""
    held_s: float = 0.0

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for each person of the tenant."""
        return self.cpu_s / self.people * 1e6


@dataclass(frozen=True, slots=True)
class Import:
    """Importing `function_app` in fresh processes: seconds, the middle one and the slowest."""

    median_s: float
    slowest_s: float


@dataclass(frozen=True, slots=True)
class Judging:
    """Scope and mapping of people in memory: microseconds of CPU a person, compiled once and not."""

    people: int
    ours_us: float
    naive_us: float


@dataclass(frozen=True, slots=True)
class Webhook:
    """Sorted milliseconds of the answers under load, and what became of the notifications.

    `first_s` is the first answer of a new process; `change_s` are the times from a notification to the
    changed row, where the host also runs the queue function.
    """

    where: str
    milliseconds: list[float]
    refused: int
    lost: int
    first_s: float
    change_s: list[float]

    def percentile(self, percent: int) -> float:
        place = min(len(self.milliseconds) - 1, len(self.milliseconds) * percent // 100)
        return self.milliseconds[place]


@dataclass(frozen=True, slots=True)
class Noise:
    """Calls for notifications about people who are in no group that matters: how many asked whom for what.

    `messages` of the queue were sent, `looks` of them into the tables, and `runs` followed.
    """

    people: int
    notifications: int
    messages: int
    queues: int
    tables: int
    graph: int
    looks: int
    runs: int


@dataclass(frozen=True, slots=True)
class Realtime:
    """Sorted seconds from changes to rows, answers while workers were busy, and the noise of an hour."""

    changes: list[float]
    busy: list[Webhook]
    noise: Noise

    def percentile(self, percent: int) -> float:
        """Return how many seconds so many of a hundred changes took at the most."""
        return self.changes[min(len(self.changes) - 1, len(self.changes) * percent // 100)]


@dataclass(frozen=True, slots=True)
class Idle:
    """Requests of an hour in which nothing changes, by service: the timers', and those of `ran` runs.

    `daily` are those of what the maintenance does once a day, which it spreads over several hours.
    """

    connections: int
    timers: dict[str, int]
    runs: dict[str, int]
    daily: dict[str, int]
    ran: int


@dataclass(frozen=True, slots=True)
class Picking:
    """Seconds of what an administrator does by hand over a directory of so many people.

    `walked` is how many people a walk of the cursor showed, each counted once, and `shown` how many lines it
    had; `requests` are those to Graph of the import.
    """

    people: int
    first_s: float
    last_s: float
    search_s: float
    walk_s: float
    walked: int
    shown: int
    import_s: float
    imported: int
    requests: int


@dataclass(frozen=True, slots=True)
class Target:
    """A promise, what was measured, and whether it is kept; None where it was not measured."""

    what: str
    limit: str
    measured: str
    met: bool | None
