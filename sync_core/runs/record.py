"""The record of a run: how it begins, what was planned and counted, and how it ends."""

import logging
from datetime import datetime

from sync_core.directory.trouble import Usage
from sync_core.domain.compatibility import word
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import GraphUse, Run, RunError, RunStatus, Trigger
from sync_core.domain.errors import SyncError
from sync_core.domain.health import Cause
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.ledger import Ledger
from sync_core.domain.plan.plan import Plan
from sync_core.health.journal import run_ended
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.leases import Lease, Next

HELD_REMEDY = (
    "Look at the held changes of this run. If they are right, raise the connection's guard limits for "
    "one run; if not, correct the scope or the directory. Everything else of the plan was applied."
)
ASSERTION_REMEDY = (
    "Look at the run's changes. Correct the scope or the directory; or, if the assertion is no longer "
    "right, the connection's assertions. Nobody came or went; everything else was applied."
)
BREACH_REMEDY = (
    "Look at the held changes of this run. Correct the directory or the mapping; or, if the assertion is no "
    "longer right, the connection's assertions. Only these people wait; everything else was applied."
)


async def begun(services: Services, connection: Connection, request: Next) -> Run:
    """Return the record of a run that begins now; one that was queued keeps when it was asked for."""
    now = services.clock()
    found = await services.store.runs.find(connection.id, request.run_id)
    if found is not None and found.started_at is not None:
        # Its worker died. What that one planned is not what this one will have done.
        await services.store.plans.delete(connection.id, request.run_id)
    run = found or Run(
        id=request.run_id,
        connection_id=connection.id,
        trigger=word(Trigger, request.trigger),
        by=request.by,
        requested_at=now,
    )
    # A message that comes again after its worker died runs under the name it had.
    return run.replaced(status=RunStatus.RUNNING, started_at=now, finished_at=None, error=None)


async def interrupt(services: Services, connection_id: str, run_id: str) -> None:
    """Mark a run that died holding the lease as `run.interrupted`, if it has a record.

    That is no failure yet: another try follows at once, and the lease counts them.
    """
    dead = await services.store.runs.find(connection_id, run_id)
    if dead is None or dead.status.is_final:
        return
    error = RunError(
        code="run.interrupted",
        message="The run was ended from outside (a restart, a deployment, a time limit).",
        remedy="Nothing to do: another run has taken over; what was written stays and is complete.",
    )
    log_event("run.interrupted", connection=connection_id, run=run_id)
    await services.store.runs.save(_ended_from_outside(services, dead, error))


async def give_up(services: Services, lease: Lease, request: Next) -> RunError | None:
    """Close the run that died holding the lease, as one that is not tried again by itself, and say so.

    None if it had ended and only its lease was left. The connection is quarantined: its next tries come after
    pauses that grow, and one incident is open until one of them ends. `request` is what would run now.
    """
    run_id = lease.run_id or request.run_id
    found = await services.store.runs.find(lease.connection_id, run_id)
    if found is not None and found.status.is_final:
        return None
    phase = await _phase_of(services, found)
    error = _worker_died(lease.attempts, phase)
    trigger = request.trigger if request.run_id == run_id else Trigger.TIMER
    dead = found or Run(
        id=run_id,
        connection_id=lease.connection_id,
        trigger=word(Trigger, trigger),
        requested_at=services.clock(),
    )
    log_event(
        error.code,
        level=logging.ERROR,
        connection=lease.connection_id,
        run=run_id,
        attempts=lease.attempts,
        phase=phase,
    )
    dead = _ended_from_outside(services, dead, error)
    await services.store.runs.save(dead)
    await run_ended(services, dead, Cause.ADMINISTRATOR)
    return error


def _worker_died(attempts: int, phase: str) -> RunError:
    return RunError(
        code="run.gaveUp",
        message=f"The worker died in the middle of the run {attempts} times in a row, the last time in the "
        f"phase {phase}.",
        remedy="Look at what the log says before each end of a worker. Mostly its memory did not suffice: "
        "choose larger instances, or split the scope over several connections.",
    )


async def _phase_of(services: Services, run: Run | None) -> str:
    """Say how far a dead run came: its record is written before it reads, its plan before it writes."""
    if run is None or run.started_at is None:
        return "queued"
    planned = await services.store.plans.has(run.connection_id, run.id)
    return "writing" if planned else "reading"


def _ended_from_outside(services: Services, dead: Run, error: RunError) -> Run:
    # What it has written it could not record any more.
    return dead.replaced(
        status=RunStatus.FAILED,
        finished_at=services.clock(),
        error=error,
        counts_at_least=True,
    )


async def reject(services: Services, connection_id: str, run_id: str) -> Run | None:
    """Mark a queued run as rejected: its connection is disabled or gone. None if it has no record."""
    queued = await services.store.runs.find(connection_id, run_id)
    if queued is None:
        return None
    error = RunError(
        code="connection.notEnabled",
        message="The connection was deleted or disabled before the run began.",
        remedy="Enable the connection and ask again.",
    )
    run = queued.replaced(status=RunStatus.REJECTED, finished_at=services.clock(), error=error)
    await services.store.runs.save(run)
    return run


def planned(run: Run, plan: Plan) -> Run:
    """Return the record with the plan's name, and log what the plan holds."""
    log_event(
        "run.planned",
        connection=run.connection_id,
        run=run.id,
        active=plan.tally.active,
        creates=plan.tally.creates,
        removals=plan.tally.removals,
        reenables=plan.tally.reenables,
        other_changes=plan.tally.others,
        returns=plan.tally.returns or None,
        held=plan.held,
    )
    return run.replaced(plan_hash=plan.plan_hash, columns=dict(plan.columns))


def measured(run: Run, usage: Usage, ledger: Ledger) -> Run:
    """Return the record with what the run has asked of Graph and counted so far."""
    graph = GraphUse(
        requests=usage.requests,
        throttled=usage.throttled,
        retried=usage.retried,
        bytes=usage.bytes,
        delta_pages=usage.delta_pages,
        empty_delta_pages=usage.empty_delta_pages,
        units=usage.units,
        waited_seconds=round(usage.waited_s, 1),
    )
    return run.replaced(
        counts=ledger.counts,
        counts_at_least=ledger.at_least,
        errors=ledger.errors,
        warnings=ledger.warnings,
        graph=graph,
    )


def finished(run: Run, plan: Plan) -> Run:
    """Return the record of a run that came to its end: succeeded, partial or held."""
    if plan.verdict.red:
        status = RunStatus.HELD if plan.held else RunStatus.PARTIAL
        return run.replaced(status=status, error=broken_assertions(plan))
    if plan.held:
        reasons = "; ".join(plan.verdict.reasons) or "too many people would be removed"
        error = RunError(
            code="guard.held",
            message=f"{reasons[:1].upper()}{reasons[1:]}. {plan.held} changes wait for approval.",
            remedy=HELD_REMEDY,
        )
        return run.replaced(status=RunStatus.HELD, error=error)
    return run.replaced(status=RunStatus.PARTIAL if run.errors else RunStatus.SUCCEEDED)


def broken_assertions(plan: Plan) -> RunError:
    """Return the error of a run whose plan would break assertions; what the guard holds is told as well."""
    verdict = plan.verdict
    found = [f"An assertion would be broken: {'; '.join(verdict.red)}."]
    if verdict.reasons and not verdict.broken:
        found.append(f"Besides, {'; '.join(verdict.reasons)}.")
    found.append(f"{plan.held} changes wait." if plan.held else _nothing_waits(verdict))
    return RunError(
        code="assertion.failed",
        message=" ".join(found),
        remedy=ASSERTION_REMEDY if verdict.broken else BREACH_REMEDY,
    )


def _nothing_waits(verdict: Verdict) -> str:
    if verdict.broken:
        return "Nobody would have come or gone anyway."
    return "No change of this run makes it so."


def unexpected(run: Run) -> SyncError:
    """Log what the program does not know, while it is handled; return the error of the run that met it."""
    log_event(
        "run.unexpected",
        level=logging.ERROR,
        exc_info=True,
        connection=run.connection_id,
        run=run.id,
    )
    return SyncError(
        "run.unexpected",
        "The run met an error that the program does not know.",
        f"Look for run.unexpected and {run.id} in the log, and report it.",
    )


def log_finished(run: Run) -> None:
    """Log how a run ended, with every count that is not zero."""
    log_event(
        "run.finished",
        connection=run.connection_id,
        run=run.id,
        trigger=run.trigger.value,
        mode=run.mode.value,
        status=run.status.value,
        code=run.error.code if run.error else None,
        waited_s=_seconds(run.requested_at, run.started_at),
        took_s=_seconds(run.started_at, run.finished_at),
        **{name: value for name, value in run.counts.model_dump().items() if value},
        graph_requests=run.graph.requests,
        throttled=run.graph.throttled or None,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds between two moments; clocks of two instances differ a little."""
    if start is None or end is None:
        return None
    return round(max(0.0, (end - start).total_seconds()), 1)
