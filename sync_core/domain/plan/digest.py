"""The name of a plan: a digest of who comes and goes, a dot, and a digest of everything else. Pure.

Two parts, because a confirmation is about people, not about phone numbers: an update of another
person between the preview and the run changes the second part only. Columns that lose the values of too
many people are in the first part, by their rules.
"""

import hashlib
from collections.abc import Iterable

from sync_core.domain.model import Action, Change

# 128 bits each: no two plans get the same name by accident or on purpose.
DIGITS = 32


class PlanDigest:
    """Takes a plan's changes in their order, and names the plan.

    The connection is part of the name: two may move the same people, and are confirmed one by one.
    """

    def __init__(self, connection_id: str) -> None:
        self._moves = hashlib.sha256(f"{connection_id}\n".encode())
        self._rest = hashlib.sha256()

    def add(self, change: Change) -> None:
        if change.action is not Action.UPDATE:
            self._moves.update(_move(change))
        if not change.action.is_removal:
            self._rest.update(_values(change))

    def hold(self, names: Iterable[str]) -> None:
        """Take in which columns lose so many values that this waits for approval."""
        for name in names:
            self._moves.update(f"{name}\n".encode())

    @property
    def text(self) -> str:
        return f"{self._moves.hexdigest()[:DIGITS]}.{self._rest.hexdigest()[:DIGITS]}"


def moves_of(plan_hash: str) -> str:
    """Return the part of a plan's name that says who comes and goes."""
    return plan_hash.partition(".")[0]


def _move(change: Change) -> bytes:
    reason = change.reason.value if change.reason else ""
    return f"{change.object_id}|{change.action.value}|{reason}\n".encode()


def _values(change: Change) -> bytes:
    link = f"|{change.link.address}" if change.link else ""
    return f"{change.object_id}|{change.action.value}|{change.digest}{link}\n".encode()
