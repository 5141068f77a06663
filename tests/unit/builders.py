"""Plain values for the unit tests, each with what does not matter filled in, and JSON of any shape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.policy import Policy
from sync_core.domain.documents.scope import NEGATIONS, Clause, Operator, Scope
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import (
    Action,
    Change,
    Link,
    Mapped,
    Origin,
    Reason,
    Status,
    StoredPerson,
    Value,
)
from sync_core.domain.scope.compile import CompiledScope, compile_scope
from sync_core.store.rows import Stamp

NOW = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
GUID = "11111111-2222-3333-4444-555555555555"
SALES = "aaaaaaaa-0000-0000-0000-000000000001"
ADMINS = "aaaaaaaa-0000-0000-0000-000000000002"
ANN = "a0000000-0000-4000-8000-00000000000a"
STAMP = Stamp("contoso", GUID, "run-1", NOW)
NO_GROUPS: frozenset[str] = frozenset()

# What a JSON answer of Graph can hold once it is decoded: no lone surrogates, no NaN, 64 bits.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["", " ", "true", "1", "-1.5", "2026-01-31", "2026-01-31T10:00:00.1234567Z"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def examples(factor: float) -> settings:
    """Run a property so many times as often as others: more if its cases are rare, fewer if dear."""
    return settings(max_examples=int(factor * settings().max_examples))


def connection(**changes: Any) -> Connection:
    """Give a connection with as little said as possible."""
    least = {"id": "contoso", "displayName": "Contoso", "tenantId": GUID, "clientId": GUID}
    return Connection.model_validate(least | changes)


def clause(attribute: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


def in_groups(*groups: str) -> dict[str, Any]:
    return clause("groups", "ARRAYCONTAINS", list(groups))


def not_in_groups(*groups: str) -> dict[str, Any]:
    return clause("groups", "NOT ARRAYCONTAINS", list(groups))


def scope(*filters: list[dict[str, Any]], **changes: Any) -> Scope:
    """Give a scope: each argument is one filter, a list of clauses."""
    return Scope.model_validate({"filters": [{"clauses": one} for one in filters], **changes})


def compiled(*filters: list[dict[str, Any]], **changes: Any) -> CompiledScope:
    return compile_scope(scope(*filters, **changes))


def passes(test: dict[str, Any], person: Mapping[str, Any], *groups: str) -> bool:
    """Tell whether one clause lets a person in."""
    return compiled([test]).matches(person, frozenset(groups))


def rule(target: str = "name", **changes: Any) -> MappingRule:
    return MappingRule.model_validate({"target": target, **changes})


def mapped(
    person: Mapping[str, Any], *rules: MappingRule, groups: frozenset[str] = NO_GROUPS
) -> Mapped:
    """Map a person who is not skipped."""
    result = compile_mapping(rules).to_mapped(person, groups, NOW)
    assert result is not None
    return result


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(changes)


def stored(
    status: Status = Status.ACTIVE,
    digest: str = "d",
    origin: Origin = Origin.AUTO,
    until: str = "",
) -> StoredPerson:
    return StoredPerson(status, origin, digest, until=until)


def change(action: Action = Action.CREATE, **changes: Any) -> Change:
    """Give a change of Ann."""
    known: dict[str, Any] = {"object_id": ANN, "user_principal_name": "ann@contoso.com"}
    return Change(action, **(known | changes))


# Texts of letters that Table Storage counts once, and of such that count twice.
VALUES: st.SearchStrategy[Value] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)
)
TARGETS = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True)
OBJECT_IDS = st.uuids().map(str)
LINKS = st.builds(
    Link,
    TEXTS,
    TEXTS,
    st.sampled_from(["objectId", "email", "decision"]),
    st.booleans(),
    st.booleans(),
)
CHANGES = st.builds(
    Change,
    st.sampled_from(Action),
    OBJECT_IDS,
    TEXTS,
    reason=st.none() | st.sampled_from(Reason),
    digest=TEXTS,
    values=st.dictionaries(TARGETS, VALUES, max_size=3),
    kept=st.lists(TARGETS, max_size=3).map(tuple),
    before=st.dictionaries(TARGETS, VALUES, max_size=2),
    held=st.booleans(),
    evidence=st.none() | st.dictionaries(TEXTS, SCALARS, max_size=2),
    link=st.none() | LINKS,
    origin=st.none() | st.sampled_from(Origin),
    until=st.sampled_from(["", "2026-02-01"]),
)


def _clause_value(operator: Operator) -> st.SearchStrategy[Any]:
    scalar = TEXTS.filter(bool) | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9)
    if operator in {Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUALS}:
        return st.sampled_from([0, 1.5, "-3", "2026-01-31", "2026-01-31T10:00:00+02:00"])
    if operator in {Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH}:
        return st.sampled_from(["a", "^.+$", "[0-9]{2}", "\\pL"])
    if operator in {Operator.IN, Operator.ARRAYCONTAINS, Operator.NOT_ARRAYCONTAINS}:
        return scalar | st.lists(scalar, min_size=1, max_size=3)
    if operator.startswith("IS "):
        return st.none()
    return scalar


CLAUSES = st.sampled_from(Operator).flatmap(
    lambda operator: st.builds(
        Clause,
        attribute=st.sampled_from(["a", "a.b", "a/b", "extensionAttribute1", "telephoneNumber"]),
        operator=st.just(operator),
        value=_clause_value(operator),
        null_matches=st.sampled_from([None, True, False]) if operator in NEGATIONS else st.none(),
    )
)
# A few names of nobody, and any that a caller could send.
EXCLUDED = st.lists(OBJECT_IDS | TEXTS.map("a{}@b".format), max_size=2)
