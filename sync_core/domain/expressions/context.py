"""What an evaluation may know beside the person's attributes: the time, groups, names in use."""

from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

# Raises `EvaluationError` once an evaluation has used up its time; whoever begins one brings the clock.
InTime = Callable[[], None]


def unlimited() -> None:
    """Let an evaluation take its time."""


@dataclass(slots=True)
class Context:
    """The time of the run (with a time zone), the groups of this person, and taken values.

    `groups` are lower-case ids of the groups the person is in, directly or through nesting.
    `taken` answers whether SelectUniqueValue has to go on to its next rule; whoever fills it
    decides whether upper and lower case are the same. `in_time` is asked at every step of a trace and at
    every match of a pattern.
    """

    now: datetime
    groups: AbstractSet[str] = frozenset()
    taken: Container[str] = frozenset()
    in_time: InTime = unlimited
