"""How much of Graph's allowance is used, and how long to wait before more is: units and seconds. Pure.

learn.microsoft.com/graph/throttling-limits (2026-02-06), "Identity and access service limits": each
application has a bucket of resource units in each tenant, of a size that goes by the tenant's, refilled over
ten seconds. Who keeps below four fifths of it is not told to wait, and leaves the rest to others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PERIOD_S = 10.0
SLOW_FROM = 0.8
# The page above: the share is told from 0.8 to 1.8. More is no share (95 for 95 %), or wrong.
MOST_SHARE = 1.8
# A tenant has at least as many people as were counted; of one not counted yet, the smallest is assumed.
LIMITS = ((50, 3500), (501, 5000))
LARGEST = 8000
SMALL_PAGE = 20
# What costs more than one unit, by the last part of the path that is no key and no cast.
COSTS = {
    "users": 2,
    "extensionproperties": 2,
    "getavailableextensionproperties": 2,
    "memberof": 2,
    "transitivememberof": 2,
    "members": 3,
    "checkmembergroups": 4,
    "checkmemberobjects": 4,
    "getbyids": 5,
    "transitivemembers": 5,
}
CASTS = frozenset({"graph.user", "graph.group"})


def limit_of(people: int) -> int:
    """Return the units that an application may use in ten seconds, in a tenant with so many people."""
    return next((limit for size, limit in LIMITS if people < size), LARGEST)


def units_of(url: str) -> int:
    """Return what a request costs, where the answer does not tell: at least 1.

    Costs of a further page are those of the first, whose parameters Graph repeats in the link.
    """
    parts = urlsplit(url)
    query = {name.lower(): value for name, value in parse_qsl(parts.query)}
    cost = COSTS.get(_subject(parts.path), 1)
    cost -= "$select" in query
    cost += "$expand" in query
    cost -= query.get("$top", "").isdecimal() and int(query["$top"]) < SMALL_PAGE
    return max(1, cost)


def _subject(path: str) -> str:
    """Return what a path asks for: `members` of `groups/{id}/members/graph.user`."""
    parts = [part.removeprefix("microsoft.") for part in path.lower().split("/")]
    subjects = [part for part in parts if part not in CASTS]
    return subjects[-1].removeprefix("graph.") if subjects else ""


@dataclass(slots=True)
class Allowance:
    """What one run has used of the allowance, as a bucket that leaks; times are seconds of any one clock.

    `others` are the units that other workers have in theirs. `told` is the share of the limit that Graph
    told, which knows of every user of the app; it counts until the next pause, as it tells nothing of what
    follows.
    """

    people: int = 0
    spent: int = 0
    told: float = 0.0
    others: float = 0.0
    _level: float = 0.0
    _at_s: float = 0.0

    @property
    def limit(self) -> int:
        return limit_of(self.people)

    def counted(self, people: int | None) -> None:
        """Learn that the tenant has at least so many people."""
        self.people = max(self.people, people or 0)

    def spend(self, units: int, now_s: float, told: float | None = None) -> None:
        """Count what a request has cost, and the share of the limit that its answer told."""
        self.spent += units
        self._level = self.level(now_s) + units
        self._at_s = now_s
        self.told = max(self.told, min(told or 0.0, MOST_SHARE))

    def level(self, now_s: float) -> float:
        """Return the units of this run that the bucket still holds against it."""
        return max(0.0, self._level - leaked(now_s - self._at_s, self.limit))

    def pause_s(self, now_s: float) -> float:
        """Return how long to wait before more is used: until four fifths of the limit are used again.

        Whoever asks waits so long; so what Graph told is forgotten.
        """
        ours = (self.level(now_s) + self.others) / self.limit
        share, self.told = max(ours, self.told), 0.0
        pause_s = max(0.0, share - SLOW_FROM) * PERIOD_S
        self.others = max(0.0, self.others - leaked(pause_s, self.limit))
        return pause_s


def leaked(seconds: float, limit: int) -> float:
    """Return the units that leave the bucket in so many seconds."""
    return max(0.0, seconds) * limit / PERIOD_S


def still_held(levels: Iterable[tuple[float, float]], limit: int) -> float:
    """Return the units that others hold now, of the levels that they noted so many seconds ago."""
    return sum(max(0.0, level - leaked(ago_s, limit)) for level, ago_s in levels)
