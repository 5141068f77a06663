"""What a connection uses that no delta tells: attributes of its scope, and of its mapping. Pure."""

from sync_core.domain.attributes import selected
from sync_core.domain.documents import Connection
from sync_core.domain.errors import FieldProblem
from sync_core.domain.incremental.tracking import not_tracked
from sync_core.domain.mapping.compile import names_of
from sync_core.domain.scope.compile import scope_attributes

# With an attribute that only a full reading brings up to date, one a day is the least.
MOST_HOURS = 24


def untracked_by(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the attributes whose changes no delta tells: those of the scope, and those of the mapping."""
    mapped = {selected(name) for rule in connection.mapping for name in names_of(rule)}
    return not_tracked(scope_attributes(connection.scope)), not_tracked(mapped)


def interval_problems(connection: Connection) -> list[FieldProblem]:
    """Say that a full reading is due more often, if so."""
    _, mapping = untracked_by(connection)
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
