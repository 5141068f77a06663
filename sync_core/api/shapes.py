"""What the API answers with, beside the documents themselves; these describe it in OpenAPI, too."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sync_core.config_files import Action as ConfigAction
from sync_core.documents import (
    Connection,
    Document,
    MappingRule,
    Policy,
    Run,
    RunStatus,
    Scope,
    TargetName,
)
from sync_core.model import Action, Reason, Value
from sync_core.previewing import PreviewCounts
from sync_core.store.people import HistoryEntry, Person

Next = Annotated[
    str | None, Field(description="The `cursor` of the next page; null when this is the last one.")
]


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


class Problem(Document):
    """RFC 9457: what is wrong, with a stable `code` and the `remedy`."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str
    code: str = Field(examples=["connection.notFound"])
    remedy: str
    errors: list[FieldError] = Field(default_factory=list, description="Wrong fields, with 422.")
    correlation_id: str | None = Field(
        default=None, description="To be found in the log, with 500."
    )
    plan_hash: str | None = Field(
        default=None, description="With `connection.needsConfirmation`: send it as `?confirm=`."
    )
    counts: PreviewCounts | None = None
    leavers_by_reason: dict[str, int] | None = None
    changes: list[Mover] | None = Field(
        default=None, description="With `connection.needsConfirmation`: the first who come or go."
    )
    confirmations: list["ConfigConfirmation"] | None = Field(
        default=None,
        description="With `connection.needsConfirmation` for a file: one a connection.",
    )


class Warning(Document):  # noqa: A001 -- the word of the contract
    """Something about a connection that is allowed and may surprise."""

    code: str = Field(examples=["scope.everyone"])
    message: str
    users: int | None = Field(default=None, description="Everybody in the directory, with guests.")
    guests: int | None = Field(default=None, description="How many of them are guests.")


class ConnectionAnswer(Connection):
    """A connection, and what to know about it; `warnings` is read-only and ignored when sent."""

    warnings: list[Warning] = Field(default_factory=list)


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
    held: bool
    fields: dict[str, tuple[Value, Value]] = Field(description="Old and new value by target.")
    evidence: dict[str, Any] | None = Field(description="What Graph answered, for removals.")


class RunChangeList(Document):
    """A run's plan, in its order."""

    items: list[RunChange]
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
    """That the app answers; all but `status` is for readers."""

    status: Literal["ok", "degraded"]
    version: str | None = None
    checks: list[Check] | None = None
    connections: ConnectionCounts | None = None
    last_runs: list[LastRun] | None = None


class PreviewBody(Document):
    """Settings to try; each takes the place of the stored one, and what is left out stays."""

    scope: Scope | None = None
    mapping: list[MappingRule] | None = None
    matching: list[TargetName] | None = None
    policy: Policy | None = None


class ConfigConfirmation(Document):
    """A connection of a file that would move more people than its guard allows, and the way out."""

    connection: str
    code: Literal["connection.needsConfirmation"]
    message: str
    remedy: str
    plan_hash: str
    counts: PreviewCounts
    leavers_by_reason: dict[str, int]
    changes: list[Mover]
