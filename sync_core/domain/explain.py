"""Why somebody is in or out, and where each value comes from: one person's facts in, words out. Pure.

Every verdict is the one of the code that decides in a run: a clause is judged as a scope of that one
clause, a rule is mapped as a mapping of that one rule.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field

from sync_core.domain.documents import (
    GROUPS,
    Apply,
    Clause,
    Document,
    Filter,
    Guests,
    MappingRule,
    Scope,
    WhenNull,
)
from sync_core.domain.errors import RecordRejected
from sync_core.domain.expressions import Context, EvaluationError, evaluate_with_trace, parse
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import Action, Attributes, Change, Reason, Value
from sync_core.domain.scope.compile import ALWAYS_SELECTED, compile_scope, reader, selected

REDACTED = "[Redact]"
LONGEST_SAID = 80


class ClauseSeen(Document):
    """One clause with the value that was seen; for `groups`, the named groups the person is in."""

    attribute: str
    operator: str
    value: Any
    seen: Any
    ok: bool


class FilterSeen(Document):
    """All of its clauses have to hold."""

    ok: bool
    clauses: list[ClauseSeen]


class GuestsSeen(Document):
    """What the scope says about guests, and whether this account passes."""

    rule: Guests
    user_type: str | None
    ok: bool


class ScopeSeen(Document):
    """The scope's verdict: nobody `excluded`, the guests rule, and one of the filters, if there are any."""

    in_scope: bool
    everyone: bool
    excluded: bool
    guests: GuestsSeen
    filters: list[FilterSeen]


class GroupSeen(Document):
    """A group that the connection names: whether the person is in it, and through which groups."""

    id: str
    name: str | None
    exists: bool
    is_member: bool
    directly: bool
    path: str | None = Field(description="From the named group inwards: Sales > Sales DE.")


class RuleSeen(Document):
    """One mapping rule: what it gives for this person, and what is stored.

    `effect` is `write`, `keep` (the stored value stays), `skipPerson` or `fail`.
    """

    target: str
    effect: str
    value: Value
    stored: Value
    trace: dict[str, Any] | None
    message: str | None = None


def explain_scope(
    scope: Scope, person: Attributes, groups: AbstractSet[str], hidden: AbstractSet[str]
) -> ScopeSeen:
    """Judge a person clause by clause; values of `hidden` attributes are not shown."""
    user_type = person.get("userType")
    everybody = scope.model_copy(update={"filters": [], "everyone": True, "exclude": []})
    return ScopeSeen(
        in_scope=compile_scope(scope).matches(person, groups),
        everyone=scope.everyone and not scope.filters,
        excluded=compile_scope(scope).excludes(person),
        guests=GuestsSeen(
            rule=scope.guests,
            user_type=user_type if isinstance(user_type, str) else None,
            ok=compile_scope(everybody).matches(person, groups),
        ),
        filters=[_filter(one, person, groups, hidden) for one in scope.filters],
    )


def _filter(
    one: Filter, person: Attributes, groups: AbstractSet[str], hidden: AbstractSet[str]
) -> FilterSeen:
    return FilterSeen(
        ok=_passes(one, person, groups),
        clauses=[_clause(clause, person, groups, hidden) for clause in one.clauses],
    )


def _clause(
    clause: Clause, person: Attributes, groups: AbstractSet[str], hidden: AbstractSet[str]
) -> ClauseSeen:
    if clause.attribute == GROUPS:
        wanted = {str(value).lower() for value in clause.values}
        seen: Any = sorted(wanted & groups)
    elif selected(clause.attribute) in hidden:
        seen = REDACTED
    else:
        seen = reader(clause.attribute)(person)
    return ClauseSeen(
        attribute=clause.attribute,
        operator=clause.operator.value,
        value=clause.value,
        seen=seen,
        ok=_passes(Filter(clauses=[clause]), person, groups),
    )


def _passes(one: Filter, person: Attributes, groups: AbstractSet[str]) -> bool:
    alone = Scope(filters=[one], guests=Guests.INCLUDE)
    return compile_scope(alone).matches(person, groups)


def hidden_attributes(rules: Iterable[MappingRule]) -> frozenset[str]:
    """Name the properties that must not be shown: what a `Redact` reads, save who the person is."""
    read = (
        parse(rule.expression).attributes for rule in rules if rule.expression and redacts(rule)
    )
    return frozenset().union(*read) - ALWAYS_SELECTED


def redacts(rule: MappingRule) -> bool:
    """Tell whether a rule's value must not be shown."""
    return rule.expression is not None and parse(rule.expression).redacts


def explain_mapping(
    rules: Sequence[MappingRule],
    person: Attributes,
    groups: AbstractSet[str],
    now: datetime,
    stored: Mapping[str, Value] | None,
) -> list[RuleSeen]:
    """Say of each rule what it gives, how it comes about, and what is stored; None: nothing is."""
    return [_rule(rule, person, groups, now, stored) for rule in rules]


def _rule(
    rule: MappingRule,
    person: Attributes,
    groups: AbstractSet[str],
    now: datetime,
    stored: Mapping[str, Value] | None,
) -> RuleSeen:
    effect, value, message = _effect(rule, person, groups, now, is_stored=stored is not None)
    there = (stored or {}).get(rule.target)
    hides = redacts(rule)
    return RuleSeen(
        target=rule.target,
        effect=effect,
        value=REDACTED if hides and value is not None else value,
        stored=REDACTED if hides and there is not None else there,
        trace=_trace(rule, person, Context(now=now, groups=groups)),
        message=message,
    )


def _effect(
    rule: MappingRule,
    person: Attributes,
    groups: AbstractSet[str],
    now: datetime,
    *,
    is_stored: bool,
) -> tuple[str, Value, str | None]:
    try:
        mapped = compile_mapping([rule]).to_mapped(person, groups, now)
    except RecordRejected as error:
        return "fail", None, error.message
    if mapped is None:
        return "skipPerson", None, "The expression says to leave this person out."
    if rule.target in mapped.kept:
        kept = rule.when_null is WhenNull.KEEP
        why = (
            "There is no value, and whenNull is keep."
            if kept
            else "The expression says to keep it."
        )
        return "keep", None, why
    value = mapped.values[rule.target]
    if is_stored and rule.apply is Apply.CREATE:
        return "keep", value, "The rule is applied only when the person is created."
    return "write", value, None


def _trace(rule: MappingRule, person: Attributes, context: Context) -> dict[str, Any] | None:
    if rule.source is not None:
        return {"source": rule.source, "value": reader(rule.source)(person)}
    if rule.expression is None:
        return {"constant": rule.constant}
    try:
        _, trace = evaluate_with_trace(parse(rule.expression), person, context)
    except EvaluationError as error:
        return error.trace
    return trace


def group_path(
    root: str,
    direct: AbstractSet[str],
    parents: Mapping[str, AbstractSet[str]],
    names: Mapping[str, str],
) -> str | None:
    """Give the shortest way from a named group down to one that the person is directly in.

    Groups that contain each other end the search like any group that was seen before.
    """
    waiting = deque([one] for one in sorted(direct & names.keys()))
    seen = set(direct)
    while waiting:
        way = waiting.popleft()
        if way[-1] == root:
            return " > ".join(names[group] or group for group in reversed(way))
        above = parents.get(way[-1], frozenset()) - seen
        seen |= above
        waiting.extend([*way, group] for group in sorted(above))
    return None


# --- in words -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a person, for the sentence; `reason` is Graph's answer against staying.

    `groups` are the names of the groups by id, as far as they are known.
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


def verdict(standing: Standing) -> tuple[str, str]:
    """Give a stable code and one sentence on why somebody is in or out."""
    scope = standing.scope
    if scope is None:
        return _gone(standing)
    return _inside(standing, scope) if scope.in_scope else _outside(standing, scope)


def _inside(standing: Standing, scope: ScopeSeen) -> tuple[str, str]:
    name = standing.name
    if standing.turned_away:
        return "blocked", (
            f"{name} is out: in scope, but the account is blocked in Entra (accountEnabled is false)."
        )
    if not standing.owned:
        return "notOwned", (
            f"{name} is in scope, but a row with this id exists that this connection did not write; "
            "it is left alone."
        )
    if kept_out := _kept_out_by_match(standing):
        return kept_out
    if standing.error is not None:
        return "mappingFailed", f"{name} is in scope, but cannot be written: {standing.error}"
    if standing.skipped:
        return "skipped", (
            f"{name} is in scope, but an expression of the mapping says to leave them out."
        )
    return "inScope", f"{name} is in: {_because(scope)}."


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
    name = standing.name
    if scope.excluded:
        return "excluded", f"{name} is out: scope.exclude names them."
    if not scope.guests.ok:
        rule = (
            "guests stay out (scope.guests is exclude)"
            if scope.guests.rule is Guests.EXCLUDE
            else "only guests come in (scope.guests is only)"
        )
        return (
            "guests",
            f"{name} is out: {rule}, and userType is {scope.guests.user_type or 'not set'}.",
        )
    if not scope.filters:
        return "nobody", f"{name} is out: the scope has no filters, so nobody is in."
    number, closest = min(
        enumerate(scope.filters), key=lambda one: sum(not each.ok for each in one[1].clauses)
    )
    failing = " and ".join(
        _said(clause, standing.groups) for clause in closest.clauses if not clause.ok
    )
    which = "the filter does not match" if len(scope.filters) == 1 else "no filter matches"
    where = "" if len(scope.filters) == 1 else f"; closest is filter {number + 1}"
    return "notInScope", f"{name} is out: {which}{where}, because of {failing}."


def _said(clause: ClauseSeen, groups: Mapping[str, str]) -> str:
    if clause.attribute == GROUPS:
        asked, inside = _named(clause.value, groups), _named(clause.seen, groups)
        return f"groups {clause.operator} {asked} (in {inside if clause.seen else 'none of them'})"
    wanted = "" if clause.value is None else f" {_shown(clause.value)}"
    return f"{clause.attribute} {clause.operator}{wanted} (it is {_shown(clause.seen)})"


def _named(ids: Any, groups: Mapping[str, str]) -> str:
    found = ids if isinstance(ids, list) else [ids]
    return _shown([groups.get(str(one).lower()) or one for one in found])


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "empty"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}..."


def _because(scope: ScopeSeen) -> str:
    if scope.everyone:
        return "the scope is everyone"
    numbers = [str(number) for number, one in enumerate(scope.filters, start=1) if one.ok]
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

    `left_out` says why somebody who would be created is not: a match keeps the person out.
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
