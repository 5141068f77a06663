"""What a connection uses that no delta tells: attributes of its scope, and of its mapping. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from sync_core.domain.attributes import selected
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem
from sync_core.domain.incremental.tracking import not_tracked
from sync_core.domain.mapping.compile import names_of
from sync_core.domain.scope.compile import scope_attributes

# With an attribute that only a full reading brings up to date, one a day is the least.
MOST_HOURS = 24


@dataclass(frozen=True, slots=True)
class Untracked:
    """The attributes of a connection whose changes no delta tells, and what follows for its runs."""

    scope: list[str]
    mapping: list[str]

    @property
    def code(self) -> str | None:
        """The code of the warning about them; None where all are told."""
        if self.scope:
            return "incremental.untrackedScope"
        return "incremental.untracked" if self.mapping else None

    @property
    def message(self) -> str:
        if self.scope:
            return (
                f"Every run reads everybody: Graph does not tell changes of {', '.join(self.scope)}, which "
                "the scope asks for. Without it, runs look only at who has changed."
            )
        return (
            f"Graph does not tell changes of {', '.join(self.mapping)}. What they are mapped to is as of the "
            "last run that read everybody (schedule.fullEveryHours), or as of the person's last other change."
        )


def untracked_by(connection: Connection, refused: Iterable[str] = ()) -> Untracked:
    """Return what no delta tells; `refused` are the properties that the tenant was seen to refuse."""
    refused = set(refused)
    mapped = {selected(name) for rule in connection.mapping for name in names_of(rule)}
    scoped = {selected(name) for name in scope_attributes(connection.scope)}
    return Untracked(not_tracked(scoped, refused), not_tracked(mapped, refused))


def interval_problems(connection: Connection, refused: Iterable[str] = ()) -> list[FieldProblem]:
    """Say that a full reading is due more often, if so."""
    mapping = untracked_by(connection, refused).mapping
    hours = connection.schedule.full_every_hours
    if not mapping or hours <= MOST_HOURS:
        return []
    return [
        FieldProblem(
            "schedule.fullEveryHours",
            f"must be {MOST_HOURS} or less: Graph does not tell changes of {', '.join(mapping)}, which the "
            "mapping reads, so only a run that reads everybody brings them up to date",
        )
    ]
