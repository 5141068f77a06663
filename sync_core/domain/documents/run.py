"""The record of a run: why, how, with which counts, and what it has told."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from sync_core.domain.compatibility import open_to_words
from sync_core.domain.documents.base import Document
from sync_core.domain.errors import SyncError

PLAN_HASH = r"^[0-9a-f.]{1,200}$"


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
