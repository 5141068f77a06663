"""The values that pass between the stages of a run."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

# What a person has in the directory: Graph's own property names, unselected ones absent.
Attributes = Mapping[str, Any]
# A mapped value as Table Storage can hold it; None is an absent column.
Value = str | bool | int | float | None
# Called before every write: raises when the run must stop, because its lease is lost or its time is up.
StillHeld = Callable[[], Awaitable[None]]
# What an object id can begin with: the Users table is partitioned by it, and so are plans on disk.
HEX_DIGITS = "0123456789abcdef"


class Action(StrEnum):
    """What a change does to a stored person."""

    CREATE = "create"
    UPDATE = "update"
    REENABLE = "reenable"
    DISABLE = "disable"
    DELETE = "delete"

    @property
    def is_removal(self) -> bool:
        return self in {Action.DISABLE, Action.DELETE}


class Reason(StrEnum):
    """Why a person is removed, as `DisabledReason` says it."""

    LEFT_SCOPE = "leftScope"
    ACCOUNT_DISABLED = "accountDisabled"
    SOFT_DELETED = "softDeleted"
    HARD_DELETED = "hardDeleted"
    CONNECTION_DELETED = "connectionDeleted"


# What the evidence says of an employee who was made a guest where the scope takes no guests, and of a guest
# who was made a member where it takes guests only.
BECAME_GUEST = "becameGuest"
BECAME_MEMBER = "becameMember"
# What it says of somebody whose time by hand is over: the day, with the removal that the rules then want.
IMPORT_ENDED = "importEnded"


class Status(StrEnum):
    """Whether an application should let the person in."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Origin(StrEnum):
    """How a person came in: by the scope, or picked by hand."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Mapped:
    """One person after mapping: the values to store, and a digest that tells whether they changed.

    `former_digest` is the one of releases that took another order of a list for a change: people stored
    by them are not written again for it.
    A target in `kept` is left as stored when the person is updated (`whenNull: keep` with no value);
    one in `on_create` is written only when the person is created.
    """

    values: Mapping[str, Value]
    digest: str
    kept: frozenset[str] = frozenset()
    on_create: frozenset[str] = frozenset()
    former_digest: str | None = None

    def is_stored_as(self, digest: str) -> bool:
        """Whether a row with this digest holds these values already."""
        return digest in {self.digest, self.former_digest}


class StoredPerson(NamedTuple):
    """What planning needs to know of a stored person; the row itself is loaded only for a change.

    `returns`: only the deletion of a connection has disabled the person, and it is confirmed that another
    one takes the row over. `until` is the day (ISO 8601, UTC) on which somebody brought in by hand goes
    back to the rules; empty where there is none.
    """

    status: Status
    origin: Origin
    digest: str
    returns: bool = False
    until: str = ""


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """Stored people of a connection, by object id; `foreign` rows were not written by it.

    `taken` have a row of a deleted connection that this one takes over.
    """

    people: MutableMapping[str, StoredPerson]
    foreign: frozenset[str]
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """What runs have decided by themselves in the last hours, as the guard counts it.

    `creates` are people who came in or came back, `removals` those who left, `deletes` the removed whose
    row went. `gain` is by how many the active people have become more by them.
    """

    hours: int = 24
    creates: int = 0
    removals: int = 0
    deletes: int = 0
    gain: int = 0


NO_WINDOW = Window()


@dataclass(frozen=True, slots=True)
class Inventory:
    """How many people are stored: the active ones, and all by the first digit of their ids.

    `first_import`: there are no people yet, or a first import has not come to its end.
    """

    active: int
    by_digit: Mapping[str, int]
    window: Window = NO_WINDOW
    first_import: bool = False

    @classmethod
    def of(
        cls,
        people: Mapping[str, StoredPerson],
        window: Window = NO_WINDOW,
        *,
        first_import: bool = False,
    ) -> "Inventory":
        active = sum(known.status is Status.ACTIVE for known in people.values())
        by_digit = Counter(object_id[0] for object_id in people)
        return cls(active, by_digit, window, first_import)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a person has to go, by Graph's answer for that very person; no reason: stays.

    `groups` are those of scope and mapping, `memberships` the ids of all groups that Graph named; None
    where it was not asked. With `is_unclear`, Graph did not say all that it takes to judge.
    """

    object_id: str
    reason: Reason | None
    facts: dict[str, Any]
    person: Attributes | None = None
    groups: frozenset[str] = frozenset()
    memberships: frozenset[str] | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """The row that a person who comes in takes over: the application's own, or a former person's.

    `by` is `objectId`, the matching key that found it, or `decision`. A row that is `in_place` stands
    at the person's own address already; one that is `former` was another account's (a re-hire).
    """

    partition: str
    row_key: str
    by: str
    in_place: bool = False
    former: bool = False

    @property
    def address(self) -> str:
        return f"{self.partition}|{self.row_key}"


@dataclass(slots=True)
class Change:
    """One person's change: what to do, why, and with what; `before` holds the old mapped values.

    `evidence` is what Graph answered when the person was asked for by id, for removals. `link` is the
    row that a person who is created takes over. A person who `returns` is enabled again by a takeover that
    was confirmed. `origin` is what the row says from now on of how the person came in, with the day `until`
    which that holds; None where it stays as it is.
    """

    action: Action
    object_id: str
    user_principal_name: str = ""
    reason: Reason | None = None
    digest: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    before: dict[str, Value] = field(default_factory=dict)
    held: bool = False
    evidence: dict[str, Any] | None = None
    link: Link | None = None
    returns: bool = False
    origin: Origin | None = None
    until: str = ""

    @property
    def cause(self) -> str | None:
        """Why a person is removed, more exactly than the reason that is stored with the row."""
        facts = self.evidence or {}
        exact = next(
            (kind for kind in (IMPORT_ENDED, BECAME_GUEST, BECAME_MEMBER) if facts.get(kind)), None
        )
        return exact or (self.reason.value if self.reason else None)

    def fields(self) -> dict[str, tuple[Value, Value]]:
        """Return the targets that differ, each with its old and new value."""
        if self.action.is_removal:
            return {name: (old, None) for name, old in self.before.items() if self.deletes}
        names = sorted((self.before.keys() | self.values.keys()) - set(self.kept))
        pairs = {name: (self.before.get(name), self.values.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if not is_same(*pair)}

    @property
    def deletes(self) -> bool:
        return self.action is Action.DELETE

    @property
    def is_given_back(self) -> bool:
        """Whether nothing is changed but that the rules decide about the person from now on."""
        return self.origin is Origin.AUTO and self.action is Action.UPDATE and not self.digest

    @property
    def has_row(self) -> bool:
        """Whether a row stands at the person's own address: theirs, or one that they take over there."""
        in_place = self.link is not None and self.link.in_place
        return self.action is not Action.CREATE or in_place


@dataclass(frozen=True, slots=True)
class Tally:
    """What the guard reads: how many people a plan would create or remove, of how many.

    `deletes` are among the `removals`; `window` is what was decided before, in the last hours. `returns`
    come back by a confirmed takeover: they count as `active`, and not as people who come.
    """

    active: int
    creates: int
    removals: int
    reenables: int = 0
    others: int = 0
    deletes: int = 0
    window: Window = NO_WINDOW
    first_import: bool = False
    returns: int = 0

    @property
    def base(self) -> int:
        """The active people at the window's start: what every percentage is a share of."""
        return self.active - self.window.gain

    @property
    def comers(self) -> int:
        """All who come: new people, and people who come back."""
        return self.creates + self.reenables

    @property
    def changes(self) -> int:
        return self.creates + self.removals + self.reenables + self.others + self.returns


def as_sets(value: Any) -> Any:
    """Return a value in which every list has one order, whatever the order it came in.

    A collection of Graph has no order (docs.oasis-open.org/odata/odata-csdl-xml/v4.01, section 14.6:
    only one annotated with Core.Ordered has, and no property of a user is).
    """
    if isinstance(value, list):
        return sorted(map(as_sets, value), key=_sortable)
    if isinstance(value, dict):
        return {name: as_sets(inner) for name, inner in value.items()}
    return value


def _sortable(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def is_same(one: Value, other: Value) -> bool:
    """Whether two stored values are the same; lists, which are stored as JSON, in any order."""
    if one == other:
        return True
    lists = [list_in(value) for value in (one, other)]
    return None not in lists and as_sets(lists[0]) == as_sets(lists[1])


def list_in(value: Value) -> list[Any] | None:
    """Return the list that a column holds as JSON; None where it holds something else."""
    if not isinstance(value, str) or not value.startswith("["):
        return None
    try:
        found: list[Any] = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found


def utf16_length(text: str) -> int:
    """Count a text as Table Storage does; emoji and rare letters count twice.

    Raises `UnicodeEncodeError` for a text that is none: half of such a pair.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
