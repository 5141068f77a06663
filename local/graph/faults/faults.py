"""Faults: what shall go wrong is registered here, and every request asks whether it is its turn."""

import itertools
import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from local.graph.faults.kinds import LAGGING, SENT_KINDS, SIGHT_KINDS, STATE_KINDS, check


class Asked(NamedTuple):
    """What a fault is told of a request."""

    method: str
    path: str
    inside_batch: bool = False


@dataclass(slots=True)
class Fault:
    id: str
    kind: str
    path: str = "**"
    """`*` stands for one segment or a part of it, `**` for anything."""
    method: str | None = None
    times: int | None = None
    until: float | None = None
    """On the monotonic clock."""
    after: int = 0
    page: int | None = None
    where: str = "any"
    """any, direct or batch: items inside $batch."""
    options: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0
    has_begun: bool = True
    """Of a state: whether it is in force already, or waits for a request for its path."""
    _turns: dict[str, int] = field(default_factory=dict)

    def dice(self, path: str) -> random.Random:
        """Whatever is asked in between, the n-th request for a path draws the same by one seed."""
        turn = self._turns[path] = self._turns.get(path, 0) + 1
        return random.Random(f"{self.options.get('seed', 0)}/{path}/{turn}")

    @property
    def is_over(self) -> bool:
        if self.until is not None and time.monotonic() >= self.until:
            return True
        return self.times is not None and self.hits >= self.times

    def strikes(self) -> bool:
        """Count a request that fits; whether it is the fault's turn."""
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.hits += 1
        return True

    def described(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "path": self.path,
            "method": self.method,
            "times": self.times,
            "after": self.after,
            "page": self.page,
            "where": self.where,
            "hits": self.hits,
            **self.options,
        }


class Faults:
    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._numbers = itertools.count(1)
        self._patterns: dict[str, re.Pattern[str]] = {}

    def add(self, fault: dict[str, Any]) -> Fault:
        """Takes the document of POST /_control/faults; ValueError says what is wrong with it."""
        given = dict(fault)
        kind = given.pop("kind", None)
        seconds = given.pop("seconds", None)
        added = Fault(
            id=str(next(self._numbers)),
            kind=kind,
            path=given.pop("path", "**"),
            method=given.pop("method", None),
            times=given.pop("times", None),
            until=None if seconds is None else time.monotonic() + float(seconds),
            after=int(given.pop("after", 0)),
            page=given.pop("page", None),
            where=given.pop("where", "any"),
            options=given,
        )
        if added.where not in ("any", "direct", "batch"):
            raise ValueError(f"where must be any, direct or batch, not {added.where!r}")
        check(kind, given)
        if kind == "lostPermission" and (added.path, added.after) != ("**", 0):
            added.has_begun = False
        self._faults[added.id] = added
        return added

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def listed(self) -> list[Fault]:
        return list(self._faults.values())

    def pick(self, asked: Asked, *, page: int) -> list[Fault]:
        """The faults whose turn it is; they count this request."""
        return [
            fault
            for fault in self._current()
            if fault.kind not in STATE_KINDS | SIGHT_KINDS | SENT_KINDS
            and self._fits(fault, asked)
            and fault.page in (None, page)
            and fault.strikes()
        ]

    def age_s(self, what: str, asked: Asked) -> float:
        """How many seconds the answer to this request, of the kind ``what``, is behind the times."""
        ages = [
            _age_s(fault, asked.path)
            for fault in self._fitting("lag", asked)
            if what in fault.options.get("what", LAGGING) and fault.strikes()
        ]
        return max(ages, default=0.0)

    def sent(self, resource: str) -> list[Fault]:
        """The faults that strike a POST of notifications about this resource."""
        asked = Asked("POST", resource)
        return [
            fault
            for fault in self._current()
            if fault.kind in SENT_KINDS and self._fits(fault, asked) and fault.strikes()
        ]

    def left_out(self, found: int, asked: Asked) -> set[int]:
        """The places, in what a cast finds, of those that the answer lacks."""
        lacking: set[int] = set()
        for fault in self._fitting("flappingCast", asked):
            if fault.strikes():
                lacking |= _left_out(fault, asked.path, found)
        return lacking

    def _fitting(self, kind: str, asked: Asked) -> list[Fault]:
        faults = self._current()
        return [fault for fault in faults if fault.kind == kind and self._fits(fault, asked)]

    def begin(self, asked: Asked, *, page: int) -> None:
        """Put those states in force that wait for this request."""
        for fault in self._fitting("lostPermission", asked):
            if not fault.has_begun and fault.page in (None, page):
                fault.has_begun = fault.strikes()

    def lost_roles(self, app_id: str, roles: Iterable[str]) -> set[str]:
        """Which of the roles are taken away at the moment."""
        lost: set[str] = set()
        for fault in self._current():
            if not fault.has_begun:
                continue
            if fault.kind == "lostPermission" and fault.options.get("appId") in (None, app_id):
                named = fault.options.get("roles")
                lost |= {role for role in roles if named is None or role in named}
        return lost

    @property
    def members_are_stale(self) -> bool:
        return any(fault.kind == "staleMembers" for fault in self._current())

    @property
    def hides_subscriptions(self) -> bool:
        return any(fault.kind == "hiddenSubscriptions" for fault in self._current())

    @property
    def shows_dead_subscriptions(self) -> bool:
        return any(fault.kind == "deadSubscriptions" for fault in self._current())

    @property
    def hides_managers(self) -> bool:
        return any(fault.kind == "hiddenManagers" for fault in self._current())

    def hidden_attributes(self, roles: frozenset[str]) -> frozenset[str]:
        """Name the attributes that come as null for a caller with these roles."""
        hiding = [fault for fault in self._current() if fault.kind == "hiddenAttributes"]
        return frozenset(
            name
            for fault in hiding
            if roles.isdisjoint(fault.options.get("roles") or ())
            for name in fault.options["attributes"]
        )

    def _current(self) -> list[Fault]:
        if not self._faults:
            return []
        for fault in [f for f in self._faults.values() if f.is_over]:
            del self._faults[fault.id]
        return list(self._faults.values())

    def _fits(self, fault: Fault, asked: Asked) -> bool:
        if fault.method is not None and fault.method.upper() != asked.method:
            return False
        if fault.where != "any" and (fault.where == "batch") != asked.inside_batch:
            return False
        pattern = self._patterns.get(fault.path)
        if pattern is None:
            pattern = self._patterns[fault.path] = _compiled(fault.path)
        return pattern.fullmatch(asked.path) is not None


def _age_s(fault: Fault, path: str) -> float:
    least, most = fault.options.get("minSeconds", 0), fault.options["maxSeconds"]
    return fault.dice(path).uniform(float(least), float(most))


def _left_out(fault: Fault, path: str, found: int) -> set[int]:
    """Nobody, everybody, or some: each about equally often where ``share`` is not given.

    With a share of 1 nothing is ever shown.
    """
    dice, share = fault.dice(path), float(fault.options.get("share", 2 / 3))
    if dice.random() >= share:
        return set()
    kept = dice.choice((0.0, dice.random())) if share < 1 else 0.0
    return {place for place in range(found) if dice.random() >= kept}


def _compiled(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", glob)
    wild = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts))
