"""A plan written: what is not held, partition by partition; a refused record does not stop the others."""

from collections.abc import Iterable
from functools import partial

from sync_core.concurrency import in_thread
from sync_core.domain.model import HEX_DIGITS, Inventory
from sync_core.domain.plan.plan import Plan
from sync_core.runs.context import RunContext
from sync_core.store.checkpoints import with_touched
from sync_core.store.fences import Fence
from sync_core.store.users import bounded

# Each holds the stored rows of the changes of one partition in memory.
PARTITIONS_AT_ONCE = 4


async def apply(context: RunContext, plan: Plan, inventory: Inventory, fence: Fence) -> None:
    """Write a plan and count what was written; decisions about matches are then carried out."""

    async def write(digit: str) -> None:
        stored = inventory.by_digit.get(digit, 0)
        rows = await context.users.load_own_rows(digit, plan.to_write(digit), stored)
        changes = plan.to_write(digit)
        async for change, error in context.users.apply(
            changes, rows, context.stamp, fence, plan.mark
        ):
            if error is None:
                context.ledger.written(change)
                context.written.add(change, plan.mark(change))
                if not plan.approved.holds_change(change):  # what waited says nothing of today
                    context.account.written(change, context.clock())
                context.assertions.written(change)
                context.linking.done(change)
            else:
                context.ledger.reject(change.object_id, error)

    await soil(context, (change.object_id for change in plan.changes))
    context.ledger.at_least = True
    await bounded(PARTITIONS_AT_ONCE, (partial(write, digit) for digit in HEX_DIGITS))
    context.ledger.at_least = False
    await context.linking.forget_done(fence.check)


async def soil(context: RunContext, people: Iterable[str]) -> None:
    """Note that these people are about to be written: until the checkpoint moves, it is not true of them."""
    kept = context.kept
    if not kept.rows:
        return
    touched = await in_thread(with_touched, kept.touched, people)
    if not kept.is_dirty or touched != kept.touched:
        await context.checkpoints.soil(context.connection.id, touched)
        kept.is_dirty = True
