"""What was decided, made a plan: stored values beside the new ones, counted, and named by a digest."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_core.domain.model import HEX_DIGITS, Action, Change, Inventory, Tally
from sync_core.domain.plan.decide import is_protected
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.guard import COMING, tally_of
from sync_core.domain.plan.values import (
    Loss,
    Rise,
    losses,
    name_of,
    over,
    rises,
    sensitive_values,
)
from sync_core.runs.context import RunContext
from sync_core.runs.spool import ChangeSpool
from sync_core.store.rows import old_values


@dataclass(frozen=True, slots=True)
class Detail:
    """What the guard reads of a plan, from how many people it takes which values, and the plan's name.

    `people` have a row whose values the plan might take: the active ones, and who come to one that stands.
    """

    tally: Tally
    plan_hash: str
    people: int
    losses: Mapping[Loss, int]
    rises: Mapping[Rise, int]


async def write_detail(
    context: RunContext, decided: ChangeSpool, planned: ChangeSpool, inventory: Inventory
) -> Detail:
    """Fill `planned` with what was decided, without people who are protected or wait for a match."""
    digest = PlanDigest(context.connection.id)
    actions: Counter[Action] = Counter()
    returns, people = 0, inventory.active
    lost: Counter[Loss] = Counter()
    gained: Counter[Rise] = Counter()
    sensitive = sensitive_values(context.connection.mapping)
    for digit in HEX_DIGITS:
        changes = context.linking.settled(decided.read(digit))
        rows = await context.users.load_rows(digit, changes, inventory.by_digit.get(digit, 0))
        for change in changes:
            if change.object_id in rows:
                _put_stored(change, rows[change.object_id])
            if is_protected(change, context.connection.policy):
                continue
            planned.add(change)
            actions[change.action] += 1
            returns += change.returns
            people += change.has_row and change.action in COMING
            lost.update(losses(change))
            for rise in () if inventory.first_import else rises(change, sensitive):
                gained[rise] += 1
                digest.hold([f"{change.object_id}|{rise.column}|{rise.value}"])
            digest.add(change)
    held = over(lost, context.connection.policy.guard, people)
    digest.hold(_names(context, held, lost, people))
    return Detail(tally_of(inventory, actions, returns), digest.text, people, lost, gained)


def _names(
    context: RunContext, held: Sequence[Loss], lost: Mapping[Loss, int], people: int
) -> Iterator[str]:
    """Name what would be lost by the rules of its columns; a column without a rule is emptied."""
    rules = {rule.target: rule.model_dump_json() for rule in context.connection.mapping}
    return (name_of(loss, lost[loss], people, rules.get(loss.column, "")) for loss in held)


def _put_stored(change: Change, row: dict[str, Any]) -> None:
    """Put into a change what the row holds: old values, and the sign-in name of a person who leaves."""
    if not change.user_principal_name:
        change.user_principal_name = str(row.get("UserPrincipalName") or "")
    change.before = old_values(change, row)
