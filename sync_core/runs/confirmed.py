"""A plan that an administrator has confirmed: the guard's hold is lifted.

A confirmation is no evidence: people whom the plan left unconfirmed are asked for now, and stay if Graph
says so.
"""

from collections.abc import Iterable
from dataclasses import replace

from sync_core.concurrency import in_thread
from sync_core.domain.model import Action, Change, Evidence, StillHeld, StoredIndex, StoredPerson
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.judge import unanswered
from sync_core.domain.plan.plan import ALLOWED, Plan
from sync_core.runs import planner
from sync_core.runs.context import RunContext
from sync_core.runs.detail import write_detail
from sync_core.runs.planner import Draft, removal_of
from sync_core.runs.spool import ChangeSpool

# So many are asked for in one run: 20 a request, some ten minutes.
ASKED_A_RUN = 20_000

NOTHING_STORED = StoredIndex({}, frozenset())


async def let_through(context: RunContext, draft: Draft, still_held: StillHeld) -> Plan:
    """Return the draft's plan with the guard's hold lifted; what assertions hold stays held.

    The plan keeps its name; changes in new spools are closed with the draft's.
    """
    if not draft.unconfirmed:
        verdict = await in_thread(confirmed_verdict, context, draft)
        plan = replace(draft.plan, verdict=verdict, approved=draft.plan.verdict)
        await in_thread(plan.count_held)
        return plan
    decided = draft.spools.enter_context(ChangeSpool())
    planned = draft.spools.enter_context(ChangeSpool())
    confirmed = (one for one in draft.plan.changes if one.object_id not in draft.unconfirmed)
    await in_thread(decided.extend, confirmed)
    await _ask_the_rest(context, draft, decided, still_held)
    detail = await write_detail(context, decided, planned, draft.inventory)
    active, applied = draft.inventory.active, context.assertions.applied
    plan = replace(
        draft.plan,
        changes=planned,
        tally=detail.tally,
        verdict=await in_thread(applied, ALLOWED, active, planned),
        approved=draft.plan.verdict,
        unconfirmed=await in_thread(_without_reason, planned),
    )
    await in_thread(plan.count_held)
    return plan


def _without_reason(changes: Iterable[Change]) -> int:
    return sum(change.action.is_removal and change.reason is None for change in changes)


def confirmed_verdict(context: RunContext, draft: Draft) -> Verdict:
    """Return what waits of a draft although it was confirmed: what assertions hold."""
    return context.assertions.applied(ALLOWED, draft.inventory.active, draft.plan.changes)


async def _ask_the_rest(
    context: RunContext, draft: Draft, decided: ChangeSpool, still_held: StillHeld
) -> None:
    """Ask for as many as a run has time for; the others are planned without a reason, and wait."""
    unconfirmed = list(draft.unconfirmed)
    asked, left = unconfirmed[:ASKED_A_RUN], unconfirmed[ASKED_A_RUN:]
    for start in range(0, len(asked), planner.CONFIRM_AT_ONCE):
        await still_held()
        batch = asked[start : start + planner.CONFIRM_AT_ONCE]
        for evidence in await draft.gatherer.look(batch):
            known = draft.unconfirmed[evidence.object_id]
            if change := await _decide(context, draft, evidence, known):
                decided.add(change)
    await in_thread(decided.extend, (Change(Action.DISABLE, object_id) for object_id in left))


async def _decide(
    context: RunContext, draft: Draft, evidence: Evidence, known: StoredPerson
) -> Change | None:
    if evidence.is_unclear:
        return context.ledger.take(evidence.object_id, unanswered())
    evidence = draft.judge.as_by_hand(evidence, known)
    person = draft.judge.staying(evidence, known)
    if person is None:
        return await removal_of(context, draft.gatherer, draft.judge, evidence)
    outcome = draft.judge.settled(person, evidence.groups, known, NOTHING_STORED)
    return context.ledger.take(evidence.object_id, outcome)
