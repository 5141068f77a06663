"""One person now: asked for by id, decided and written while an administrator waits, step by step.

A run of mode `users` with its own record, plan and history, under the connection's lease. It is the
code of every run; only the guard has no say, because the person was named. It is no sign of the
connection's health and no run of its schedule.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from sync_core.directory.client import GraphClient
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Actor, Mode, Run, RunError, RunStatus, Trigger
from sync_core.domain.errors import Conflict, LeaseLost, RetryLater, SyncError
from sync_core.domain.explain.words import (
    evidence_in_words,
    next_run,
    unknown_person,
)
from sync_core.domain.model import Reason
from sync_core.logs import log_event
from sync_core.people.stored import stored_person
from sync_core.people.verdict import verdict_on
from sync_core.runs.apply import apply
from sync_core.runs.checkpoint import open_cases
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.continuation import set_apart
from sync_core.runs.hold import Hold, held
from sync_core.runs.names import keep
from sync_core.runs.one import OnePlan, plan_one
from sync_core.runs.record import broken_assertions, measured, unexpected
from sync_core.runs.takeover import move_one
from sync_core.services import Services
from sync_core.store.people import Person

# Most runs of an hour in which nothing changed end within this.
WAIT_S = 5.0
# A person waits for the answer.
LIMIT_S = 40.0
RETRY_BUDGET_S = 20.0


class Step(Document):
    """One step: whether it went well, and what came of it."""

    name: str
    ok: bool
    message: str


class PersonSynced(Document):
    """What was done with one person: the run's record, its steps, and the person as stored now."""

    run: Run
    steps: list[Step]
    person: Person | None


async def sync_person(
    services: Services, connection_id: str, object_id: str, by: Actor
) -> PersonSynced:
    """Bring one person in line with the directory now, because `by` asks for it.

    Raises `Conflict` while a run is under way or the connection is disabled, and `NotFound` for a person
    who is neither in the directory nor in the table. A run that fails is an answer, not an error.
    """
    _check_enabled((await services.store.connections.get(connection_id)).connection)
    async with held(services, connection_id, budget=None, wait_s=WAIT_S) as hold:
        # Read under the lease: a deletion holds it, too, and may have come first.
        connection = (await services.store.connections.get(connection_id)).connection
        _check_enabled(connection)
        return await _OnePerson(services, connection, hold, object_id, by).sync()


def _check_enabled(connection: Connection) -> None:
    if not connection.enabled:
        raise Conflict(
            "connection.disabled",
            f"The connection {connection.id!r} is disabled; it is not synced.",
            'Enable it first: PATCH it with {"enabled": true}.',
        )


class _OnePerson:
    """The run of one person, under the lease."""

    def __init__(
        self, services: Services, connection: Connection, hold: Hold, object_id: str, by: Actor
    ) -> None:
        self._services = services
        self._connection = connection
        self._hold = hold
        self._object_id = object_id
        self._began = services.clock()
        self._people = services.store.people(connection.id)
        self._steps: list[Step] = []
        self._run = Run(
            id=hold.request.run_id,
            connection_id=connection.id,
            trigger=Trigger.MANUAL,
            by=by,
            mode=Mode.USERS,
            status=RunStatus.RUNNING,
            requested_at=self._began,
            started_at=self._began,
        )

    async def sync(self) -> PersonSynced:
        self._step("lease", f"No other run of {self._connection.id} is under way.")
        try:
            await self._guarded(self._sync)
        finally:
            log_event(
                "run.person",
                connection=self._connection.id,
                run=self._run.id,
                status=self._run.status.value,
            )
        await self._hold.end(self._run)
        self._step("record", f"The run {self._run.id} ended: {self._run.status.value}.")
        person = await self._people.find(self._object_id)
        return PersonSynced(run=self._run, steps=self._steps, person=person)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it within the time, and make a failed run of whatever goes wrong."""
        try:
            async with asyncio.timeout(LIMIT_S):
                await work()
        except (Conflict, LeaseLost):
            raise
        except TimeoutError:
            late = RetryLater(
                "run.outOfTime",
                f"The person could not be synced within {LIMIT_S:.0f} seconds.",
                "Ask again in a while; what was written stays and is complete.",
            )
            self._fail(late)
        except SyncError as error:
            if error.code == "user.unknown":
                raise
            self._fail(error)
        except Exception:  # noqa: BLE001 -- a run always ends with a record, whatever happened
            self._fail(unexpected(self._run))

    def _fail(self, error: SyncError) -> None:
        self._end(RunStatus.FAILED, error=RunError.of(error))
        name = "apply" if any(one.name == "decide" for one in self._steps) else "read"
        self._step(name, f"{error.message} {error.remedy}".strip(), ok=False)

    def _end(self, status: RunStatus, **changes: object) -> None:
        finished = self._services.clock()
        self._run = self._run.replaced(status=status, finished_at=finished, **changes)

    def _step(self, name: str, message: str, *, ok: bool = True) -> None:
        self._steps.append(Step(name=name, ok=ok, message=message))

    async def _sync(self) -> None:
        retry_budget = self._services.directory.retry_budget()
        retry_budget = replace(retry_budget, budget_s=min(retry_budget.budget_s, RETRY_BUDGET_S))
        async with self._services.directory.open(self._connection, retry_budget) as client:
            await self._plan_and_apply(client)

    async def _plan_and_apply(self, client: GraphClient) -> None:
        context = await run_context(
            self._services, self._connection, client, self._run.id, self._began
        )
        self._connection = context.connection
        await keep(self._services, context.bindings)
        decided = await plan_one(context, self._object_id)
        await self._explain(context, decided)
        told = next_run(
            decided.change,
            protected=decided.is_kept_back,
            enabled=True,
            left_out=decided.unwritten,
        )
        self._step("decide", told.message)
        # A person who waits is listed, so that the match can be decided at once.
        await context.linking.note(self._hold.check)
        try:
            await self._apply(context, decided)
            await self._open_cases(context, decided)
        finally:  # of a write whose answer did not come it is counted, too, that it may have been made
            self._run = measured(self._run, client.usage, context.ledger)
        if decided.blocked is not None:
            self._end(RunStatus.HELD, error=broken_assertions(decided.plan))
        else:
            failed = bool(context.ledger.errors)
            self._end(RunStatus.PARTIAL if failed else RunStatus.SUCCEEDED)

    async def _explain(self, context: RunContext, decided: OnePlan) -> None:
        """Say what was read and why the person is in or out; refuse a person who is unknown."""
        evidence = decided.evidence
        stored = await stored_person(self._services, context, self._object_id)
        if evidence.reason is Reason.HARD_DELETED and stored is None:
            raise unknown_person(self._object_id)
        sentence = verdict_on(context, decided, stored, self._began)
        self._step("read", evidence_in_words(evidence))
        self._step("scope", sentence, ok=decided.error is None)

    async def _open_cases(self, context: RunContext, decided: OnePlan) -> None:
        """Leave to the next run what this one could not finish; what it had closed, that one closes."""
        known = context.kept.cases
        cases = [case for case in open_cases(context, decided.plan) if case.key not in known]
        if cases:
            await self._hold.check()
            await context.checkpoints.open(self._connection.id, cases)

    async def _apply(self, context: RunContext, decided: OnePlan) -> None:
        plan = decided.plan
        self._run = self._run.replaced(plan_hash=plan.plan_hash)
        await self._hold.begin(self._run)
        await set_apart(context, [self._object_id], self._hold.fence)
        await move_one(self._services, context, self._object_id, self._hold.fence)
        if decided.planned is None:
            self._step("apply", "Nothing to write.")
            return
        await self._services.store.plans.save(self._connection.id, self._run.id, plan.documents())
        if decided.blocked:
            self._step("apply", decided.blocked, ok=False)
            return
        failed = len(context.ledger.errors)
        await apply(context, plan, decided.inventory, self._hold.fence)
        refused = context.ledger.errors[failed:]
        for error in refused:
            self._step("apply", error.message, ok=False)
        if not refused:
            self._step("apply", "The person and the history were written.")
