"""Why one person is in or out, in a sentence, by a plan that was made for this person alone."""

from datetime import datetime

from sync_core.domain.documents.connection import Connection
from sync_core.domain.explain.words import standing_of, verdict
from sync_core.people.why import by_hand_of, names_of
from sync_core.runs.one import OnePlan
from sync_core.store.people import Person


def verdict_on(
    connection: Connection,
    decided: OnePlan,
    stored: Person | None,
    now: datetime,
    *,
    by_rules: bool = False,
) -> str:
    """Return the sentence; a person without a name is called by the object id.

    `by_rules`, as if nobody had brought them in by hand.
    """
    evidence = decided.evidence
    principal_name, display_name = names_of(evidence.person, stored)
    standing = standing_of(
        connection,
        evidence,
        decided.mapped_from,
        name=display_name or principal_name or evidence.object_id,
        error=decided.error,
        now=now,
        matched=decided.matched,
        by_hand=None if by_rules else by_hand_of(stored, now),
    )
    _, sentence = verdict(standing)
    return sentence
