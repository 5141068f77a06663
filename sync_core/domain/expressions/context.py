"""What an evaluation may know beside the person's attributes: the time, groups, names in use."""

from collections.abc import Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Context:
    """The time of the run (with a time zone), the groups of this person, and taken values.

    `groups` are lower-case ids of the groups the person is in, directly or through nesting.
    `taken` answers whether SelectUniqueValue has to go on to its next rule; whoever fills it
    decides whether upper and lower case are the same.
    """

    now: datetime
    groups: AbstractSet[str] = frozenset()
    taken: Container[str] = frozenset()
