"""A first run brings in everybody whom the scope names, and nobody else."""

from datetime import datetime

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID, SAMPLE_TENANT_ID
from sync_core.domain.documents.run import RunStatus
from sync_core.services import Services
from tests.switches import the_other_way
from tests.system import (
    changes_of,
    group_scope,
    history_of,
    rows_of,
    run_now,
    stored_connection,
)


def expected(emulator: GraphEmulator, *, guests: bool = False) -> set[str]:
    """Who has to be in: members of the group at any depth who are not blocked, guests by choice."""
    people = (
        emulator.control.person(object_id)
        for object_id in emulator.control.members(SAMPLE_GROUP_ID, transitive=True)
    )
    return {
        person["id"]
        for person in people
        if person.get("accountEnabled") and (guests or person.get("userType") != "Guest")
    }


@the_other_way()
async def test_everybody_of_a_nested_group_comes_in(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.status is RunStatus.SUCCEEDED
    assert rows.keys() == expected(emulator)
    assert run.counts.created == len(rows) > 20


async def test_only_direct_members_come_in_where_nesting_is_off(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    scope = group_scope(SAMPLE_GROUP_ID, nestedGroups=False)
    await stored_connection(services, connection_id, scope=scope)

    await run_now(services, connection_id)

    direct = set(emulator.control.members(SAMPLE_GROUP_ID))
    assert (await rows_of(services, connection_id)).keys() == expected(emulator) & direct
    assert direct < set(emulator.control.members(SAMPLE_GROUP_ID, transitive=True))


@pytest.mark.parametrize("guests", ["exclude", "include", "only"])
async def test_guests_come_in_only_when_asked(
    services: Services, emulator: GraphEmulator, connection_id: str, guests: str
) -> None:
    scope = {"everyone": True, "guests": guests}
    await stored_connection(services, connection_id, scope=scope)

    await run_now(services, connection_id)

    people = [p for p in emulator.control.people(top=999) if p.get("accountEnabled")]
    wanted = {"exclude": {False}, "include": {False, True}, "only": {True}}[guests]
    chosen = {p["id"] for p in people if (p.get("userType") == "Guest") in wanted}
    assert (await rows_of(services, connection_id)).keys() == chosen
    assert chosen


async def test_nobody_comes_in_until_a_scope_is_chosen(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id, scope={})

    run = await run_now(services, connection_id)

    assert run.counts.in_scope == 0
    assert await rows_of(services, connection_id) == {}


async def test_a_row_is_what_the_contract_promises(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    run = await run_now(services, connection_id)
    object_id = min(expected(emulator))

    row = (await rows_of(services, connection_id))[object_id]

    person = emulator.control.person(object_id)
    assert row["PartitionKey"] == f"{connection_id}-{object_id[0]}"
    assert row["RowKey"] == object_id
    assert row["Status"] == "active"
    assert row["Origin"] == "auto"
    assert row["ConnectionId"] == connection_id
    assert row["TenantId"] == SAMPLE_TENANT_ID
    assert row["UserPrincipalName"] == person["userPrincipalName"]
    assert isinstance(row["CreatedAt"], datetime)
    assert row["UpdatedAt"] == row["CreatedAt"]
    assert row["LastRunId"] == run.id
    assert "DisabledAt" not in row
    assert row["displayName"] == person["displayName"]
    assert row["email"] == (person.get("mail") or person["userPrincipalName"])


async def test_every_person_has_a_history_row_and_the_plan_names_them(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    run = await run_now(services, connection_id)

    changes = await changes_of(services, run)

    rows = await rows_of(services, connection_id)
    assert [change["objectId"] for change in changes] == sorted(rows)
    assert {change["action"] for change in changes} == {"create"}
    for object_id in rows:
        [history] = await history_of(services, connection_id, object_id)
        assert (history["Action"], history["RunId"]) == ("create", run.id)


async def test_a_second_run_finds_nothing_to_do(services: Services, connection_id: str) -> None:
    await stored_connection(services, connection_id)
    first = await run_now(services, connection_id)
    before = await rows_of(services, connection_id)

    second = await run_now(services, connection_id, mode="full")

    assert second.counts.unchanged == first.counts.created
    assert second.counts.created == second.counts.updated == 0
    assert await rows_of(services, connection_id) == before


async def test_only_the_named_groups_are_read(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A scope of groups never reads the tenant: nobody pays for 80,000 people to use 2,500."""
    await stored_connection(services, connection_id)

    run = await run_now(services, connection_id)

    direct = [asked.path for asked in emulator.requests if not asked.inside_batch]
    assert [path for path in direct if path.startswith("/v1.0/users")] == ["/v1.0/users/delta()"]
    assert run.graph.requests == len([path for path in direct if path.startswith("/v1.0/")])


async def test_groups_outside_the_scope_can_be_excluded(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """AND NOT in a group: its members are asked for by id only, and stay out."""
    inside = sorted(expected(emulator))
    group = emulator.control.create_group("Contractors", members=inside[:5])
    scope = group_scope(SAMPLE_GROUP_ID)
    scope["filters"][0]["clauses"].append(
        {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [group["id"]]}
    )
    await stored_connection(services, connection_id, scope=scope)

    await run_now(services, connection_id)

    assert (await rows_of(services, connection_id)).keys() == set(inside[5:])


async def test_people_in_both_of_two_groups_only(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Two group clauses joined by AND: somebody counts when both lists have been read."""
    inside = sorted(expected(emulator))
    one = emulator.control.create_group("One", members=inside[:6])
    two = emulator.control.create_group("Two", members=inside[4:9])
    scope = group_scope(one["id"])
    scope["filters"][0]["clauses"] += group_scope(two["id"])["filters"][0]["clauses"]
    await stored_connection(services, connection_id, scope=scope)

    await run_now(services, connection_id)

    assert (await rows_of(services, connection_id)).keys() == set(inside[4:6])
