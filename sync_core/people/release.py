"""Somebody who was brought in by hand is given back to the rules; whoever leaves by that is confirmed first.

A run of mode `users` with its own record and history, under the connection's hold. The person is asked for by
id and judged as if nobody had brought them in, with the proof that every removal takes.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Actor, Mode, Run, RunError, RunStatus, Trigger
from sync_core.domain.errors import (
    Conflict,
    LeaseLost,
    NotFound,
    RetryLater,
    SyncError,
    Unconfirmed,
)
from sync_core.domain.explain.words import next_run
from sync_core.domain.incremental.open_people import Cause, opened
from sync_core.domain.model import Action, Change, Origin, Status
from sync_core.domain.plan.decide import plan_removal
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.plan import FewChanges
from sync_core.logs import log_event
from sync_core.people.verdict import verdict_on
from sync_core.runs.apply import apply
from sync_core.runs.checkpoint import open_cases
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.continuation import set_apart
from sync_core.runs.hold import Hold, held
from sync_core.runs.names import keep
from sync_core.runs.one import OnePlan, plan_one
from sync_core.runs.record import measured
from sync_core.services import Services
from sync_core.store.people import Person

# Most runs of an hour in which nothing changed end within this.
WAIT_S = 5.0
# A person waits for the answer.
LIMIT_S = 40.0
RETRY_BUDGET_S = 20.0


class Outcome(StrEnum):
    """What becomes of somebody who is given back to the rules."""

    STAYS = "stays"
    LEAVES = "leaves"
    WAITS = "waits"
    BY_RULES = "byRules"


class Released(Document):
    """What giving somebody back to the rules has done, and why; `run` is none where there was nothing to do.

    `outcome`: `stays` by the rules or the policy, `leaves`, `waits` for a second look of Graph before the
    next run removes them, `byRules` for who was not in by hand.
    """

    object_id: str
    outcome: Outcome
    message: str
    run: Run | None
    person: Person | None


async def release(
    services: Services,
    connection_id: str,
    object_id: str,
    *,
    note: str | None,
    confirmed: Collection[str],
    by: Actor,
) -> Released:
    """Let the rules decide again about somebody, because `by` asks for it.

    Raises `Unconfirmed` for who would leave by that, unless their plan is among the `confirmed`; `Conflict`
    while a run is under way, the connection is disabled, or an assertion would be broken; `NotFound` for
    somebody who has no row.
    """
    person = await services.store.people(connection_id).find(object_id)
    if person is None:
        raise _no_person(object_id)
    if person.origin is not Origin.MANUAL:
        message = "The rules decide about this person already: nobody has brought them in by hand."
        return Released(
            object_id=object_id, outcome=Outcome.BY_RULES, message=message, run=None, person=person
        )
    async with held(services, connection_id, budget=None, wait_s=WAIT_S) as hold:
        # Read under the lease: a deletion holds it, too, and may have come first.
        connection = (await services.store.connections.get(connection_id)).connection
        if not connection.enabled:
            raise _disabled(connection_id)
        releasing = _Release(services, connection, hold, object_id, by)
        return await releasing.release(note, confirmed)


class _Release:
    """One release, under the lease."""

    def __init__(
        self, services: Services, connection: Connection, hold: Hold, object_id: str, by: Actor
    ) -> None:
        self._services = services
        self._connection = connection
        self._hold = hold
        self._object_id = object_id
        self._by = by
        self._began = services.clock()

    async def release(self, note: str | None, confirmed: Collection[str]) -> Released:
        retry_budget = self._services.directory.retry_budget()
        retry_budget = replace(retry_budget, budget_s=min(retry_budget.budget_s, RETRY_BUDGET_S))
        try:
            async with (
                asyncio.timeout(LIMIT_S),
                self._services.directory.open(self._connection, retry_budget) as client,
            ):
                run_id = self._hold.request.run_id
                context = await run_context(
                    self._services, self._connection, client, run_id, self._began
                )
                await keep(self._services, context.bindings)
                decided = await plan_one(context, self._object_id, by_rules=True)
                return await self._carry_out(context, decided, note, confirmed)
        except TimeoutError as error:
            raise RetryLater(
                "run.outOfTime",
                f"The person could not be given back within {LIMIT_S:.0f} seconds.",
                "Ask again in a while.",
            ) from error

    async def _carry_out(
        self, context: RunContext, decided: OnePlan, note: str | None, confirmed: Collection[str]
    ) -> Released:
        stored = await self._services.store.people(self._connection.id).find(self._object_id)
        if stored is None:
            raise _no_person(self._object_id)
        if decided.evidence.is_unclear:
            raise _unanswered(self._object_id)
        outcome, leaving = _outcome(context, decided)
        message = self._message(context, decided, stored, outcome)
        if decided.blocked is not None:
            raise Conflict(
                "release.assertionBroken",
                f"{message} {decided.blocked}",
                "Change the assertion, or leave the person as they are.",
            )
        if leaving is not None and _plan_hash(self._connection.id, leaving) not in confirmed:
            raise self._unconfirmed(leaving, stored, message)
        change = _change(decided, leaving if outcome is Outcome.LEAVES else None, stored)
        run = await self._written(context, decided, change, note, outcome)
        person = await self._services.store.people(self._connection.id).find(self._object_id)
        return Released(
            object_id=self._object_id, outcome=outcome, message=message, run=run, person=person
        )

    def _message(
        self, context: RunContext, decided: OnePlan, stored: Person, outcome: Outcome
    ) -> str:
        sentence = verdict_on(context, decided, stored, self._began, by_rules=True)
        told = next_run(
            decided.change,
            protected=decided.is_kept_back,
            enabled=True,
            left_out=decided.unwritten if outcome is Outcome.WAITS else None,
        )
        return f"By the rules: {sentence} {told.message}"

    def _unconfirmed(self, leaving: Change, stored: Person, message: str) -> Unconfirmed:
        plan_hash = _plan_hash(self._connection.id, leaving)
        name = stored.attributes.get("displayName")
        mover = {
            "action": leaving.action.value,
            "objectId": self._object_id,
            "userPrincipalName": stored.user_principal_name,
            "displayName": str(name) if name else None,
            "reason": leaving.reason.value if leaving.reason else None,
        }
        return Unconfirmed(
            "release.needsConfirmation",
            f"{message} Nothing was changed.",
            f"If that is right, send the same request again with ?confirm={plan_hash}.",
            {"planHash": plan_hash, "changes": [mover]},
        )

    async def _written(
        self,
        context: RunContext,
        decided: OnePlan,
        change: Change,
        note: str | None,
        outcome: Outcome,
    ) -> Run:
        """Write the person, their history and the run; the audit first, so that none is without."""
        services, connection_id = self._services, self._connection.id
        run = Run(
            id=self._hold.request.run_id,
            connection_id=connection_id,
            trigger=Trigger.BY_HAND,
            by=self._by,
            mode=Mode.USERS,
            status=RunStatus.RUNNING,
            requested_at=self._began,
            started_at=self._began,
            note=note,
        )
        await services.store.audit.note(
            self._began,
            self._by.key,
            "person.released",
            connection_id,
            byName=self._by.name,
            objectId=self._object_id,
            outcome=outcome.value,
            runId=run.id,
            note=note,
        )
        await self._hold.begin(run)
        await set_apart(context, [self._object_id], self._hold.fence)
        try:
            return await self._applied(context, decided, change, run)
        except LeaseLost:
            raise
        except SyncError as error:
            failed = run.replaced(status=RunStatus.FAILED, error=RunError.of(error))
            await self._hold.end(failed.replaced(finished_at=services.clock()))
            raise

    async def _applied(
        self, context: RunContext, decided: OnePlan, change: Change, run: Run
    ) -> Run:
        services, connection_id = self._services, self._connection.id
        plan = replace(decided.plan, changes=FewChanges((change,)))
        cases = [*open_cases(context, plan), opened(self._object_id, Cause.BY_HAND, self._began)]
        await context.checkpoints.open(connection_id, cases)
        await services.store.plans.save(connection_id, run.id, plan.documents())
        await apply(context, plan, decided.inventory, self._hold.fence)
        run = measured(run, context.client.usage, context.ledger)
        failed = bool(context.ledger.errors)
        status = RunStatus.PARTIAL if failed else RunStatus.SUCCEEDED
        run = run.replaced(status=status, finished_at=services.clock())
        log_event("run.person", connection=connection_id, run=run.id, status=status.value)
        await self._hold.end(run)
        return run


def _outcome(context: RunContext, decided: OnePlan) -> tuple[Outcome, Change | None]:
    """Return what the rules make of somebody, and the removal that they want, if they want one."""
    object_id, planned = decided.evidence.object_id, decided.planned
    if planned is not None and planned.action.is_removal:
        return Outcome.LEAVES, planned
    waiting = context.ledger.unconfirmed.get(object_id)
    if waiting is None and object_id in context.ledger.unfinished:
        waiting = decided.evidence.reason  # out of scope, but a group that the scope names is gone
    removal = plan_removal(object_id, waiting, context.connection.policy) if waiting else None
    return (Outcome.WAITS, removal) if removal else (Outcome.STAYS, None)


def _change(decided: OnePlan, leaving: Change | None, stored: Person) -> Change:
    """Return what is written: the removal, or only that the rules decide from now on.

    What else has changed of somebody who stays, the next run writes, as of anybody.
    """
    if leaving is not None and stored.status is Status.ACTIVE:
        return replace(leaving, origin=Origin.AUTO)
    return Change(
        Action.UPDATE,
        decided.evidence.object_id,
        stored.user_principal_name,
        origin=Origin.AUTO,
    )


def _plan_hash(connection_id: str, leaving: Change) -> str:
    digest = PlanDigest(connection_id)
    digest.add(leaving)
    return digest.text


def _unanswered(object_id: str) -> RetryLater:
    return RetryLater(
        "release.unanswered",
        f"Graph did not say all that it takes to tell whether {object_id} stays by the rules, so nothing was "
        "changed.",
        "Ask again in a while.",
    )


def _no_person(object_id: str) -> NotFound:
    return NotFound(
        "user.notFound",
        f"The connection has no synced person {object_id!r}.",
        "GET /api/connections/{id}/users?search= lists those who are.",
    )


def _disabled(connection_id: str) -> Conflict:
    return Conflict(
        "connection.disabled",
        f"The connection {connection_id!r} is disabled; it is not synced.",
        'Enable it first: PATCH it with {"enabled": true}.',
    )
