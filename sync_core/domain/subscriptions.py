"""Subscriptions to change notifications: which a connection wants, and what to do with those it has. Pure.

What Graph allows: learn.microsoft.com/graph/api/resources/subscription and
learn.microsoft.com/graph/change-notifications-overview.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import RemovalAction
from sync_core.domain.errors import SyncError
from sync_core.domain.incremental.checkpoint import TrackedGroups
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.scope.compile import compile_scope, scope_attributes

USERS, ALL_GROUPS = "users", "groups"
# Created comes as `updated`, and so does a soft deletion; `created` alone is refused for users
# (microsoft-graph-docs issue 4819).
CHANGES = "updated,deleted"
# An application has so many in one tenant (change-notifications-overview, "Limitations").
QUOTA = 100
# Who has gone over to all groups goes back when so many places are free, not with each group that goes.
SPARE = 20
# At most 41,760 minutes, by Graph's clock; more is refused.
LIFE = timedelta(minutes=41_700)
# "Don't renew and reauthorize within 10 minutes": change-notifications-lifecycle-events. After every try,
# as one whose answer is lost may have been taken.
PAUSE = timedelta(minutes=10)
# Another worker may still be at a subscription that it began to make so long ago.
MAKING = timedelta(minutes=2)
# Graph may keep a date less exactly than it was given.
SAME_MOMENT = timedelta(seconds=1)


class State(StrEnum):
    """Where a subscription stands."""

    CREATING = "creating"
    ACTIVE = "active"
    FAILING = "failing"
    REMOVING = "removing"


class Place(NamedTuple):
    """Whose subscription it is: of an application, in a tenant of a cloud."""

    cloud: str
    tenant_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something about a subscription failed, and what an administrator does about it."""

    code: str
    message: str
    remedy: str

    @classmethod
    def of(cls, error: SyncError) -> Self:
        return cls(error.code, error.message, error.remedy)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription of a connection, as it is stored.

    `slot` says what it is about: `users`, `groups`, or the id of the group whose members it tells of.
    `nonce` stands in its `clientState`, `tried_at` is when Graph was last asked to make or to renew it. While
    it is being made, `expires_at` is the end that was asked for, by which it is known again. Graph has one
    subscription of an application for each thing: that of the `owner`, another connection, serves this one,
    too, and the `sharers` are those whom this one serves. `missed_at` is when Graph last said that
    notifications were lost.
    """

    connection_id: str
    slot: str
    place: Place
    address: str
    nonce: str = ""
    state: State = State.CREATING
    subscription_id: str | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    renewed_at: datetime | None = None
    tried_at: datetime | None = None
    missed_at: datetime | None = None
    owner: str | None = None
    sharers: tuple[str, ...] = ()
    failure: Failure | None = None
    etag: str | None = field(default=None, compare=False)

    @property
    def resource(self) -> str:
        """What Graph is asked to tell changes of."""
        return resource_of(self.slot)

    def is_live(self, now: datetime) -> bool:
        """Whether Graph tells of changes by it, as far as is known here."""
        ends = self.expires_at
        return self.subscription_id is not None and ends is not None and ends > now

    def may_be_tried(self, now: datetime) -> bool:
        """Whether Graph may be asked to renew it, and nobody else is at it."""
        pause = MAKING if self.subscription_id is None else PAUSE
        return self.tried_at is None or now - self.tried_at >= pause

    def needs_renewal(self, now: datetime) -> bool:
        """Whether a third of its life is left, or the last renewal failed."""
        since = self.renewed_at or self.created_at
        if self.state is State.FAILING or since is None or self.expires_at is None:
            return True
        return now >= self.expires_at - (self.expires_at - since) / 3


def resource_of(slot: str) -> str:
    """Return the resource that a slot stands for."""
    return slot if slot in {USERS, ALL_GROUPS} else f"groups/{slot}/members"


def is_of_groups(slot: str) -> bool:
    return slot != USERS


# --- which are wanted -----------------------------------------------------------------------------


def has_realtime(connection: Connection) -> bool:
    """Whether a connection is to have subscriptions."""
    return connection.enabled and connection.realtime and connection.tenant_id is not None


def place_of(connection: Connection) -> Place:
    """Return whose subscriptions those of a connection are; its tenant has to be known."""
    return Place(connection.cloud.value, connection.known_tenant(), connection.client_id)


def is_changed(before: Connection | None, after: Connection) -> bool:
    """Whether a save changes which subscriptions a connection has."""
    if before is None:
        return has_realtime(after)
    if has_realtime(before) != has_realtime(after):
        return True
    decides = ("cloud", "tenant_id", "client_id", "credential", "scope", "mapping", "policy")
    return has_realtime(after) and any(
        getattr(before, name) != getattr(after, name) for name in decides
    )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a connection wants to be told of, whatever the quota allows."""

    users: bool
    groups: frozenset[str]

    def slots(self, *, is_wide: bool) -> frozenset[str]:
        """Return the slots of it; those of single groups are one where there are too many."""
        groups = frozenset({ALL_GROUPS}) if is_wide and self.groups else self.groups
        return groups | {USERS} if self.users else groups


def wishes_of(connection: Connection, tree: TrackedGroups | None = None) -> Wishes:
    """Return what a connection wants: the groups that it names and, by the tree, those nested in them.

    `users` tells of accounts and attributes: it is wanted unless memberships alone decide who is in.
    """
    scope, mapping = compile_scope(connection.scope), compile_mapping(connection.mapping)
    policy = connection.policy
    actions = (policy.account_disabled, policy.soft_deleted, policy.hard_deleted)
    users = (
        scope.everyone
        or bool(scope_attributes(connection.scope))
        or any(one is not RemovalAction.KEEP for one in actions)
    )
    groups = scope.groups | mapping.groups
    if tree is not None:
        if scope.applications:  # whose groups stand in the tree, and in no clause
            groups |= tree.names.keys()
        groups |= _nested(groups, tree) if scope.nested_groups else frozenset()
        groups -= tree.gone.keys() | set(tree.missing)
    return Wishes(users, groups)


def _nested(groups: AbstractSet[str], tree: TrackedGroups) -> frozenset[str]:
    """Return the groups of a tree that are in some of the given ones, at any depth.

    Those that lists lack for a while keep their subscriptions.
    """
    below = {parent: set(children) for parent, children in tree.awaited.items()}
    for child, parents in tree.parents.items():
        for parent in parents:
            below.setdefault(parent, set()).add(child)
    found: set[str] = set()
    open_groups = set(groups)
    while open_groups:
        inner = below.get(open_groups.pop(), set()) - found - groups
        found |= inner
        open_groups |= inner
    return frozenset(found)


def is_wide(wishes: Iterable[Wishes], *, was_wide: bool) -> bool:
    """Whether an application's connections to one tenant want more single subscriptions than it may have."""
    every = list(wishes)
    groups = frozenset[str]().union(*(one.groups for one in every))
    count = len(groups) + any(one.users for one in every)
    return count > (QUOTA - SPARE if was_wide else QUOTA)


# --- what is to be done ---------------------------------------------------------------------------


@dataclass(slots=True)
class Todo:
    """What brings the stored subscriptions to what is wanted; `check` may have been lost without a word."""

    create: list[str] = field(default_factory=list)
    share: list[Subscription] = field(default_factory=list)
    renew: list[Subscription] = field(default_factory=list)
    check: list[Subscription] = field(default_factory=list)
    remove: list[Subscription] = field(default_factory=list)

    @property
    def needs_validation(self) -> bool:
        """Whether Graph will call our address."""
        return bool(self.create or self.renew)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The slots that a connection is to have, and where.

    `others` are live subscriptions of other connections of the same application to the same tenant.
    """

    connection_id: str
    slots: AbstractSet[str]
    place: Place | None
    address: str
    others: Mapping[str, Subscription] = field(default_factory=dict)

    def fits(self, row: Subscription) -> bool:
        """Whether a stored subscription is one of those that are wanted."""
        same = (row.place, row.address) == (self.place, self.address)
        return same and row.slot in self.slots and row.state is not State.REMOVING


def todo(rows: Sequence[Subscription], wanted: Wanted, now: datetime) -> Todo:
    """Compare what is stored with what is wanted."""
    found = Todo(remove=[row for row in rows if not wanted.fits(row)])
    kept = {row.slot: row for row in rows if wanted.fits(row)}
    for slot in sorted(wanted.slots, key=lambda one: (one not in {USERS, ALL_GROUPS}, one)):
        row, other = kept.get(slot), wanted.others.get(slot)
        if row is not None and row.subscription_id is not None and row.owner is None:
            _sort(row, found, now)
        elif other is not None:
            found.share.append(_shared(row, wanted, other))
        elif row is None or row.owner is not None or row.may_be_tried(now):
            found.create.append(slot)
    return found


def _sort(row: Subscription, found: Todo, now: datetime) -> None:
    if not row.may_be_tried(now):
        return
    (found.renew if row.needs_renewal(now) else found.check).append(row)


def _shared(row: Subscription | None, wanted: Wanted, other: Subscription) -> Subscription:
    """Return the row of a connection that another one's subscription serves."""
    assert wanted.place is not None  # noqa: S101 -- without a place nothing is wanted
    own = row or Subscription(wanted.connection_id, other.slot, wanted.place, wanted.address)
    return replace(
        own,
        nonce="",
        state=other.state,
        subscription_id=other.subscription_id,
        expires_at=other.expires_at,
        owner=other.connection_id,
        failure=other.failure,
    )


def removes_first(todo: Todo, count: int) -> bool:
    """Whether there is no room for what is new before the old is gone; else nothing is unseen meanwhile.

    `count` is how many the application has in the tenant.
    """
    return count + len(todo.create) > QUOTA


def replaced(todo: Todo) -> list[Subscription]:
    """Return what has to go before its successor can be made: Graph has one for each thing."""
    return [row for row in todo.remove if row.slot in todo.create]


def needed_still(
    todo: Todo, slots: AbstractSet[str], unmade: AbstractSet[str]
) -> list[Subscription]:
    """Return what is to go and stays for now, because what takes its place could not be made.

    That is a subscription at another address, and one to single groups or to all of them where a
    connection goes over from the one to the other. `slots` are wanted, `unmade` those that are missing.
    """
    lacks_groups = any(map(is_of_groups, unmade))
    return [
        row
        for row in todo.remove
        if row.state is not State.REMOVING
        and (
            row.slot in unmade
            or (lacks_groups and is_of_groups(row.slot) and ALL_GROUPS in {row.slot, *slots})
        )
    ]


# --- what Graph has -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A subscription as Graph tells of it; its `clientState` it does not tell again."""

    subscription_id: str
    resource: str
    address: str
    expires_at: datetime

    def is_ours(self, address: str) -> bool:
        return self.address.lower() == address.lower()

    def was_asked_by(self, row: Subscription | None) -> bool:
        """Whether it is the one that a stored row asked for, and whose answer was lost.

        Its end is known to a fraction of a second, so nothing else has it.
        """
        if row is None or row.expires_at is None or not self.is_ours(row.address):
            return False
        return abs(row.expires_at - self.expires_at) <= SAME_MOMENT


def strangers(listed: Iterable[Listed], rows: Iterable[Subscription], address: str) -> list[Listed]:
    """Return subscriptions with our address that are in no row: what they send is discarded.

    The rows have to be read after the list: a row is written before its subscription is made.
    """
    known, making = set[str](), set[str]()
    for row in rows:
        if row.subscription_id is not None:
            known.add(row.subscription_id)
        else:
            making.add(row.resource)
    return [
        one
        for one in listed
        if one.is_ours(address)
        and one.subscription_id not in known
        and one.resource.strip("/").lower() not in making
    ]
