"""Why one person is in or out, in a sentence, by a plan that was made for this person alone."""

from dataclasses import replace
from datetime import datetime

from sync_core.domain.explain.words import standing_of, verdict
from sync_core.people.why import by_hand_of, names_of
from sync_core.runs.context import RunContext
from sync_core.runs.one import OnePlan
from sync_core.store.people import Person


def verdict_on(
    context: RunContext,
    decided: OnePlan,
    stored: Person | None,
    now: datetime,
    *,
    by_rules: bool = False,
) -> str:
    """Return the sentence; a person or a group without a known name is called by the object id.

    Groups have the names that the last run read. `by_rules`, as if nobody had brought the person in by hand.
    """
    evidence = decided.evidence
    principal_name, display_name = names_of(evidence.person, stored)
    standing = standing_of(
        context.connection,
        evidence,
        decided.mapped_from,
        name=display_name or principal_name or evidence.object_id,
        error=decided.error,
        now=now,
        matched=decided.matched,
        by_hand=None if by_rules else by_hand_of(stored, now),
    )
    checkpoint = context.kept.checkpoint
    names = checkpoint.tree.names if checkpoint is not None else {}
    _, sentence = verdict(replace(standing, groups=names))
    return sentence
