"""Incidents of a connection that runs and does not fail: what waits for an administrator. Pure.

A run that is held, and a group that is gone, open an incident each; the first run that does its work
without it resolves it. A run that failed says nothing of them. Those of failing connections are in `health`.
Notifications that do not arrive open one, too, and the first that does resolves it.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.health import Event, Health, Incident, Step, resolved

# Errors of single records and groups that only an administrator can mend, and that last until then.
LASTING = {
    "scope.groupNotFound": "Restore the group, or take it out of the scope.",
    "scope.applicationNotFound": "Name the enterprise application by its object id, or take the clause out.",
    "scope.membersHidden": "Grant the permission that is named, or take the group out of the scope.",
}
SILENT = "realtime.silent"


class Finding(NamedTuple):
    """Something that waits for an administrator after a run that did its work."""

    code: str
    message: str
    remedy: str


def findings_of(run: Run) -> tuple[Finding, ...]:
    """Return what a run found, each code once."""
    found: dict[str, Finding] = {}
    if run.error is not None and run.status in {RunStatus.HELD, RunStatus.PARTIAL}:
        where = f"The run {run.id} is held. " if run.status is RunStatus.HELD else ""
        code, message = run.error.code, f"{where}{run.error.message}"
        if code in {"guard.held", "assertion.failed"}:
            found[code] = Finding(code, message, run.error.remedy)
    for error in run.errors:
        if error.code in LASTING and error.code not in found:
            where = f" ({error.object_id})" if error.object_id else ""
            found[error.code] = Finding(error.code, f"{error.message}{where}", LASTING[error.code])
    return tuple(found.values())


class Ears(NamedTuple):
    """Whether a connection is to be told of changes, and the last notification that shows that it is."""

    listens: bool
    heard_at: datetime | None = None

    def are_deaf(self, since: datetime) -> bool:
        """Whether nothing has shown since a moment that notifications arrive, or that none should."""
        return self.listens and (self.heard_at is None or self.heard_at <= since)


def noticed(
    health: Health, findings: tuple[Finding, ...], now: datetime, ears: Ears | None = None
) -> Step:
    """Open an incident for each finding that is new, and resolve those that are not found any more.

    That notifications do not arrive is found beside runs. A run only knows whether they do again, by its
    `ears`; None where it ended too early for that.
    """
    known = health.waiting
    silent = known.get(SILENT)
    if silent is not None and (ears is None or ears.are_deaf(silent.since)):
        findings += (Finding(SILENT, silent.message, silent.remedy),)
    waiting = {
        found.code: Incident(
            code=found.code,
            message=found.message,
            remedy=found.remedy,
            since=known[found.code].since if found.code in known else now,
        )
        for found in findings
    }
    opened = tuple(
        Event("incident.opened", logging.WARNING, {"code": code})
        for code in waiting
        if code not in known
    )
    closed = tuple(resolved(known[code], now) for code in known if code not in waiting)
    return Step(health.replaced(waiting=waiting), opened + closed)


def silenced(health: Health, finding: Finding, since: datetime) -> Step:
    """Open the incident of notifications that do not arrive, unless it is, or runs fail as well."""
    if SILENT in health.waiting or health.failures:
        return Step(health)
    incident = Incident(code=SILENT, message=finding.message, remedy=finding.remedy, since=since)
    event = Event("incident.opened", logging.WARNING, {"code": SILENT})
    return Step(health.replaced(waiting={**health.waiting, SILENT: incident}), (event,))


def open_incidents(health: Health) -> Mapping[str, Incident]:
    """Return all incidents that are open, by code."""
    quarantined = health.quarantine.incident if health.quarantine is not None else None
    others = [one for one in (quarantined, health.overdue) if one is not None]
    return {one.code: one for one in others} | health.waiting


class Turns(NamedTuple):
    """The incidents that a change of the health has opened, and those that it has ended."""

    opened: tuple[Incident, ...]
    ended: tuple[Incident, ...]


def turns(before: Health, after: Health) -> Turns:
    """Compare the incidents before and after a change; one that began anew has ended and is opened."""
    old, new = open_incidents(before), open_incidents(after)
    return Turns(
        tuple(one for one in new.values() if not _is_in(one, old)),
        tuple(one for one in old.values() if not _is_in(one, new)),
    )


def _is_in(incident: Incident, incidents: Mapping[str, Incident]) -> bool:
    found = incidents.get(incident.code)
    return found is not None and found.since == incident.since
