"""What happened in a directory, in order: changes in, those since a version out (for delta)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

PersonOrId = int | str
"""A person by number; a group, device, contact or service principal by object id."""


class Life(Enum):
    """What happens to an object as a whole."""

    CREATED = auto()
    DELETED = auto()
    """It can be restored."""
    RESTORED = auto()
    GONE = auto()
    """For good."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to a user (``key`` is a number) or to a group (``key`` is an id)."""

    key: PersonOrId
    names: frozenset[str] = frozenset()
    """The properties that changed."""
    life: Life | None = None
    member: PersonOrId | None = None
    """The direct member that was added to, or removed from, the group ``key``."""
    added: bool = False


class ChangeLog:
    """Append-only; a directory's version is the number of changes so far."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    def append(self, change: Change) -> None:
        self._changes.append(change)
        for listener in self._listeners:
            listener(change)

    def between(self, since: int, until: int) -> list[Change]:
        return self._changes[since:until]
