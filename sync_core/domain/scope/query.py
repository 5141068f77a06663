"""What Graph is asked for a scope, and in words: the planner. Pure.

Only the groups that are named; or the users that a `$filter` finds; or all users. Whatever comes back is
judged by the scope itself, so a plan decides what a reading costs and never who is in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from sync_core.domain.documents.scope import BELONGING, Agents, Clause, Filter, Guests, Scope
from sync_core.domain.scope.compile import CompiledScope
from sync_core.domain.scope.odata import Condition, condition_of

# Of a default query; `in` counts with each of its values.
# github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1238
MOST_ALTERNATIVES = 15
# As it stands in the address, of which Graph takes 2,048 characters in an advanced query; the rest is
# for the host and $select. github.com/microsoftgraph/microsoft-graph-docs/pull/22097
LONGEST_FILTER = 1000
GUESTS_ONLY = Condition("userType eq 'Guest'")


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What is read for a scope: `groups` with their members, or the users that `filter` finds.

    With neither, all users are read, or nobody where the scope chooses nobody. An `advanced` filter
    needs ConsistencyLevel and $count. `judged_here` are the rules that Graph is not asked to apply.
    """

    groups: frozenset[str]
    filter: str | None
    advanced: bool
    judged_here: tuple[str, ...]
    sentence: str


def reading_plan(scope: CompiledScope) -> ReadingPlan:
    """Decide what Graph is asked for a scope."""
    alternatives = _alternatives(scope.document) if scope.everyone else None
    conditions = [one for each in alternatives or () for one in each]
    text = _filter_text(alternatives) if alternatives else None
    advanced = any(one.advanced for one in conditions)
    if text is not None and len(quote(text, safe="")) > LONGEST_FILTER:
        text, conditions, advanced = None, [], False
    return ReadingPlan(
        groups=scope.member_groups,
        filter=text,
        advanced=advanced,
        judged_here=tuple(_judged_here(scope.document, {one.text for one in conditions})),
        sentence=_sentence(scope, text, advanced),
    )


def _alternatives(scope: Scope) -> list[list[Condition]] | None:
    """Return what is asked for each filter, to be joined by OR; None where one of them asks for all."""
    several = len(scope.filters) > 1
    asked = [_asked(one, scope.guests, several) for one in scope.filters]
    if not scope.filters and scope.guests is Guests.ONLY:
        asked = [[GUESTS_ONLY]]
    if not asked or [] in asked:
        return None
    if several and sum(one.alternatives for each in asked for one in each) > MOST_ALTERNATIVES:
        return None
    return [each for place, each in enumerate(asked) if each not in asked[:place]]


def _asked(one: Filter, guests: Guests, several: bool) -> list[Condition]:
    """Choose from the conditions of a filter, to be joined by AND.

    Default queries come first: advanced ones lag behind the directory, and tenants of Azure AD B2C have
    none (learn.microsoft.com/graph/aad-advanced-queries). They are used where nothing else narrows the
    list; where they are refused, the reading goes on without a filter.
    """
    found = [condition for clause in one.clauses if (condition := condition_of(clause))]
    if guests is Guests.ONLY:
        found.insert(0, GUESTS_ONLY)
    default = [condition for condition in found if not condition.advanced]
    chosen = default if any(condition.narrow for condition in default) else found
    # Graph refuses a filter of more than three levels, and `in` is one of its own.
    # github.com/microsoftgraph/microsoft-graph-docs/issues/3641
    flat = [condition for condition in chosen if condition.alternatives == 1]
    return (flat or chosen[:1]) if several else chosen


def _filter_text(alternatives: Sequence[Sequence[Condition]]) -> str:
    joined = [" and ".join(one.text for one in each) for each in alternatives]
    if len(joined) == 1:
        return joined[0]
    return " or ".join(f"({one})" for one in joined)


def _judged_here(scope: Scope, asked: set[str]) -> Iterator[str]:
    """Name the rules that Graph is not asked to apply, each once."""
    clauses = [clause for one in scope.filters for clause in one.clauses]
    yield from dict.fromkeys(_text(one) for one in clauses if not _is_asked(one, asked))
    if not clauses and not scope.everyone:
        return
    if scope.guests is not Guests.INCLUDE and GUESTS_ONLY.text not in asked:
        yield f"guests {scope.guests.value}"
    if scope.agents is not Agents.INCLUDE:
        yield f"agents {scope.agents.value}"
    if scope.exclude:
        yield f"exclude {_counted(len(scope.exclude), 'person', 'people')}"


def _is_asked(clause: Clause, asked: set[str]) -> bool:
    # Groups and applications are always asked for, as such.
    condition = condition_of(clause)
    return clause.attribute in BELONGING or (condition is not None and condition.text in asked)


def _text(clause: Clause) -> str:
    value = "" if clause.value is None else f" {orjson.dumps(clause.value).decode()}"
    return f"{clause.attribute} {clause.operator.value}{value}"


def _sentence(scope: CompiledScope, condition: str | None, advanced: bool) -> str:
    if condition is not None:
        found = f"reads users where {condition}" + (" (an advanced query)" if advanced else "")
    elif scope.everyone:
        found = "reads all users"
    elif scope.member_groups:
        found = f"reads {_counted(len(scope.member_groups), 'group', 'groups')}"
        found += " and the groups nested in them" if scope.nested_groups else ""
    else:
        return "reads nobody"
    if others := len(scope.asked_groups - scope.member_groups):
        found += f"; asks who is in {_counted(others, 'group', 'groups')}"
    if scope.applications:
        count = _counted(len(scope.applications), "application", "applications")
        found += f"; asks who is assigned to {count}"
    return found


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
