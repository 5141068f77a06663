"""Faults: what shall go wrong is registered here, and every request asks whether it is its turn."""

import itertools
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from local.graph.faults.spoiled import BROKEN
from local.graph.faults.token_errors import WITHOUT_CAUSE

STATUS_KINDS = {
    "throttled": 429,
    "unavailable": 503,
    "gatewayTimeout": 504,
    "serverError": 500,
    "badGateway": 502,
    "outage": 503,
    "denied": 403,
    "notFound": 404,
}
PAGE_KINDS = frozenset(("emptyPage", "lostRest", "repeatedPage", "loopingLink", "foreignLink"))
ANSWER_KINDS = frozenset(
    ("reset", "truncated", "html", "expiredToken", "slow", "tokenError", "errorBody", "deletedGroup",
     "reorderedValues", "brokenText")
)  # fmt: skip
# These hold while they are registered; no request uses them up.
STATE_KINDS = frozenset(("lostPermission", "staleMembers", "hiddenManagers", "hiddenAttributes"))
_OPTIONS = frozenset(
    ("retryAfter", "milliseconds", "host", "roles", "appId", "bytes", "code", "error", "message",
     "attributes", "group", "person", "attribute", "how")
)  # fmt: skip
_NEEDED = {"deletedGroup": "group", "hiddenAttributes": "attributes"}
KINDS = frozenset(STATUS_KINDS) | PAGE_KINDS | ANSWER_KINDS | STATE_KINDS


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

    @property
    def is_over(self) -> bool:
        if self.until is not None and time.monotonic() >= self.until:
            return True
        return self.times is not None and self.hits >= self.times

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
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
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
        unknown = given.keys() - _OPTIONS
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if kind == "tokenError" and given.get("code") not in WITHOUT_CAUSE:
            known = ", ".join(map(str, sorted(WITHOUT_CAUSE)))
            raise ValueError(f"code must be one of {known}, not {given.get('code')!r}")
        needed = _NEEDED.get(kind)
        if needed and not given.get(needed):
            raise ValueError(f"{kind} needs {needed}")
        if given.get("how") not in (None, *BROKEN):
            raise ValueError(f"how must be one of {', '.join(BROKEN)}, not {given['how']!r}")
        self._faults[added.id] = added
        return added

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def listed(self) -> list[Fault]:
        return list(self._faults.values())

    def pick(self, method: str, path: str, *, page: int, inside_batch: bool) -> list[Fault]:
        """The faults whose turn it is; they count this request."""
        picked = []
        for fault in self._current():
            if fault.kind in STATE_KINDS or not self._fits(fault, method, path, inside_batch):
                continue
            if fault.page is not None and fault.page != page:
                continue
            fault.seen += 1
            if fault.seen > fault.after:
                fault.hits += 1
                picked.append(fault)
        return picked

    def lost_roles(self, app_id: str, roles: Iterable[str]) -> set[str]:
        """Which of the roles are taken away at the moment."""
        lost: set[str] = set()
        for fault in self._current():
            if fault.kind == "lostPermission" and fault.options.get("appId") in (None, app_id):
                named = fault.options.get("roles")
                lost |= {role for role in roles if named is None or role in named}
        return lost

    @property
    def members_are_stale(self) -> bool:
        return any(fault.kind == "staleMembers" for fault in self._current())

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

    def _fits(self, fault: Fault, method: str, path: str, inside_batch: bool) -> bool:
        if fault.method is not None and fault.method.upper() != method:
            return False
        if fault.where != "any" and (fault.where == "batch") != inside_batch:
            return False
        pattern = self._patterns.get(fault.path)
        if pattern is None:
            pattern = self._patterns[fault.path] = _compiled(fault.path)
        return pattern.fullmatch(path) is not None


def _compiled(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", glob)
    wild = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts))
