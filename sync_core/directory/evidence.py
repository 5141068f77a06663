"""A look: people asked for by id, for what is true of them now; the answer is kept with the change.

Attributes and memberships come in one `$batch`. An answer that is missing says nothing: of a person whose
memberships Graph does not tell, it is not known which groups they are in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kiota_abstractions.request_information import RequestInformation

from sync_core.directory.answers import GraphNotFound, to_page
from sync_core.directory.assignments import Assignments, read_assignments
from sync_core.directory.client import MAX_BATCH, GraphClient
from sync_core.directory.groups import GroupTree, inside, members_hidden
from sync_core.directory.lookup import check_attributes
from sync_core.directory.managers import check_hidden, told_managers, who_has_manager
from sync_core.directory.members import is_group
from sync_core.directory.requests import (
    GROUPS_READ,
    USERS_READ,
    groups_of_user,
    one_deleted,
    one_user,
)
from sync_core.domain.attributes import MANAGER, is_agent
from sync_core.domain.documents.scope import ASSIGNED_TO
from sync_core.domain.model import BECAME_GUEST, BECAME_MEMBER, Evidence, Reason
from sync_core.domain.scope.compile import CompiledScope, keeps_out

# A `$batch` holds 20 requests, two of them a person.
PEOPLE_A_BATCH = 10


@dataclass(frozen=True, slots=True)
class _Answer:
    """What Graph said of one person; None for an object that it says it does not have."""

    user: dict[str, Any] | None
    memberships: frozenset[str] | None


async def read_evidence(
    client: GraphClient,
    object_ids: Sequence[str],
    scope: CompiledScope,
    select: frozenset[str],
    asked_groups: frozenset[str],
    *,
    tree: GroupTree | None = None,
    assignments: Assignments | None = None,
) -> list[Evidence]:
    """Ask for each person by id: gone, blocked, out of the groups, or still here after all.

    `tree` and `assignments` are what was read before, if it was.
    """
    wanted = scope.groups | asked_groups
    answers = await _asked(client, object_ids, select, wanted, nested=scope.nested_groups)
    users = [one.user for one in answers.values() if one.user is not None]
    unsure = await _check(client, users, select)
    if assignments is None:
        # Read again, as proof: a list that was cut short once must not remove anybody.
        assignments = await read_assignments(client, scope.applications)
    if assignments.hidden and keeps_out(scope.document, ASSIGNED_TO):
        raise members_hidden(assignments.hidden.values())
    above = tree.above(wanted) if tree else {}
    deleted = await _deleted(client, [oid for oid, one in answers.items() if one.user is None])
    found: list[Evidence] = []
    for object_id in object_ids:
        answer = answers[object_id]
        if answer.user is None:
            found.append(_absent(deleted[object_id], answer))
            continue
        groups = inside(answer.memberships or frozenset(), wanted, above)
        groups |= assignments.of(object_id)
        judged = _judge(answer, answer.user, groups, scope, asks_groups=bool(wanted))
        if object_id in unsure:
            judged = replace(judged, reason=None, is_unclear=True)
        found.append(judged)
    return found


async def _asked(
    client: GraphClient,
    object_ids: Sequence[str],
    select: frozenset[str],
    wanted: frozenset[str],
    *,
    nested: bool,
) -> dict[str, _Answer]:
    answers: dict[str, _Answer] = {}
    for start in range(0, len(object_ids), PEOPLE_A_BATCH if wanted else 2 * PEOPLE_A_BATCH):
        part = object_ids[start : start + (PEOPLE_A_BATCH if wanted else 2 * PEOPLE_A_BATCH)]
        users = [one_user(client.sdk, object_id, select) for object_id in part]
        lists = [groups_of_user(client.sdk, oid, nested=nested) for oid in part] if wanted else []
        needs = [USERS_READ] * len(users) + [GROUPS_READ] * len(lists)
        told = await client.batch([*users, *lists], needs=needs)
        groups = told[len(users) :] or [None] * len(users)
        for number, (object_id, user) in enumerate(zip(part, told, strict=False)):
            first = groups[number]
            ids = await _ids(client, lists[number], first) if first is not None else None
            answers[object_id] = _Answer(user, ids)
    return answers


async def _ids(
    client: GraphClient, request: RequestInformation, first: Any
) -> frozenset[str] | None:
    """Return the groups of a list whose first page came in a batch, to its end.

    None where a later page says that the person does not exist: they were deleted meanwhile, or one of the
    answers is older.
    """
    page = to_page(first)
    ids = {str(item["id"]) for item in filter(is_group, page.items)}
    if page.next_link is not None:
        onward = client.follow(page.next_link, request)
        try:
            async for page in client.pages(onward, needs=GROUPS_READ):
                ids.update(str(item["id"]) for item in filter(is_group, page.items))
        except GraphNotFound:
            return None
    return frozenset(ids)


async def _check(
    client: GraphClient, users: Sequence[dict[str, Any]], select: frozenset[str]
) -> set[str]:
    """Refuse people that come without what was asked for: a permission is gone.

    Returns the people who come without a manager although Graph names one when it is asked directly: one of
    the two answers is older. That is believed of one batch at most; of more people it is refused.
    """
    await check_attributes(client, users, "a person asked for by id")
    await check_attributes(client, told_managers(users), "the manager of a person asked for by id")
    if MANAGER in select and not any(user.get(MANAGER) for user in users):
        ids = [user["id"] for user in users]
        if len(ids) <= MAX_BATCH:
            return await who_has_manager(client, ids)
        await check_hidden(client, ids)
    return set()


def _absent(evidence: Evidence, answer: _Answer) -> Evidence:
    """Return what is known of a person whom Graph does not have; nothing if it tells their groups."""
    if answer.memberships is None:
        return evidence
    return Evidence(evidence.object_id, None, evidence.facts, is_unclear=True)


def _judge(
    answer: _Answer,
    user: dict[str, Any],
    groups: frozenset[str],
    scope: CompiledScope,
    *,
    asks_groups: bool,
) -> Evidence:
    user.setdefault(MANAGER, None)  # an answer without the property says that there is none
    facts: dict[str, Any] = {"found": True, "accountEnabled": user.get("accountEnabled")}
    if scope.groups:
        facts["groups"] = sorted(groups - scope.applications)
    if scope.applications:
        facts["assignedTo"] = sorted(groups & scope.applications)
    if is_agent(user):
        facts["agent"] = True
    if scope.excludes(user):
        facts["excluded"] = True
    is_unclear = asks_groups and answer.memberships is None
    reason = None if is_unclear else _reason(user, groups, scope, facts)
    return Evidence(
        user["id"], reason, facts, user, groups, answer.memberships, is_unclear=is_unclear
    )


def _reason(
    user: Mapping[str, Any], groups: frozenset[str], scope: CompiledScope, facts: dict[str, Any]
) -> Reason | None:
    if scope.matches(user, groups):
        return Reason.ACCOUNT_DISABLED if user.get("accountEnabled") is False else None
    if kind := _kind_that_keeps_out(user, groups, scope):
        facts[kind] = True
    return Reason.LEFT_SCOPE


def _kind_that_keeps_out(
    user: Mapping[str, Any], groups: frozenset[str], scope: CompiledScope
) -> str | None:
    """Say whether a person is out as a guest, or as a member, and for nothing else."""
    is_guest = user.get("userType") == "Guest"
    if not scope.matches({**user, "userType": "Member" if is_guest else "Guest"}, groups):
        return None
    return BECAME_GUEST if is_guest else BECAME_MEMBER


async def _deleted(client: GraphClient, object_ids: list[str]) -> dict[str, Evidence]:
    """Tell soft-deleted people, who can be restored for 30 days, from those who are gone for good."""
    answers = await client.batch(
        [one_deleted(client.sdk, object_id) for object_id in object_ids], needs=USERS_READ
    )
    return {
        object_id: Evidence(
            object_id,
            Reason.HARD_DELETED if answer is None else Reason.SOFT_DELETED,
            {"found": False, "deletedDateTime": (answer or {}).get("deletedDateTime")},
        )
        for object_id, answer in zip(object_ids, answers, strict=True)
    }
