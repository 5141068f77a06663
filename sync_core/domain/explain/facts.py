"""Facts about one person: clause by clause, rule by rule, and where each value comes from. Pure.

Every verdict is the one of the code that decides in a run: a clause is judged as a scope of that one
clause, a rule is mapped as a mapping of that one rule.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from pydantic import Field

from sync_core.domain.attributes import ALWAYS_SELECTED, is_agent, reader, selected
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.mapping import Apply, MappingRule, WhenNull
from sync_core.domain.documents.scope import BELONGING, Agents, Clause, Filter, Guests, Scope
from sync_core.domain.errors import RecordRejected
from sync_core.domain.expressions import Context, EvaluationError, evaluate_with_trace, parse
from sync_core.domain.letters import hidden_letters
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import Attributes, Value
from sync_core.domain.scope.compile import compile_scope

REDACTED = "[Redact]"


class ClauseSeen(Document):
    """One clause with the value that was seen; for `groups`, the named groups the person is in.

    `hidden_letters` are those in the person's value and in the clause's that no screen shows.
    """

    attribute: str
    operator: str
    value: Any
    seen: Any
    ok: bool
    hidden_letters: list[str] = Field(default_factory=list, examples=[["U+200B ZERO WIDTH SPACE"]])


class FilterSeen(Document):
    """All of its clauses have to hold."""

    ok: bool
    clauses: list[ClauseSeen]


class GuestsSeen(Document):
    """What the scope says about guests, and whether this account passes."""

    rule: Guests
    user_type: str | None
    ok: bool


class AgentsSeen(Document):
    """What the scope says about agents, and whether this account passes."""

    rule: Agents
    is_agent: bool
    ok: bool


class ScopeSeen(Document):
    """The scope's verdict: not `excluded`, guests and agents by their rules, one of the filters, if any."""

    in_scope: bool
    everyone: bool
    excluded: bool
    guests: GuestsSeen
    agents: AgentsSeen
    filters: list[FilterSeen]


class GroupSeen(Document):
    """A group that the connection names: whether the person is in it, and through which groups."""

    id: str
    name: str | None
    exists: bool
    is_member: bool
    directly: bool
    path: str | None = Field(description="From the named group inwards: Sales > Sales DE.")
    paused_rules: list[str] = Field(
        default_factory=list,
        description="Dynamic groups whose rule Entra has paused, and on which it depends whether the person "
        "is in.",
    )


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
    by_guests = Scope(everyone=True, guests=scope.guests, agents=Agents.INCLUDE)
    by_agents = Scope(everyone=True, guests=Guests.INCLUDE, agents=scope.agents)
    anybody = scope.model_copy(
        update={"guests": Guests.INCLUDE, "agents": Agents.INCLUDE, "exclude": []}
    )
    return ScopeSeen(
        in_scope=compile_scope(scope).matches(person, groups),
        everyone=scope.everyone and not scope.filters,
        excluded=compile_scope(scope).excludes(person),
        guests=GuestsSeen(
            rule=scope.guests,
            user_type=user_type if isinstance(user_type, str) else None,
            ok=compile_scope(by_guests).matches(person, groups),
        ),
        agents=AgentsSeen(
            rule=scope.agents,
            is_agent=is_agent(person),
            ok=compile_scope(by_agents).matches(person, groups),
        ),
        filters=[_filter(anybody, found, person, groups, hidden) for found in scope.filters],
    )


def _filter(
    anybody: Scope,
    one: Filter,
    person: Attributes,
    groups: AbstractSet[str],
    hidden: AbstractSet[str],
) -> FilterSeen:
    return FilterSeen(
        ok=_passes(anybody, one, person, groups),
        clauses=[_clause(anybody, clause, person, groups, hidden) for clause in one.clauses],
    )


def _clause(
    anybody: Scope,
    clause: Clause,
    person: Attributes,
    groups: AbstractSet[str],
    hidden: AbstractSet[str],
) -> ClauseSeen:
    if clause.attribute in BELONGING:
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
        ok=_passes(anybody, Filter(clauses=[clause]), person, groups),
        hidden_letters=hidden_letters(
            [*(seen if isinstance(seen, list) else [seen]), *clause.values]
        ),
    )


def _passes(anybody: Scope, one: Filter, person: Attributes, groups: AbstractSet[str]) -> bool:
    alone = anybody.model_copy(update={"filters": [one]})
    return compile_scope(alone).matches(person, groups)


def hidden_attributes(rules: Iterable[MappingRule]) -> frozenset[str]:
    """Return the properties that must not be shown: what a `Redact` reads, except who the person is."""
    read = (
        parse(rule.expression).attributes for rule in rules if rule.expression and redacts(rule)
    )
    return frozenset().union(*read) - ALWAYS_SELECTED


def redacts(rule: MappingRule) -> bool:
    """Whether a rule's value must not be shown."""
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


def paused_ways(
    leading: AbstractSet[str],
    direct: AbstractSet[str],
    paused: AbstractSet[str],
    *,
    is_member: bool,
) -> AbstractSet[str]:
    """Return the groups with a paused rule on which it depends whether a person is in a group.

    `leading` are the groups whose members are in it, itself too, `direct` those that the person is in. A
    member depends on them if no other way leads in, anybody else on each that might let them in.
    """
    if not is_member:
        return leading & paused
    ways = leading & direct
    return ways if ways <= paused else frozenset()


def group_path(
    root: str,
    direct: AbstractSet[str],
    parents: Mapping[str, AbstractSet[str]],
    names: Mapping[str, str],
) -> str | None:
    """Return the shortest way from a named group down to one that the person is directly in.

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
