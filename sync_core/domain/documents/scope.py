"""The scope of a connection: who is in, by filters of clauses."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints, model_validator

from sync_core.domain.documents.base import GUID, Document
from sync_core.domain.documents.values import Scalar, Scalars

# A property; one inside another; or one of the objects in a list, chosen by a field of theirs:
# identities[signInType eq 'emailAddress'].issuerAssignedId
ATTRIBUTE = (
    r"^[A-Za-z][A-Za-z0-9_]{0,127}([./][A-Za-z][A-Za-z0-9_]{0,127}"
    r"|\[[A-Za-z][A-Za-z0-9_]{0,127} +eq +'([^'\"\[\]]|''){1,256}'\](\.[A-Za-z][A-Za-z0-9_]{0,127})?)?$"
)


def _person(value: str) -> str:
    if GUID.fullmatch(value) or "@" in value.strip("@"):
        return value
    msg = "must be a person's object id (a GUID) or user principal name (name@domain)"
    raise ValueError(msg)


AttributeName = Annotated[str, StringConstraints(pattern=ATTRIBUTE)]
# Checked, as a name that fits nobody would leave somebody in scope who was meant to stay out.
ExcludedName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=1024), AfterValidator(_person)
]


class Operator(StrEnum):
    """Clause operators, as in Entra's scoping filters and the products this one replaces."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT EQUALS"
    IS_TRUE = "IS TRUE"
    IS_FALSE = "IS FALSE"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"
    REGEX_MATCH = "REGEX MATCH"
    NOT_REGEX_MATCH = "NOT REGEX MATCH"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_OR_EQUALS = "GREATER_THAN_OR_EQUALS"
    INCLUDES = "INCLUDES"
    ARRAYCONTAINS = "ARRAYCONTAINS"
    NOT_ARRAYCONTAINS = "NOT ARRAYCONTAINS"
    STARTS_WITH = "STARTS WITH"
    ENDS_WITH = "ENDS WITH"
    IN = "IN"


WITHOUT_VALUE = frozenset(
    {Operator.IS_TRUE, Operator.IS_FALSE, Operator.IS_NULL, Operator.IS_NOT_NULL}
)
WITH_LIST = frozenset({Operator.IN, Operator.ARRAYCONTAINS, Operator.NOT_ARRAYCONTAINS})
ON_GROUPS = frozenset({Operator.ARRAYCONTAINS, Operator.NOT_ARRAYCONTAINS})
NEGATIONS = frozenset({Operator.NOT_EQUALS, Operator.NOT_REGEX_MATCH, Operator.NOT_ARRAYCONTAINS})
GROUPS = "groups"
ASSIGNED_TO = "assignedTo"
# Tested by the ids of what a person belongs to, and no property of the user.
BELONGING = {
    GROUPS: "groups are named by their object id",
    ASSIGNED_TO: "enterprise applications are named by the object id of their service principal",
}


class Clause(Document):
    """One test of a person; `groups` and `assignedTo` are no properties of the user.

    `null_matches` says of a negation whether somebody without the attribute passes; not given means
    yes, and is neither stored nor shown.
    """

    attribute: AttributeName
    operator: Operator
    value: Scalars | Scalar | None = None
    null_matches: Annotated[bool | None, Field(exclude_if=lambda given: given is None)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.operator in WITHOUT_VALUE:
            if self.value is not None:
                msg = f"{self.operator} takes no value"
                raise ValueError(msg)
        elif self.value is None or self.value == []:
            msg = f"{self.operator} needs a value"
            raise ValueError(msg)
        elif isinstance(self.value, list) and self.operator not in WITH_LIST:
            msg = f"{self.operator} takes one value, not a list"
            raise ValueError(msg)
        elif "" in self.values:
            # An empty text is in every text: INCLUDES "" from a blank field would choose everybody.
            msg = f"{self.operator} needs a value; IS NULL finds who has none, IS NOT NULL who has one"
            raise ValueError(msg)
        if self.null_matches is not None:
            self._check_null_matches()
        if self.attribute in BELONGING:
            self._check_belonging(BELONGING[self.attribute])
        return self

    def _check_null_matches(self) -> None:
        if self.attribute in BELONGING:
            msg = (
                f"nullMatches says nothing about {self.attribute}: whoever belongs to none belongs to none "
                "of those named"
            )
            raise ValueError(msg)
        if self.operator not in NEGATIONS:
            allowed = ", ".join(sorted(NEGATIONS))
            msg = (
                f"nullMatches is for {allowed}; {self.operator} says by itself what becomes of people "
                "without the attribute"
            )
            raise ValueError(msg)

    def _check_belonging(self, named: str) -> None:
        if self.operator not in ON_GROUPS:
            msg = f"{self.attribute} can be tested with ARRAYCONTAINS and NOT ARRAYCONTAINS only"
            raise ValueError(msg)
        for value in self.values:
            if not (isinstance(value, str) and GUID.fullmatch(value)):
                msg = f"{named} (a GUID), not {value!r}"
                raise ValueError(msg)

    @property
    def values(self) -> list[Scalar]:
        """The value as a list, also where a single one was given."""
        if self.value is None:
            return []
        return self.value if isinstance(self.value, list) else [self.value]


class Filter(Document):
    """All clauses must hold."""

    clauses: list[Clause] = Field(min_length=1, max_length=50)


class Guests(StrEnum):
    """Whether accounts with `userType` Guest come in."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


class Agents(StrEnum):
    """Whether accounts of agents come in: users for programs, with an agent identity as their parent.

    learn.microsoft.com/graph/api/resources/agentuser
    """

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


class Scope(Document):
    """Who is in: any of the filters, but nobody of `exclude`. Nothing is in scope until chosen.

    A scope that an earlier release stored reads its patterns as that release did, until it is saved again;
    `reads_as_before` is what the store knows of it, and no part of the document.
    """

    _reads_as_before: bool = PrivateAttr(default=False)

    filters: list[Filter] = Field(default_factory=list, max_length=50)
    nested_groups: bool = True
    guests: Guests = Guests.EXCLUDE
    agents: Agents = Agents.EXCLUDE
    everyone: bool = False
    exclude: list[ExcludedName] = Field(default_factory=list, max_length=1000)

    @property
    def reads_as_before(self) -> bool:
        return self._reads_as_before

    def as_before(self) -> Self:
        """Return the scope with its patterns read as releases read them that had two dialects."""
        scope = self.model_copy()
        scope._reads_as_before = True  # noqa: SLF001 -- its own
        return scope
