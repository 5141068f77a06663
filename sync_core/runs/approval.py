"""Which confirmation lets a plan through that the guard holds: the one of this very plan, or of its rest."""

from collections.abc import AsyncIterator
from itertools import islice

from sync_core.concurrency import produced
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run
from sync_core.domain.model import Change
from sync_core.domain.plan.digest import moves_of
from sync_core.domain.plan.plan import Plan
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.approvals import Approval
from sync_core.store.plans import Document

# Changes that are read from disk in one piece.
READ_AT_ONCE = 500


async def take_approval(
    services: Services, connection: Connection, run: Run, plan: Plan
) -> Approval | None:
    """Return the confirmation of a held plan, if there is one, and note that this run begins with it.

    A run that was killed, or ran out of time, leaves a smaller plan to the next one. That one is let
    through by the same confirmation if each of its held changes was in the confirmed plan, too.
    """
    if not plan.verdict.may_be_confirmed:
        return None
    now, moves = services.clock(), moves_of(plan.plan_hash)
    approval = await services.store.approvals.find(connection.id, moves, now)
    if approval is not None:
        await services.store.approvals.begin(approval, run.id)
    else:
        approval = await _unfinished(services, connection, plan)
    if approval is not None:
        log_event(
            "run.confirmed",
            connection=connection.id,
            run=run.id,
            by=approval.by,
            held=plan.held,
            begun=approval.run_id,
        )
    return approval


async def _unfinished(services: Services, connection: Connection, plan: Plan) -> Approval | None:
    for approval in await services.store.approvals.begun(connection.id, services.clock()):
        if await _is_rest(services, approval, plan):
            return approval
    return None


async def _is_rest(services: Services, approval: Approval, plan: Plan) -> bool:
    """Compare two plans that are sorted by object id, without holding either in memory."""
    confirmed = services.store.plans.load(approval.connection_id, approval.run_id or "")
    one = await anext(confirmed, None)
    async for change in _waiting(plan):
        while one is not None and str(one["objectId"]) < change.object_id:
            one = await anext(confirmed, None)
        if one is None or not _is_same(one, change):
            return False
    return True


async def _waiting(plan: Plan) -> AsyncIterator[Change]:
    """Yield the changes that are held, read from disk in pieces."""
    held = filter(plan.is_held, plan.changes)
    async for piece in produced(iter(lambda: list(islice(held, READ_AT_ONCE)), [])):
        for change in piece:
            yield change


def _is_same(confirmed: Document, change: Change) -> bool:
    if confirmed["objectId"] != change.object_id:
        return False
    if change.action.is_removal and change.reason is None:
        # Not asked for yet: whoever lets the plan through asks, and the answer decides.
        return confirmed["action"] in {"disable", "delete"}
    reason = change.reason.value if change.reason else None
    return (confirmed["action"], confirmed["reason"]) == (change.action.value, reason)
