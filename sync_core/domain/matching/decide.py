"""Who of those who come in takes over a row that stands in the table already, and who has to wait. Pure.

The object id goes first, then the matching keys in their order; the first key that finds anybody or
anything ends the search. A row is linked without asking only where one row and one person meet and
nobody else has the value. Everything else waits for a decision: to take over the wrong row gives a
person somebody else's rights (FIELD.md, pain 11), and waiting costs an administrator a minute.

Decided once, when everybody has been read: the outcome does not depend on the order of the reading.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, NamedTuple

from sync_core.domain.compatibility import open_to_words
from sync_core.domain.matching.registry import OBJECT_ID, Holders, KeyValues, Registry, Row, parted
from sync_core.domain.model import Link

DECISION = "decision"
# So many rows and people are named of a match; a key like a department would find thousands.
NAMED = 10


class Why(StrEnum):
    """Why somebody waits."""

    SEVERAL_ROWS = "severalRows"
    SEVERAL_PEOPLE = "severalPeople"
    SAME_AS_ACTIVE = "sameAsActive"
    SAME_AS_FORMER = "sameAsFormer"
    PROTECTED_ROW = "protectedRow"
    ROW_TAKEN = "rowTaken"
    LINK_BROKEN = "linkBroken"
    READING_INCOMPLETE = "readingIncomplete"
    DECISION_STALE = "decisionStale"


class DecisionKind(StrEnum):
    """What an administrator wants done with somebody who waits."""

    LINK = "link"
    CREATE = "create"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Decision:
    """An administrator's word; `row` is the address of the row to be linked."""

    kind: DecisionKind
    row: str = ""


class Newcomer(NamedTuple):
    """Somebody in scope who is not stored yet, with the values of the matching keys."""

    object_id: str
    values: KeyValues


@dataclass(frozen=True, slots=True)
class Wait:
    """Why somebody is neither linked nor created: the key that found something, and what it found.

    `rows` are addresses of free rows, `people` object ids of others with the same value: stored ones,
    and such as come in; `former` ones of them are no longer active. `stale` says why a decision could
    not be carried out.
    """

    why: Annotated[Why, open_to_words(Why)]
    key: str
    rows: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    stale: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Somebody whom an administrator keeps out."""


Outcome = Link | Wait | Ignored


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one person came to a row: the key, the row's address, and a sentence."""

    how: str
    key: str
    row: str
    message: str


def decide(
    newcomers: Collection[Newcomer],
    registry: Registry,
    decisions: Mapping[str, Decision],
    *,
    complete: bool,
) -> dict[str, Outcome]:
    """Return the outcome by object id of everybody who is not simply created.

    `complete` says that everybody in scope was read. If not, nobody is linked by a key: somebody who
    was not read could claim the same row.
    """
    return _Round(newcomers, registry, decisions, complete).outcomes()


def link_problem(registry: Registry, object_id: str, address: str) -> str | None:
    """Say why a person cannot take over a row by decision, if so."""
    home, row = registry.home(object_id), registry.row(address)
    if home is not None and home.address != address:
        return f"the row {home.address} stands at the person's own address, so only that one can be linked"
    if row is None:
        return f"there is no row {address}, or it belongs to an active person"
    if row.linked_to not in {"", object_id}:
        return f"the row {address} is linked to {row.linked_to}"
    return None


def create_problem(registry: Registry, object_id: str) -> str | None:
    """Say why a person cannot be created by decision, if so."""
    home = registry.home(object_id)
    if home is None:
        return None
    return f"the row {home.address} stands at the person's own address and would be overwritten"


@dataclass(slots=True)
class _Group:
    """What one value of one key finds, and whose search ended with it.

    `owners` and `people` are the first of many; `has_active` tells of all owners.
    """

    rows: list[Row]
    addresses: tuple[str, ...]
    owners: tuple[str, ...]
    has_active: bool
    people: tuple[str, ...]
    seekers: list[str] = field(default_factory=list)

    @property
    def is_contested(self) -> bool:
        return bool(self.owners) or len(self.people) > 1


class _Round:
    """One decision about everybody together."""

    def __init__(
        self,
        newcomers: Collection[Newcomer],
        registry: Registry,
        decisions: Mapping[str, Decision],
        complete: bool,
    ) -> None:
        self._registry = registry
        self._complete = complete
        self._decisions = {
            one.object_id: decisions[one.object_id]
            for one in newcomers
            if one.object_id in decisions
        }
        self._newcomers = newcomers
        self._reserved: set[str] = set()
        self._stale: dict[str, str] = {}
        self._groups: dict[tuple[int, str], _Group] = {}
        self._coming = [Holders() for _ in registry.keys]

    def outcomes(self) -> dict[str, Outcome]:
        coming = [one for one in self._newcomers if not self._is_ignored(one)]
        self._reserve_by_id()
        self._note_values(coming)
        found: dict[str, Outcome] = {
            one.object_id: Ignored() for one in self._newcomers if self._is_ignored(one)
        }
        seeking = self._settle_by_id(self._settle_decided(coming, found), found)
        found_by_key = {one.object_id: self._search(one) for one in seeking}
        claims = self._claims()
        for object_id, key_and_group in found_by_key.items():
            if key_and_group is not None:
                found[object_id] = self._by_key(object_id, *key_and_group, claims)
        for object_id, problem in self._stale.items():
            found[object_id] = _stale(found.get(object_id), problem)
        return found

    def _reserve_by_id(self) -> None:
        """Whatever becomes of a person: a row that bears the person's object id is nobody else's."""
        for one in self._newcomers:
            rows = self._registry.rows_of(one.object_id)
            self._reserved.update(row.address for row in rows)

    def _note_values(self, coming: Collection[Newcomer]) -> None:
        for one in coming:
            for holders, value in zip(self._coming, one.values, strict=True):
                if value is not None:
                    holders.add(value, one.object_id)

    def _is_ignored(self, one: Newcomer) -> bool:
        decision = self._decisions.get(one.object_id)
        return decision is not None and decision.kind is DecisionKind.IGNORE

    # --- decided by hand, or known by object id ---------------------------------------------------

    def _settle_decided(
        self, coming: Collection[Newcomer], found: dict[str, Outcome]
    ) -> list[Newcomer]:
        """Carry out the decisions that can be; give the others."""
        wanted = Counter(one.row for one in self._decisions.values() if one.row)
        ids = {one.object_id for one in coming}
        undecided = []
        for one in coming:
            decision = self._decisions.get(one.object_id)
            if decision is None:
                undecided.append(one)
            elif problem := self._problem(one.object_id, decision, wanted, ids):
                self._stale[one.object_id] = problem
                undecided.append(one)
            elif row := self._registry.row(decision.row):
                found[one.object_id] = self._link(one.object_id, row, DECISION)
        return undecided

    def _settle_by_id(
        self, undecided: Collection[Newcomer], found: dict[str, Outcome]
    ) -> list[Newcomer]:
        """Settle those of whom the object id says it; give the others."""
        seeking = []
        for one in undecided:
            outcome = self._by_object_id(one.object_id)
            if outcome is None:
                seeking.append(one)
            else:
                found[one.object_id] = outcome
        return seeking

    def _problem(
        self, object_id: str, decision: Decision, wanted: Counter[str], ids: set[str]
    ) -> str | None:
        """Say why a decision cannot be carried out, if so."""
        if decision.kind is DecisionKind.CREATE:
            return create_problem(self._registry, object_id)
        if problem := link_problem(self._registry, object_id, decision.row):
            return problem
        if wanted[decision.row] > 1:
            return f"the row {decision.row} was given to {wanted[decision.row]} people"
        named = parted(decision.row)[1].lower()
        if named != object_id and named in ids:
            return f"the row {decision.row} bears the object id of another person in scope"
        return None

    def _by_object_id(self, object_id: str) -> Outcome | None:
        rows, home = self._registry.rows_of(object_id), self._registry.home(object_id)
        addresses = _named(row.address for row in rows)
        if home is not None and home not in rows:
            return Wait(Why.ROW_TAKEN, OBJECT_ID, (home.address,), (home.linked_to,))
        if not rows:
            return None
        if len(rows) > 1:
            return Wait(Why.SEVERAL_ROWS, OBJECT_ID, addresses)
        # A row that is marked for this very person was judged when it was marked.
        if not rows[0].linked_to and (why := _caution(rows[0])):
            return Wait(why, OBJECT_ID, addresses)
        return self._link(object_id, rows[0], rows[0].linked_by or OBJECT_ID)

    def _link(self, object_id: str, row: Row, by: str) -> Link:
        in_place = row.address == self._registry.address(object_id)
        self._reserved.add(row.address)
        return Link(row.partition, row.row_key, by, in_place, row.is_former)

    # --- found by a key ---------------------------------------------------------------------------

    def _search(self, one: Newcomer) -> tuple[str, _Group] | None:
        for number, value in enumerate(one.values):
            if value is None:
                continue
            group = self._group(number, value)
            if group.rows or group.is_contested:
                group.seekers.append(one.object_id)
                return self._registry.keys[number], group
        return None

    def _group(self, number: int, value: str) -> _Group:
        found = self._groups.get((number, value))
        if found is None:
            found = self._groups[number, value] = self._new_group(number, value)
        return found

    def _new_group(self, number: int, value: str) -> _Group:
        registry = self._registry
        rows = [
            row for row in registry.free_rows(number, value) if row.address not in self._reserved
        ]
        owners = registry.owners(number, value)
        return _Group(
            rows,
            _named(row.address for row in rows),
            _named(owners),
            not all(map(registry.is_former, owners)),
            # One more: whoever looks at it is not named to himself.
            tuple(sorted(self._coming[number].of(value))[: NAMED + 1]),
        )

    def _claims(self) -> dict[str, set[str]]:
        """Name who claims each row, the first few of many."""
        claims: dict[str, set[str]] = {}
        for group in self._groups.values():
            seekers = sorted(group.seekers)[: NAMED + 1]
            for row in group.rows:
                claims.setdefault(row.address, set()).update(seekers)
        return claims

    def _by_key(
        self, object_id: str, key: str, group: _Group, claims: Mapping[str, set[str]]
    ) -> Outcome:
        if group.is_contested:
            return self._same_value(object_id, key, group)
        if len(group.rows) > 1:
            return Wait(Why.SEVERAL_ROWS, key, group.addresses)
        [row] = group.rows
        others = _named(claims[row.address] - {object_id})
        if others:
            return Wait(Why.SEVERAL_PEOPLE, key, group.addresses, others)
        why = _caution(row) or (None if self._complete else Why.READING_INCOMPLETE)
        return Wait(why, key, group.addresses) if why else self._link(object_id, row, key)

    def _same_value(self, object_id: str, key: str, group: _Group) -> Wait:
        others = [one for one in group.people if one != object_id]
        if not group.owners:
            return Wait(Why.SEVERAL_PEOPLE, key, group.addresses, _named(others))
        former = tuple(one for one in group.owners if self._registry.is_former(one))
        why = Why.SAME_AS_ACTIVE if group.has_active else Why.SAME_AS_FORMER
        return Wait(why, key, group.addresses, _named([*group.owners, *others]), former)


def _stale(found: Outcome | None, problem: str) -> Wait:
    """Return what was found without the decision, for another decision: nothing happens by itself."""
    if isinstance(found, Wait):
        return replace(found, why=Why.DECISION_STALE, stale=problem)
    rows = (found.address,) if isinstance(found, Link) else ()
    return Wait(Why.DECISION_STALE, DECISION, rows, stale=problem)


def _caution(row: Row) -> Why | None:
    """Say why a row is linked by a decision only."""
    if row.is_protected:
        return Why.PROTECTED_ROW
    return Why.LINK_BROKEN if row.is_unlinked else None


def _named(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(found)[:NAMED])


# --- in words ---------------------------------------------------------------------------------------

_REASONS = {
    Why.SEVERAL_ROWS: "several rows of the table have the same {key}",
    Why.SEVERAL_PEOPLE: "several people of the directory have the same {key}, or claim the same row",
    Why.SAME_AS_ACTIVE: "a synced, active person has the same {key}",
    Why.SAME_AS_FORMER: "a former person has the same {key}; this may be a re-hire",
    Why.PROTECTED_ROW: "the row with the same {key} is named in policy.protected",
    Why.ROW_TAKEN: "the row with the same {key} is linked to somebody else",
    Why.LINK_BROKEN: "a link of the row with the same {key} was broken by hand",
    Why.READING_INCOMPLETE: "a row has the same {key}, and not everybody in scope was read, so "
    "somebody else could claim it, too",
}


def explain(outcome: Outcome | None) -> Explanation:
    """Say in words what became of somebody who came in; None is somebody of whom nothing was found."""
    if outcome is None:
        return Explanation("none", "", "", "Nothing in the table matched.")
    if isinstance(outcome, Ignored):
        message = "An administrator decided to leave this person out."
        return Explanation("ignored", DECISION, "", message)
    if isinstance(outcome, Wait):
        row = outcome.rows[0] if len(outcome.rows) == 1 else ""
        return Explanation("waiting", outcome.key, row, f"Waits for a decision: {reason(outcome)}.")
    how = outcome.by if outcome.by in {OBJECT_ID, DECISION} else "key"
    by = {OBJECT_ID: "the object id", DECISION: "a decision"}.get(outcome.by, outcome.by)
    rehire = "; the row was a former account's: a re-hire" if outcome.former else ""
    message = f"Linked by {by} to the row {outcome.address}{rehire}."
    return Explanation(how, outcome.by, outcome.address, message)


def keeps_out(outcome: Outcome | None) -> str | None:
    """Say in words that somebody in scope does not come in, if a match is the reason."""
    if isinstance(outcome, Ignored):
        return "Nothing is written: a decision leaves the person out."
    if not isinstance(outcome, Wait):
        return None
    if outcome.why is Why.READING_INCOMPLETE:
        return "Nothing is written: a run that reads everybody settles the match, or your decision."
    return "Nothing is written: a match waits for a decision."


def explain_link(address: str, by: str) -> Explanation:
    """Say in words how a stored person was linked, from `LinkedFrom` and `LinkedBy` of the row."""
    partition, row_key = parted(address)
    return explain(Link(partition, row_key, by))


def reason(wait: Wait) -> str:
    """Return the reason of a wait as a part of a sentence; it holds no value of anybody."""
    if wait.why is Why.DECISION_STALE:
        return f"the last decision could not be carried out: {wait.stale}"
    key = "object id" if wait.key == OBJECT_ID else wait.key
    if wait.why not in _REASONS:
        return f"another release of the app found {wait.why} at the {key}"
    return _REASONS[wait.why].format(key=key)
