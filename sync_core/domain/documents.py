"""The documents of the outside: connection and run, exactly as the API and the tables carry them.

JSON in, checked pydantic models out, and back. Names on the wire are camelCase.
"""

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasGenerator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from sync_core.domain.clouds import CloudName
from sync_core.domain.compatibility import STORED, open_to_words
from sync_core.domain.errors import FixConnection, SyncError

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DOMAIN = re.compile(r"(?=.{4,253}$)([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}")
CONNECTION_ID = r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$"
# A property; one inside another; or one of the objects in a list, chosen by a field of theirs:
# identities[signInType eq 'emailAddress'].issuerAssignedId
ATTRIBUTE = (
    r"^[A-Za-z][A-Za-z0-9_]{0,127}([./][A-Za-z][A-Za-z0-9_]{0,127}"
    r"|\[[A-Za-z][A-Za-z0-9_]{0,127} +eq +'([^'\"\[\]]|''){1,256}'\](\.[A-Za-z][A-Za-z0-9_]{0,127})?)?$"
)
PLAN_HASH = r"^[0-9a-f.]{1,200}$"
RUN_ID = r"^[0-9A-Za-z-]{1,64}$"


SECRET_NAME = r"^[A-Za-z0-9-]{1,127}$"  # noqa: S105 -- a pattern
SECRET_VERSION = r"^[A-Za-z0-9]{1,64}$"  # noqa: S105 -- a pattern
TARGET = r"^[a-z][A-Za-z0-9]{0,63}$"
NAME_PATTERN = r"[^*\s]"
# More than a connection can hold; a column of a table holds half of what it could be in UTF-16.
MAX_VALUES = 100_000
MAX_VALUE = 100_000
MAX_COLUMN = 32 * 1024
MAX_EXPRESSION = 10_000
MAX_RULES = 200
MAX_KEYS = 10
# Numbers are seconds since 1970 to pydantic, also as a text; nobody means them so.
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")


def _is_dated(value: object) -> bool:
    return (isinstance(value, str) and bool(DATE.match(value))) or isinstance(value, date)


def _day(value: object) -> object:
    if _is_dated(value):
        return value
    raise ValueError("must be a date like 2027-01-31")


def _dated(value: object) -> object:
    if _is_dated(value):
        return value
    msg = "must be a date like 2027-01-31, with its time where that matters (2027-01-31T08:00:00Z)"
    raise ValueError(msg)


def _guid(value: str) -> str:
    if not GUID.fullmatch(value):
        msg = "must be a GUID like 11111111-2222-3333-4444-555555555555"
        raise ValueError(msg)
    return value.lower()


def _tenant(value: str) -> str:
    if GUID.fullmatch(value) or DOMAIN.fullmatch(value):
        return value.lower()
    msg = "must be the tenant's id (a GUID) or one of its verified domains"
    raise ValueError(msg)


def _person(value: str) -> str:
    if GUID.fullmatch(value) or "@" in value.strip("@"):
        return value
    msg = "must be a person's object id (a GUID) or user principal name (name@domain)"
    raise ValueError(msg)


def is_connection_id(text: str) -> bool:
    """Whether a text can be a connection's id; Table Storage takes other keys for errors of its own."""
    return re.fullmatch(CONNECTION_ID, text) is not None


def is_run_id(text: str) -> bool:
    """Whether a text can be a run's id."""
    return re.fullmatch(RUN_ID, text) is not None


Guid = Annotated[str, AfterValidator(_guid), Field(json_schema_extra={"format": "uuid"})]
TenantId = Annotated[str, AfterValidator(_tenant), Field(json_schema_extra={"maxLength": 253})]
ConnectionId = Annotated[str, StringConstraints(pattern=CONNECTION_ID)]
RunId = Annotated[str, StringConstraints(pattern=RUN_ID)]
AttributeName = Annotated[str, StringConstraints(pattern=ATTRIBUTE)]
# An object id or sign-in name; a blank pasted with it must not take the protection away.
ProtectedName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)
]
# Checked, as a name that fits nobody would leave somebody in scope who was meant to stay out.
ExcludedName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=1024), AfterValidator(_person)
]
TargetName = Annotated[str, StringConstraints(pattern=TARGET)]
# As a caller sends them, in words and not in seconds.
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_dated)]


class Document(BaseModel):
    """camelCase outside, unknown fields refused: a misspelt field must not be silently ignored."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(alias=to_camel),
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the document as the API and the tables carry it."""
        return self.model_dump(mode="json", by_alias=True)


# --- connection -----------------------------------------------------------------------------------


class CredentialKind(StrEnum):
    """How the app proves itself to the tenant."""

    CLIENT_SECRET = "clientSecret"  # noqa: S105 -- the kind, not a secret
    CERTIFICATE = "certificate"
    FEDERATED = "federated"
    MANAGED_IDENTITY = "managedIdentity"


class Credential(Document):
    """Where the credential is; the value itself is in Key Vault only.

    `secret_version` pins what was saved with this document, so a secret that is written for a save
    which then fails is never picked up by a run.
    """

    kind: CredentialKind = CredentialKind.CLIENT_SECRET
    secret_name: Annotated[str, StringConstraints(pattern=SECRET_NAME)] | None = None
    secret_version: str | None = None
    expires_on: Day | None = None


class CredentialInput(Credential):
    """What a caller may send: the write-only secret goes to Key Vault and nowhere else."""

    secret_version: Annotated[str, StringConstraints(pattern=SECRET_VERSION)] | None = None
    client_secret: SecretStr | None = None
    certificate: SecretStr | None = None


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

# Of a number, what JSON and Table Storage can carry: whole numbers of 64 bits, no Infinity.
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Scalar = Annotated[str, Field(max_length=MAX_VALUE)] | bool | Int64 | Number
# As a column of the table can hold it.
ColumnValue = Annotated[str, Field(max_length=MAX_COLUMN)] | bool | Int64 | Number
# What an assertion may find in a column. No fractions, which are seldom equal, and no number beyond 32
# bits: a table that is read without types tells those as text.
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
FoundValue = Annotated[str, Field(min_length=1, max_length=MAX_COLUMN)] | bool | Int32
# Of a long list the first wrong value is named: each is refused once for every type it could have.
Scalars = Annotated[list[Scalar], Field(max_length=MAX_VALUES, fail_fast=True)]


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
    now: Annotated[AwareDatetime, BeforeValidator(_dated)] | None = None


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


class RemovalAction(StrEnum):
    """What a removal does to the stored person."""

    DISABLE = "disable"
    DELETE = "delete"
    KEEP = "keep"


# More people than any tenant has; a number without an end could not be stored.
Limit = Annotated[int, Field(ge=0, le=1_000_000_000)]


Percent = Annotated[float, Field(ge=0, le=100)]


class Guard(Document):
    """Limits on what runs decide by themselves within `windowHours`; null means no limit.

    Over a limit all changes of that kind wait for approval. What is counted: docs/connection.md.
    """

    max_removals: Limit | None = 500
    max_removal_percent: Percent | None = 20
    max_group_loss_percent: Percent | None = 50
    max_deletes: Limit | None = 20
    max_creates: Limit | None = 500
    max_create_percent: Percent | None = 50
    max_blanked_percent: Percent | None = 10
    max_rewritten_percent: Percent | None = 30
    window_hours: Annotated[int, Field(ge=1, le=168)] = 24

    @property
    def open_limits(self) -> frozenset[str]:
        """The limits that hold nothing: null, or a share of 100 %; by their names on the wire."""
        given = self.to_json()
        return frozenset(
            name
            for name, limit in given.items()
            if limit is None or (name.endswith("Percent") and limit == 100)
        )


class Policy(Document):
    """What happens to people who leave, by cause."""

    left_scope: RemovalAction = RemovalAction.DISABLE
    account_disabled: RemovalAction = RemovalAction.DISABLE
    soft_deleted: RemovalAction = RemovalAction.DISABLE
    hard_deleted: RemovalAction = RemovalAction.DISABLE
    grace_days: Annotated[int, Field(ge=0, le=365)] = 0
    purge_after_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    protected: list[ProtectedName] = Field(default_factory=list, max_length=1000)
    guard: Guard = Guard()


class Schedule(Document):
    """When a connection is due without anybody asking."""

    automatic: bool = True
    every_minutes: Annotated[int, Field(ge=5, le=10_080)] = 60
    full_every_hours: Annotated[int, Field(ge=1, le=720)] = 24


# A sign-in name that is never the name of everybody: `*` alone would assert that nobody is in.
NamePattern = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=256, pattern=NAME_PATTERN),
]


class Assertion(Document):
    """One thing that has to be true after every run: exactly one of four.

    `in`: this person is active. `never`: nobody of this name is; `*` stands for any letters. `atLeast`,
    `atMost`: so many people are active; with `where`, so many of those whose mapped columns hold these
    values, all of them.
    """

    is_in: Annotated[ProtectedName | None, Field(alias="in")] = None
    never: NamePattern | None = None
    at_least: Limit | None = None
    at_most: Limit | None = None
    where: Annotated[
        dict[TargetName, FoundValue] | None,
        Field(min_length=1, max_length=MAX_KEYS, exclude_if=lambda given: given is None),
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [
            one for one in (self.is_in, self.never, self.at_least, self.at_most) if one is not None
        ]
        if len(given) != 1:
            msg = "give exactly one of in, never, atLeast, atMost"
            raise ValueError(msg)
        if self.where is not None and self.at_least is None and self.at_most is None:
            msg = "where says whom atLeast or atMost counts; give one of these with it"
            raise ValueError(msg)
        if self.is_in is not None and not (GUID.fullmatch(self.is_in) or "@" in self.is_in):
            msg = "in names one person, by object id or user principal name"
            raise ValueError(msg)
        if self.is_in is not None and "*" in self.is_in:
            msg = "in names one person; only never takes a pattern"
            raise ValueError(msg)
        return self


class Connection(Document):
    """One Entra tenant and how its people come into the Users table."""

    id: ConnectionId
    display_name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    enabled: bool = True
    cloud: CloudName = CloudName.PUBLIC
    tenant_id: TenantId | None = None
    client_id: Guid
    credential: Credential = Credential()
    scope: Scope = Scope()
    mapping: list[MappingRule] = Field(default=DEFAULT_MAPPING, min_length=1, max_length=MAX_RULES)
    matching: list[TargetName] = Field(default_factory=list, max_length=MAX_KEYS)
    policy: Policy = Policy()
    assertions: list[Assertion] = Field(default_factory=list, max_length=100)
    schedule: Schedule = Schedule()
    realtime: bool = False

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        targets = [rule.target for rule in self.mapping]
        doubled = sorted({target for target in targets if targets.count(target) > 1})
        if doubled:
            msg = f"a target is mapped once; doubled: {', '.join(doubled)}"
            raise ValueError(msg)
        missing = sorted(set(self.matching) - set(targets))
        if missing:
            msg = f"matching names targets that no mapping fills: {', '.join(missing)}"
            raise ValueError(msg)
        same = {rule.target for rule in self.mapping if rule.constant is not None}
        if constant := sorted(same & set(self.matching)):
            msg = f"matching names targets that are the same for everybody: {', '.join(constant)}"
            raise ValueError(msg)
        return self

    def known_tenant(self) -> str:
        """Return the tenant, or raise where it is not known before an administrator has consented."""
        if self.tenant_id is None:
            raise FixConnection(
                "connection.noTenant",
                f"The connection {self.id!r} is not connected to a tenant yet.",
                f"Let an administrator of the tenant consent at /api/consent/start?connection={self.id}, "
                "or set tenantId.",
            )
        return self.tenant_id


class ConnectionInput(Connection):
    """A connection as a caller sends it: the same, with a credential that may carry a secret."""

    credential: CredentialInput = CredentialInput()


# --- run ------------------------------------------------------------------------------------------


class Actor(Document):
    """Who asked for something: an account that signed in with Entra, or what else may call, by its name."""

    object_id: str | None = None
    name: str

    @property
    def key(self) -> str:
        """What the log and the audit call them: nothing that belongs to a person."""
        return self.object_id or self.name


class Trigger(StrEnum):
    """Why a run was asked for."""

    TIMER = "timer"
    MANUAL = "manual"
    WEBHOOK = "webhook"
    LIFECYCLE = "lifecycle"
    IMPORT = "import"
    APPROVAL = "approval"
    UNDO = "undo"
    PERSON = "person"
    BY_HAND = "byHand"


class Mode(StrEnum):
    """How the directory is read."""

    FULL = "full"
    INCREMENTAL = "incremental"
    USERS = "users"


class ModeReason(StrEnum):
    """Why a run reads everything instead of going by what the delta tells."""

    FIRST = "first"
    ASKED = "asked"
    FULL_EVERY_HOURS = "fullEveryHours"
    SETTINGS_CHANGED = "settingsChanged"
    LINK_REFUSED = "linkRefused"
    LINK_OLD = "linkOld"
    CHEAPER = "cheaper"
    TIME_DEPENDENT = "timeDependent"
    UNTRACKED_SCOPE = "untrackedScope"
    NO_DELTA = "noDelta"
    TAKEOVER = "takeover"


class RunStatus(StrEnum):
    """Where a run stands; all but the first two are final.

    So is a word of another release: this one can do nothing about such a run.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    HELD = "held"
    FAILED = "failed"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        return self not in {RunStatus.QUEUED, RunStatus.RUNNING}


class Counts(Document):
    """People, by what the run did with them; those `linked` took over a row.

    A row of the application that is linked counts as `created` too; one of a deleted connection does not.

    `active` were stored as active before; `blocked` are in scope with an account that is blocked in Entra.
    `unconfirmed` would be removed and wait for a second look. `candidates` are the people whom an
    incremental run looks at, `looks` how often Graph was asked for one by id, `contradictions` looks that
    differ from what the delta told. `drift` is what only a full reading found out.
    """

    read: int = 0
    in_scope: int = 0
    active: int = 0
    created: int = 0
    updated: int = 0
    reenabled: int = 0
    disabled: int = 0
    deleted: int = 0
    unchanged: int = 0
    blocked: int = 0
    failed: int = 0
    held: int = 0
    linked: int = 0
    unconfirmed: int = 0
    candidates: int = 0
    looks: int = 0
    contradictions: int = 0
    drift: int = 0


class ColumnCount(Document):
    """Of how many people who are there a column is emptied, and of how many it gets another value."""

    blanked: int = 0
    rewritten: int = 0


class GraphUse(Document):
    """What the run asked of Graph; `bytes` counts decoded answer bodies.

    `delta_pages` are the pages of delta rounds that told something, `empty_delta_pages` the others: Graph
    may send many of those in a row (microsoft-graph-docs issue 20637). `units` are Graph's resource units;
    `waited_seconds` all that requests waited to keep to its limits, together.
    """

    requests: int = 0
    throttled: int = 0
    retried: int = 0
    bytes: int = 0
    delta_pages: int = 0
    empty_delta_pages: int = 0
    units: int = 0
    waited_seconds: float = 0.0


class RecordError(Document):
    """One person (or group) that the run could not handle; no attribute values in it."""

    object_id: str
    code: str
    message: str


class RunWarning(Document):
    """Something about a run that is allowed and may surprise; the run went on."""

    code: str
    message: str


class RunError(Document):
    """Why a run failed, or waits, as a whole."""

    code: str
    message: str
    remedy: str = ""

    @classmethod
    def of(cls, error: SyncError) -> Self:
        """Return the document of an error."""
        return cls(code=error.code, message=error.message, remedy=error.remedy)


class ImportOutcome(StrEnum):
    """What an import did with one person who was picked."""

    IMPORTED = "imported"
    ALREADY_IN = "alreadyIn"
    BLOCKED = "blocked"
    AGENT = "agent"
    EXCLUDED = "excluded"
    MAPPING_FAILED = "mappingFailed"
    WAITS_FOR_MATCH = "waitsForMatch"
    NOT_FOUND = "notFound"
    NOT_A_PERSON = "notAPerson"
    HELD = "held"
    FAILED = "failed"


class SyncOutcome(StrEnum):
    """How somebody stands who was synced by name."""

    IN = "in"
    NOT_IN_SCOPE = "notInScope"
    NOT_SHOWN_YET = "notShownYet"
    NOT_FOUND = "notFound"
    HELD = "held"
    FAILED = "failed"


IS_IN = frozenset({ImportOutcome.IMPORTED, ImportOutcome.ALREADY_IN, SyncOutcome.IN})


class PersonResult(Document):
    """What a run of people who were named answers for one of them; `code` says it more exactly.

    Of a sync by name `who` is the id or the address as it was given, `action` what was written, and `fields`
    are the names of the columns that changed; no values, as a record of a run holds none.
    """

    object_id: str | None
    result: str
    code: str | None = None
    message: str | None = None
    who: str | None = None
    user_principal_name: str | None = None
    action: str | None = None
    fields: list[str] = Field(default_factory=list)

    def without_values(self) -> "PersonResult":
        """Return it without what only the directory knows of somebody who is not in: names and values."""
        if self.result in IS_IN:
            return self
        hidden = {"message": None, "user_principal_name": None}
        return self.model_copy(update=hidden | ({"who": None} if self.object_id else {}))


class Run(Document):
    """One run, as the API gives it and the Runs table keeps it.

    `by` asked for it; none where a timer or Graph did. A run of people who were named has `results`, one for
    each of them, and the `note` of who asked.
    """

    id: str
    connection_id: str
    # A record that a newer release wrote is shown with that release's words.
    trigger: Annotated[Trigger, open_to_words(Trigger)]
    by: Actor | None = None
    mode: Annotated[Mode, open_to_words(Mode)] = Mode.FULL
    mode_reason: Annotated[ModeReason, open_to_words(ModeReason)] | None = None
    status: Annotated[RunStatus, open_to_words(RunStatus)] = RunStatus.QUEUED
    requested_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    counts: Counts = Counts()
    # Set where the writing broke off: a batch may have been written whose answer did not come.
    counts_at_least: bool = False
    columns: dict[str, ColumnCount] = Field(default_factory=dict)
    graph: GraphUse = GraphUse()
    plan_hash: str | None = None
    errors: list[RecordError] = Field(default_factory=list)
    warnings: list[RunWarning] = Field(default_factory=list)
    error: RunError | None = None
    note: str | None = None
    results: list[PersonResult] | None = None

    def replaced(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)


class Purpose(StrEnum):
    """What a message of the queue asks for."""

    SYNC = "sync"
    VERIFY = "verify"
    DELETE = "delete"
    SUBSCRIBE = "subscribe"
    LISTEN = "listen"


class LifecycleEvent(StrEnum):
    """What Graph says about one of our subscriptions."""

    REAUTHORIZE = "reauthorizationRequired"
    REMOVED = "subscriptionRemoved"
    MISSED = "missed"


class SubscriptionEvent(Document):
    """A lifecycle notification: of which subscription, by the nonce of its `clientState`."""

    subscription_id: str
    nonce: str
    event: LifecycleEvent


def _known_mode(value: Any, info: ValidationInfo) -> Any:
    """Leave the choice to this release where another one asked for a mode that only it has."""
    return value if info.context != STORED or value in {"full", "incremental"} else "auto"


class SyncRequest(Document):
    """One message of the queue `sync-requests`: run this connection, and why.

    With the purpose `verify` nothing is run: settings that wait for Entra are tried once more. With
    `delete` a deletion that an administrator has confirmed goes on. With `subscribe` the subscriptions are
    brought to what the connection wants, or Graph's `events` about them are heeded; with `listen` it is
    found out whether they still tell of anything. `asked_at` is when the timer asked for whatever is due: a
    run that has begun since serves it.
    """

    connection_id: ConnectionId
    trigger: Annotated[Trigger, open_to_words(Trigger)]
    purpose: Purpose = Purpose.SYNC
    mode: Annotated[Literal["auto", "full", "incremental"], BeforeValidator(_known_mode)] = "auto"
    run_id: RunId | None = None
    asked_at: datetime | None = None
    by: Actor | None = None
    events: list[SubscriptionEvent] = Field(default_factory=list)


class NamedPeople(Document):
    """People whom somebody has named for a run of their own: to be brought in by hand, or to be synced now.

    Kept until that run has ended, so that one whose worker dies goes on. `who` are object ids, or for a sync
    sign-in names, too; each once. `until` is the day on which the rules decide again. People of a sync whom
    a group may let in a little later are asked for again until `ask_until`; `not_before` is when.
    """

    connection_id: ConnectionId
    run_id: RunId
    trigger: Annotated[Trigger, open_to_words(Trigger)]
    who: list[str]
    until: str = ""
    by: Actor
    note: str | None = None
    asked_at: datetime
    not_before: datetime | None = None
    ask_until: datetime | None = None
    attempts: int = 0
