"""What was decided, made a plan: stored values beside the new ones, counted, and named by a digest."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_core.concurrency import in_thread
from sync_core.domain.model import Action, Change, Inventory, Tally
from sync_core.domain.plan.decide import is_protected
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.guard import COMING, tally_of
from sync_core.domain.plan.values import (
    Loss,
    Rise,
    Sensitive,
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
    sums = _Sums(context, planned, inventory, inventory.active)
    for digit in decided.digits:
        changes = await in_thread(sums.settled, decided, digit)
        stored = inventory.by_digit.get(digit, 0)
        rows = await context.users.load_rows(digit, changes, stored)
        await in_thread(sums.add, changes, rows)
    return sums.detail()


@dataclass(slots=True)
class _Sums:
    """Adds up a plan, partition by partition: of a large one, each takes a second."""

    context: RunContext
    planned: ChangeSpool
    inventory: Inventory
    people: int
    returns: int = 0
    digest: PlanDigest = field(init=False)
    sensitive: Sensitive = field(init=False)
    actions: Counter[Action] = field(default_factory=Counter)
    lost: Counter[Loss] = field(default_factory=Counter)
    gained: Counter[Rise] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.digest = PlanDigest(self.context.connection.id)
        self.sensitive = sensitive_values(self.context.connection.mapping)

    def settled(self, decided: ChangeSpool, digit: str) -> list[Change]:
        return self.context.linking.settled(decided.read(digit))

    def add(self, changes: Sequence[Change], rows: Mapping[str, dict[str, Any]]) -> None:
        policy, first_import = self.context.connection.policy, self.inventory.first_import
        for change in changes:
            if change.object_id in rows:
                _put_stored(change, rows[change.object_id])
            if is_protected(change, policy):
                continue
            self.planned.add(change)
            self.actions[change.action] += 1
            self.returns += change.returns
            self.people += change.has_row and change.action in COMING
            self.lost.update(losses(change))
            for rise in () if first_import else rises(change, self.sensitive):
                self.gained[rise] += 1
                self.digest.hold([f"{change.object_id}|{rise.column}|{rise.value}"])
            self.digest.add(change)

    def detail(self) -> Detail:
        held = over(self.lost, self.context.connection.policy.guard, self.people)
        self.digest.hold(_names(self.context, held, self.lost, self.people))
        tally = tally_of(self.inventory, self.actions, self.returns)
        return Detail(tally, self.digest.text, self.people, self.lost, self.gained)


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
