"""What is stored of a person: the rules of a mapping, and the one that stands where none is given."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from sync_core.domain.documents.base import AwareMoment, Document, Guid
from sync_core.domain.documents.scope import ASSIGNED_TO, GROUPS, AttributeName
from sync_core.domain.documents.values import ColumnValue, Scalar

TARGET = r"^[a-z][A-Za-z0-9]{0,63}$"
MAX_EXPRESSION = 10_000
TargetName = Annotated[str, StringConstraints(pattern=TARGET)]


class WhenNull(StrEnum):
    """What happens to the target when the source has no value."""

    CLEAR = "clear"
    KEEP = "keep"
    DEFAULT = "default"


class Apply(StrEnum):
    """Whether a target is written on every change or only when the person is created."""

    ALWAYS = "always"
    CREATE = "create"


class MappingTest(Document):
    """A person as Graph would send them, and what a rule has to give for them.

    `expected` is the value as it is stored, after `whenNull`: lists may be written as lists, and
    `{"$ignore": "attribute"}` or `{"$ignore": "object"}` is what an expression leaves out.
    """

    attributes: dict[str, Any]
    expected: Any
    groups: list[Guid] = Field(default_factory=list, max_length=1000)
    now: AwareMoment | None = None


class MappingRule(Document):
    """One column of the Users table and where its value comes from: exactly one of three sources.

    Its `tests` run at every save, and a red one stops it; without any they are neither stored nor shown.
    A rise to one of the `sensitive` values, such as a role that may do everything, waits for approval.
    """

    target: TargetName
    source: AttributeName | None = None
    constant: ColumnValue | None = None
    expression: (
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_EXPRESSION)] | None
    ) = None
    when_null: WhenNull = WhenNull.CLEAR
    default: ColumnValue | None = None
    apply: Apply = Apply.ALWAYS
    sensitive: Annotated[
        list[Scalar] | None,
        Field(max_length=100, exclude_if=lambda given: not given),
    ] = None
    tests: Annotated[
        list[MappingTest] | None,
        Field(max_length=50, exclude_if=lambda given: not given),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [
            name for name in ("source", "constant", "expression") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            msg = "give exactly one of source, constant, expression"
            raise ValueError(msg)
        if self.source == GROUPS:
            msg = 'groups is no property of a user; use an expression such as InGroup("<group id>")'
            raise ValueError(msg)
        if self.source == ASSIGNED_TO:
            msg = "assignedTo is no property of a user; it is for scopes only"
            raise ValueError(msg)
        if (self.when_null is WhenNull.DEFAULT) != (self.default is not None):
            msg = 'default is given together with "whenNull": "default", and only then'
            raise ValueError(msg)
        return self


# An address or nothing: a guest's sign-in name (ann_fabrikam.com#EXT#@contoso.com) is none.
DEFAULT_EMAIL = (
    'Coalesce([mail], IIF(InStr([userPrincipalName], "#EXT#", 1, vbTextCompare) > 0, '
    "Item(Sort([otherMails]), 1), [userPrincipalName]))"
)
DEFAULT_MAPPING = [
    MappingRule(target="userName", source="userPrincipalName"),
    MappingRule(target="email", expression=DEFAULT_EMAIL),
    MappingRule(target="givenName", source="givenName"),
    MappingRule(target="familyName", source="surname"),
    MappingRule(target="displayName", source="displayName"),
    MappingRule(target="department", source="department"),
    MappingRule(target="jobTitle", source="jobTitle"),
    MappingRule(target="employeeId", source="employeeId"),
    MappingRule(target="mobilePhone", source="mobilePhone"),
    MappingRule(target="preferredLanguage", source="preferredLanguage"),
]
