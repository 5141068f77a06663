"""What the API answers with, beside the documents themselves; these describe it in OpenAPI, too."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from sync_core.domain.catalog.candidates import CandidatePerson
from sync_core.domain.catalog.groups import GroupChoice
from sync_core.domain.catalog.readiness import AttributeNote, AttributeReport, SampleSize
from sync_core.domain.connections.checks import Check as ConnectionCheck
from sync_core.domain.connections.checks import CheckResult
from sync_core.domain.connections.verification import VerificationStatus
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.base import Day, Document, Guid, Moment
from sync_core.domain.documents.connection import MAX_RULES, Connection
from sync_core.domain.documents.mapping import MAX_EXPRESSION, MappingRule, TargetName
from sync_core.domain.documents.policy import MAX_KEYS, Policy
from sync_core.domain.documents.run import ColumnCount, Run, RunStatus
from sync_core.domain.documents.scope import Scope
from sync_core.domain.formats.config_file import Action as ConfigAction
from sync_core.domain.matching.decide import DecisionKind, Why
from sync_core.domain.matching.takeover import Standing
from sync_core.domain.model import Action, Reason, Value
from sync_core.domain.names import BoundName
from sync_core.domain.realtime_status import RealtimeStatus
from sync_core.runs.preview import HeldValues, PreviewChange, PreviewCounts, RowLink
from sync_core.store.people import HistoryEntry, Person

Next = Annotated[
    str | None, Field(description="The `cursor` of the next page; null when this is the last one.")
]


Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1024)]


class Mover(Document):
    """Somebody whom a change would bring in or remove."""

    action: Action
    object_id: str
    user_principal_name: str
    display_name: str | None
    reason: Reason | None


class FieldError(Document):
    """One wrong field."""

    path: str = Field(examples=["scope.filters[0].clauses[1].value"])
    message: str


class Position(Document):
    """A place in an expression: characters from 0, lines and columns from 1."""

    offset: int
    line: int
    column: int


class Problem(Document):
    """RFC 9457: what is wrong, with a stable `code` and the `remedy`."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str
    code: str = Field(examples=["connection.notFound"])
    remedy: str
    errors: list[FieldError] = Field(
        default_factory=list, description="Wrong fields, with 422: the first hundred."
    )
    more_errors: int | None = Field(
        default=None, description="How many wrong fields there are beside those."
    )
    checks: list[ConnectionCheck] | None = Field(
        default=None, description="What a check found, with `connection.notVerified`."
    )
    correlation_id: str | None = Field(
        default=None, description="To be found in the log, with 500."
    )
    position: Position | None = Field(default=None, description="With an expression that is wrong.")
    hint: str | None = Field(default=None, description="What to write there instead.")
    trace: dict[str, Any] | None = Field(
        default=None, description="The steps of an expression up to the one that failed."
    )
    plan_hash: str | None = Field(
        default=None, description="With `connection.needsConfirmation`: send it as `?confirm=`."
    )
    plan_url: str | None = Field(
        default=None,
        description="With `connection.needsConfirmation`: the whole plan, in pages; `?format=csv` too.",
    )
    counts: PreviewCounts | None = None
    leavers_by_reason: dict[str, int] | None = None
    changes: list[Mover] | None = Field(
        default=None, description="With `connection.needsConfirmation`: the first who come or go."
    )
    columns: dict[str, ColumnCount] | None = None
    held_values: list[HeldValues] | None = Field(
        default=None,
        description="With `connection.needsConfirmation`: columns that lose the values of too many.",
    )
    confirmations: list["ConfigConfirmation"] | None = Field(
        default=None,
        description="With `connection.needsConfirmation` for a file: one a connection.",
    )


class VerificationAnswer(Document):
    """Whether the newest settings were seen to work; `pending` are those that are not in use yet."""

    status: VerificationStatus
    message: str = Field(examples=["Waiting for Entra, next try in 40 s."])
    checked_at: datetime | None
    next_try_at: datetime | None
    failing: list[ConnectionCheck]
    pending: dict[str, Any] | None


class ConnectionAnswer(Connection):
    """A connection, and what to know about it; the last four are read-only and ignored when sent."""

    warnings: list[Warning] = Field(default_factory=list)
    verification: VerificationAnswer
    bindings: list[BoundName] = Field(
        description="Whom the sign-in names in scope.exclude, policy.protected and assertions mean."
    )
    realtime_status: RealtimeStatus | None


class CheckAnswer(CheckResult):
    """What a check found of the newest settings, and of those in use where others wait beside them."""

    in_use: CheckResult | None
    verification: VerificationAnswer


class ConnectionList(Document):
    """Connections by id."""

    items: list[ConnectionAnswer]
    next: Next


class SyncBody(Document):
    """How to run: `auto` lets the program choose."""

    mode: Literal["auto", "full", "incremental"] = "auto"


class RunList(Document):
    """Runs, newest first."""

    items: list[Run]
    next: Next


class RunChange(Document):
    """One change that a run decided on; `held` ones wait for approval and were not written."""

    action: Action
    object_id: str
    user_principal_name: str
    reason: Reason | None
    cause: str | None = Field(
        default=None,
        description="The reason, or what says it more exactly: `becameGuest` for a member made a guest, "
        "`becameMember` for the reverse.",
    )
    held: bool
    fields: dict[str, tuple[Value, Value]] = Field(description="Old and new value by target.")
    evidence: dict[str, Any] | None = Field(description="What Graph answered, for removals.")
    link: RowLink | None = Field(default=None, description="The row that a new person takes over.")


class RunChangeList(Document):
    """A run's plan, in its order."""

    items: list[RunChange]
    next: Next


class PlanChangeList(Document):
    """A refused plan, by object id."""

    items: list[PreviewChange]
    next: Next


class UserList(Document):
    """Synced people by object id; a page of a search may be short or empty and have a next one."""

    items: list[Person]
    next: Next


class HistoryList(Document):
    """A person's changes, newest first."""

    items: list[HistoryEntry]
    next: Next


class ConfigFile(Document):
    """Connections as a file, by id; secrets are neither in it nor taken from it."""

    api_version: Literal["entra-user-sync/v1"]
    connections: list[Connection]


class ConfigFieldChange(Document):
    """One field that differs; null stands for nothing."""

    path: str = Field(examples=["schedule.everyMinutes"])
    old: Any
    new: Any


class ConfigChange(Document):
    """What applying the file does with one connection, and what may surprise about it."""

    connection: str
    action: ConfigAction
    fields: list[ConfigFieldChange]
    warnings: list[Warning]


class ConfigProblem(Document):
    """What keeps a connection from being as the file says, and what to do about it."""

    connection: str
    path: str = Field(examples=["connections[0].credential.clientSecret"])
    message: str
    remedy: str


class ConfigSummary(Document):
    """How many connections are created, updated and so on; those not in the file are left alone."""

    create: int
    update: int
    disable: int
    unchanged: int
    not_in_file: int


class ConfigPlan(Document):
    """What applying the file would do now; send `planHash` to do exactly that."""

    plan_hash: str
    summary: ConfigSummary
    changes: list[ConfigChange]
    not_in_file: list[str]
    problems: list[ConfigProblem]
    confirmations: list["ConfigConfirmation"] = Field(
        default_factory=list,
        description="What applying the file is refused for, unless each planHash is sent as `confirm`.",
    )


class ConfigResult(Document):
    """What was done with one connection, and its new version."""

    connection: str
    action: ConfigAction
    etag: str


class ConfigApplied(Document):
    """What applying the file did."""

    plan_hash: str
    summary: ConfigSummary
    results: list[ConfigResult]
    problems: list[ConfigProblem]


class Check(Document):
    """Whether one thing the program needs answers."""

    name: Literal["storage", "keyVault"]
    ok: bool
    message: str | None = None
    remedy: str | None = None


class ConnectionCounts(Document):
    """How many connections there are."""

    total: int
    enabled: int


class LastRun(Document):
    """How a connection's newest run stands."""

    connection_id: str
    run_id: str
    status: RunStatus
    finished_at: datetime | None


class Health(Document):
    """That the app answers; all but `status` and `message` is for readers.

    `overdue`: a connection has not run for twice its interval, or a timer does not fire, of which `message`
    tells. `degraded`: storage (then with 503) or Key
    Vault does not answer; what could not be read is null.
    """

    status: Literal["ok", "overdue", "degraded"]
    message: str | None = Field(
        default=None,
        description="Since when a timer has not fired.",
        examples=["The timer has not fired since 2026-11-30 07:05 UTC."],
    )
    version: str | None = None
    checks: list[Check] | None = None
    connections: ConnectionCounts | None = None
    last_runs: list[LastRun] | None = None
    warnings: list[str] | None = Field(
        default=None, description="App settings that are not used as they seem."
    )


class EvaluateBody(Document):
    """An expression and the person it is tried out on, as Graph would send that person."""

    expression: str = Field(
        max_length=MAX_EXPRESSION, examples=["Coalesce([mail], [userPrincipalName])"]
    )
    attributes: dict[str, Any] = Field(default_factory=dict)
    groups: list[Guid] = Field(
        default_factory=list, max_length=1000, description="What InGroup(...) finds the person in."
    )
    now: Moment | None = Field(
        default=None, description="What Now() gives; UTC without an offset, this moment by default."
    )


class Evaluated(Document):
    """What came out; `{"$ignore": "attribute"}` and `{"$ignore": "object"}` are no values but words."""

    value: Any = Field(description="As in a mapping before whenNull; null is no value.")
    trace: dict[str, Any] = Field(
        description="Each step with its `expression`, its `value` or `error`, and its `parts`."
    )


class FunctionExample(Document):
    """An expression, a person, and what comes out."""

    expression: str
    attributes: dict[str, Any]
    value: Any


class ExpressionFunction(Document):
    """One function; `refused` says why one of Entra's is not available."""

    name: str
    topic: str = Field(examples=["Text"])
    signature: str = Field(examples=["Append(source, suffix)"])
    summary: str
    examples: list[FunctionExample]
    refused: str | None


class FunctionList(Document):
    """Every function by name, then those that are refused; always one page."""

    items: list[ExpressionFunction]
    next: Next


class ConnectionParts(Document):
    """Parts of a connection, as far as another program's settings tell them, and every difference."""

    scope: Scope
    mapping: list[MappingRule]
    matching: list[str]
    notes: list[FieldError] = Field(description="By the place in what was sent.")


class GroupList(Document):
    """Groups of the tenant.

    `searched` is `beginning` where Graph could only compare the beginning of names: in tenants without
    search (Azure AD B2C), and for texts with an ampersand.
    """

    items: list[GroupChoice]
    next: Next
    searched: Literal["words", "beginning"]


class AttributeList(Document):
    """Attributes by name, always one page, with what was measured on a sample of people."""

    items: list[AttributeReport]
    next: Next
    sample: SampleSize
    matching_keys: list[str] = Field(
        description="Filled for everybody in the sample and different for each: safe for `matching`."
    )
    notes: list[AttributeNote]


class Candidate(Document):
    """A row that somebody could take over: the application's own, or a former person's."""

    row: str = Field(examples=["contoso-a|app-17"])
    kind: Literal["application", "former"]


class MatchDecision(Document):
    """What was decided, when and by whom; the next run carries it out."""

    decision: DecisionKind
    row: str | None
    at: datetime | None
    by: str


class Match(Document):
    """Somebody who waits for a match to be decided, or who was linked.

    `key` is what found something: `objectId`, or a matching key. `people` are others with the same
    value, by object id.
    """

    object_id: str
    user_principal_name: str
    status: Literal["waiting", "decided", "ignored", "linked"]
    key: str
    why: Why | None
    message: str
    row: str | None = Field(description="The row that was taken over, of a link.")
    candidates: list[Candidate]
    people: list[str]
    since: datetime | None
    decision: MatchDecision | None


class MatchList(Document):
    """Matches by object id; a page may be short or empty and have a next one."""

    items: list[Match]
    next: Next


class MatchBody(Document):
    """What to do with somebody who waits; `row` is the address of a candidate, with `link` only."""

    decision: DecisionKind
    row: str | None = Field(default=None, max_length=2100, examples=["contoso-a|app-17"])


class ImportBody(Document):
    """Whom to bring in by hand, until which day at most (a year ahead), and a note for the audit."""

    object_ids: list[Guid] = Field(min_length=1, max_length=1_000)
    until: Day | None = Field(
        default=None,
        description="The day (UTC) on which the rules decide again; at most a year ahead. None: for good.",
        examples=["2027-01-31"],
    )
    note: Note | None = None


class PeopleBody(Document):
    """Whom to sync now: object ids, sign-in names, or e-mail addresses."""

    who: list[Who] = Field(min_length=1, max_length=100, examples=[["ann@contoso.com"]])


class NoteBody(Document):
    """Why it is done; kept for good with the caller."""

    note: Note | None = None


class CandidateList(Document):
    """People of the directory to pick from, in its own order.

    `searched`: `words` where each word of a name was looked at, `beginning` where only beginnings were. With
    `imported` a page may be short, or empty, and have a next one.
    """

    items: list[CandidatePerson]
    next: Next
    searched: Literal["words", "beginning"]


class Takeover(Document):
    """A deleted connection to the same tenant: `people` whose rows stay under its id, `active` of them.

    `standing` is `open`, `confirmed` (the next run moves the rows), `done`, or `elsewhere` (another
    connection, the `taker`, has them).
    """

    connection: str = Field(examples=["contoso-old"])
    standing: Standing
    taker: str | None
    people: int
    active: int
    deleted_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    reason: str | None
    done_at: datetime | None


class TakeoverList(Document):
    """The deleted connections of the tenant by id, all of them."""

    items: list[Takeover]
    next: Next


class PreviewBody(Document):
    """Settings to try; each takes the place of the stored one, and what is left out stays."""

    scope: Scope | None = None
    mapping: Annotated[list[MappingRule], Field(max_length=MAX_RULES)] | None = None
    matching: Annotated[list[TargetName], Field(max_length=MAX_KEYS)] | None = None
    policy: Policy | None = None


class ConfigConfirmation(Document):
    """A connection of a file that would move more people than its guard allows, and the way out."""

    connection: str
    code: Literal["connection.needsConfirmation"]
    message: str
    remedy: str
    plan_hash: str
    plan_url: str
    counts: PreviewCounts
    leavers_by_reason: dict[str, int]
    changes: list[Mover]
    columns: dict[str, ColumnCount]
    held_values: list[HeldValues]


class BitwardenFilters(Document):
    """Filters of Bitwarden's Directory Connector for Entra ID, as they stand in its settings."""

    # Three times as much goes into a scope, of which a connection has to hold the whole.
    user_filter: str = Field(max_length=50_000)
    group_filter: str | None = Field(default=None, max_length=50_000)
