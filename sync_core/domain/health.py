"""The health of a connection: its state and what happened in, the new state and events out. Pure.

A connection that fails is quarantined: the timer leaves it alone until its next try. A cause that an
administrator has to mend quarantines at once; one that may pass by itself only after three failed
runs in a row. While it lasts, one incident is open: it names the cause, and is logged once when it
begins and once when it ends. Running again, or a check that finds everything in order, releases.

The back-off alone says when a quarantined connection is tried, whatever its schedule says: a tenant
synced once a day is tried again after a quarter of an hour, since a cause is mostly mended soon, and
one synced every five minutes is left alone for as long as the others. Only a try that was due
lengthens it: who asks by hand while mending the cause does not push the next try away.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pydantic import Field

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection, Credential
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import FixConnection, FixSettings
from sync_core.domain.schedule import has_begun, spread

# Runs that nobody waits for: the next try of a quarantined connection finds what they tell of.
UNATTENDED = frozenset({Trigger.TIMER, Trigger.WEBHOOK, Trigger.LIFECYCLE})
# One bad hour of Graph is no incident; three failed runs in a row are.
FAILURES_TOLERATED = 3
BACK_OFF = (
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=24),
)
# Up to a tenth longer, by the connection's id: what failed together does not come back together.
SPREAD = 10
# Days before a credential expires, and the day itself.
STAGES = (60, 30, 14, 7, 1, 0)
URGENT_DAYS = 7
# A date may become another one without a change of the connection, in Key Vault or at Entra.
LOOK_EVERY = timedelta(days=1)
OVERDUE = "connection.overdue"
QUARANTINED = "connection.quarantined"


class Cause(StrEnum):
    """Who mends a failure."""

    ADMINISTRATOR = "administrator"
    PASSING = "passing"


class Status(StrEnum):
    """The state in one word; `failing` is not quarantined yet."""

    OK = "ok"
    FAILING = "failing"
    QUARANTINED = "quarantined"


class ExpirySource(StrEnum):
    """Where the date of expiry is known from."""

    ENTRA = "entra"
    KEY_VAULT = "keyVault"
    CERTIFICATE = "certificate"
    GIVEN = "given"


SOURCE_WORDS = {
    ExpirySource.ENTRA: "the date in the app registration",
    ExpirySource.KEY_VAULT: "the date kept in Key Vault",
    ExpirySource.CERTIFICATE: "the date in the certificate",
    ExpirySource.GIVEN: "the date given with the connection",
}


class _State(Document):
    def replaced(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)


class Failure(_State):
    """Why a run failed, and who mends it."""

    code: str
    message: str
    remedy: str = ""
    cause: Cause = Cause.PASSING


class Incident(_State):
    """One cause of trouble, from when it began until it is over."""

    code: str
    message: str
    remedy: str
    since: datetime


class Quarantine(_State):
    """Since when a connection is left alone, how many due tries failed since, and why."""

    since: datetime
    tries: int = 0
    incident: Incident


class Expiry(_State):
    """When a credential expires, and who says so."""

    expires_on: date
    source: ExpirySource


class Warned(_State):
    """What was logged of one credential: for each date that was told, the most urgent stage."""

    credential: str
    expiry: Expiry
    stages: dict[date, int] = Field(default_factory=dict)


class Looked(_State):
    """When the expiry of a credential was asked for, and of which one."""

    credential: str
    at: datetime


class Health(_State):
    """What is remembered of a connection; a connection without any trouble has nothing but its id."""

    connection_id: str
    failures: int = 0
    passing_failures: int = 0
    last_failed_at: datetime | None = None
    last_failure: Failure | None = None
    quarantine: Quarantine | None = None
    next_try_at: datetime | None = None
    paused: bool = False
    watched_since: datetime | None = None
    overdue: Incident | None = None
    warned: Warned | None = None
    looked: Looked | None = None
    # By code: what waits for an administrator while the connection runs (`incidents`).
    waiting: dict[str, Incident] = Field(default_factory=dict)

    @property
    def status(self) -> Status:
        if self.quarantine is not None:
            return Status.QUARANTINED
        return Status.FAILING if self.failures else Status.OK

    def held_back(self, now: datetime) -> bool:
        """Whether nobody but a person may start a run now."""
        return self.next_try_at is not None and now < self.next_try_at


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log to be: a name, and fields without personal data."""

    name: str
    level: int = logging.INFO
    fields: Mapping[str, object] = field(default_factory=dict)


class Step(NamedTuple):
    """The new state, and what there is to tell."""

    health: Health
    events: tuple[Event, ...] = ()


# --- runs and checks ------------------------------------------------------------------------------


def cause_of(error: Exception) -> Cause:
    """Sort an error by who mends it; what the program does not know may pass."""
    administrators = isinstance(error, FixConnection | FixSettings)
    return Cause.ADMINISTRATOR if administrators else Cause.PASSING


def failed(health: Health, failure: Failure, now: datetime) -> Step:
    """Count a failed run; quarantine the connection if its cause calls for it."""
    passing = health.passing_failures + 1 if failure.cause is Cause.PASSING else 0
    ran, events = _ran(health, now)
    counted = ran.replaced(
        failures=ran.failures + 1,
        passing_failures=passing,
        last_failed_at=now,
        last_failure=failure,
    )
    # One passing failure does not show that the cause of an open incident is gone.
    if failure.cause is Cause.ADMINISTRATOR or passing >= FAILURES_TOLERATED:
        counted, more = _blamed(counted, failure, now)
        events += more
    return Step(_put_off(counted, now), events)


def worked(health: Health, now: datetime) -> Step:
    """Note a run that did its work: whatever was wrong is over."""
    ran, overdue_events = _ran(health, now)
    released, events = _released(ran, now, "run")
    clean = released.replaced(
        failures=0, passing_failures=0, last_failed_at=None, last_failure=None, next_try_at=None
    )
    return Step(clean, overdue_events + events)


def checked(health: Health, now: datetime) -> Step:
    """Note a check that found everything in order: who was quarantined is tried at the next look.

    Without a quarantine nothing changes: a check does not show that runs get to their end.
    """
    if health.quarantine is None:
        return Step(health)
    released, events = _released(health, now, "check")
    clean = released.replaced(failures=0, passing_failures=0, next_try_at=now)
    return Step(clean, events)


def back_off(connection_id: str, tries: int) -> timedelta:
    """Return the wait after this many failed tries, the first being 1."""
    wait = BACK_OFF[min(tries, len(BACK_OFF)) - 1]
    return wait + spread(connection_id, wait / SPREAD)


def _blamed(health: Health, failure: Failure, now: datetime) -> Step:
    """Make this failure the cause: one incident is open, and a known one is not told again."""
    quarantine = health.quarantine
    known = quarantine.incident if quarantine is not None else None
    since = known.since if known is not None and known.code == failure.code else now
    incident = Incident(
        code=failure.code, message=failure.message, remedy=failure.remedy, since=since
    )
    blamed = health.replaced(
        quarantine=quarantine.replaced(incident=incident)
        if quarantine is not None
        else Quarantine(since=now, incident=incident)
    )
    if known is not None and known.code == failure.code:
        return Step(blamed)
    closed = (_closed(known, now, replaced_by=failure.code),) if known is not None else ()
    fields = {"code": failure.code, "cause": failure.cause.value, "failures": health.failures}
    return Step(blamed, (*closed, Event("incident.opened", logging.ERROR, fields)))


def _put_off(health: Health, now: datetime) -> Health:
    if health.quarantine is None:
        return health.replaced(next_try_at=None)
    if health.held_back(now):
        return health
    tries = health.quarantine.tries + 1
    return health.replaced(
        quarantine=health.quarantine.replaced(tries=tries),
        next_try_at=now + back_off(health.connection_id, tries),
    )


def _released(health: Health, now: datetime, by: str) -> Step:
    quarantine = health.quarantine
    if quarantine is None:
        return Step(health)
    fields = {
        "by": by,
        "failures": health.failures,
        "quarantined_s": _seconds(quarantine.since, now),
    }
    events = (resolved(quarantine.incident, now), Event("connection.released", fields=fields))
    return Step(health.replaced(quarantine=None), events)


def resolved(incident: Incident, now: datetime) -> Event:
    """Say that an incident is over."""
    fields = {"code": incident.code, "lasted_s": _seconds(incident.since, now)}
    return Event("incident.resolved", fields=fields)


def _closed(incident: Incident, now: datetime, **why: str) -> Event:
    """Say that an incident is no longer the open one, though nothing shows that it was mended."""
    fields = {"code": incident.code, "lasted_s": _seconds(incident.since, now), **why}
    return Event("incident.closed", fields=fields)


def _seconds(since: datetime, now: datetime) -> int:
    # Clocks of two instances differ a little.
    return max(0, int((now - since).total_seconds()))


# --- the dead man ---------------------------------------------------------------------------------


def watched(
    health: Health, connection: Connection, last_started: datetime | None, now: datetime
) -> Step:
    """Open an incident if no run began for twice the interval, and resolve it when one did.

    What counts is the last start, or when the connection was first seen enabled, or enabled again;
    a quarantined one is expected at its next try. `last_started` is `now` while a run is under way.
    """
    if not (connection.enabled and connection.schedule.automatic):
        events = (_closed(health.overdue, now, reason="paused"),) if health.overdue else ()
        return Step(health.replaced(paused=True, watched_since=None, overdue=None), events)
    if health.watched_since is None:
        first = now if health.paused or last_started is None else last_started
        health = health.replaced(paused=False, watched_since=first)
    moments = (health.watched_since, last_started, health.next_try_at)
    since = max(moment for moment in moments if moment is not None)
    if now - since <= 2 * timedelta(minutes=connection.schedule.every_minutes):
        return _ran(health, now)
    if health.overdue is not None:
        return Step(health)
    return _overdue(health, connection, since)


def _overdue(health: Health, connection: Connection, since: datetime) -> Step:
    minutes = connection.schedule.every_minutes
    incident = Incident(
        code=OVERDUE,
        message=f"No run has started since {_moment(since)}, although one is due every {minutes} minutes.",
        remedy=(
            "Check that the app is running, that its function scheduled_sync fires, and that the "
            "queue sync-requests is being emptied; then ask for a sync by hand."
        ),
        since=since,
    )
    fields = {"code": OVERDUE, "since": since.isoformat(timespec="seconds"), "every_min": minutes}
    return Step(
        health.replaced(overdue=incident), (Event("incident.opened", logging.ERROR, fields),)
    )


def _ran(health: Health, now: datetime) -> Step:
    if health.overdue is None:
        return Step(health)
    return Step(health.replaced(overdue=None), (resolved(health.overdue, now),))


# --- expiry ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """A stage that was reached and not told yet; from the day itself on, `days_left` is 0 or less."""

    stage: int
    days_left: int

    @property
    def level(self) -> int:
        return logging.ERROR if self.days_left <= URGENT_DAYS else logging.WARNING


def expiry_warning(
    expires_on: date, now: datetime, already_warned: int | None
) -> ExpiryWarning | None:
    """Return the warning to log now, if one is due: the most urgent stage only, and each once."""
    days_left = _days_left(expires_on, now)
    reached = [stage for stage in STAGES if days_left <= stage]
    if not reached or (already_warned is not None and reached[-1] >= already_warned):
        return None
    return ExpiryWarning(reached[-1], days_left)


def look_is_due(health: Health, connection: Connection, now: datetime) -> bool:
    """Whether it is time to ask when the credential expires: each asks Key Vault, Entra and Graph.

    Of each credential once a day, at the connection's own hour; of another one, or where a stage of the date
    that is known has come, at once.
    """
    looked = health.looked
    if looked is None or looked.credential != _looked_key(connection.credential):
        return True
    warned = health.warned
    if warned is not None and warned.credential == credential_key(connection.credential):
        day = warned.expiry.expires_on
        if expiry_warning(day, now, warned.stages.get(day)) is not None:
            return True
    return has_begun(connection.id, LOOK_EVERY, looked.at, now)


def _looked_key(credential: Credential) -> str:
    """Name a credential as `credential_key` does, and the date that was given with it."""
    return f"{credential_key(credential)}/{credential.expires_on or ''}"


def aged(health: Health, connection: Connection, expiry: Expiry | None, now: datetime) -> Step:
    """Warn of a credential that expires; another version or another date starts anew.

    Stages are kept by date, and kept while nobody knows one: when the source that knows best is away
    for an hour and another one answers in its place, nothing is told a second time.
    """
    looked = Looked(credential=_looked_key(connection.credential), at=now)
    health = health.replaced(looked=looked)
    if expiry is None:
        return Step(health)
    key, known = credential_key(connection.credential), health.warned
    stages = known.stages if known is not None and known.credential == key else {}
    warning = expiry_warning(expiry.expires_on, now, stages.get(expiry.expires_on))
    if warning is None:
        warned = Warned(credential=key, expiry=expiry, stages=stages)
        return Step(health.replaced(warned=warned))
    stages = stages | {expiry.expires_on: warning.stage}
    fields = {
        "days_left": warning.days_left,
        "expires_on": expiry.expires_on.isoformat(),
        "source": expiry.source.value,
    }
    warned = Warned(credential=key, expiry=expiry, stages=stages)
    event = Event("credential.expiring", warning.level, fields)
    return Step(health.replaced(warned=warned), (event,))


def credential_key(credential: Credential) -> str:
    """Name one version of a credential; where the version is not pinned, the date tells versions apart."""
    return f"{credential.kind}/{credential.secret_name or ''}/{credential.secret_version or ''}"


def _days_left(expires_on: date, now: datetime) -> int:
    return (expires_on - now.astimezone(UTC).date()).days


# --- for the API ----------------------------------------------------------------------------------


def connection_warnings(
    health: Health | None, connection: Connection, now: datetime
) -> list[dict[str, str]]:
    """Return what an administrator should know when looking at the connection."""
    health = health or Health(connection_id=connection.id)
    found = []
    if health.quarantine is not None:
        text = _quarantine_text(health.quarantine, health, connection)
        found.append((QUARANTINED, text))
    if health.overdue is not None and connection.enabled:
        text = f"{health.overdue.message} {health.overdue.remedy}"
        found.append((OVERDUE, text))
    found += [(one.code, f"{one.message} {one.remedy}") for one in health.waiting.values()]
    expiry = _expiry(health, connection)
    if expiry is not None and (days_left := _days_left(expiry.expires_on, now)) <= STAGES[0]:
        found.append(_expiry_text(expiry, days_left))
    return [{"code": code, "message": text} for code, text in found]


def health_document(health: Health) -> dict[str, Any]:
    """Return the state as the API shows it."""
    shown, quarantine = health.to_json(), health.quarantine
    failing = quarantine.incident if quarantine is not None else None
    incidents = (failing, health.overdue, *health.waiting.values())
    return {
        "status": health.status.value,
        "failures": health.failures,
        "lastFailedAt": shown["lastFailedAt"],
        "lastFailure": shown["lastFailure"],
        "quarantinedSince": shown["quarantine"]["since"] if quarantine is not None else None,
        "nextTryAt": shown["nextTryAt"],
        "incidents": [one.to_json() for one in incidents if one is not None],
        "expiry": shown["warned"]["expiry"] if health.warned is not None else None,
    }


def _quarantine_text(quarantine: Quarantine, health: Health, connection: Connection) -> str:
    incident = quarantine.incident
    times = "once" if health.failures == 1 else f"{health.failures} times in a row"
    why = f"{incident.message} {incident.remedy}".rstrip()
    return (
        f"In quarantine since {_moment(quarantine.since)}: runs failed {times}. {why} "
        f"{_next_try(health, connection)}"
    )


def _next_try(health: Health, connection: Connection) -> str:
    if health.next_try_at is None or not (connection.enabled and connection.schedule.automatic):
        return "It is tried again when somebody asks for a sync."
    return (
        f"The next try is at {_moment(health.next_try_at)}; asking for a sync, or a check that finds "
        "everything in order, does not wait for it."
    )


def _expiry(health: Health, connection: Connection) -> Expiry | None:
    """Return the date that is known best; one kept for another credential says nothing about this one."""
    kept, given = health.warned, connection.credential.expires_on
    if (
        kept is not None
        and kept.expiry.source is not ExpirySource.GIVEN
        and kept.credential == credential_key(connection.credential)
    ):
        return kept.expiry
    return Expiry(expires_on=given, source=ExpirySource.GIVEN) if given else None


def _expiry_text(expiry: Expiry, days_left: int) -> tuple[str, str]:
    day, source = expiry.expires_on.isoformat(), SOURCE_WORDS[expiry.source]
    if days_left < 0:
        text = f"The credential expired on {day} ({source})."
    elif days_left == 0:
        text = f"The credential expires today, {day} ({source})."
    else:
        days = "1 day" if days_left == 1 else f"{days_left} days"
        text = f"The credential expires in {days}, on {day} ({source})."
    code = "credential.expired" if days_left < 0 else "credential.expiring"
    return code, f"{text} Make a new one in the app registration and store it in the connection."


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
