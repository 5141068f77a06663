"""What happens to people who leave, how much a run may decide alone, and what has to be true of its plan."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from sync_core.domain.documents.base import GUID, Document
from sync_core.domain.documents.mapping import TargetName
from sync_core.domain.documents.values import FoundValue

NAME_PATTERN = r"[^*\s]"
MAX_KEYS = 10
# An object id or sign-in name; a blank pasted with it must not take the protection away.
ProtectedName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)
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
