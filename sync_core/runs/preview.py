"""What a run would do now, with settings that need not be saved: the run's own code up to the plan.

Nothing is written of people: the tables are read, the plan stays on this machine's disk, and what is said
of it is a `Preview`. A plan of which the answer cannot show everything, or of which a part would be held,
is kept under `planUrl` where the caller asks for that.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Any

from pydantic import Field

from sync_core.concurrency import in_thread
from sync_core.directory.client import GraphClient
from sync_core.directory.reading import Reading
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import ColumnCount, Counts, RecordError
from sync_core.domain.errors import RequestRefused
from sync_core.domain.model import Action, Change, Reason, Tally, Value
from sync_core.domain.plan.digest import moves_of
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.ledger import Ledger
from sync_core.domain.plan.plan import Plan
from sync_core.domain.plan.survey import (
    PreviewWarning,
    Survey,
    leavers_by_reason,
    reading_sentence,
    warnings_of_plan,
    warnings_of_reading,
)
from sync_core.domain.plan.takeovers import PreviewTakeover, warning_of
from sync_core.domain.plan.values import Kind, Loss, losses
from sync_core.domain.scope.query import reading_plan
from sync_core.runs.confirmed import confirmed_verdict
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.full import FullReading
from sync_core.runs.leftovers import takeovers_seen
from sync_core.runs.planner import Draft, draft_plan
from sync_core.services import Services
from sync_core.store.approvals import Approval

# Azure ends an HTTP answer after 230 seconds, whatever the app still does
# (learn.microsoft.com/azure/azure-functions/functions-scale, "Timeout").
LIMIT_S = 200.0
# A caller is waiting: report throttling beyond this instead of waiting it out.
RETRY_BUDGET_S = 60.0
SHOWN = 200
EXAMPLES = 3
# Leavers are what people fear, so they stand first.
ORDER = (Action.DELETE, Action.DISABLE, Action.CREATE, Action.REENABLE, Action.UPDATE)
RUN_ID = "preview"


class PreviewGroup(Document):
    """A group that is read: its name, and how many people are in it, also through nesting."""

    id: str
    name: str | None
    count: int


class PreviewReading(Document):
    """What was read of the directory; only a complete reading may say who has left.

    `filter` is what Graph was asked to apply, `judged_here` the rules that only this app applies.
    """

    sentence: str
    complete: bool
    filter: str | None
    judged_here: list[str]
    groups: list[PreviewGroup]
    applications: list[PreviewGroup] = Field(
        description="Enterprise applications of `assignedTo`, and how many people are assigned."
    )


class PreviewCounts(Counts):
    """A run's counts, as if everything were written: `held` of them would wait for approval.

    `joiners` are created or enabled again, `leavers` disabled or deleted.
    """

    joiners: int = 0
    leavers: int = 0


class RowLink(Document):
    """The row that a person takes over, and what made the match."""

    row: str = Field(examples=["contoso-a|app-17"])
    by: str = Field(examples=["email"])


class PreviewChange(Document):
    """One change that would be made, as in a run's plan, with the person's name where it is known."""

    action: Action
    object_id: str
    user_principal_name: str
    display_name: str | None
    reason: Reason | None
    cause: str | None
    held: bool
    fields: dict[str, tuple[Value, Value]]
    evidence: dict[str, Any] | None
    link: RowLink | None


class PreviewWindow(Document):
    """What runs decided by themselves in the last `hours`, of `active` people at their beginning."""

    hours: int
    creates: int
    removals: int
    deletes: int
    active: int


class ValueExample(Document):
    """One person of whom a value would go."""

    object_id: str
    user_principal_name: str
    before: Value
    after: Value


class HeldValues(Document):
    """A column that would lose the values of more people than the guard allows, with examples."""

    column: str
    what: Kind
    people: int
    examples: list[ValueExample]


class Preview(Document):
    """What a run would do now; `changes` are the first 200, leavers before joiners before updates.

    `window` is what runs decided by themselves in the last hours: the guard counts it together with
    this plan.
    `plan_url` has all of them where these are not all, or some would be held.
    """

    reading: PreviewReading
    counts: PreviewCounts
    window: PreviewWindow
    columns: dict[str, ColumnCount]
    held_values: list[HeldValues]
    by_user_type: dict[str, int]
    leavers_by_reason: dict[str, int]
    warnings: list[PreviewWarning]
    takeovers: list[PreviewTakeover] = Field(
        default_factory=list,
        description="Deleted connections to the same tenant, and whose rows they have left.",
    )
    changes: list[PreviewChange]
    errors: list[RecordError]
    plan_hash: str
    plan_url: str | None = None


class OutOfTime(RequestRefused):
    """The directory is too large, or Graph too slow, for an answer over HTTP."""

    status = 504

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            "preview.outOfTime",
            f"Reading the directory took longer than the {limit_s:.0f} seconds that an answer may take. "
            "Nothing was changed.",
            "Try it at a quieter time, or preview a narrower scope first, such as one of its groups. A "
            "run has more time, and its guard looks at the same plan before anything is written.",
        )


async def preview(
    services: Services,
    connection: Connection,
    limit_s: float | None = None,
    *,
    keep: bool = False,
) -> Preview:
    """Plan a run of the connection as it is given, and say what it would do; writes nothing of people.

    `keep`: a plan that needs to be looked through is kept under its `plan_url`.

    Raises `OutOfTime`, and whatever a run fails with.
    """
    limit_s = LIMIT_S if limit_s is None else limit_s
    retry_budget = services.directory.retry_budget()
    retry_budget = replace(retry_budget, budget_s=min(retry_budget.budget_s, RETRY_BUDGET_S))
    try:
        async with (
            asyncio.timeout(limit_s),
            services.directory.open(connection, retry_budget) as client,
        ):
            return await _planned(services, connection, client, keep=keep)
    except TimeoutError as error:
        raise OutOfTime(limit_s) from error


async def _planned(
    services: Services, connection: Connection, client: GraphClient, *, keep: bool
) -> Preview:
    survey = Survey(connection)
    now = services.clock()
    context = await run_context(services, connection, client, RUN_ID, now, observer=survey)
    gatherer = FullReading(context)
    async with draft_plan(context, gatherer) as draft:
        plan = draft.plan
        approval = await _confirmation(services, connection, plan)
        outlook = await in_thread(_outlook, context, draft, approval)
        seen = await _takeovers(services, context, gatherer, plan)
        found = await in_thread(_told, context.ledger, gatherer, plan, survey, outlook)
        warnings = filter(None, (warning_of(one, connection.id) for one in seen))
        found.warnings.extend(warnings)
        found = found.model_copy(update={"takeovers": seen})
        if not keep or not (found.counts.held or plan.tally.changes > SHOWN):
            return found
        changes = (shown(change, held=outlook.waits(change)).to_json() for change in plan.changes)
        kept = services.store.refused_plans
        url = await kept.save(connection.id, plan.plan_hash, changes, services.clock())
        return found.model_copy(update={"plan_url": url})


async def _takeovers(
    services: Services, context: RunContext, gatherer: FullReading, plan: Plan
) -> list[PreviewTakeover]:
    """Return whose rows deleted connections to the tenant have left."""
    takeovers = context.takeovers
    if not takeovers.leftovers:
        return []
    coming = {one.object_id for one in plan.changes if one.action is Action.CREATE}
    return await takeovers_seen(
        services, context.connection.id, takeovers, coming=coming, here=gatherer.here
    )


async def _confirmation(services: Services, connection: Connection, plan: Plan) -> Approval | None:
    """Return the confirmation with which the next run would let this plan through."""
    if not plan.verdict.may_be_confirmed:
        return None
    moves = moves_of(plan.plan_hash)
    return await services.store.approvals.find(connection.id, moves, services.clock())


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What the next run would hold of a plan, with the confirmation that it has, if any."""

    verdict: Verdict
    waits: Callable[[Change], bool]
    held: int
    confirmed_by: str | None = None


def _outlook(context: RunContext, draft: Draft, approval: Approval | None) -> _Outlook:
    """Return what waits; where the plan is confirmed, only what assertions hold all the same."""
    plan = draft.plan
    if approval is None:
        return _Outlook(plan.verdict, plan.is_held, plan.held)
    through = confirmed_verdict(context, draft)
    verdict = replace(plan.verdict, broken=through.broken, breaches=through.breaches)
    held = sum(map(through.holds_change, plan.changes))
    return _Outlook(verdict, through.holds_change, held, approval.by)


def _told(
    ledger: Ledger, gatherer: FullReading, plan: Plan, survey: Survey, outlook: _Outlook
) -> Preview:
    reading, found = gatherer.reading, _look_through(plan)
    linked = found.linked + len(gatherer.taken)
    counts = _counts(ledger.counts, plan, found)
    counts = counts.model_copy(update={"held": outlook.held, "linked": linked})
    problems = reading.problems
    errors = [error for error in ledger.errors if error not in problems]
    return Preview(
        reading=_reading(reading, counts.read),
        counts=counts,
        window=_window(plan.tally),
        columns=dict(plan.columns),
        held_values=_held_values(plan),
        by_user_type=dict(survey.by_user_type),
        leavers_by_reason=leavers_by_reason(found.reasons),
        warnings=[
            *warnings_of_reading(problems),
            *(PreviewWarning(code=one.code, message=one.message) for one in ledger.warnings),
            *warnings_of_plan(
                outlook.verdict,
                counts,
                errors,
                unconfirmed=found.reasons[None],
                confirmed_by=outlook.confirmed_by,
            ),
            *survey.warnings(
                everybody_read=reading.complete and _reads_everybody(reading),
                complete=reading.complete,
            ),
        ],
        changes=[shown(change, held=outlook.waits(change)) for change in found.first],
        errors=ledger.errors,
        plan_hash=plan.plan_hash,
    )


def _reads_everybody(reading: Reading) -> bool:
    """Whether all users were read: not those of groups, and not those that a filter finds."""
    plan = reading_plan(reading.scope)
    return reading.scope.everyone and not (plan.filter and reading.applied_filter)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look through a plan's changes finds."""

    actions: Counter[Action]
    reasons: Counter[str | None]
    linked: int
    first: list[Change]


def _look_through(plan: Plan) -> _Found:
    actions: Counter[Action] = Counter()
    reasons: Counter[str | None] = Counter()
    linked = 0

    def counted() -> Iterator[Change]:
        nonlocal linked
        for change in plan.changes:
            actions[change.action] += 1
            linked += change.link is not None
            if change.action.is_removal:
                reasons[change.cause] += 1
            yield change

    first = nsmallest(
        SHOWN, counted(), key=lambda change: (ORDER.index(change.action), change.object_id)
    )
    return _Found(actions, reasons, linked, first)


def _counts(done: Counts, plan: Plan, found: _Found) -> PreviewCounts:
    number = found.actions
    return PreviewCounts(
        read=done.read,
        in_scope=done.in_scope,
        created=number[Action.CREATE],
        updated=number[Action.UPDATE],
        reenabled=number[Action.REENABLE],
        disabled=number[Action.DISABLE],
        deleted=number[Action.DELETE],
        unchanged=done.unchanged,
        failed=done.failed,
        joiners=number[Action.CREATE] + number[Action.REENABLE],
        leavers=number[Action.DISABLE] + number[Action.DELETE],
        blocked=done.blocked,
        active=plan.tally.active - plan.tally.returns,
    )


def _window(tally: Tally) -> PreviewWindow:
    window = tally.window
    return PreviewWindow(
        hours=window.hours,
        creates=window.creates,
        removals=window.removals,
        deletes=window.deletes,
        active=tally.base,
    )


def _held_values(plan: Plan) -> list[HeldValues]:
    """Return the columns that wait, each with the first people it is about."""
    examples: dict[Loss, list[ValueExample]] = {loss: [] for loss in plan.verdict.hold_values}
    for change in plan.changes if examples else ():
        for loss in losses(change):
            if loss in examples and len(examples[loss]) < EXAMPLES:
                examples[loss].append(_example(change, loss))
    return [
        HeldValues(
            column=loss.column,
            what=loss.kind,
            people=getattr(plan.columns[loss.column], loss.kind.value),
            examples=examples[loss],
        )
        for loss in sorted(examples)
    ]


def _example(change: Change, loss: Loss) -> ValueExample:
    before, after = change.fields()[loss.column]
    return ValueExample(
        object_id=change.object_id,
        user_principal_name=change.user_principal_name,
        before=before,
        after=after,
    )


def _reading(reading: Reading, read: int) -> PreviewReading:
    scope, tree, sizes = reading.scope, reading.tree, reading.sizes()
    named = sorted(scope.member_groups | reading.asked_groups)
    members = sorted(scope.member_groups)
    nested = tree.names.keys() - set(named) if scope.nested_groups else set()
    plan = reading_plan(scope)
    where = plan.filter if reading.applied_filter else None
    return PreviewReading(
        sentence=reading_sentence(
            members,
            len(nested),
            read if scope.everyone else reading.members(),
            everybody=scope.everyone,
            where=where,
            asked=len(reading.asked_groups),
        ),
        complete=reading.complete,
        filter=where,
        judged_here=list(plan.judged_here),
        groups=[
            PreviewGroup(id=group, name=tree.names.get(group), count=sizes[group])
            for group in named
        ],
        applications=[
            PreviewGroup(
                id=one,
                name=reading.assignments.names.get(one),
                count=reading.assignments.count(one),
            )
            for one in sorted(scope.applications)
        ],
    )


def shown(change: Change, *, held: bool) -> PreviewChange:
    """Return a change with the person's name, as it is shown before it is made."""
    name = change.values.get("displayName") or change.before.get("displayName")
    return PreviewChange(
        action=change.action,
        object_id=change.object_id,
        user_principal_name=change.user_principal_name,
        display_name=str(name) if name else None,
        reason=change.reason,
        cause=change.cause,
        held=held,
        fields=change.fields(),
        evidence=change.evidence,
        link=RowLink(row=change.link.address, by=change.link.by) if change.link else None,
    )
