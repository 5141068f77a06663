"""Who is in: a connection's scope, and what to ask of the directory for it. Pure.

A `Scope` document goes in; out comes a `CompiledScope` that judges one person in about a microsecond and
names the groups and attributes it needs. Null-safe negation: a person without the attribute passes
`NOT EQUALS` and `NOT REGEX MATCH` (Entra's own filters drop them, a known trap) unless the clause says
`nullMatches: false`.
"""

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from sync_core.domain.attributes import (
    ALWAYS_SELECTED,
    MANAGER,
    attribute_problem,
    dotted,
    is_agent,
    manager_name_problem,
    reader,
    selected,
)
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.scope import (
    ASSIGNED_TO,
    BELONGING,
    GROUPS,
    ON_GROUPS,
    Agents,
    Clause,
    Filter,
    Guests,
    Operator,
    Scope,
)
from sync_core.domain.documents.values import Scalar
from sync_core.domain.errors import FieldProblem, FixConnection
from sync_core.domain.expressions.regexes import MAX_PROGRAMS
from sync_core.domain.model import Attributes
from sync_core.domain.scope.patterns import (
    TOO_LARGE_TOGETHER,
    pattern_size,
    searched,
    searched_as_before,
)

ON_MANAGER = frozenset(
    {Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.IS_NULL, Operator.IS_NOT_NULL}
)

GroupIds = AbstractSet[str]
Test = Callable[[Attributes, GroupIds], bool]
ValueTest = Callable[[Any], bool]

NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?")
BOOLEANS = {"true": True, "false": False}
# Above this, floats are not exact.
EXACT = 2**53


@dataclass(frozen=True, slots=True)
class CompiledScope:
    """A scope ready to judge people, and the document that it was made from.

    `filters` are the tests of the clauses, filter by filter; `excludes` tells who is kept out by name, and
    `matches` keeps them out, too.
    `member_groups` are the groups whose members have to be read with their attributes; it is empty when
    somebody can come in without being in a named group, and then all users are read.
    `asked_groups` are the groups whose members' ids are enough. `best_groups` are, filter by filter, the
    groups and applications in which a person is in scope as far as those decide. `applications` are the
    service principals whose assignments have to be read; whom they are assigned to stands with the person's
    groups, by their id.
    """

    document: Scope
    filters: tuple[tuple[Test, ...], ...]
    matches: Test
    excludes: Callable[[Attributes], bool]
    everyone: bool
    member_groups: frozenset[str]
    asked_groups: frozenset[str]
    applications: frozenset[str]
    best_groups: tuple[frozenset[str], ...]
    attributes: frozenset[str]
    nested_groups: bool

    @property
    def groups(self) -> frozenset[str]:
        return self.member_groups | self.asked_groups


def compile_scope(scope: Scope) -> CompiledScope:
    """Turn a checked scope document into something that judges people."""
    try:
        filters = tuple(
            _clause_tests(one, as_before=scope.reads_as_before) for one in scope.filters
        )
    except ValueError as error:
        raise _unusable(scope) from error
    excludes = _exclusion(scope.exclude)
    kind_passes = _kind_test(scope)
    everyone = scope.everyone and not filters
    by_group = bool(filters) and all(_positive_groups(one) for one in scope.filters)
    positive = frozenset().union(*map(_positive_groups, scope.filters))
    negative = frozenset().union(*map(_negative_groups, scope.filters))

    def matches(person: Attributes, groups: GroupIds) -> bool:
        if not kind_passes(person) or excludes(person):
            return False
        return everyone or any(hold_all(tests, person, groups) for tests in filters)

    return CompiledScope(
        document=scope,
        filters=filters,
        matches=matches,
        excludes=excludes,
        everyone=everyone or (bool(filters) and not by_group),
        member_groups=positive if by_group else frozenset(),
        asked_groups=negative if by_group else positive | negative,
        applications=frozenset().union(*map(_applications, scope.filters)),
        best_groups=tuple(map(_best_groups, scope.filters)) or (frozenset(),),
        attributes=scope_attributes(scope) | ALWAYS_SELECTED,
        nested_groups=scope.nested_groups,
    )


def _unusable(scope: Scope) -> FixConnection:
    """Say which clause of a scope that is stored cannot be used any more."""
    told = "; ".join(f"{problem.path} {problem.message}" for problem in scope_problems(scope))
    return FixConnection(
        "scope.unusable",
        f"The scope cannot be used: {told}.",
        "Correct the clause and save the connection. Nobody was changed.",
    )


def _kind_test(scope: Scope) -> Callable[[Attributes], bool]:
    """Return whether this kind of account comes in; guests and agents are judged each by their own rule."""
    guests_pass, others_pass = scope.guests is not Guests.EXCLUDE, scope.guests is not Guests.ONLY
    agents_pass, people_pass = scope.agents is not Agents.EXCLUDE, scope.agents is not Agents.ONLY

    def passes(person: Attributes) -> bool:
        # "userType" is null for accounts made before August 2014 and those synchronised since keep
        # it so; only "Guest" marks a guest. learn.microsoft.com/graph/api/resources/user
        is_guest = person.get("userType") == "Guest"
        if not (guests_pass if is_guest else others_pass):
            return False
        return agents_pass if is_agent(person) else people_pass

    return passes


def scope_problems(scope: Scope) -> list[FieldProblem]:
    """Name what is wrong in a scope beyond its shape, each with its path.

    That is attributes that cannot be read of everybody, and patterns and numbers that are none.
    """
    problems: list[FieldProblem] = []
    size = 0
    for number, one in enumerate(scope.filters):
        for position, clause in enumerate(one.clauses):
            path = f"scope.filters[{number}].clauses[{position}]"
            if message := attribute_problem(clause.attribute):
                problems.append(FieldProblem(f"{path}.attribute", message))
            try:
                _clause_test(clause)
                size += pattern_size(clause.operator, text_of(clause.value))
            except ValueError as error:
                problems.append(FieldProblem(f"{path}.value", str(error)))
            if size > MAX_PROGRAMS:
                return [*problems, FieldProblem(f"{path}.value", TOO_LARGE_TOGETHER)]
            problems += _manager_problems(clause, path)
    return problems


def _manager_problems(clause: Clause, path: str) -> list[FieldProblem]:
    """Name what cannot be asked about a manager: an id can only be told from other ids."""
    unknown = manager_name_problem(dotted(clause.attribute))
    if unknown is not None:
        return [FieldProblem(f"{path}.attribute", unknown)]
    if clause.attribute != MANAGER:
        return []
    if clause.operator not in ON_MANAGER:
        allowed = ", ".join(sorted(ON_MANAGER))
        message = f"manager can be tested with {allowed} only; manager.mail and the like with any"
        return [FieldProblem(f"{path}.operator", message)]
    if all(isinstance(value, str) and GUID.fullmatch(value) for value in clause.values):
        return []
    message = (
        "a manager is named by the object id (a GUID); for a name use manager.userPrincipalName"
    )
    return [FieldProblem(f"{path}.value", message)]


def _exclusion(names: Iterable[str]) -> Callable[[Attributes], bool]:
    excluded = frozenset(name.casefold() for name in names)
    if not excluded:
        return lambda _: False
    return lambda person: (
        str(person.get("id")).casefold() in excluded
        or str(person.get("userPrincipalName")).casefold() in excluded
    )


def _ids(one: Filter, attribute: str, *operators: Operator) -> frozenset[str]:
    return frozenset(
        str(value).lower()
        for clause in one.clauses
        if clause.attribute == attribute and clause.operator in operators
        for value in clause.values
    )


def keeps_out(scope: Scope, attribute: str) -> frozenset[str]:
    """Return the groups, or applications, of the clauses that let in who does not belong to them."""
    return frozenset().union(
        *(_ids(one, attribute, Operator.NOT_ARRAYCONTAINS) for one in scope.filters)
    )


def _applications(one: Filter) -> frozenset[str]:
    return _ids(one, ASSIGNED_TO, *ON_GROUPS)


def _positive_groups(one: Filter) -> frozenset[str]:
    return _ids(one, GROUPS, Operator.ARRAYCONTAINS)


def _negative_groups(one: Filter) -> frozenset[str]:
    return _ids(one, GROUPS, Operator.NOT_ARRAYCONTAINS)


def _best_groups(one: Filter) -> frozenset[str]:
    return _positive_groups(one) | _ids(one, ASSIGNED_TO, Operator.ARRAYCONTAINS)


def scope_attributes(scope: Scope) -> frozenset[str]:
    """Return the Graph properties that the clauses of a scope read."""
    clauses = (clause for one in scope.filters for clause in one.clauses)
    return frozenset(selected(c.attribute) for c in clauses if c.attribute not in BELONGING)


def _clause_tests(one: Filter, *, as_before: bool) -> tuple[Test, ...]:
    return tuple(_clause_test(clause, as_before=as_before) for clause in one.clauses)


def hold_all(tests: Iterable[Test], person: Attributes, groups: GroupIds) -> bool:
    """Whether all tests of a filter let a person in."""
    return all(test(person, groups) for test in tests)


def _clause_test(clause: Clause, *, as_before: bool = False) -> Test:
    if clause.attribute in BELONGING:
        wanted = frozenset(str(value).lower() for value in clause.values)
        if clause.operator is Operator.ARRAYCONTAINS:
            return lambda _, groups: not wanted.isdisjoint(groups)
        return lambda _, groups: wanted.isdisjoint(groups)
    if clause.attribute == MANAGER:
        clause = _by_manager_id(clause)
    read = reader(clause.attribute)
    test = _value_test(clause, as_before=as_before)
    return lambda person, _: test(read(person))


def _by_manager_id(clause: Clause) -> Clause:
    """Return the clause about the manager's id in the directory, whether or not the manager is stored."""
    ids = [value.lower() if isinstance(value, str) else value for value in clause.values]
    value = ids if isinstance(clause.value, list) else next(iter(ids), None)
    return clause.model_copy(update={"attribute": f"{MANAGER}.id", "value": value})


def _value_test(clause: Clause, *, as_before: bool) -> ValueTest:
    test = _TESTS.get(clause.operator)
    if test is None:
        make = (_AS_BEFORE if as_before else _WITH_VALUE).get(clause.operator)
        test = (make or _WITH_VALUE[clause.operator])(clause)
    return _of_those_who_have_it(test) if clause.null_matches is False else test


def _of_those_who_have_it(test: ValueTest) -> ValueTest:
    return lambda value: test(value) and not is_empty(value)


def is_empty(value: Any) -> bool:
    """Whether there is no value: null, an empty text, a list without any value in it."""
    return all(item is None or item == "" for item in _items(value))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    """Return a value as texts to search: each item of a list, booleans as Entra prints them."""
    return [text_of(item) for item in _items(value) if item is not None]


def text_of(value: Any) -> str:
    """Return one value as text: 5.0 is written 5, and objects of Graph as JSON."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return str(value)


def _comparands(value: Any) -> list[str | bool]:
    """Return a value as what EQUALS and IN compare: a boolean is equal to a boolean only."""
    return [
        item if isinstance(item, bool) else text_of(item)
        for item in _items(value)
        if item is not None
    ]


def wanted_values(values: Iterable[Scalar]) -> frozenset[str | bool]:
    """Return the values of a clause; the texts true and false, in any case, stand for booleans, too.

    They come that way from forms and from Entra's own filters, and `accountEnabled NOT EQUALS "false"`
    must not let everybody in.
    """
    texts = _comparands(list(values))
    spelled = {str(one).lower() for one in texts} & BOOLEANS.keys()
    return frozenset(texts) | {BOOLEANS[one] for one in spelled}


def _not(make: Callable[[Clause], ValueTest]) -> Callable[[Clause], ValueTest]:
    def inverted(clause: Clause) -> ValueTest:
        test = make(clause)
        return lambda value: not test(value)

    return inverted


def _one_of(clause: Clause) -> ValueTest:
    wanted = wanted_values(clause.values)

    def test(value: Any) -> bool:
        # Nearly every value is a text, and every person is judged.
        return value in wanted if type(value) is str else not wanted.isdisjoint(_comparands(value))

    return test


def _includes(clause: Clause) -> ValueTest:
    wanted = text_of(clause.value)
    return lambda value: any(wanted in text for text in _texts(value))


def _starts_with(clause: Clause) -> ValueTest:
    wanted = text_of(clause.value)
    is_wanted, length = _in_any_case(wanted), len(wanted)
    return lambda value: any(is_wanted(text[:length]) for text in _texts(value))


def _ends_with(clause: Clause) -> ValueTest:
    wanted = text_of(clause.value)
    is_wanted, length = _in_any_case(wanted), len(wanted)
    return lambda value: any(is_wanted(text[-length:]) for text in _texts(value))


def _in_any_case(wanted: str) -> Callable[[str], bool]:
    """Compare without regard to upper and lower case, as Graph's startsWith and endsWith do.

    And no more than that: how Graph compares letters beyond ASCII is not documented, so none of them
    (the Kelvin sign, a long s, ß for ss) may stand for an ASCII letter here. Otherwise a `$filter` that
    asks for the same would not find everybody.
    """
    lower = wanted.lower()
    if wanted.isascii():
        return lambda text: text.isascii() and text.lower() == lower
    return lambda text: text.lower() == lower


def _regex(clause: Clause) -> ValueTest:
    is_in = searched(text_of(clause.value))
    return lambda value: any(map(is_in, _texts(value)))


def _regex_as_before(clause: Clause) -> ValueTest:
    is_in = searched_as_before(text_of(clause.value))
    return lambda value: any(map(is_in, _texts(value)))


def _greater(clause: Clause) -> ValueTest:
    limit = comparable(clause.value)
    if limit is None:
        msg = "must be a number or a date like 2026-01-31"
        raise ValueError(msg)
    or_equal = clause.operator is Operator.GREATER_THAN_OR_EQUALS

    def exceeds(item: Any) -> bool:
        found = comparable(item)
        if found is None or isinstance(found, datetime) is not isinstance(limit, datetime):
            return False
        return bool(found > limit or (or_equal and found == limit))  # type: ignore[operator]

    return lambda value: any(map(exceeds, _items(value)))


def comparable(value: Any) -> float | datetime | None:
    """Return a number or a moment with its time zone, or None for what is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    text = str(value).strip()
    if NUMBER.fullmatch(text):
        # Whole numbers stay exact: ids of 17 digits and more are not distinct as floats.
        return float(text) if "." in text else int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_TESTS: dict[Operator, ValueTest] = {
    Operator.IS_TRUE: lambda value: value is True,
    Operator.IS_FALSE: lambda value: value is False,
    Operator.IS_NULL: is_empty,
    Operator.IS_NOT_NULL: lambda value: not is_empty(value),
}
_WITH_VALUE: dict[Operator, Callable[[Clause], ValueTest]] = {
    Operator.EQUALS: _one_of,
    Operator.NOT_EQUALS: _not(_one_of),
    Operator.REGEX_MATCH: _regex,
    Operator.NOT_REGEX_MATCH: _not(_regex),
    Operator.GREATER_THAN: _greater,
    Operator.GREATER_THAN_OR_EQUALS: _greater,
    Operator.INCLUDES: _includes,
    Operator.ARRAYCONTAINS: _one_of,
    Operator.NOT_ARRAYCONTAINS: _not(_one_of),
    Operator.STARTS_WITH: _starts_with,
    Operator.ENDS_WITH: _ends_with,
    Operator.IN: _one_of,
}
_AS_BEFORE: dict[Operator, Callable[[Clause], ValueTest]] = {
    Operator.REGEX_MATCH: _regex_as_before,
    Operator.NOT_REGEX_MATCH: _not(_regex_as_before),
}
