"""The takeover of a deleted connection's rows within a run: planned as if they had moved, then moved.

A run plans with the rows where they stand, as a preview does. They move when it writes: first all rows as
they are, then what the plan changes of them. So a plan that is held, or a run that is ended, never leaves a
person without a row, nor with a status that nothing has decided.
"""

from contextlib import suppress
from dataclasses import replace
from functools import partial

from sync_core.domain.errors import Conflict
from sync_core.domain.model import HEX_DIGITS
from sync_core.logs import log_event
from sync_core.runs.apply import soil
from sync_core.runs.context import RunContext
from sync_core.services import Services
from sync_core.store.fences import Fence
from sync_core.store.moves import Moved
from sync_core.store.users import bounded

PARTITIONS_AT_ONCE = 4


async def move_all(services: Services, context: RunContext, fence: Fence) -> None:
    """Move everybody who is taken over; who cannot be moved is reported, and stays where the row is."""
    for source in context.takeovers.sources:
        moves = services.store.moves(source, context.stamp, fence)
        await soil(context, ())
        context.ledger.at_least = True
        await bounded(PARTITIONS_AT_ONCE, (partial(moves.all_of, digit) for digit in HEX_DIGITS))
        context.ledger.at_least = False
        _note(context, source, moves.moved)


async def move_one(services: Services, context: RunContext, object_id: str, fence: Fence) -> None:
    """Move the row of one person, if it is taken over."""
    for source in context.takeovers.sources:
        await soil(context, [object_id])
        moved = await services.store.moves(source, context.stamp, fence).one(object_id)
        _note(context, source, moved)


def _note(context: RunContext, source: str, moved: Moved) -> None:
    if moved.people:
        context.ledger.count("linked", len(moved.people))
    for object_id, error in sorted(moved.left.items()):
        context.ledger.reject(object_id, error)
    log_event(
        "takeover.moved",
        connection=context.connection.id,
        of=source,
        run=context.stamp.run_id,
        people=len(moved.people),
        left=len(moved.left),
    )


async def finish(services: Services, context: RunContext) -> None:
    """Note that all rows were moved and that everybody was looked at since."""
    for leftover in context.takeovers.pending:
        done = replace(leftover, done_at=services.clock())
        with suppress(Conflict):  # changed while the run was under way: the next one looks again
            await services.store.leftovers.save(done)
