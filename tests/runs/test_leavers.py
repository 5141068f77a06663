"""People who leave: proof first, then what the policy says for that cause; and their return."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.switches import the_other_way
from tests.system import (
    active,
    changes_of,
    group_scope,
    history_of,
    rows_of,
    run_now,
    stored_connection,
)

Leave = Callable[[GraphEmulator, str], object]


def leave_groups(emulator: GraphEmulator, person: str) -> None:
    for group in emulator.control.person(person)["memberOf"]:
        emulator.control.remove_members(group, person)


def block(emulator: GraphEmulator, person: str) -> None:
    emulator.control.patch_person(person, {"accountEnabled": False})


def soft_delete(emulator: GraphEmulator, person: str) -> None:
    emulator.control.soft_delete(person)


def hard_delete(emulator: GraphEmulator, person: str) -> None:
    emulator.control.soft_delete(person)
    emulator.control.hard_delete(person)


CAUSES = [
    pytest.param(leave_groups, "leftScope", id="left the groups"),
    pytest.param(block, "accountDisabled", id="blocked"),
    pytest.param(soft_delete, "softDeleted", id="soft-deleted"),
    pytest.param(hard_delete, "hardDeleted", id="gone for good"),
]


async def somebody_in(services: Services, connection_id: str, **policy: object) -> str:
    await stored_connection(services, connection_id, policy=policy)
    await run_now(services, connection_id)
    return min(await rows_of(services, connection_id))


MEMBERS_BY_FILTER = {"attribute": "userType", "operator": "EQUALS", "value": "Member"}


@pytest.mark.parametrize(
    ("before", "after", "scope", "cause"),
    [
        pytest.param("Member", "Guest", {}, "becameGuest", id="a guest"),
        pytest.param(
            "Member",
            "Guest",
            {"guests": "include", "clause": MEMBERS_BY_FILTER},
            "becameGuest",
            id="a guest, where a filter takes members",
        ),
        pytest.param("Guest", "Member", {"guests": "only"}, "becameMember", id="a member"),
    ],
)
async def test_who_becomes_another_kind_of_account_has_a_cause_of_their_own(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    before: str,
    after: str,
    scope: dict[str, Any],
    cause: str,
) -> None:
    person = emulator.control.create_person({"userType": before})["id"]
    chosen = group_scope(emulator.control.create_group("Partners", members=[person])["id"])
    chosen |= {name: value for name, value in scope.items() if name == "guests"}
    chosen["filters"][0]["clauses"] += [scope["clause"]] if "clause" in scope else []
    no_limits = {"guard": {"maxRemovalPercent": None}}
    await stored_connection(services, connection_id, scope=chosen, policy=no_limits)
    first = await run_now(services, connection_id)
    emulator.control.patch_person(person, {"userType": after})
    stored = await services.store.connections.get(connection_id)
    shown = await preview(services, stored.connection)
    run = await run_now(services, connection_id)

    [change] = await changes_of(services, run)
    [newest, *_] = await history_of(services, connection_id, person)
    assert first.counts.created == 1
    assert shown.leavers_by_reason == {cause: 1}
    assert (change["reason"], change["cause"]) == ("leftScope", cause)
    assert orjson.loads(newest["Evidence"])[cause] is True


@the_other_way()
@pytest.mark.parametrize(("leave", "reason"), CAUSES)
async def test_a_leaver_is_disabled_with_the_reason_and_the_proof(
    services: Services, emulator: GraphEmulator, connection_id: str, leave: Leave, reason: str
) -> None:
    person = await somebody_in(services, connection_id)
    name = (await rows_of(services, connection_id))[person]["displayName"]
    leave(emulator, person)

    run = await run_now(services, connection_id)

    row = (await rows_of(services, connection_id))[person]
    assert (run.counts.disabled, run.counts.deleted, run.counts.updated) == (1, 0, 0)
    assert (row["Status"], row["DisabledReason"]) == ("disabled", reason)
    assert row["DisabledAt"] == row["UpdatedAt"]
    assert row["displayName"] == name
    [change] = await changes_of(services, run)
    history = (await history_of(services, connection_id, person))[0]
    assert (history["Action"], history["Reason"]) == ("disable", reason)
    assert orjson.loads(history["Evidence"]) == change["evidence"] != None  # noqa: E711


@pytest.mark.parametrize(("leave", "reason"), CAUSES)
async def test_the_policy_deletes_by_cause(
    services: Services, emulator: GraphEmulator, connection_id: str, leave: Leave, reason: str
) -> None:
    person = await somebody_in(services, connection_id, **{reason: "delete"})
    before = (await rows_of(services, connection_id))[person]
    leave(emulator, person)

    run = await run_now(services, connection_id)

    assert run.counts.deleted == 1
    assert person not in await rows_of(services, connection_id)
    history = (await history_of(services, connection_id, person))[0]
    assert orjson.loads(history["Changes"])["displayName"] == [before["displayName"], None]


@pytest.mark.parametrize(("leave", "reason"), CAUSES)
async def test_the_policy_keeps_by_cause(
    services: Services, emulator: GraphEmulator, connection_id: str, leave: Leave, reason: str
) -> None:
    person = await somebody_in(services, connection_id, **{reason: "keep"})
    before = await rows_of(services, connection_id)
    leave(emulator, person)

    run = await run_now(services, connection_id)

    assert (run.counts.disabled, run.counts.deleted) == (0, 0)
    assert await rows_of(services, connection_id) == before


async def test_a_blocked_account_that_never_came_in_is_counted_and_not_created(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = emulator.control.create_person({"accountEnabled": False})["id"]
    emulator.control.add_members(SAMPLE_GROUP_ID, person)

    await somebody_in(services, connection_id)
    [run] = await services.store.runs.page(connection_id, top=1, after=None)

    assert person not in await rows_of(services, connection_id)
    assert run.counts.blocked == run.counts.in_scope - run.counts.created >= 1


async def test_a_blocked_account_comes_in_where_the_policy_keeps_it(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = emulator.control.create_person({"accountEnabled": False})["id"]
    emulator.control.add_members(SAMPLE_GROUP_ID, person)

    await somebody_in(services, connection_id, accountDisabled="keep")
    [run] = await services.store.runs.page(connection_id, top=1, after=None)

    assert (await rows_of(services, connection_id))[person]["Status"] == "active"
    assert (run.counts.blocked >= 1, run.counts.in_scope - run.counts.created) == (True, 0)


async def test_who_returns_gets_the_same_row_back(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = await somebody_in(services, connection_id)
    before = (await rows_of(services, connection_id))[person]
    soft_delete(emulator, person)
    await run_now(services, connection_id)
    emulator.control.restore(person)
    emulator.control.patch_person(person, {"jobTitle": "Returned"})

    run = await run_now(services, connection_id)

    row = (await rows_of(services, connection_id))[person]
    assert run.counts.reenabled == 1
    assert (row["Status"], row["jobTitle"]) == ("active", "Returned")
    assert row["CreatedAt"] == before["CreatedAt"]
    assert not {"DisabledAt", "DisabledReason"} & row.keys()
    actions = [entry["Action"] for entry in await history_of(services, connection_id, person)]
    assert actions == ["reenable", "disable", "create"]


async def test_a_leaver_is_disabled_once(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = await somebody_in(services, connection_id)
    soft_delete(emulator, person)
    await run_now(services, connection_id)
    before = await rows_of(services, connection_id)

    run = await run_now(services, connection_id)

    assert run.counts.disabled == 0
    assert await rows_of(services, connection_id) == before


@pytest.mark.parametrize("by", ["id", "userPrincipalName"])
async def test_protected_people_are_not_removed(
    services: Services, emulator: GraphEmulator, connection_id: str, by: str
) -> None:
    chosen = emulator.control.people(top=1)[0]
    emulator.control.patch_person(chosen["id"], {"accountEnabled": True, "userType": "Member"})
    emulator.control.add_members(SAMPLE_GROUP_ID, chosen["id"])
    await somebody_in(services, connection_id, protected=[chosen[by].upper()])
    soft_delete(emulator, chosen["id"])

    run = await run_now(services, connection_id)

    assert run.counts.disabled == 0
    assert (await rows_of(services, connection_id))[chosen["id"]]["Status"] == "active"


async def test_members_whom_the_listing_forgot_stay(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Graph's lists lag behind; asked for by id they are still members, so they are only updated."""
    people = [emulator.control.create_person()["id"] for _ in range(2)]
    group = emulator.control.create_group("Small", members=people)["id"]
    await stored_connection(services, connection_id, scope=group_scope(group))
    await run_now(services, connection_id)
    emulator.control.patch_person(people[0], {"jobTitle": "Found by id"})
    emulator.control.add_fault("lostRest", path=f"/v1.0/groups/{group}/members/**")

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert (run.counts.read, run.counts.disabled, run.counts.updated) == (0, 0, 1)
    assert active(rows) == set(people)
    assert rows[people[0]]["jobTitle"] == "Found by id"
