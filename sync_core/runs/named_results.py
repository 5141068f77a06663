"""What a run of people who were named answers for each of them: the plan and the ledger in, results out."""

from dataclasses import dataclass, field, replace

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import ImportOutcome, PersonResult, RecordError, SyncOutcome
from sync_core.domain.explain.words import (
    by_hand_in_words,
    display_name_of,
    principal_name_of,
    standing_of,
    verdict,
)
from sync_core.domain.incremental.open_people import Cause
from sync_core.domain.incremental.witness import is_out_by_attributes
from sync_core.domain.model import Change, Evidence, Origin, Reason, Status
from sync_core.domain.plan.by_hand import outcome_of
from sync_core.runs.context import RunContext
from sync_core.runs.named import NamedLooks
from sync_core.runs.one import has_left
from sync_core.runs.planner import Draft

HELD = "assertion.failed"
_NOBODY = "Entra has no such person, and neither has the table."
_NOT_NAMED = (
    "Entra has nobody with this sign-in name or address, or more than one person. Give the object id: so is "
    "somebody found who was deleted."
)
_AGAIN = "they are asked for again for 10 minutes."
_SHOWN_LATE = f"Entra does not show a change of their groups everywhere yet: {_AGAIN}"
_MAY_BE_LATE = f"If a group was changed a moment ago, Entra may not show it yet: {_AGAIN}"


@dataclass(slots=True)
class Named:
    """A plan of people who were named, after it was written."""

    context: RunContext
    looks: NamedLooks
    draft: Draft
    changes: dict[str, Change] = field(init=False)
    errors: dict[str, RecordError] = field(init=False)

    def __post_init__(self) -> None:
        self.changes = {change.object_id: change for change in self.draft.plan.changes}
        self.errors = {one.object_id: one for one in self.context.ledger.errors}

    def is_held(self, object_id: str) -> bool:
        change = self.changes.get(object_id)
        return change is not None and self.draft.plan.is_held(change)

    def failed(self, object_id: str) -> str | None:
        """Return the code of why the run could not finish with somebody."""
        return self.context.ledger.unfinished.get(object_id)

    def message(self, object_id: str) -> str | None:
        error = self.errors.get(object_id)
        return error.message if error is not None else None

    def held_by(self, object_id: str) -> str | None:
        """Return which assertion somebody would break, or somebody else of the same run."""
        return self.draft.plan.blocked(self.changes.get(object_id))

    def imported(self) -> dict[str, PersonResult]:
        """Return the result of each who was to come in."""
        return {object_id: self._imported(object_id) for object_id in self.looks.coming}

    def _imported(self, object_id: str) -> PersonResult:
        outcome, code = self._outcome(object_id)
        change, person = self.changes.get(object_id), self.looks.evidence[object_id].person
        return PersonResult(
            object_id=object_id,
            result=outcome.value,
            code=code,
            message=self.message(object_id) or self.held_by(object_id),
            user_principal_name=principal_name_of(person),
            action=change.action.value if change and outcome is ImportOutcome.IMPORTED else None,
        )

    def _outcome(self, object_id: str) -> tuple[ImportOutcome, str | None]:
        if code := self.failed(object_id):
            return outcome_of(code), code
        if self.is_held(object_id):
            return ImportOutcome.HELD, HELD
        if object_id not in self.changes:
            ignored = self.context.linking.outcome_of(object_id) is not None
            if ignored:
                return ImportOutcome.EXCLUDED, "match.ignored"
            return ImportOutcome.MAPPING_FAILED, "mapping.skipped"
        known = self.looks.known.get(object_id)
        by_hand = known is not None and known.origin is Origin.MANUAL
        if known is not None and by_hand and known.status is Status.ACTIVE:
            return ImportOutcome.ALREADY_IN, "untilChanged"
        return ImportOutcome.IMPORTED, None


class SyncResults:
    """Says how each stands who was synced; `to_be_asked_again` are those whom a group may still let in."""

    def __init__(self, connection: Connection, named: Named) -> None:
        self._connection = connection
        self._named = named
        self.to_be_asked_again: list[str] = []

    async def of(self, who: str, object_id: str | None) -> PersonResult:
        """Return the result of one person, as they were named."""
        if object_id is None:
            return self._unknown(who, None)
        evidence = self._named.looks.evidence[object_id]
        known = self._named.looks.known.get(object_id)
        if evidence.reason is Reason.HARD_DELETED and known is None:
            return self._unknown(who, object_id)
        outcome, code, message = await self._standing(who, evidence)
        change = self._named.changes.get(object_id)
        is_written = change is not None and not self._named.is_held(object_id)
        done = change if is_written and self._named.failed(object_id) is None else None
        return PersonResult(
            object_id=object_id,
            result=outcome.value,
            code=code,
            message=message,
            who=who,
            user_principal_name=principal_name_of(evidence.person),
            action=done.action.value if done else None,
            fields=sorted(done.fields()) if done and not done.action.is_removal else [],
        )

    def _unknown(self, who: str, object_id: str | None) -> PersonResult:
        return PersonResult(
            object_id=object_id,
            result=SyncOutcome.NOT_FOUND.value,
            message=_NOBODY if object_id else _NOT_NAMED,
            who=who,
        )

    async def _standing(self, who: str, evidence: Evidence) -> tuple[SyncOutcome, str | None, str]:
        named, object_id = self._named, evidence.object_id
        if code := named.failed(object_id):
            return SyncOutcome.FAILED, code, named.message(object_id) or f"{code}."
        if named.is_held(object_id):
            return SyncOutcome.HELD, HELD, named.held_by(object_id) or "Held."
        code, sentence = self._verdict(evidence)
        if code == "inScope" or self._stays(object_id):
            return SyncOutcome.IN, code, sentence
        if not self._may_come_later(evidence):
            return SyncOutcome.NOT_IN_SCOPE, code, sentence
        self.to_be_asked_again.append(who)
        contradicted = await self._is_contradicted(evidence)
        # Once more: to find a contradiction the groups were read, so the sentence can name them now.
        code, sentence = self._verdict(evidence)
        outcome = SyncOutcome.NOT_SHOWN_YET if contradicted else SyncOutcome.NOT_IN_SCOPE
        return outcome, code, f"{sentence} {_SHOWN_LATE if contradicted else _MAY_BE_LATE}"

    def _verdict(self, evidence: Evidence) -> tuple[str, str]:
        context, person = self._named.context, evidence.person
        name = display_name_of(person, None) or principal_name_of(person) or evidence.object_id
        read = self._named.draft.judge.as_mapped(person) if person else None
        standing = standing_of(
            self._connection,
            evidence,
            read,
            name=name,
            error=self._named.errors.get(evidence.object_id),
            now=context.stamp.now,
            matched=context.linking.outcome_of(evidence.object_id),
            by_hand=self._by_hand(evidence.object_id),
        )
        return verdict(replace(standing, groups=self._named.looks.reading.tree.names))

    def _by_hand(self, object_id: str) -> str | None:
        known = self._named.looks.known.get(object_id)
        now = self._named.context.stamp.now
        return by_hand_in_words(known.origin, known.until, now) if known is not None else None

    def _stays(self, object_id: str) -> bool:
        """Whether somebody outside of the scope is in all the same: brought in by hand, or protected."""
        known, change = self._named.looks.known.get(object_id), self._named.changes.get(object_id)
        if known is None:
            return False
        leaves = change is not None and change.action.is_removal
        comes = change is not None and not leaves
        waits = object_id in self._named.context.ledger.unconfirmed
        return comes or (known.status is Status.ACTIVE and not leaves and not waits)

    def _may_come_later(self, evidence: Evidence) -> bool:
        """Whether another membership would let somebody in."""
        scope, person = self._named.context.scope, evidence.person
        if person is None or not scope.groups or evidence.reason is not Reason.LEFT_SCOPE:
            return False
        return not is_out_by_attributes(scope, person)

    async def _is_contradicted(self, evidence: Evidence) -> bool:
        """Whether the delta, an earlier look or another answer says that somebody is in a group already."""
        context, object_id = self._named.context, evidence.object_id
        if (object_id, Cause.CONTRADICTED) in context.kept.cases:
            return True
        waits = object_id in context.ledger.unconfirmed
        if waits and (object_id, Cause.RECENT) in context.kept.cases:
            return True  # in by what was told lately, and out by this one look
        looks, person = self._named.looks, evidence.person
        listed = await looks.listed_groups(object_id) | looks.reading.assignments.of(object_id)
        if person is not None and context.scope.matches(person, listed):
            return True
        return not await has_left(context, looks.reading, evidence)
