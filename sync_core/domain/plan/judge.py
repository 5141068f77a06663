"""One person judged: in scope or not, mapped to what, changed how. Pure; of others only the roster is known.

Every kind of run asks the same judge: a full reading, an incremental look, one person by name.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_core.domain.documents import Policy
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
from sync_core.domain.plan.decide import is_turned_away, plan_present, plan_removal
from sync_core.domain.references import (
    MANAGER,
    EitherWay,
    Outcome,
    Roster,
    manager_of,
    with_reference,
)
from sync_core.domain.scope.compile import CompiledScope


class Witness(Protocol):
    """Looks on while a plan is made: a preview counts what a run has no use for."""

    def saw(self, person: Attributes, *, inside: bool) -> None:
        """Somebody was read and judged."""

    def mapped(self, mapped: Mapped) -> None:
        """Somebody in scope was mapped."""


@dataclass(slots=True)
class Judge:
    """Decides about one person at a time; `roster` knows who will have a row, where that matters."""

    scope: CompiledScope
    mapping: CompiledMapping
    policy: Policy
    now: datetime
    roster: Roster | None = None
    witness: Witness | None = None

    def is_in_scope(self, person: Attributes, groups: frozenset[str]) -> bool:
        inside = self.scope.matches(person, groups)
        if self.witness:
            self.witness.saw(person, inside=inside)
        return inside

    def is_turned_away(self, person: Attributes) -> bool:
        return is_turned_away(person, self.policy)

    def present(
        self,
        person: Attributes,
        groups: frozenset[str],
        known: StoredPerson | None,
        stored: StoredIndex,
    ) -> Outcome | EitherWay:
        """Decide about somebody in scope; `EitherWay` until it is known whether the manager has a row."""
        roster = self.roster
        if roster is None or MANAGER not in person:
            return self._outcome(person, groups, known, stored)
        manager = manager_of(person)
        if roster.is_closed:
            return self._with(roster.reference(manager), person, groups, known, stored)
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
        """Map one person and compare; `again` for somebody who was mapped before."""
        if person["id"] in stored.foreign:
            return not_owned()
        if MANAGER in self.mapping.attributes and MANAGER not in person:
            return manager_unknown()
        try:
            mapped = self.mapping.to_mapped(person, groups, self.now)
        except RecordRejected as error:
            return error
        if mapped and self.witness and not again:
            self.witness.mapped(mapped)
        return plan_present(person, mapped, known) if mapped else None

    def stays(self, evidence: Evidence, known: StoredPerson) -> bool:
        """Tell whether somebody who was not found in scope is there all the same, and to be updated."""
        by_hand = evidence.reason is Reason.LEFT_SCOPE and known.origin is Origin.MANUAL
        return (evidence.reason is None or by_hand) and evidence.person is not None

    def removal(self, evidence: Evidence) -> Change | None:
        """Give the removal that the policy wants for what the evidence shows."""
        change = plan_removal(evidence.object_id, evidence.reason, self.policy)
        if change is not None:
            change.evidence = evidence.facts
        return change

    def as_mapped(self, person: Attributes) -> Attributes:
        """Give a person as the mapping reads it, once it is known who has a row."""
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
