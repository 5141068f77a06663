"""Attributes to choose from: Graph's properties and a tenant's extensions in, candidates out. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sync_core.domain.attributes import ONE_AT_A_TIME
from sync_core.domain.catalog.schema import Kind, Property
from sync_core.domain.expressions.attributes import ALIASES, property_of

# Named with its own permission in learn.microsoft.com/graph/api/resources/user and user-get.
NEEDS_MORE = {
    "customSecurityAttributes": "CustomSecAttributeAssignment.Read.All",
    "employeeLeaveDateTime": "User-LifeCycleInfo.Read.All",
    "signInActivity": "AuditLog.Read.All",
}
# No attribute of a person: a password that is being set, and links to other services of Microsoft 365.
NEVER_ASKED = frozenset({"passwordProfile", "print", "deviceEnrollmentLimit", "authorizationInfo"})

# Navigation properties that a connection may read; they are no part of $select in a list.
REFERENCES = frozenset({"manager"})

DEFAULT = "default"
ADVANCED = "advanced"
# How `$filter` takes `eq` on a property: as it is, or only as an advanced query.
# learn.microsoft.com/graph/aad-advanced-queries, "User properties" (2025-08-29).
FILTERS = dict.fromkeys(
    (
        "accountEnabled", "userType", "department", "displayName", "givenName", "surname", "jobTitle",
        "mail", "country", "city", "usageLocation", "userPrincipalName", "employeeId", "id",
        "onPremisesImmutableId", "onPremisesSyncEnabled", "onPremisesSecurityIdentifier",
        "createdDateTime", "businessPhones", "otherMails", "proxyAddresses", "mailNickname", "state",
    ),
    DEFAULT,
) | dict.fromkeys(
    (
        "companyName", "officeLocation", "mobilePhone", "postalCode", "streetAddress",
        "onPremisesExtensionAttributes", "onPremisesDistinguishedName", "employeeType",
        "preferredLanguage", "onPremisesSamAccountName", "employeeOrgData", "assignedPlans",
        "employeeHireDate",
    ),
    ADVANCED,
)  # fmt: skip

# learn.microsoft.com/graph/api/resources/extensionproperty; what is missing here is text.
EXTENSION_KINDS = {
    "Boolean": Kind.BOOLEAN,
    "DateTime": Kind.DATE,
    "Integer": Kind.NUMBER,
    "LargeInteger": Kind.NUMBER,
    "Binary": Kind.BINARY,
}
# Entra's own short names for what is inside of an object.
SHORT_NAMES = {
    path: name for name, path in ALIASES.items() if all(isinstance(step, str) for step in path)
}


class Source(StrEnum):
    """Who says that there is such an attribute."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Extension:
    """A directory extension as the tenant has registered it."""

    name: str
    kind: Kind
    is_list: bool
    app: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An attribute by the name that scope, mapping and expressions know, and what to select for it."""

    name: str
    kind: Kind
    is_list: bool
    source: Source
    app: str | None = None
    refused: str | None = None
    parts: tuple[str, ...] = ()

    @property
    def selected(self) -> str:
        return property_of(self.name)


def candidates(
    properties: Iterable[Property], extensions: Iterable[Extension], used: Collection[str]
) -> list[Candidate]:
    """Name everything that there may be; `used` are properties that the connection reads already."""
    found = [one for each in properties for one in _from_schema(each)]
    found += [
        Candidate(one.name, one.kind, one.is_list, Source.EXTENSION, one.app) for one in extensions
    ]
    known = {one.selected for one in found} | REFERENCES
    found += [
        Candidate(name, Kind.TEXT, False, Source.CONNECTION) for name in sorted(set(used) - known)
    ]
    return found


def _from_schema(one: Property) -> Iterator[Candidate]:
    refused = _refusal(one.name)
    if one.kind is not Kind.OBJECT or one.is_list or refused:
        parts = tuple(part.name for part in one.parts)
        yield Candidate(
            one.name, one.kind, one.is_list, Source.SCHEMA, refused=refused, parts=parts
        )
        return
    for part in one.parts:
        if part.kind is not Kind.OBJECT:
            name = SHORT_NAMES.get((one.name, part.name), f"{one.name}.{part.name}")
            yield Candidate(name, part.kind, part.is_list, Source.SCHEMA)


def _refusal(name: str) -> str | None:
    if name.lower() in ONE_AT_A_TIME:
        return "Graph gives it for one person at a time only, not in lists."
    if name in NEEDS_MORE:
        return f"It needs the permission {NEEDS_MORE[name]}, which this program does not ask for."
    if name in NEVER_ASKED:
        return "It says nothing about the person that could be copied."
    return None


def measurable(found: Iterable[Candidate]) -> list[Candidate]:
    """Return those that are counted: lists of objects, such as licences, are some KB for each person."""
    return [one for one in found if one.refused is None and one.kind is not Kind.OBJECT]


def selections(found: Iterable[Candidate]) -> list[str]:
    """Return the properties to select, each once."""
    return sorted({one.selected for one in found})


def to_extensions(found: Iterable[Mapping[str, Any]]) -> list[Extension]:
    """Read the extensions of users as Graph defines them."""
    return [
        Extension(
            name=str(one.get("name")),
            kind=EXTENSION_KINDS.get(str(one.get("dataType")), Kind.TEXT),
            is_list=bool(one.get("isMultiValued")),
            app=str(one.get("appDisplayName") or ""),
        )
        for one in found
        if "User" in (one.get("targetObjects") or [])
    ]
