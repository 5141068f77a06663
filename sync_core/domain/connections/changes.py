"""Whether a tenant tells what changes, as a check: what its delta query refuses. Pure."""

from collections.abc import Iterable

from sync_core.domain.connections.checks import Check, Severity, passed
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.domain.incremental.untracked import interval_problems, untracked_by

CHANGES = "read changes"


def changes_check(connection: Connection, refused: Iterable[str]) -> Check:
    """Say what Graph tells no changes of; `refused` is what a delta query of the tenant did not take.

    Fails where a value would grow too old by it, which the settings alone did not show.
    """
    refused = sorted(set(refused))
    untracked = untracked_by(connection, refused)
    if untracked.code is None:
        return passed(CHANGES, "Graph tells changes of every attribute that the connection uses.")
    problems = interval_problems(connection, refused)
    if problems and not interval_problems(connection):
        return Check(
            name=CHANGES,
            ok=False,
            code="incremental.fullTooRare",
            message=f"{problems[0].path} {problems[0].message}.",
            remedy="Set schedule.fullEveryHours to 24 or less, or take the attribute out of the mapping.",
            attributes=refused,
        )
    return Check(
        name=CHANGES,
        ok=True,
        code=untracked.code,
        message=untracked.message,
        remedy="Nothing has to be done. docs/incremental.md says what it costs.",
        severity=Severity.WARNING,
        attributes=refused,
    )


def no_changes_check(error: SyncError) -> Check:
    """Say that changes cannot be asked for; that stops nothing, since every run can read everything."""
    return Check(
        name=CHANGES,
        ok=True,
        code=error.code,
        message=f"Until Graph tells what changed, every run reads everything. {error.message}",
        remedy=error.remedy,
        severity=Severity.NOTE,
    )


def refused_by(checks: Iterable[Check]) -> list[str]:
    """Return the properties of which the tenant was seen to tell no changes, by its last check."""
    return next((check.attributes for check in checks if check.name == CHANGES), [])
