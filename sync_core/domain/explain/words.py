"""What the facts about one person mean, in words for an administrator. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import RecordError
from sync_core.domain.documents.scope import ASSIGNED_TO, GROUPS, Guests
from sync_core.domain.errors import NotFound
from sync_core.domain.explain.facts import (
    AgentsSeen,
    ClauseSeen,
    GroupSeen,
    ScopeSeen,
    explain_mapping,
    explain_scope,
    hidden_attributes,
)
from sync_core.domain.letters import with_hidden_letters
from sync_core.domain.matching.decide import Ignored, Outcome
from sync_core.domain.model import Action, Attributes, Change, Evidence, Origin, Reason, Value
from sync_core.domain.plan.by_hand import is_over
from sync_core.domain.plan.decide import is_turned_away
from sync_core.domain.plan.groups import paused_in_words

LONGEST_SAID = 80
# Verdicts that another membership could change.
BY_MEMBERSHIP = frozenset({"inScope", "notInScope"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a person, for the sentence; `reason` is Graph's answer against staying.

    `groups` are the names of the groups by id, as far as they are known; `paused` those of groups whose rule
    is paused, and on which the person's membership depends. `by_hand` is how somebody was brought in whom
    leaving the scope does not remove.
    """

    name: str
    reason: Reason | None
    scope: ScopeSeen | None
    turned_away: bool
    owned: bool
    error: str | None
    skipped: bool
    waits: str | None = None
    ignored: bool = False
    deleted_at: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    paused: Sequence[str] = ()
    by_hand: str | None = None


def by_hand_in_words(origin: Origin, until: str, now: datetime) -> str | None:
    """Say how a stored person was brought in about whom the rules have no say; None of anybody else."""
    if origin is not Origin.MANUAL or is_over(until, now):
        return None
    return f"brought in by hand until {until}" if until else "brought in by hand"


def standing_of(
    connection: Connection,
    evidence: Evidence,
    mapped_from: Attributes | None,
    *,
    name: str,
    error: RecordError | None,
    now: datetime,
    matched: Outcome | None,
    groups: Sequence[GroupSeen] = (),
    by_hand: str | None = None,
) -> Standing:
    """Put together what is known of a person who was asked for by id.

    `error` is why nothing can be written, `mapped_from` the person as the mapping reads it, `matched`
    what matching says of a newcomer, `groups` what was seen of the groups that the connection names,
    `by_hand` how somebody was brought in about whom the rules have no say.
    """
    person, inside = evidence.person, evidence.groups
    hidden, code = hidden_attributes(connection.mapping), error.code if error else None
    rules = (
        explain_mapping(connection.mapping, mapped_from, inside, now, None) if mapped_from else []
    )
    return Standing(
        name=name,
        reason=evidence.reason,
        scope=explain_scope(connection.scope, person, inside, hidden) if person else None,
        turned_away=person is not None and is_turned_away(person, connection.policy),
        owned=code != "record.notOwned",
        error=error.message if error and code != "record.notOwned" else None,
        waits=error.message if error and code == "match.waiting" else None,
        ignored=isinstance(matched, Ignored),
        skipped=any(rule.effect == "skipPerson" for rule in rules),
        deleted_at=evidence.facts.get("deletedDateTime"),
        groups={group.id: group.name for group in groups if group.name},
        paused=[name for group in groups for name in group.paused_rules],
        by_hand=by_hand,
    )


def principal_name_of(person: Attributes | None, *known: str | None) -> str | None:
    """Return a person's sign-in name: the directory's, else the first of the names that are known."""
    if person is not None:
        return str(person["userPrincipalName"])
    return next((name for name in known if name is not None), None)


def display_name_of(person: Attributes | None, stored: Mapping[str, Any] | None) -> str | None:
    """Return a person's name for people: the directory's, else what is stored as `displayName`."""
    name = (person or {}).get("displayName")
    if name is None:
        name = (stored or {}).get("displayName")
    return str(name) if name else None


def unknown_person(who: str) -> NotFound:
    return NotFound(
        "user.unknown",
        f"Neither the directory nor the table has somebody called {who!r}.",
        "Give the object id, or the sign-in name (userPrincipalName) as Entra shows it; a guest's holds "
        "#EXT#, written %23EXT%23 in an address. Somebody deleted is found by object id.",
    )


def evidence_in_words(evidence: Evidence) -> str:
    """Say what Graph answered about a person who was asked for by id."""
    if evidence.person is None:
        deleted = evidence.reason is Reason.SOFT_DELETED
        return (
            "Entra lists the person among the deleted." if deleted else "Entra has no such person."
        )
    groups = len(evidence.groups)
    inside = f", and found in {groups} of the named groups" if "groups" in evidence.facts else ""
    return f"Read from Entra by id{inside}."


def verdict(standing: Standing) -> tuple[str, str]:
    """Return a stable code and one sentence on why a person is in or out."""
    scope = standing.scope
    if scope is None:
        return _gone(standing)
    code, sentence = _by_rules_or_hand(standing, scope)
    if standing.paused and code in BY_MEMBERSHIP:
        sentence += f" {paused_in_words(standing.paused)}"
    return code, sentence


def _by_rules_or_hand(standing: Standing, scope: ScopeSeen) -> tuple[str, str]:
    name, by_hand = standing.name, standing.by_hand
    if scope.in_scope:
        return _kept_out(standing, "in scope") or ("inScope", f"{name} is in: {_because(scope)}.")
    code, why = _outside(standing, scope)
    if by_hand is None or scope.excluded:
        return code, f"{name} is out: {why}."
    return _kept_out(standing, by_hand) or (
        "byHand",
        f"{name} is in: {by_hand}. By the rules alone they would be out: {why}.",
    )


def _kept_out(standing: Standing, how: str) -> tuple[str, str] | None:
    """Return what keeps somebody out all the same; `how` they would be in."""
    name = standing.name
    if standing.turned_away:
        return "blocked", (
            f"{name} is out: {how}, but the account is blocked in Entra (accountEnabled is false)."
        )
    if not standing.owned:
        return "notOwned", (
            f"{name} is {how}, but a row with this id exists that this connection did not write; "
            "it is left alone."
        )
    if kept_out := _kept_out_by_match(standing):
        return kept_out
    if standing.error is not None:
        return "mappingFailed", f"{name} is {how}, but cannot be written: {standing.error}"
    if standing.skipped:
        return "skipped", (
            f"{name} is {how}, but an expression of the mapping says to leave them out."
        )
    return None


def _kept_out_by_match(standing: Standing) -> tuple[str, str] | None:
    name = standing.name
    if standing.ignored:
        return "matchIgnored", (
            f"{name} is in scope, but a decision about a match leaves them out (ignore)."
        )
    if standing.waits is not None:
        return "matchWaiting", f"{name} is in scope, but not in yet. {standing.waits}"
    return None


def _gone(standing: Standing) -> tuple[str, str]:
    if standing.reason is Reason.SOFT_DELETED:
        when = f" on {standing.deleted_at[:10]}" if standing.deleted_at else ""
        return "softDeleted", (
            f"{standing.name} is out: deleted in Entra{when}; an administrator can restore the account "
            "for 30 days after that."
        )
    return "hardDeleted", (
        f"{standing.name} is out: Entra has no such person, also not among those deleted in the last "
        "30 days."
    )


def _outside(standing: Standing, scope: ScopeSeen) -> tuple[str, str]:
    """Return why the rules keep somebody out, as the rest of a sentence."""
    if scope.excluded:
        return "excluded", "scope.exclude names them"
    if not scope.guests.ok:
        rule = (
            "guests stay out (scope.guests is exclude)"
            if scope.guests.rule is Guests.EXCLUDE
            else "only guests come in (scope.guests is only)"
        )
        return "guests", f"{rule}, and userType is {scope.guests.user_type or 'not set'}"
    if not scope.agents.ok:
        return "agents", _about_agents(scope.agents)
    if not scope.filters:
        return "nobody", "the scope has no filters, so nobody is in"
    number, closest = min(
        enumerate(scope.filters),
        key=lambda found: sum(not clause.ok for clause in found[1].clauses),
    )
    failing = " and ".join(
        _said(clause, standing.groups) for clause in closest.clauses if not clause.ok
    )
    which = "the filter does not match" if len(scope.filters) == 1 else "no filter matches"
    where = "" if len(scope.filters) == 1 else f"; closest is filter {number + 1}"
    return "notInScope", f"{which}{where}, because of {failing}"


def _about_agents(seen: AgentsSeen) -> str:
    if seen.is_agent:
        return "it is the account of an agent, and agents stay out (scope.agents is exclude)"
    return "only agents come in (scope.agents is only), and this account is not one"


def _said(clause: ClauseSeen, groups: Mapping[str, str]) -> str:
    if clause.attribute == ASSIGNED_TO:
        asked, assigned = _named(clause.value, groups), _named(clause.seen, groups)
        told = f"assigned to {assigned}" if clause.seen else "assigned to none of them"
        return f"assignedTo {clause.operator} {asked} ({told})"
    if clause.attribute == GROUPS:
        asked, inside = _named(clause.value, groups), _named(clause.seen, groups)
        return f"groups {clause.operator} {asked} (in {inside if clause.seen else 'none of them'})"
    wanted = "" if clause.value is None else f" {_shown(clause.value)}"
    return f"{clause.attribute} {clause.operator}{wanted} (it is {_shown(clause.seen)})"


def _named(ids: Any, groups: Mapping[str, str]) -> str:
    found = ids if isinstance(ids, list) else [ids]
    return _shown([groups.get(str(group).lower()) or group for group in found])


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "empty"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    # Shortened first: the name of a letter is never cut.
    more = "..." if len(text) > LONGEST_SAID else ""
    return with_hidden_letters(text[:LONGEST_SAID]) + more


def _because(scope: ScopeSeen) -> str:
    if scope.everyone:
        return "the scope is everyone"
    numbers = [str(number) for number, found in enumerate(scope.filters, start=1) if found.ok]
    if len(scope.filters) == 1:
        return "the filter matches"
    return f"filter {' and '.join(numbers)} {'matches' if len(numbers) == 1 else 'match'}"


class NextRun(Document):
    """What the next run would do with the person, by the code of a run.

    `held_by` is the run whose plan holds the very change for approval now.
    """

    action: Action | None
    reason: Reason | None
    fields: dict[str, tuple[Value, Value]]
    held_by: str | None
    message: str


def next_run(
    change: Change | None,
    *,
    protected: bool,
    enabled: bool,
    held_by: str | None = None,
    left_out: str | None = None,
) -> NextRun:
    """Say in words what a change would do; `protected` takes a removal away.

    `left_out` says why a change is not made all the same: a match keeps the person out, for example.
    """
    removal = change is not None and change.action.is_removal
    stays = change is None or (protected and removal)
    shown = None if stays or left_out else change
    message = left_out or _plainly(change, stays=stays)
    if held_by is not None and shown is not None:
        message += f" It waits for approval: the guard holds it in the run {held_by}."
    if not enabled:
        message = f"The connection is disabled, so nothing happens. Once enabled: {message}"
    return NextRun(
        action=shown.action if shown else None,
        reason=shown.reason if shown else None,
        fields=shown.fields() if shown else {},
        held_by=held_by if shown else None,
        message=message,
    )


def _plainly(change: Change | None, *, stays: bool) -> str:
    if change is None:
        return "Nothing is written."
    if stays:
        why = change.reason.value if change.reason else "leaving"
        return f"Nothing: the person would be removed ({why}), but policy.protected names them."
    reason = f" ({change.reason.value})" if change.reason else ""
    return {
        Action.CREATE: "The person is created.",
        Action.UPDATE: f"The person is updated: {', '.join(change.fields()) or 'the sign-in name'}.",
        Action.REENABLE: "The person is enabled again.",
        Action.DISABLE: f"The person is disabled{reason}.",
        Action.DELETE: f"The person is deleted from the table{reason}.",
    }[change.action]
