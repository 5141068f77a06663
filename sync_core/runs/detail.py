"""What was decided, made a plan: stored values beside the new ones, counted, and named by a digest."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sync_core.domain.model import HEX_DIGITS, Action, Change, Inventory, Tally
from sync_core.domain.plan.decide import is_protected
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.guard import tally_of
from sync_core.runs.context import RunContext
from sync_core.runs.spool import ChangeSpool
from sync_core.store.rows import old_values


@dataclass(frozen=True, slots=True)
class Detail:
    """What the guard reads of a plan, and the plan's name."""

    tally: Tally
    plan_hash: str


async def write_detail(
    context: RunContext, decided: ChangeSpool, planned: ChangeSpool, inventory: Inventory
) -> Detail:
    """Fill `planned` with what was decided, without people who are protected or wait for a match."""
    context.assertions.begin()
    digest = PlanDigest(context.connection.id)
    actions: Counter[Action] = Counter()
    for digit in HEX_DIGITS:
        changes = context.linking.settled(decided.read(digit))
        rows = await context.users.load_rows(digit, changes, inventory.by_digit.get(digit, 0))
        for change in changes:
            if change.object_id in rows:
                _put_stored(change, rows[change.object_id])
            if is_protected(change, context.connection.policy):
                continue
            planned.add(change)
            context.assertions.change(change)
            actions[change.action] += 1
            digest.add(change)
    return Detail(tally_of(inventory.active, actions), digest.text)


def _put_stored(change: Change, row: dict[str, Any]) -> None:
    """Put into a change what the row holds: old values, and the sign-in name of a person who leaves."""
    if not change.user_principal_name:
        change.user_principal_name = str(row.get("UserPrincipalName") or "")
    change.before = old_values(change, row)
