"""A clause as a condition of Graph's `$filter`, where that is safe. Pure.

A condition has to hold for everybody whom the clause lets in; it may hold for more, as every person is
judged again on our side. So what Graph compares in another way than we do is left out: it ignores case
(a superset of EQUALS, not of NOT EQUALS), and its `null` is not our "no value" (empty texts and lists).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from sync_core.domain.attributes import property_path
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.scope import BELONGING, Clause, Operator
from sync_core.domain.scope.compile import comparable, text_of, wanted_values

# Of the default queries; learn.microsoft.com/graph/known-issues, "Some limitations apply to query
# parameters"; for startsWith github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2103.
LONGEST_TEXT = 120
MOST_VALUES = 15
DIRECTORY_EXTENSION = re.compile(r"extension_[0-9a-fA-F]{32}_[A-Za-z0-9_]+")


class Support(Enum):
    """Whether Graph filters by default or only in an advanced query (ConsistencyLevel, $count)."""

    DEFAULT = auto()
    ADVANCED = auto()


class Kind(Enum):
    """What a property holds, and so what it can be compared with."""

    TEXT = auto()
    TEXTS = auto()
    BOOLEAN = auto()
    MOMENT = auto()
    ID = auto()
    # Typed by whoever registered it, which nobody tells us.
    EXTENSION = auto()


@dataclass(frozen=True, slots=True)
class Filterable:
    """How Graph can filter by a property: `eq` and `in`, startsWith, endsWith, `ne null`; None: not.

    One that is not `narrow` only splits everybody into a few large parts.
    """

    kind: Kind = Kind.TEXT
    equal: Support | None = None
    starts: Support | None = None
    ends: Support | None = None
    present: Support | None = None
    narrow: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a `$filter`; `in` counts as one alternative for each of its values."""

    text: str
    advanced: bool = False
    alternatives: int = 1
    narrow: bool = True


# The table "User properties" of learn.microsoft.com/graph/aad-advanced-queries (2025-08-29). `ne` is
# advanced wherever it works. What is not here is judged on our side only.
DEFAULT, ADVANCED = Support.DEFAULT, Support.ADVANCED
_PLAIN = Filterable(equal=DEFAULT, starts=DEFAULT, present=ADVANCED)
_ADDRESS = Filterable(equal=DEFAULT, starts=DEFAULT, ends=ADVANCED)
_ADDRESSES = Filterable(Kind.TEXTS, equal=DEFAULT, starts=DEFAULT, ends=ADVANCED)
_INDEXED = Filterable(equal=ADVANCED, starts=ADVANCED, present=ADVANCED)
_EXTENSION = Filterable(Kind.EXTENSION, equal=DEFAULT, present=ADVANCED)
FILTERABLE: dict[str, Filterable] = {
    **dict.fromkeys(
        ("city", "country", "department", "displayName", "givenName", "jobTitle", "state",
         "surname", "usageLocation"),
        _PLAIN,
    ),
    **dict.fromkeys(
        ("companyName", "mobilePhone", "officeLocation", "onPremisesDistinguishedName",
         "postalCode", "streetAddress"),
        _INDEXED,
    ),
    **{f"onPremisesExtensionAttributes/extensionAttribute{n}": _INDEXED for n in range(1, 16)},
    "accountEnabled": Filterable(Kind.BOOLEAN, equal=DEFAULT, narrow=False),
    "createdDateTime": Filterable(Kind.MOMENT, present=ADVANCED),
    "employeeId": Filterable(equal=DEFAULT, present=ADVANCED),
    "employeeOrgData/costCenter": Filterable(equal=ADVANCED, starts=ADVANCED),
    "employeeOrgData/division": Filterable(equal=ADVANCED, starts=ADVANCED),
    "employeeType": Filterable(equal=ADVANCED),
    "id": Filterable(Kind.ID, equal=DEFAULT),
    "mail": Filterable(equal=DEFAULT, starts=DEFAULT, ends=ADVANCED, present=ADVANCED),
    "onPremisesImmutableId": Filterable(equal=DEFAULT),
    "onPremisesSamAccountName": Filterable(equal=ADVANCED, starts=ADVANCED),
    "onPremisesSecurityIdentifier": Filterable(equal=DEFAULT, present=ADVANCED),
    "onPremisesSyncEnabled": Filterable(
        Kind.BOOLEAN, equal=DEFAULT, present=ADVANCED, narrow=False
    ),
    "otherMails": _ADDRESSES,
    "preferredLanguage": Filterable(equal=ADVANCED, present=ADVANCED),
    "proxyAddresses": _ADDRESSES,
    "userPrincipalName": _ADDRESS,
    "userType": Filterable(equal=DEFAULT, present=ADVANCED, narrow=False),
}  # fmt: skip


def condition_of(clause: Clause) -> Condition | None:
    """Return the condition for a clause, or None where the clause is judged on our side only."""
    make = _MAKERS.get(clause.operator)
    if make is None or clause.attribute in BELONGING:
        return None
    name = "/".join(map(str, property_path(clause.attribute)))
    rules = _EXTENSION if DIRECTORY_EXTENSION.fullmatch(name) else FILTERABLE.get(name)
    return None if rules is None else make(name, rules, clause)


def _equality(name: str, rules: Filterable, clause: Clause) -> Condition | None:
    if rules.kind is Kind.BOOLEAN:
        states = [one for one in wanted_values(clause.values) if isinstance(one, bool)]
        return _boolean(name, rules, states[0]) if len(states) == 1 else None
    literals = list(dict.fromkeys(_literals(rules.kind, clause)))
    if rules.equal is None or None in literals or len(literals) > MOST_VALUES:
        return None
    advanced = rules.equal is ADVANCED
    if rules.kind is Kind.TEXTS:
        # Lists have no `in`, so only one value can be asked for.
        text = f"{name}/any(x:x eq {literals[0]})"
        return Condition(text, advanced) if len(literals) == 1 else None
    if len(literals) == 1:
        return Condition(f"{name} eq {literals[0]}", advanced, narrow=rules.narrow)
    text = f"{name} in ({','.join(map(str, literals))})"
    return Condition(text, advanced, len(literals), rules.narrow)


def _literals(kind: Kind, clause: Clause) -> list[str | None]:
    # Texts that stand for booleans, too, are meant as texts here; a boolean is no text.
    values = ["" if isinstance(value, bool) else text_of(value) for value in clause.values]
    if kind is Kind.ID:
        values = [value if GUID.fullmatch(value) else "" for value in values]
    if kind is Kind.EXTENSION:
        values = [value if _is_plainly_text(value) else "" for value in values]
    return [_literal(value) for value in values]


def _is_plainly_text(value: str) -> bool:
    """Whether a value cannot be meant for an extension of numbers, dates or booleans."""
    return comparable(value) is None and value.lower() not in {"true", "false"}


def _literal(text: str) -> str | None:
    """Write a text for `$filter`; None for one that Graph may refuse, or read as another."""
    # Blanks at the ends may be lost on the way.
    if not text or len(text) > LONGEST_TEXT or not text.isprintable() or text != text.strip():
        return None
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _is_true(name: str, rules: Filterable, _: Clause) -> Condition | None:
    return _boolean(name, rules, state=True) if rules.kind is Kind.BOOLEAN else None


def _is_false(name: str, rules: Filterable, _: Clause) -> Condition | None:
    return _boolean(name, rules, state=False) if rules.kind is Kind.BOOLEAN else None


def _boolean(name: str, rules: Filterable, state: bool) -> Condition:
    return Condition(f"{name} eq {str(state).lower()}", narrow=rules.narrow)


def _starts(name: str, rules: Filterable, clause: Clause) -> Condition | None:
    return _edge("startsWith", name, rules, rules.starts, clause)


def _ends(name: str, rules: Filterable, clause: Clause) -> Condition | None:
    return _edge("endsWith", name, rules, rules.ends, clause)


def _edge(
    function: str, name: str, rules: Filterable, support: Support | None, clause: Clause
) -> Condition | None:
    text = text_of(clause.value)
    literal = _literal(text)
    # See `_in_any_case` in scope.py: only ASCII letters have a case that everybody agrees on.
    if support is None or literal is None or not text.isascii():
        return None
    advanced = support is ADVANCED
    if rules.kind is Kind.TEXTS:
        return Condition(f"{name}/any(x:{function}(x,{literal}))", advanced)
    return Condition(f"{function}({name},{literal})", advanced)


def _since(name: str, rules: Filterable, clause: Clause) -> Condition | None:
    limit = comparable(clause.value)
    if rules.kind is not Kind.MOMENT or not isinstance(limit, datetime):
        return None
    try:
        moment = limit.astimezone(UTC)
    except OverflowError:  # a time zone before the year 1 or after 9999
        return None
    # `ge` for both operators: we keep microseconds of what Graph keeps finer.
    return Condition(f"{name} ge {moment.replace(tzinfo=None).isoformat()}Z")


def _present(name: str, rules: Filterable, _: Clause) -> Condition | None:
    return Condition(f"{name} ne null", advanced=True) if rules.present else None


_MAKERS: dict[Operator, Callable[[str, Filterable, Clause], Condition | None]] = {
    Operator.EQUALS: _equality,
    Operator.IN: _equality,
    Operator.ARRAYCONTAINS: _equality,
    Operator.IS_TRUE: _is_true,
    Operator.IS_FALSE: _is_false,
    Operator.IS_NOT_NULL: _present,
    Operator.STARTS_WITH: _starts,
    Operator.ENDS_WITH: _ends,
    Operator.GREATER_THAN: _since,
    Operator.GREATER_THAN_OR_EQUALS: _since,
}
