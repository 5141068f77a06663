"""One person judged: in scope or not, mapped to what, changed how. Pure; of others only the roster is known.

Every kind of run asks the same judge: a full reading, an incremental look, one person by name. What the
policy says is in `decide`; here it meets scope, mapping and the manager's row.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sync_core.domain.attributes import MANAGER, manager_of, with_reference
from sync_core.domain.documents.policy import Policy
from sync_core.domain.errors import RecordRejected
from sync_core.domain.mapping.compile import CompiledMapping
from sync_core.domain.model import (
    Attributes,
    Change,
    Evidence,
    Mapped,
    Origin,
    Reason,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.by_hand import (
    Picks,
    as_by_hand,
    is_picked,
    stays_by_hand,
    with_origin,
)
from sync_core.domain.plan.decide import (
    is_turned_away,
    plan_present,
    plan_removal,
    written_again,
)
from sync_core.domain.plan.roster import EitherWay, Outcome, Roster
from sync_core.domain.scope.compile import CompiledScope


class Observer(Protocol):
    """Looks on while a plan is made: a preview counts what a run has no use for."""

    def on_judged(self, person: Attributes, *, inside: bool) -> None:
        """Learn of a person who was read, and whether the scope lets them in."""

    def on_mapped(self, mapped: Mapped) -> None:
        """Learn what a person in scope is mapped to."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides about one person at a time; `roster` knows who will have a row, where the mapping refers."""

    scope: CompiledScope
    mapping: CompiledMapping
    policy: Policy
    now: datetime
    roster: Roster | None = None
    observer: Observer | None = None
    picks: Picks = field(default_factory=dict)

    def is_in_scope(self, person: Attributes, groups: frozenset[str]) -> bool:
        """Whether a person comes in or stays: by the scope, or because an administrator picked them."""
        inside = self.scope.matches(person, groups)
        if self.observer:
            self.observer.on_judged(person, inside=inside)
        return inside or (is_picked(person, self.picks) and not self.scope.excludes(person))

    def lacks_manager(self, person: Attributes) -> bool:
        """Whether the scope cannot be judged: it asks for the manager, and Graph did not answer."""
        return MANAGER in self.scope.attributes and MANAGER not in person

    def is_turned_away(self, person: Attributes) -> bool:
        return is_turned_away(person, self.policy)

    def present(
        self,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        stored: StoredIndex,
    ) -> Outcome | EitherWay:
        """Decide about a person in scope; `EitherWay` until it is known whether the manager has a row."""
        roster = self.roster
        if roster is None or roster.is_closed or MANAGER not in person:
            return self.settled(person, groups, known, stored)
        manager = manager_of(person)
        if manager is None or roster.is_certain(manager, stored.people):
            decided = self._with(manager, person, groups, known, stored)
            roster.note(person["id"], decided)
            return decided
        either_way = EitherWay(
            person["id"],
            manager,
            self._with(manager, person, groups, known, stored),
            self._with(None, person, groups, known, stored, again=True),
        )
        roster.note_either_way(either_way)
        return either_way

    def settled(
        self,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        stored: StoredIndex,
    ) -> Outcome:
        """Decide about a person in scope when the roster, if there is one, is closed."""
        return self._outcome(self.as_mapped(person), groups, known, stored)

    def _with(
        self,
        reference: str | None,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        stored: StoredIndex,
        *,
        again: bool = False,
    ) -> Outcome:
        referring = with_reference(person, reference)
        return self._outcome(referring, groups, known, stored, again=again)

    def _outcome(
        self,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        stored: StoredIndex,
        *,
        again: bool = False,
    ) -> Outcome:
        """Map one person and compare; `again` for a person who was mapped before."""
        if person["id"] in stored.foreign:
            return not_owned()
        if not person.get("userPrincipalName"):
            return no_sign_in_name()
        if MANAGER in self.mapping.attributes and MANAGER not in person:
            return manager_unknown()
        try:
            mapped = self.mapping.to_mapped(person, groups, self.now)
        except RecordRejected as error:
            return error
        if mapped and self.observer and not again:
            self.observer.on_mapped(mapped)
        return self._planned(person, mapped, known) if mapped else None

    def _planned(
        self, person: Attributes, mapped: Mapped, known: StoredPerson | None
    ) -> Change | None:
        change = plan_present(person, mapped, known)
        pick = self.picks.get(person["id"])
        if pick is None and (known is None or known.origin is not Origin.MANUAL):
            return change
        unchanged = written_again(person, mapped)
        return with_origin(change, unchanged, known, pick, self.now)

    def as_by_hand(self, evidence: Evidence, known: StoredPerson) -> Evidence:
        return as_by_hand(evidence, known, self.policy, self.now)

    def staying(self, evidence: Evidence, known: StoredPerson) -> Attributes | None:
        """Return a person who was not found in scope and stays all the same, to be updated; else None.

        Graph may contradict its own list; and a person brought in by hand need not be in scope.
        """
        stays = evidence.reason is None or stays_by_hand(evidence, known, self.now)
        return evidence.person if stays else None

    def is_unclear(self, evidence: Evidence) -> bool:
        """Whether a person seems to have left only because Graph gave an account without its sign-in name."""
        person = evidence.person
        left = evidence.reason is Reason.LEFT_SCOPE
        return left and person is not None and not person.get("userPrincipalName")

    def removal(self, evidence: Evidence) -> Change | None:
        """Return the removal that the policy wants for what the evidence shows."""
        change = plan_removal(evidence.object_id, evidence.reason, self.policy)
        if change is not None:
            change.evidence = evidence.facts
        return change

    def as_mapped(self, person: Attributes) -> Attributes:
        """Return a person as the mapping reads it, once it is known who has a row."""
        if self.roster is None or MANAGER not in person:
            return person
        return with_reference(person, self.roster.reference(manager_of(person)))


def not_owned() -> RecordRejected:
    return RecordRejected(
        "record.notOwned",
        "A row with this person's id exists that this connection did not write.",
        "Remove the row, or leave the person out of the scope.",
    )


def manager_unknown() -> RecordRejected:
    return RecordRejected(
        "record.managerUnknown",
        "Graph did not answer who this person's manager is, so nothing was changed.",
        "Nothing to do if it passes: the next run asks again.",
    )


def no_sign_in_name() -> RecordRejected:
    return RecordRejected(
        "record.noSignInName",
        "Graph gave this person without a sign-in name, so nothing was changed.",
        "Every account has one: look at it in Entra. The next run asks again.",
    )


def unanswered() -> RecordRejected:
    return RecordRejected(
        "record.unanswered",
        "Graph has this person and did not say which groups they are in, so nothing was changed.",
        "Nothing to do if it passes: the next run asks again.",
    )
