"""One request from the queue to its run record: lease, run, heartbeat, record, and who comes next."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

from sync_core.directory.client import GraphClient
from sync_core.domain.documents import (
    Connection,
    GraphUse,
    Run,
    RunError,
    RunStatus,
    SyncRequest,
    Trigger,
)
from sync_core.domain.errors import Conflict, FixConnection, LeaseLost, SyncError
from sync_core.domain.health import Cause, Health, cause_of
from sync_core.domain.plan.plan import Plan
from sync_core.domain.schedule import is_due
from sync_core.health import record
from sync_core.logs import log_event, logger
from sync_core.runs.approval import take_approval
from sync_core.runs.full import FullSync
from sync_core.runs.spool import ChangeSpool
from sync_core.services import Services
from sync_core.store.leases import Lease, Next
from sync_core.store.rows import Stamp
from sync_core.store.runs import new_run_id
from sync_core.store.vault import SECRET_DISABLED

HEARTBEAT_S = 15.0
# Well below functionTimeout in host.json (30 minutes): a run that the host kills records nothing.
RUN_BUDGET = timedelta(minutes=25)
# A run writes only this long after its last heartbeat; the lease itself lasts 60 seconds.
TRUST = timedelta(seconds=45)
# No person waits for these, and the next try of a quarantined connection finds what they tell of.
UNASKED = frozenset({Trigger.TIMER, Trigger.WEBHOOK, Trigger.LIFECYCLE})
HELD_REMEDY = (
    "Look at the held changes of this run. If they are right, raise the connection's guard limits for "
    "one run; if not, correct the scope or the directory. Everything else of the plan was applied."
)
ASSERTION_REMEDY = (
    "Look at the run's changes. Correct the scope or the directory; or, if the assertion is no longer "
    "right, the connection's assertions. Nobody came or went; everything else was applied."
)

# The record of a run, and of a failed one who mends it.
Ended = tuple[Run, Cause | None]


class OutOfTime(SyncError):
    """The run used up its time; what is left is done by the next one, which is asked for already."""

    def __init__(self) -> None:
        super().__init__(
            "run.outOfTime",
            "The run used up its time before everything was written; the rest follows at once.",
            "Nothing to do: the next run goes on where this one stopped.",
        )


async def request_due(services: Services) -> int:
    """Ask for a run of every connection that is due, that waits, or whose run died; returns how many."""
    now, asked = services.clock(), 0
    known = await record.read_all(services)
    async for connection in services.connections.all():
        lease = await services.leases.read(connection.id)
        if lease.held(now) or not connection.enabled:
            continue
        health = known.get(connection.id) or Health(connection_id=connection.id)
        if _should_run(connection, lease, health, now):
            await services.queue.send(
                SyncRequest(connection_id=connection.id, trigger=Trigger.TIMER)
            )
            asked += 1
    log_event("schedule.checked", requested=asked)
    return asked


def _should_run(connection: Connection, lease: Lease, health: Health, now: datetime) -> bool:
    waiting, died = lease.next, lease.run_id is not None
    if waiting is not None and waiting.trigger not in UNASKED:
        return True
    if health.held_back(now):
        return False
    if died or waiting is not None:
        return True
    if health.next_try_at is not None:
        return connection.schedule.automatic
    return is_due(connection, lease.last_started_at, now)


async def report_overdue(services: Services) -> list[str]:
    """Name the connections that should have run and have not for twice their interval: a dead man."""
    now, overdue = services.clock(), []
    async for connection in services.connections.all():
        lease = await services.leases.read(connection.id)
        last_started = now if lease.held(now) else lease.last_started_at
        if await record.expect_runs(services, connection, last_started):
            overdue.append(connection.id)
    return overdue


async def request_now(services: Services, connection_id: str | None) -> list[str]:
    """Ask for a run of one connection, or of all that are enabled; returns their ids."""
    if connection_id is not None:
        connection = (await services.connections.get(connection_id)).connection
        if not connection.enabled:
            raise Conflict(
                "connection.notEnabled",
                f"The connection {connection_id!r} is disabled.",
                "Enable it, and ask again.",
            )
        wanted = [connection]
    else:
        wanted = [one async for one in services.connections.all() if one.enabled]
    for connection in wanted:
        await services.queue.send(SyncRequest(connection_id=connection.id, trigger=Trigger.MANUAL))
    return [connection.id for connection in wanted]


async def handle(services: Services, request: SyncRequest) -> Run | None:
    """Do what one message asks for; None where there was nothing to do, or a run is under way."""
    asked = await _asked_run(services, request)
    if asked is not None and asked.status.is_final:
        return None
    if asked is None and await _waits_for_next_try(services, request):
        return None
    now, holder = services.clock(), secrets.token_hex(8)
    wanted = Next(request.run_id or new_run_id(now), request.trigger.value, request.mode)
    chosen, before = await services.leases.acquire(request.connection_id, wanted, holder, now)
    if chosen is None:
        log_event("run.deferred", connection=request.connection_id, running=before.run_id)
        return None
    await close_dead_run(services, before)
    # Read under the lease: whoever deletes a connection with its people holds the lease for that.
    stored = await services.connections.find(request.connection_id)
    if stored is None or not stored.connection.enabled:
        return await _reject(services, request.connection_id, chosen, holder)
    return await _hold_and_run(services, stored.connection, chosen, holder)


async def _asked_run(services: Services, request: SyncRequest) -> Run | None:
    if request.run_id is None:
        return None
    return await services.runs.find(request.connection_id, request.run_id)


async def _waits_for_next_try(services: Services, request: SyncRequest) -> bool:
    """Tell whether this request is served by the next try of a quarantined connection."""
    # The timer has looked already, and may be asking for what a person waits for.
    if request.trigger is Trigger.TIMER or request.trigger not in UNASKED:
        return False
    health = await record.read(services, request.connection_id)
    if not health.held_back(services.clock()):
        return False
    log_event("run.putOff", connection=request.connection_id, trigger=request.trigger.value)
    return True


async def _reject(services: Services, connection_id: str, chosen: Next, holder: str) -> Run | None:
    log_event("run.rejected", connection=connection_id, trigger=chosen.trigger)
    await services.leases.release(connection_id, holder)
    asked = await services.runs.find(connection_id, chosen.run_id)
    if asked is None:
        return None
    error = RunError(
        code="connection.notEnabled",
        message="The connection was deleted or disabled before the run began.",
        remedy="Enable the connection and ask again.",
    )
    run = asked.replaced(status=RunStatus.REJECTED, finished_at=services.clock(), error=error)
    await services.runs.save(run)
    return run


async def close_dead_run(services: Services, before: Lease) -> None:
    """Say of the run that held the lease and never gave it back that it was interrupted."""
    if before.run_id is None:
        return
    dead = await services.runs.find(before.connection_id, before.run_id)
    if dead is None or dead.status.is_final:
        return
    error = RunError(
        code="run.interrupted",
        message="The run was ended from outside (a restart, a deployment, a time limit).",
        remedy="Nothing to do: another run has taken over; what was written stays and is complete.",
    )
    log_event("run.interrupted", connection=before.connection_id, run=before.run_id)
    dead = dead.replaced(status=RunStatus.FAILED, finished_at=services.clock(), error=error)
    await services.runs.save(dead)
    await record.run_ended(services, dead, Cause.PASSING)


async def _hold_and_run(
    services: Services, connection: Connection, chosen: Next, holder: str
) -> Run | None:
    run = await services.runs.find(connection.id, chosen.run_id) or Run(
        id=chosen.run_id,
        connection_id=connection.id,
        trigger=Trigger(chosen.trigger),
        requested_at=services.clock(),
    )
    # A message that comes again after its worker died runs under the name it had.
    run = run.replaced(
        status=RunStatus.RUNNING, started_at=services.clock(), finished_at=None, error=None
    )
    try:
        async with _heartbeat(services, connection.id, holder) as pulse:
            await services.runs.save(run)
            log_event(
                "run.started", connection=connection.id, run=run.id, trigger=run.trigger.value
            )
            run, cause = await _run(services, connection, run, pulse)
            await services.runs.save(run)
            _log_finished(run)
            await record.run_ended(services, run, cause)
    except LeaseLost as error:
        log_event("run.leaseLost", connection=connection.id, run=run.id, code=error.code)
        return None
    if run.error is not None and run.error.code == "run.outOfTime":
        again = Next(new_run_id(services.clock()), run.trigger.value, chosen.mode)
        await services.leases.request(connection.id, again)
    await release(services, connection.id, holder)
    return run


async def release(services: Services, connection_id: str, holder: str) -> None:
    """Give the connection back, and send the request that waits, if there is one."""
    waiting = await services.leases.release(connection_id, holder)
    if waiting is not None:
        await services.queue.send(
            SyncRequest.model_validate(
                {
                    "connectionId": connection_id,
                    "trigger": waiting.trigger,
                    "mode": waiting.mode,
                    "runId": waiting.run_id,
                }
            )
        )


class Pulse:
    """Tells a run whether it may still write: its lease was renewed a short while ago, and time is left."""

    def __init__(self, services: Services, connection_id: str, holder: str) -> None:
        self._services = services
        self._connection_id = connection_id
        self._holder = holder
        self._began = self._beat = services.clock()
        self._lost: LeaseLost | None = None

    async def keep(self) -> None:
        """Renew the lease for ever; a renewal that fails is tried again, one that is lost ends it."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now = self._services.clock()
            try:
                await self._services.leases.renew(self._connection_id, self._holder, now)
            except LeaseLost as error:
                self._lost = error
                return
            except SyncError as error:
                log_event("run.heartbeatFailed", connection=self._connection_id, code=error.code)
                continue
            self._beat = now

    async def check(self) -> None:
        """Raise `LeaseLost` or `OutOfTime` when the run must stop writing."""
        now: datetime = self._services.clock()
        if self._lost is not None:
            raise self._lost
        if now - self._beat > TRUST:
            raise LeaseLost("run.leaseLost", "The lease could not be renewed in time.")
        if now - self._began > RUN_BUDGET:
            raise OutOfTime


@asynccontextmanager
async def _heartbeat(services: Services, connection_id: str, holder: str) -> AsyncIterator[Pulse]:
    pulse = Pulse(services, connection_id, holder)
    task = asyncio.create_task(pulse.keep())
    try:
        yield pulse
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(services: Services, connection: Connection, run: Run, pulse: Pulse) -> Ended:
    """Do the run and give its record, whatever happens but the loss of the lease."""
    try:
        async with AsyncExitStack() as stack:
            connection, client = await _opened(services, connection, stack)
            run, cause = await _sync(services, connection, run, pulse, client)
    except LeaseLost:
        raise
    except SyncError as error:
        run, cause = _failed(run, error)
    except Exception:  # noqa: BLE001 -- a run always ends with a record, whatever happened
        logger.exception("run.unexpected connection=%s run=%s", connection.id, run.id)
        unknown = SyncError(
            "run.unexpected",
            "The run met an error that the program does not know.",
            f"Look for run.unexpected and {run.id} in the log, and report it.",
        )
        run, cause = _failed(run, unknown)
    return run.replaced(finished_at=services.clock()), cause


async def _opened(
    services: Services, connection: Connection, stack: AsyncExitStack
) -> tuple[Connection, GraphClient]:
    """Open the way to Graph; a secret that was replaced a moment ago is no reason to fail."""
    try:
        return connection, await stack.enter_async_context(services.directory(connection))
    except FixConnection as error:
        if error.code != SECRET_DISABLED:
            raise
        found = await services.connections.find(connection.id)
        if found is None or found.connection.credential == connection.credential:
            raise
    client = await stack.enter_async_context(services.directory(found.connection))
    return found.connection, client


def _failed(run: Run, error: SyncError) -> Ended:
    return run.replaced(status=RunStatus.FAILED, error=_detail(error)), cause_of(error)


def _detail(error: SyncError) -> RunError:
    return RunError(code=error.code, message=error.message, remedy=error.remedy)


async def _sync(
    services: Services,
    connection: Connection,
    run: Run,
    pulse: Pulse,
    client: GraphClient,
) -> Ended:

    stamp = Stamp(connection.id, connection.known_tenant(), run.id, services.clock())
    sync = FullSync(connection, client, services.users(connection.id), stamp)
    try:
        with ChangeSpool() as decided, ChangeSpool() as planned:
            plan = await sync.plan(decided, planned)
            run = _planned(run, plan)
            await pulse.check()
            await sync.note_matches(pulse.check)
            with ChangeSpool() as asked, ChangeSpool() as confirmed:
                if approval := await take_approval(services, connection, run, plan):
                    plan = await sync.release(plan, asked, confirmed, pulse.check)
                if plan.tally.changes:
                    await services.plans.save(connection.id, run.id, plan.documents())
                    await sync.apply(plan, pulse.check)
            # What waits still (so many that one run has no time to ask for all) is the next run's.
            if approval and not plan.held:
                await services.approvals.forget(connection.id, approval.moves)
        return _finished(measured(run, sync), plan), None
    except OutOfTime as error:
        late = measured(run, sync).replaced(status=RunStatus.PARTIAL, error=_detail(error))
        return late, None
    except LeaseLost:
        raise
    except SyncError as error:
        return _failed(measured(run, sync), error)


def _planned(run: Run, plan: Plan) -> Run:
    log_event(
        "run.planned",
        connection=run.connection_id,
        run=run.id,
        active=plan.tally.active,
        creates=plan.tally.creates,
        removals=plan.tally.removals,
        reenables=plan.tally.reenables,
        others=plan.tally.others,
        held=plan.held,
    )
    return run.replaced(plan_hash=plan.plan_hash)


def measured(run: Run, sync: FullSync) -> Run:
    """Put into the record what a run has asked and done so far."""
    usage = sync.client.usage
    graph = GraphUse(
        requests=usage.requests,
        throttled=usage.throttled,
        retried=usage.retried,
        bytes=usage.bytes,
    )
    return run.replaced(counts=sync.counts, errors=sync.errors, graph=graph)


def _finished(run: Run, plan: Plan) -> Run:
    if plan.verdict.broken:
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
    """Say that nobody was created or removed, because an assertion would not be true any more."""
    broken = "; ".join(plan.verdict.broken)
    waits = f"{plan.held} changes wait." if plan.held else "Nobody would have come or gone anyway."
    return RunError(
        code="assertion.failed",
        message=f"An assertion would be broken: {broken}. {waits}",
        remedy=ASSERTION_REMEDY,
    )


def _log_finished(run: Run) -> None:
    log_event(
        "run.finished",
        connection=run.connection_id,
        run=run.id,
        status=run.status.value,
        code=run.error.code if run.error else None,
        **{name: value for name, value in run.counts.model_dump().items() if value},
        graph_requests=run.graph.requests,
        throttled=run.graph.throttled or None,
    )
