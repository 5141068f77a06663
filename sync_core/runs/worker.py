"""One request of the queue: taken, run under the connection's hold, and recorded."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

from sync_core.directory.client import GraphClient
from sync_core.directory.missing import with_all_missing
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Mode, Run, RunError, RunStatus, Trigger
from sync_core.domain.errors import FixConnection, LeaseLost, SyncError
from sync_core.domain.health import UNATTENDED, Cause, cause_of
from sync_core.domain.incidents import Ears
from sync_core.domain.incremental.mode import NOTIFIED
from sync_core.domain.incremental.rest import LONGEST_S, Rest
from sync_core.domain.plan.clause_observer import ClauseObserver
from sync_core.domain.plan.plan import Plan
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.runs import by_name, listening, record, sieve
from sync_core.runs.apply import apply
from sync_core.runs.approval import take_approval
from sync_core.runs.confirmed import let_through
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.continuation import continuing
from sync_core.runs.hold import UNFINISHED, GivenUp, Hold, Served, UnderWay, Unfinished, held
from sync_core.runs.names import keep
from sync_core.runs.pause import Pause
from sync_core.runs.planner import Draft, Gatherer, draft_plan
from sync_core.runs.takeover import finish, move_all
from sync_core.runs.way import choose_way
from sync_core.services import Services
from sync_core.store.leases import Next
from sync_core.store.runs import new_run_id
from sync_core.store.vault import SECRET_DISABLED

# Well below functionTimeout in host.json (30 minutes): a run that the host kills records nothing.
RUN_BUDGET = timedelta(minutes=25)


class Ended(NamedTuple):
    """The record of a run; of a failed one who mends it, of another what it knows of notifications."""

    run: Run
    cause: Cause | None = None
    ears: Ears | None = None


async def handle(
    services: Services, request: SyncRequest, *, run_id: str | None = None
) -> Run | None:
    """Handle one queue message. Returns None if there was nothing to do or a run is in progress.

    `run_id` is the name of its run if the message has none.
    """
    if request.trigger in by_name.BY_NAME:
        await by_name.handle(services, request, RUN_BUDGET)
        return None
    if not await _is_wanted(services, request):
        return None
    run_id = request.run_id or run_id or new_run_id(services.clock())
    wanted = Next(run_id, request.trigger.value, request.mode, request.by, request.asked_at)
    try:
        async with held(services, request.connection_id, budget=RUN_BUDGET, request=wanted) as hold:
            return await _run_held(services, hold)
    except UnderWay as busy:
        log_event("run.deferred", connection=request.connection_id, running=busy.lease.run_id)
        await _look_again(services, request.connection_id, busy)
    except Served as served:
        log_event(served.code, connection=request.connection_id, trigger=request.trigger.value)
    except (LeaseLost, GivenUp):
        # Told by the hold; the run's record is closed by whoever has the lease now, or has been.
        pass
    return None


async def _look_again(services: Services, connection_id: str, busy: UnderWay) -> None:
    """Have the request come back when the lease that it met ends.

    A holder that lives has renewed its lease by then, and sends what waits when it is done. One that was
    killed sends nothing, and its own message, which the queue gives to another worker, was this one.
    """
    if busy.is_awaited and busy.lease.expires_at is not None:
        left_s = (busy.lease.expires_at - services.clock()).total_seconds()
        delay_s = max(0, math.ceil(left_s)) + 1
        await services.queue.send(busy.wanted.message(connection_id), delay_s=delay_s)


async def _is_wanted(services: Services, request: SyncRequest) -> bool:
    """Whether the message asks for something that has not ended, is worth a run, and need not wait."""
    if request.run_id is not None:
        queued = await services.store.runs.find(request.connection_id, request.run_id)
        if queued is not None:
            return not queued.status.is_final
    is_notified = request.trigger is Trigger.WEBHOOK
    if is_notified and not await sieve.passes(services, request):
        return False
    if not await _waits_for_next_try(services, request):
        return True
    if is_notified:
        await sieve.dismiss(services, request)
    return False


async def _waits_for_next_try(services: Services, request: SyncRequest) -> bool:
    """Whether this request is served by the next try of a quarantined connection."""
    # The timer has looked already, and may be asking for what an administrator waits for.
    if request.trigger is Trigger.TIMER or request.trigger not in UNATTENDED:
        return False
    health = await journal.read(services, request.connection_id)
    if not health.held_back(services.clock()):
        return False
    log_event("run.putOff", connection=request.connection_id, trigger=request.trigger.value)
    return True


async def _run_held(services: Services, hold: Hold) -> Run | None:
    # Read under the lease: a deletion holds it, too, and has taken the document away by then.
    stored = await services.store.connections.find(hold.connection_id)
    if stored is None or not stored.connection.enabled:
        log_event("run.rejected", connection=hold.connection_id, trigger=hold.request.trigger)
        return await record.reject(services, hold.connection_id, hold.request.run_id)
    run = await record.begun(services, stored.connection, hold.request)
    await hold.begin(run)
    log_event("run.started", connection=run.connection_id, run=run.id, trigger=run.trigger.value)
    run, cause, ears = await _run(services, stored.connection, run, hold)
    await hold.end(run)
    if stored.connection.realtime:
        hold.pause = _pause(services, run, hold)
    record.log_finished(run)
    await journal.run_ended(services, run, cause, ears)
    if run.error is not None and run.error.code in UNFINISHED:
        again = Next(new_run_id(services.clock()), run.trigger.value, hold.request.mode, run.by)
        await services.store.leases.request(run.connection_id, again)
    return run


def _pause(services: Services, run: Run, hold: Hold) -> Pause:
    """Return what a run makes of the pause: one that wrote ends it, one for notifications makes it longer.

    Whoever reads everything for each change does nothing else half of the time, at the most.
    """
    now, counts = services.clock(), run.counts
    wrote = counts.created + counts.updated + counts.reenabled + counts.disabled + counts.deleted
    took = now - (run.started_at or now) if run.mode is Mode.FULL else timedelta()

    def rested(rest: Rest) -> Rest:
        if wrote:
            return rest.after_changes(now).at_least(now + took)
        if run.trigger is Trigger.WEBHOOK:
            return rest.after_nothing(now, LONGEST_S).at_least(now + took)
        return rest

    return Pause(rested, now, hold.look_at)


async def _run(services: Services, connection: Connection, run: Run, hold: Hold) -> Ended:
    """Do the run and return its record, whatever happens but the loss of the lease."""
    try:
        async with AsyncExitStack() as stack:
            connection, client = await _opened(services, connection, stack)
            client.pace.sharing = sharing = services.store.spending(
                connection, run.id, services.clock
            )
            stack.push_async_callback(sharing.leave)
            ended = await _sync(services, connection, run, hold, client)
    except LeaseLost:
        raise
    except Unfinished as error:
        ended = _left_off(run, error)
    except SyncError as error:
        ended = _failed(run, error)
    except Exception:  # noqa: BLE001 -- a run always ends with a record, whatever happened
        ended = _failed(run.replaced(counts_at_least=True), record.unexpected(run))
    return ended._replace(run=ended.run.replaced(finished_at=services.clock()))


async def _opened(
    services: Services, connection: Connection, stack: AsyncExitStack
) -> tuple[Connection, GraphClient]:
    """Open the way to Graph; a secret that was replaced a moment ago is no reason to fail."""
    try:
        return connection, await stack.enter_async_context(services.directory.open(connection))
    except FixConnection as error:
        if error.code != SECRET_DISABLED:
            raise
        found = await services.store.connections.find(connection.id)
        if found is None or found.connection.credential == connection.credential:
            raise
    client = await stack.enter_async_context(services.directory.open(found.connection))
    return found.connection, client


def _failed(run: Run, error: SyncError) -> Ended:
    run = run.replaced(status=RunStatus.FAILED, error=RunError.of(error))
    return Ended(run, cause_of(error))


def _left_off(run: Run, error: Unfinished) -> Ended:
    return Ended(run.replaced(status=RunStatus.PARTIAL, error=RunError.of(error)))


async def _sync(
    services: Services, connection: Connection, run: Run, hold: Hold, client: GraphClient
) -> Ended:
    clauses, now = ClauseObserver(connection.scope), services.clock()
    async with hold.watched():
        context = await run_context(services, connection, client, run.id, now, observer=clauses)
    if context.bindings.names:
        await keep(services, context.bindings)
    ledger = context.ledger
    try:
        async with continuing(services, context, hold) as continuation:
            async with hold.watched():
                way = await choose_way(
                    services, context, _mode_of(hold.request, connection), continuation
                )
            run = run.replaced(mode=way.choice.mode, mode_reason=way.choice.reason)
            if run.mode is Mode.FULL and not context.bindings.names:
                # Names that were taken out of the settings, which makes a run full, are kept no longer.
                await keep(services, context.bindings)
            listening.begin(context, way)
            async with _drafted(context, way.gatherer, hold) as draft:
                if run.mode is Mode.FULL:  # of some people, nothing follows for a clause
                    ledger.warnings += clauses.warnings()
                run = record.planned(run, draft.plan)
                plan = await _carry_out(services, run, context, draft, hold)
                await way.leave(draft, plan, hold)
                await listening.ask_for_look(services, context)
                if way.gatherer.complete:
                    await finish(services, context)
        run = record.finished(record.measured(run, client.usage, ledger), plan)
        return Ended(run, ears=listening.ears_of(context))
    except Unfinished as error:
        return _left_off(record.measured(run, client.usage, ledger), error)
    except LeaseLost:
        raise
    except SyncError as error:
        told = await with_all_missing(client, connection, error)
        return _failed(record.measured(run, client.usage, ledger), told)


def _mode_of(request: Next, connection: Connection) -> str:
    """Return how a run is to read: whom notifications name is looked at."""
    is_notified = request.trigger == Trigger.WEBHOOK and connection.realtime
    return NOTIFIED if is_notified and request.mode == "auto" else request.mode


@asynccontextmanager
async def _drafted(context: RunContext, gatherer: Gatherer, hold: Hold) -> AsyncIterator[Draft]:
    """Read and plan; a run that has to stop does not read to the end."""
    async with AsyncExitStack() as stack:
        async with hold.watched():
            draft = await stack.enter_async_context(draft_plan(context, gatherer))
        yield draft


async def _carry_out(
    services: Services, run: Run, context: RunContext, draft: Draft, hold: Hold
) -> Plan:
    """Write the matches that wait, and what is not held of the plan; return the plan as let through."""
    plan, connection = draft.plan, context.connection
    context.ledger.set("held", plan.held)
    await hold.check()
    await context.linking.note(hold.check)
    if approval := await take_approval(services, connection, run, plan):
        plan = await let_through(context, draft, hold.check)
        context.ledger.set("held", plan.held)
    if plan.tally.changes:
        await services.store.plans.save(connection.id, run.id, plan.documents())
    await move_all(services, context, hold.fence)
    if plan.tally.changes:
        await apply(context, plan, draft.inventory, hold.fence)
    # What waits still (so many that one run has no time to ask for all) is the next run's.
    if approval and not plan.held:
        await services.store.approvals.forget(connection.id, approval.moves)
    return plan
