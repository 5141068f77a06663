"""Runs of people who were named: brought in by hand, or synced now; each under the hold, with results.

What was asked for stands in a table until its run has ended, and a message of the queue says to look there.
So a run that was killed goes on under its own name, and one that met another is done after it.
"""

import math
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from sync_core.directory.client import GraphClient
from sync_core.directory.lookup import ids_by_address, ids_by_name, kinds_among
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import NamedPeople, SyncRequest
from sync_core.domain.documents.run import (
    ImportOutcome,
    Mode,
    PersonResult,
    Run,
    RunError,
    RunStatus,
    Trigger,
)
from sync_core.domain.errors import LeaseLost, SyncError
from sync_core.domain.incremental.open_people import Cause, OpenCase, opened
from sync_core.domain.names import askable
from sync_core.domain.plan.by_hand import Pick, refusal
from sync_core.logs import log_event
from sync_core.runs import record
from sync_core.runs.apply import apply
from sync_core.runs.checkpoint import open_cases
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.continuation import set_apart
from sync_core.runs.hold import Hold, UnderWay, Unfinished, held
from sync_core.runs.named import NamedLooks
from sync_core.runs.named_results import Named, SyncResults
from sync_core.runs.names import keep
from sync_core.runs.planner import Draft, draft_plan
from sync_core.runs.takeover import move_one
from sync_core.services import Services
from sync_core.store.runs import new_run_id

# After so many workers that died with it, a request is given up, so that it does not end all others.
MAX_TRIES = 5
# How often, and for how long, people are asked for again whom a group may let in a little later.
ASK_AGAIN = timedelta(minutes=3)
# How soon a request that met another holder looks again, and after what time one that waits was forgotten.
LOOK_AGAIN_S = 10
LEFT_AFTER = timedelta(minutes=30)
BY_NAME = frozenset({Trigger.IMPORT, Trigger.PERSON})


async def handle(services: Services, request: SyncRequest, budget: timedelta) -> None:
    """Do what waits of people who were named; where another holder has the connection, come back soon."""
    if not any(_is_due(services, one) for one in await _waiting(services, request.connection_id)):
        return
    try:
        async with held(services, request.connection_id, budget=budget) as hold:
            await carry_out(services, hold)
    except UnderWay as busy:
        expires_at = busy.lease.expires_at or services.clock()
        left_s = (expires_at - services.clock()).total_seconds()
        await services.queue.send(request, delay_s=min(LOOK_AGAIN_S, max(0, math.ceil(left_s)) + 1))
    except LeaseLost:
        pass  # whoever has the lease now goes on


async def _waiting(services: Services, connection_id: str) -> list[NamedPeople]:
    return await services.store.named.waiting(connection_id)


def _is_due(services: Services, named: NamedPeople) -> bool:
    return named.not_before is None or named.not_before <= services.clock()


async def request_left(services: Services) -> None:
    """Ask again for what has waited for long: its message was lost, or could not be sent."""
    now = services.clock()
    async for named in services.store.named.all():
        if now - max(named.asked_at, named.not_before or named.asked_at) > LEFT_AFTER:
            await services.queue.send(message_for(named))


async def carry_out(services: Services, hold: Hold) -> None:
    """Do all that waits, what was asked for first first."""
    for named in filter(partial(_is_due, services), await _waiting(services, hold.connection_id)):
        stored = await services.store.connections.find(hold.connection_id)
        if stored is None or not stored.connection.enabled:
            await record.reject(services, named.connection_id, named.run_id)
            await services.store.named.forget(named)
            continue
        try:
            await _NamedRun(services, stored.connection, hold, named).carry_out()
        except Unfinished:
            return  # asked for again


class _NamedRun:
    """One run of people who were named, under the lease."""

    def __init__(
        self, services: Services, connection: Connection, hold: Hold, named: NamedPeople
    ) -> None:
        self._services = services
        self._connection = connection
        self._hold = hold
        self._named = named.model_copy(update={"attempts": named.attempts + 1})
        self._began = services.clock()
        self._run = Run(
            id=named.run_id,
            connection_id=connection.id,
            trigger=named.trigger,
            by=named.by,
            mode=Mode.USERS,
            requested_at=named.asked_at,
            note=named.note,
        )

    async def carry_out(self) -> None:
        services, named = self._services, self._named
        found = await services.store.runs.find(named.connection_id, named.run_id)
        if found is not None and found.status.is_final:
            await services.store.named.forget(named)  # it ended, and its worker before this
            return
        if found is not None and found.started_at is not None:
            # What its dead worker planned is not what this one will have done.
            await services.store.plans.delete(named.connection_id, named.run_id)
        await services.store.named.save(named)
        self._run = self._run.replaced(status=RunStatus.RUNNING, started_at=self._began)
        await self._hold.begin(self._run)
        log_event(
            "run.started",
            connection=named.connection_id,
            run=named.run_id,
            trigger=named.trigger.value,
        )
        try:
            await self._guarded(self._give_up if named.attempts > MAX_TRIES else self._do)
        except Unfinished:
            # It is as if it had not begun: what was written is found again, and answered for.
            await self._hold.end(self._run.replaced(status=RunStatus.QUEUED))
            await services.queue.send(message_for(named))
            raise
        await self._hold.end(self._run)
        record.log_finished(self._run)
        await services.store.named.forget(named)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Make a failed run of whatever goes wrong, but for what stops every run."""
        try:
            await work()
        except (LeaseLost, Unfinished):
            raise
        except SyncError as error:
            self._end(RunStatus.FAILED, error=RunError.of(error))
        except Exception:  # noqa: BLE001 -- a run always ends with a record, whatever happened
            unexpected = RunError.of(record.unexpected(self._run))
            self._end(RunStatus.FAILED, error=unexpected, counts_at_least=True)

    def _end(self, status: RunStatus, **changes: object) -> None:
        finished = self._services.clock()
        self._run = self._run.replaced(status=status, finished_at=finished, **changes)

    async def _give_up(self) -> None:
        message = f"The worker died in the middle of this run {MAX_TRIES} times in a row."
        remedy = "Look at what the log says before each end of a worker; then name fewer people."
        raise SyncError("run.gaveUp", message, remedy)

    async def _do(self) -> None:
        async with self._services.directory.open(self._connection) as client:
            context = await run_context(
                self._services, self._connection, client, self._run.id, self._began
            )
            await keep(self._services, context.bindings)
            try:
                if self._named.trigger is Trigger.IMPORT:
                    await self._import(client, context)
                else:
                    await self._sync(client, context)
            finally:  # of a write whose answer did not come it is counted, too, that it may have been made
                self._run = record.measured(self._run, client.usage, context.ledger)

    # --- brought in by hand ---------------------------------------------------------------------

    async def _import(self, client: GraphClient, context: RunContext) -> None:
        pick, looks = Pick(self._named.until), NamedLooks(context, may_leave=False)
        async with self._hold.watched():
            await looks.look_at_all(self._named.who)
        refused = {
            object_id: found
            for object_id, evidence in looks.evidence.items()
            if (found := refusal(evidence, looks.known.get(object_id), pick, self._began))
        }
        looks.coming = looks.evidence.keys() - refused.keys()
        context.linking.picks = dict.fromkeys(looks.coming, pick)
        results = {oid: _result(oid, *found) for oid, found in refused.items()}
        await self._explain_absent(client, results)
        await self._was_here_before(results)
        async with draft_plan(context, looks, by_name=True, all_known=True) as draft:
            await self._apply(context, looks, draft, self._cases_of_import(context, draft))
            results |= Named(context, looks, draft).imported()
        self._finish(draft, [results[object_id] for object_id in self._named.who])

    async def _explain_absent(self, client: GraphClient, results: dict[str, PersonResult]) -> None:
        """Say of ids that name nobody what they are, as somebody may have copied that of a group."""
        absent = [
            object_id
            for object_id, one in results.items()
            if one.result == ImportOutcome.NOT_FOUND and one.code is None
        ]
        for object_id, kind in (await kinds_among(client, absent)).items():
            results[object_id] = _result(object_id, ImportOutcome.NOT_A_PERSON, kind)

    async def _was_here_before(self, results: dict[str, PersonResult]) -> None:
        """Answer as imported for those whom a worker of this very run has written before it died."""
        if self._named.attempts == 1:
            return
        people = self._services.store.people(self._connection.id)
        for object_id, one in results.items():
            if one.result == ImportOutcome.ALREADY_IN:
                person = await people.find(object_id)
                if person is not None and person.import_run_id == self._run.id:
                    results[object_id] = _result(object_id, ImportOutcome.IMPORTED)

    def _cases_of_import(self, context: RunContext, draft: Draft) -> list[OpenCase]:
        """Return what later runs have to know: who waits, whom to look at next, and on which day again.

        An incremental run learns of them by that, since no delta has told of them.
        """
        known = {Cause.MATCH, Cause.UNTIL}
        cases = [one for one in open_cases(context, draft.plan) if one.cause in known]
        for change in draft.plan.changes:
            if change.origin is not None and not draft.plan.is_held(change):
                cases.append(opened(change.object_id, Cause.BY_HAND, self._began))
                cases.append(opened(change.object_id, Cause.RECENT, self._began))
        return cases

    # --- synced now -----------------------------------------------------------------------------

    async def _sync(self, client: GraphClient, context: RunContext) -> None:
        ids = await self._ids(client)
        looks = NamedLooks(context, may_leave=True)
        async with self._hold.watched():
            await looks.look_at_all(list(dict.fromkeys(ids.values())))
        looks.coming = set(looks.evidence)
        async with draft_plan(context, looks, by_name=True) as draft:
            cases = [
                one for one in open_cases(context, draft.plan) if one.key not in context.kept.cases
            ]
            await self._apply(context, looks, draft, cases)
            results = SyncResults(self._connection, Named(context, looks, draft))
            found = [await results.of(who, ids.get(who)) for who in self._named.who]
        self._finish(draft, found)
        await self._ask_again(results.to_be_asked_again)

    async def _ids(self, client: GraphClient) -> dict[str, str]:
        """Return the object id of each who was named; people whom nobody knows are not among them.

        A sign-in name goes before an address, and an address that two people share names neither.
        """
        ids = {who: who.lower() for who in self._named.who if GUID.fullmatch(who)}
        names = [who for who in self._named.who if who not in ids and askable(who)]
        known = {name.casefold(): oid for name, oid in await ids_by_name(client, names)}
        others = [name for name in names if name.casefold() not in known]
        by_address: defaultdict[str, set[str]] = defaultdict(set)
        for address, object_id in await ids_by_address(client, others):
            by_address[address.casefold()].add(object_id)
        known |= {address: min(one) for address, one in by_address.items() if len(one) == 1}
        return ids | {who: known[who.casefold()] for who in names if who.casefold() in known}

    async def _ask_again(self, who: list[str]) -> None:
        """Leave to a run of its own, some minutes later, whom a group may let in by then."""
        now, named = self._began, self._named
        until = named.ask_until
        if not who or until is None or now + ASK_AGAIN > until:
            return
        later = named.model_copy(
            update={
                "run_id": new_run_id(self._services.clock()),
                "who": who,
                "not_before": now + ASK_AGAIN,
                "attempts": 0,
            }
        )
        await self._services.store.named.save(later)
        delay_s = math.ceil(ASK_AGAIN.total_seconds())
        await self._services.queue.send(message_for(later), delay_s=delay_s)

    # --- both -----------------------------------------------------------------------------------

    async def _apply(
        self, context: RunContext, looks: NamedLooks, draft: Draft, cases: list[OpenCase]
    ) -> None:
        """Write the plan; what later runs have to know goes first, so that no death loses it."""
        self._run = self._run.replaced(plan_hash=draft.plan.plan_hash)
        context.ledger.set("held", draft.plan.held)
        await self._hold.check()
        await context.linking.note(self._hold.check)
        await set_apart(context, looks.evidence, self._hold.fence)
        if cases:
            await self._hold.check()
            await context.checkpoints.open(self._connection.id, cases)
        for object_id in sorted(looks.taken):
            await move_one(self._services, context, object_id, self._hold.fence)
        if draft.plan.tally.changes:
            documents = draft.plan.documents()
            await self._services.store.plans.save(self._connection.id, self._run.id, documents)
            await apply(context, draft.plan, draft.inventory, self._hold.fence)

    def _finish(self, draft: Draft, results: list[PersonResult]) -> None:
        if draft.plan.verdict.red and draft.plan.held:
            error = record.broken_assertions(draft.plan)
            self._end(RunStatus.HELD, error=error, results=results)
            return
        failed = any(one.result in {"failed", "mappingFailed"} for one in results)
        self._end(RunStatus.PARTIAL if failed else RunStatus.SUCCEEDED, results=results)


def message_for(named: NamedPeople) -> SyncRequest:
    """Return the message of the queue that starts the run of people who were named."""
    return SyncRequest(
        connection_id=named.connection_id,
        trigger=named.trigger,
        run_id=named.run_id,
        by=named.by,
    )


def _result(object_id: str, outcome: ImportOutcome, code: str | None = None) -> PersonResult:
    return PersonResult(object_id=object_id, result=outcome.value, code=code)
