"""People named by an administrator: brought in by hand, or synced now; asked for here, done by a run."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import NamedPeople
from sync_core.domain.documents.run import Actor, Mode, Run, Trigger
from sync_core.domain.errors import Conflict, FieldProblem, Invalid, RetryLater
from sync_core.logs import log_event
from sync_core.runs.by_name import message_for
from sync_core.services import Services
from sync_core.store.runs import new_run_id

ASK_FOR = timedelta(minutes=10)


async def ask_for_import(
    services: Services,
    connection: Connection,
    object_ids: Sequence[str],
    *,
    until: date | None,
    note: str | None,
    by: Actor,
) -> Run:
    """Ask for exactly these people to be brought in by hand; returns the run that will do it.

    Raises `Invalid` for a day that has come or is more than a year away, and `Conflict` for a connection
    that is disabled.
    """
    _check_enabled(connection)
    now = services.clock()
    _check_day(until, now)
    named = NamedPeople(
        connection_id=connection.id,
        run_id=new_run_id(now),
        trigger=Trigger.IMPORT,
        who=each_once(object_ids),
        until=until.isoformat() if until else "",
        by=by,
        note=note,
        asked_at=now,
    )
    # The row of audit goes first: an import that then fails leaves one too many, and none is without.
    await services.store.audit.note(
        now,
        by.key,
        "people.imported",
        connection.id,
        byName=by.name,
        people=len(named.who),
        until=named.until or None,
        runId=named.run_id,
        note=note,
    )
    return await _asked(services, named)


async def ask_for_sync(
    services: Services, connection: Connection, who: Sequence[str], by: Actor
) -> Run:
    """Ask for these people, named by object id or sign-in name, to be synced now; returns the run."""
    _check_enabled(connection)
    now = services.clock()
    named = NamedPeople(
        connection_id=connection.id,
        run_id=new_run_id(now),
        trigger=Trigger.PERSON,
        who=each_once(who),
        by=by,
        asked_at=now,
        ask_until=now + ASK_FOR,
    )
    return await _asked(services, named)


async def _asked(services: Services, named: NamedPeople) -> Run:
    """Note the request, record its run, and tell the queue; in this order, as `runs.request` does."""
    run = Run(
        id=named.run_id,
        connection_id=named.connection_id,
        trigger=named.trigger,
        by=named.by,
        mode=Mode.USERS,
        requested_at=named.asked_at,
        note=named.note,
    )
    await services.store.named.save(named)
    await services.store.runs.save(run)
    log_event(
        "people.asked",
        connection=named.connection_id,
        run=run.id,
        people=len(named.who),
        by=named.by.key,
    )
    try:
        await services.queue.send(message_for(named))
    except RetryLater as error:
        raise RetryLater(
            error.code,
            f"{error.message} The request is noted as run {run.id} and has not started.",
            f"Nothing to do: it is asked for again within the hour. {error.remedy}",
        ) from error
    return run


def each_once(who: Sequence[str]) -> list[str]:
    """Return ids or names in their order, the second of two equal ones left out."""
    found: dict[str, str] = {}
    for one in who:
        found.setdefault(one.casefold(), one)
    return list(found.values())


def _check_day(until: date | None, now: datetime) -> None:
    if until is None:
        return
    today = now.date()
    last = _a_year_after(today)
    if until <= today:
        problem = f"must be a day after today ({today.isoformat()}, UTC)"
    elif until > last:
        problem = f"must be at most a year away, not after {last.isoformat()}"
    else:
        return
    raise Invalid(
        "The day until which people are brought in is not possible.",
        [FieldProblem("until", problem)],
    )


def _a_year_after(day: date) -> date:
    """Return the same date of the next year; of February 29th, March 1st."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return date(day.year + 1, 3, 1)


def _check_enabled(connection: Connection) -> None:
    if not connection.enabled:
        raise Conflict(
            "connection.disabled",
            f"The connection {connection.id!r} is disabled; it is not synced.",
            'Enable it first: PATCH it with {"enabled": true}.',
        )
