"""What was asked: every request that came in, for tests to assert on and people to look at."""

from collections import deque
from dataclasses import dataclass, field

import orjson

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Recorded:
    method: str
    path: str
    query: str
    status: int
    inside_batch: bool = False
    app_id: str | None = None
    by_sdk: bool = False
    """Asked with one of Microsoft's SDKs, which say so in a header."""
    body: dict[str, str] | None = None
    """What was sent: names and their JSON types, as values may be secrets."""
    priority: str | None = None
    """As sent in x-ms-throttle-priority."""


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


def body_shape(body: bytes) -> dict[str, str] | None:
    """Give the names in a JSON object and the types of their values."""
    try:
        document = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    return {name: _type(value) for name, value in document.items()}


def _type(value: object) -> str:
    kinds = {bool: "bool", str: "text", list: "list", dict: "object", type(None): "null"}
    return kinds.get(type(value), "number")


def _is_id(part: str) -> bool:
    return (len(part) == 36 and part.count("-") == 4) or "@" in part
