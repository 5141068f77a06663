"""How many people the groups of a scope had and have: one that is emptied is noticed. Pure.

A dynamic group is empty for some minutes while its rule is edited, and its people are few enough to
pass the limits of the whole connection. What is remembered of a group is the most people it had within
the guard's window, and since when it has fewer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import Field

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.policy import Guard

# A share says little of a handful of people.
FEWEST = 10
NAMED = 5


class KnownSize(Document):
    """The most people a group had, and since when it has fewer (null: it has as many)."""

    people: int
    fewer_since: datetime | None = None


class KnownSizes(Document):
    """What is remembered of the groups of one connection, by their ids; small groups are not."""

    connection_id: str
    groups: dict[str, KnownSize] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupNow:
    """A group as it was read: how many people are directly in it, and whether a rule decides that."""

    name: str
    people: int
    dynamic: bool = False
    paused: bool = False


def losses(known: KnownSizes, now: Mapping[str, GroupNow], guard: Guard) -> tuple[str, ...]:
    """Say which groups have lost more people than the guard allows, the first of them by name."""
    found = list(_losses(known, now, guard.max_group_loss_percent))
    more = f"{len(found) - NAMED} more groups lost as much"
    return tuple(found[:NAMED]) + ((more,) if len(found) > NAMED else ())


def _losses(known: KnownSizes, now: Mapping[str, GroupNow], limit: float | None) -> Iterator[str]:
    for group, found in sorted(now.items(), key=lambda item: (item[1].name, item[0])):
        before = known.groups.get(group)
        if before is None or limit is None:
            continue
        lost = before.people - found.people
        if lost * 100 > Decimal(str(limit)) * before.people:
            yield (
                f"the group {found.name or group} lost {lost} of {before.people}{_kind(found)}; "
                f"the limit is {limit:g} % of a group"
            )


def _kind(found: GroupNow) -> str:
    if not found.dynamic:
        return ""
    return ", and is dynamic; its rule is paused" if found.paused else ", and is dynamic"


def paused_in_words(names: Iterable[str]) -> str:
    """Say that the rules of dynamic groups are paused, which keeps their members as they are.

    Whole tenants are paused in an emergency, and go on group by group:
    learn.microsoft.com/entra/identity/users/groups-dynamic-membership-powershell-samples
    """
    named = ", ".join(sorted(set(names)))
    return (
        f"Entra has paused the rule of {named} (dynamic membership): nobody comes in or leaves there until "
        "it goes on."
    )


def remembered(
    known: KnownSizes, now: Mapping[str, GroupNow], at: datetime, hours: int, *, accepted: bool
) -> KnownSizes:
    """Return what is known after a run; `accepted`: an administrator has confirmed who left."""
    sizes = {
        group: _size(None if accepted else known.groups.get(group), found.people, at, hours)
        for group, found in now.items()
    }
    kept = {group: size for group, size in sizes.items() if size.people >= FEWEST}
    return KnownSizes(connection_id=known.connection_id, groups=kept)


def _size(before: KnownSize | None, people: int, at: datetime, hours: int) -> KnownSize:
    if before is None or people >= before.people:
        return KnownSize(people=people)
    since = before.fewer_since or at
    if at - since >= timedelta(hours=hours):
        return KnownSize(people=people)
    return KnownSize(people=before.people, fewer_since=since)
