"""What was asked: every request that came in, for tests to assert on and people to look at."""

from collections import deque
from dataclasses import dataclass, field

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Recorded:
    method: str
    path: str
    query: str
    status: int
    inside_batch: bool = False
    app_id: str | None = None


@dataclass(slots=True)
class Recorder:
    requests: deque[Recorded] = field(default_factory=lambda: deque(maxlen=_MOST))
    total: int = 0

    def add(self, recorded: Recorded) -> None:
        self.total += 1
        self.requests.append(recorded)

    def reset(self) -> None:
        self.total = 0
        self.requests.clear()

    def counts(self) -> dict[str, int]:
        """Requests by method, path with ids folded, and status."""
        counted: dict[str, int] = {}
        for recorded in self.requests:
            path = "/".join("{id}" if _is_id(part) else part for part in recorded.path.split("/"))
            where = " (batch item)" if recorded.inside_batch else ""
            key = f"{recorded.method} {path} {recorded.status}{where}"
            counted[key] = counted.get(key, 0) + 1
        return counted


def _is_id(part: str) -> bool:
    return (len(part) == 36 and part.count("-") == 4) or "@" in part
