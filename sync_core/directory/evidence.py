"""Proof before a removal: each person is asked for by id, and the answer is kept with the change."""

from collections.abc import Sequence
from typing import Any

from sync_core.directory.answers import to_page
from sync_core.directory.assignments import read_assignments
from sync_core.directory.client import GraphClient
from sync_core.directory.groups import GroupTree, inside, members_hidden
from sync_core.directory.lookup import check_attributes
from sync_core.directory.managers import check_hidden, told_managers
from sync_core.directory.members import first_pages, groups_of, rest
from sync_core.directory.requests import USERS_READ, one_deleted, one_user
from sync_core.domain.attributes import MANAGER, is_agent
from sync_core.domain.documents import ASSIGNED_TO
from sync_core.domain.errors import FixConnection
from sync_core.domain.model import BECAME_GUEST, BECAME_MEMBER, Evidence, Reason
from sync_core.domain.scope.compile import CompiledScope, keeps_out


async def read_evidence(
    client: GraphClient,
    object_ids: Sequence[str],
    scope: CompiledScope,
    select: frozenset[str],
    asked_groups: frozenset[str],
    *,
    tree: GroupTree | None = None,
) -> list[Evidence]:
    """Ask for each person by id: gone, blocked, out of the groups, or still here after all.

    `tree` are the groups that were read before, if they were.
    """
    users = await client.batch(
        [one_user(client.sdk, object_id, select) for object_id in object_ids], needs=USERS_READ
    )
    told = [user for user in users if user is not None]
    await check_attributes(client, told, "a person asked for by id")
    await check_attributes(client, told_managers(told), "the manager of a person asked for by id")
    if MANAGER in select and not any(user.get(MANAGER) for user in told):
        await check_hidden(client, [user["id"] for user in told])
    found = {oid: user for oid, user in zip(object_ids, users, strict=True) if user is not None}
    gone = [object_id for object_id in object_ids if object_id not in found]
    groups = await _groups(client, list(found), scope, asked_groups, tree)
    # Read again, as proof: a list that was cut short once must not remove anybody.
    assignments = await read_assignments(client, scope.applications)
    if assignments.hidden and keeps_out(scope.document, ASSIGNED_TO):
        raise members_hidden(assignments.hidden.values())
    groups = {oid: groups.get(oid, frozenset()) | assignments.of(oid) for oid in found}
    deleted = await _deleted(client, gone)
    present = {oid: _judge(user, groups[oid], scope) for oid, user in found.items()}
    return [(present.get(oid) or deleted[oid]) for oid in object_ids]


def _judge(user: dict[str, Any], groups: frozenset[str], scope: CompiledScope) -> Evidence:
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
    if not scope.matches(user, groups):
        reason: Reason | None = Reason.LEFT_SCOPE
        if kind := _kind_that_keeps_out(user, groups, scope):
            facts[kind] = True
    else:
        reason = Reason.ACCOUNT_DISABLED if user.get("accountEnabled") is False else None
    return Evidence(user["id"], reason, facts, user, groups)


def _kind_that_keeps_out(
    user: dict[str, Any], groups: frozenset[str], scope: CompiledScope
) -> str | None:
    """Say whether a person is out as a guest, or as a member, and for nothing else."""
    is_guest = user.get("userType") == "Guest"
    if not scope.matches({**user, "userType": "Member" if is_guest else "Guest"}, groups):
        return None
    return BECAME_GUEST if is_guest else BECAME_MEMBER


async def _groups(
    client: GraphClient,
    object_ids: list[str],
    scope: CompiledScope,
    asked: frozenset[str],
    tree: GroupTree | None,
) -> dict[str, frozenset[str]]:
    """Read which of the named groups each person is in, by the person rather than by the group."""
    wanted = scope.groups | asked
    if not wanted:
        return {}
    above = tree.above(wanted) if tree else {}
    lists = [groups_of(client, one, nested=scope.nested_groups) for one in object_ids]
    answers = await first_pages(client, lists) if lists else []
    result: dict[str, frozenset[str]] = {}
    for object_id, listed, first in zip(object_ids, lists, answers, strict=True):
        if isinstance(first, FixConnection):
            raise first
        groups: set[str] = set()
        async for page in rest(client, listed, first or to_page({"value": []})):
            groups.update(item["id"] for item in page.items)
        result[object_id] = inside(groups, wanted, above)
    return result


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
