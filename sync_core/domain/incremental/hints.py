"""What delta rounds told: rows in, hints about people and groups out. Pure.

A hint says whom to look at, never what is true. Rows come in any order, the same object several times, and
old ones may be told again (learn.microsoft.com/graph/delta-query-overview), so they are merged in the order
in which they came and then compared with a look.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.attributes import MANAGER, manager_of
from sync_core.domain.model import Attributes, as_sets

REMOVED = "@removed"
MANAGER_DELTA = "manager@delta"
MEMBERS_DELTA = "members@delta"
# `@removed` says that an object is gone for good with this reason, and that it can be restored with
# "changed" (learn.microsoft.com/graph/delta-query-users).
GONE_FOR_GOOD = "deleted"
SOFT_DELETED = "changed"
# Of one that is missing in a row nothing is known (microsoft-graph-docs issue 2255).
ALWAYS_TOLD = frozenset({"accountEnabled", "userPrincipalName"})


# A group, and one that is directly in it.
Edge = tuple[str, str]


@dataclass(slots=True)
class Hint:
    """What was told of one person since the last round.

    `values` are those of users/delta, None where it did not name the person. `removed` is the reason of the
    last row if that was a removal. `joined` and `left` are groups, directly. `told_manager` whether the
    rows said who the `manager` is. `concerned` are groups that came under other groups than before, with
    everybody in them, or whose members were listed again.
    """

    values: dict[str, Any] | None = None
    removed: str | None = None
    told_manager: bool = False
    manager: str | None = None
    joined: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    concerned: set[str] = field(default_factory=set)


@dataclass(slots=True)
class GroupNews:
    """What groups/delta told of the groups themselves: their ids, and which are gone or there.

    `edges` are the tracked groups of which a nested group was added or taken away; `nested` says of each pair
    of such a group and one in it whether it came, by the last word about it.
    """

    gone: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    edges: set[str] = field(default_factory=set)
    nested: dict[Edge, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Hints:
    """The hints of one run, by object id."""

    people: dict[str, Hint] = field(default_factory=dict)
    groups: GroupNews = field(default_factory=GroupNews)

    def of(self, object_id: str) -> Hint:
        """Return the hint about a person, an empty one if there is none yet."""
        return self.people.setdefault(object_id, Hint())

    def may_return(self) -> set[str]:
        """Return the people who were soft-deleted: restored, they are in their groups, and nobody tells."""
        return {one for one, hint in self.people.items() if hint.removed == SOFT_DELETED}

    def add_user(self, row: Mapping[str, Any]) -> None:
        """Learn from a row of users/delta."""
        hint = self.of(str(row["id"]))
        removed = row.get(REMOVED)
        if removed is not None:
            hint.removed = str(removed.get("reason") or "")
            return
        hint.removed = None
        told = {name: value for name, value in row.items() if "@" not in name and name != "id"}
        hint.values = (hint.values or {}) | told
        if MANAGER_DELTA in row:
            hint.told_manager, hint.manager = True, _last_manager(row[MANAGER_DELTA])

    def add_group(self, row: Mapping[str, Any], tracked: AbstractSet[str]) -> None:
        """Learn from a row of groups/delta; `tracked` are the groups that can matter."""
        group = str(row["id"])
        if row.get(REMOVED) is not None:
            self.groups.gone.add(group)
            return
        self.groups.gone.discard(group)
        self.groups.told.add(group)
        for member in row.get(MEMBERS_DELTA) or ():
            self._add_member(group, member, tracked)

    def _add_member(self, group: str, member: Mapping[str, Any], tracked: AbstractSet[str]) -> None:
        object_id, kind = str(member["id"]), str(member.get("@odata.type") or "").lower()
        if kind.endswith(".group") or object_id in tracked:
            self.groups.edges.add(group)
            self.groups.nested[group, object_id] = REMOVED not in member
            return
        # A device or a contact is no person; a member without a type may be one.
        if kind and not kind.endswith("user"):
            return
        hint = self.of(object_id)
        came, went = (hint.left, hint.joined) if REMOVED in member else (hint.joined, hint.left)
        came.add(group)
        went.discard(group)


def _last_manager(listed: list[Mapping[str, Any]]) -> str | None:
    there = [str(one["id"]) for one in listed if REMOVED not in one]
    return there[-1] if there else None


def contradicts(hint: Hint, person: Attributes | None, memberships: frozenset[str] | None) -> bool:
    """Whether a look differs from what was told: one of the two is older than the other.

    `memberships` are the ids of all groups that the look named; None where it was not asked for.
    """
    if hint.removed is not None:
        return person is not None
    if person is None:
        return hint.values is not None or bool(hint.joined)
    if memberships is not None and not (
        hint.joined <= memberships and hint.left.isdisjoint(memberships)
    ):
        return True
    return _differs(hint, person)


def _differs(hint: Hint, person: Attributes) -> bool:
    if hint.told_manager and MANAGER in person and hint.manager != manager_of(person):
        return True
    if hint.values is None:
        return False
    if not hint.values.keys() >= ALWAYS_TOLD:
        return True
    return any(
        as_sets(person[name]) != as_sets(value)
        for name, value in hint.values.items()
        if name in person
    )
