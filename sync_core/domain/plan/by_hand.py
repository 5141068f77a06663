"""People brought in by hand: until when they are the administrator's, and what that makes of a change. Pure.

Of their own attributes the directory decides, as of everybody's. The rules of the scope do not: neither
leaving it nor never having been in it removes them, until their day has come or they are given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sync_core.domain.attributes import is_agent
from sync_core.domain.documents.policy import Policy
from sync_core.domain.documents.run import ImportOutcome
from sync_core.domain.model import (
    IMPORT_ENDED,
    Action,
    Attributes,
    Change,
    Evidence,
    Origin,
    Reason,
    Status,
    StoredPerson,
)
from sync_core.domain.plan.decide import ids_in_order, is_blocked, is_turned_away


@dataclass(frozen=True, slots=True)
class Pick:
    """What an administrator has said of somebody: `until` which day they stay (ISO 8601); empty for ever."""

    until: str = ""


Picks = Mapping[str, Pick]
NO_PICKS: Picks = {}
COMES = frozenset({Action.CREATE, Action.REENABLE})


def is_over(until: str, now: datetime) -> bool:
    """Whether the day has begun (UTC) on which somebody goes back to the rules."""
    return bool(until) and until <= now.astimezone(UTC).date().isoformat()


def day_begins(until: str) -> datetime:
    """Return the moment at which a day of somebody brought in by hand has come."""
    return datetime.fromisoformat(until).replace(tzinfo=UTC)


def is_by_hand(known: StoredPerson, now: datetime) -> bool:
    """Whether the rules have no say about a stored person."""
    return known.origin is Origin.MANUAL and not is_over(known.until, now)


def ids_by_hand(remaining: Mapping[str, StoredPerson], now: datetime) -> list[str]:
    """Return those of the stored people who are in by hand, or were and may come back."""
    return ids_in_order(remaining, lambda known: is_by_hand(known, now))


def to_be_asked_for(remaining: Mapping[str, StoredPerson], now: datetime) -> list[str]:
    """Return those of the stored people not found in scope who are asked for by id, those by hand first.

    Of the others only who is active. Somebody by hand who is disabled is asked for, too: an account that is
    unblocked or restored comes back like one of the scope, and nothing else would show it. First, so that a
    run which does not ask for all of too many leavers has asked for everybody by hand.
    """
    others = ids_in_order(
        remaining, lambda known: known.status is Status.ACTIVE and not is_by_hand(known, now)
    )
    return ids_by_hand(remaining, now) + others


def is_picked(person: Attributes, picks: Picks) -> bool:
    """Whether somebody outside of the scope comes in all the same; an agent never does."""
    return person["id"] in picks and not is_agent(person)


def as_by_hand(evidence: Evidence, known: StoredPerson, policy: Policy, now: datetime) -> Evidence:
    """Return what the evidence means for somebody whom the rules may not be asked about.

    A blocked account is the reason for leaving, whatever the scope says; one whose day has come leaves
    with that day as the cause. An excluded person leaves as anybody.
    """
    if known.origin is not Origin.MANUAL or evidence.reason is not Reason.LEFT_SCOPE:
        return evidence
    if not is_by_hand(known, now):
        return replace(evidence, facts=evidence.facts | {IMPORT_ENDED: known.until})
    blocked = evidence.person is not None and is_turned_away(evidence.person, policy)
    stays_in = not evidence.facts.get("excluded")
    return replace(evidence, reason=Reason.ACCOUNT_DISABLED) if blocked and stays_in else evidence


def stays_by_hand(evidence: Evidence, known: StoredPerson, now: datetime) -> bool:
    """Whether somebody out of scope stays because an administrator brought them in."""
    left = evidence.reason is Reason.LEFT_SCOPE
    return left and is_by_hand(known, now) and not evidence.facts.get("excluded")


# Why somebody who was picked is not brought in, with a code where there is more to say.
Refusal = tuple[ImportOutcome, str | None]


def refusal(
    evidence: Evidence, known: StoredPerson | None, pick: Pick, now: datetime
) -> Refusal | None:
    """Return why somebody who was picked is not brought in; None for who is.

    Whoever is in by hand already comes again only where the pick names another day, or the old one is over.
    Somebody who is stored by the rules and has left the scope is not in for long: the next run would remove
    whom an administrator has just picked.
    """
    person = evidence.person
    if person is None:
        return _absent(evidence)
    if found := _kept_out(evidence, person):
        return found
    if known is None or known.status is not Status.ACTIVE:
        return None
    if known.origin is Origin.AUTO:
        leaves = evidence.reason is Reason.LEFT_SCOPE
        return None if leaves else (ImportOutcome.ALREADY_IN, "scope")
    return None if _is_renewed(known, pick, now) else (ImportOutcome.ALREADY_IN, "manual")


def _is_renewed(known: StoredPerson, pick: Pick, now: datetime) -> bool:
    """Whether a pick says of somebody who is in by hand what their row does not."""
    return is_over(known.until, now) or (bool(pick.until) and pick.until != known.until)


def _kept_out(evidence: Evidence, person: Attributes) -> Refusal | None:
    """Return what keeps an account out whatever is stored of it."""
    if evidence.is_unclear:
        return ImportOutcome.FAILED, "record.unanswered"
    if is_agent(person):
        return ImportOutcome.AGENT, None
    if evidence.facts.get("excluded"):
        return ImportOutcome.EXCLUDED, "scope.exclude"
    return (ImportOutcome.BLOCKED, None) if is_blocked(person) else None


def _absent(evidence: Evidence) -> Refusal:
    if evidence.is_unclear:
        return ImportOutcome.FAILED, "record.unanswered"
    deleted = evidence.reason is Reason.SOFT_DELETED
    return ImportOutcome.NOT_FOUND, "softDeleted" if deleted else None


# What it is called where a person who comes in could not be written.
_BY_CODE = {
    "match.waiting": ImportOutcome.WAITS_FOR_MATCH,
    "record.valueTooLarge": ImportOutcome.MAPPING_FAILED,
    "record.expressionFailed": ImportOutcome.MAPPING_FAILED,
    "record.valueInvalid": ImportOutcome.MAPPING_FAILED,
}


def outcome_of(code: str) -> ImportOutcome:
    """Return the outcome for somebody of whom a run says that it could not finish with them."""
    return _BY_CODE.get(code, ImportOutcome.FAILED)


def with_origin(
    change: Change | None,
    unchanged: Change,
    known: StoredPerson | None,
    pick: Pick | None,
    now: datetime,
) -> Change | None:
    """Return a change of somebody who is there with what the row says from now on of how they came in.

    `unchanged` is written where nothing else would be. Who is picked is the administrator's from now on,
    also where the rules had brought them in; one whose day has come is given back to the rules; a day that is
    named anew takes the place of the old one.
    """
    by_hand = known if known is not None and known.origin is Origin.MANUAL else None
    if pick is not None:
        stays_as_is = change is None or change.action not in COMES
        if by_hand is not None and stays_as_is and not _is_renewed(by_hand, pick, now):
            return change
        return replace(change or unchanged, origin=Origin.MANUAL, until=pick.until)
    over = by_hand is not None and is_over(by_hand.until, now)
    return replace(change or unchanged, origin=Origin.AUTO) if over else change
