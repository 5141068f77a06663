"""The name of a plan: a digest of who comes and goes, a dot, and a digest of everything else. Pure.

Two parts, because a confirmation is about people, not about phone numbers: an update of another
person between the preview and the run changes the second part only.
"""

import hashlib

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
        if change.action.is_removal or change.action is Action.CREATE:
            self._moves.update(_move(change))
        if not change.action.is_removal:
            self._rest.update(_values(change))

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
