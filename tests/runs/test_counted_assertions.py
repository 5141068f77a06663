"""Assertions about how many people have a value hold the people who would break them, and nobody else."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.plan.digest import moves_of
from sync_core.runs.preview import preview
from sync_core.services import Services
from sync_core.store.tables import USERS
from tests.system import active, changes_of, group_scope, rows_of, run_now, stored_connection

NO_LIMITS = {"maxRewrittenPercent": 100, "maxRemovalPercent": 100, "maxCreatePercent": 100}
ROLE: dict[str, Any] = {"target": "role", "source": "jobTitle"}
ONE_ADMIN = {"atLeast": 1, "where": {"role": "admin"}}


@pytest.fixture
def people(emulator: GraphEmulator) -> list[str]:
    """Two administrators and two users, by object id."""
    titles = ("admin", "admin", "user", "user")
    return [
        emulator.control.create_person(
            {"id": f"{number}0000000-0000-4000-8000-000000000000", "jobTitle": title}
        )["id"]
        for number, title in enumerate(titles)
    ]


@pytest.fixture
def group(emulator: GraphEmulator, people: list[str]) -> str:
    return str(emulator.control.create_group("Counted", members=people)["id"])


async def imported(
    services: Services, connection_id: str, group: str, *assertions: dict[str, Any], **changes: Any
) -> Connection:
    settings: dict[str, Any] = {
        "scope": group_scope(group),
        "mapping": [ROLE],
        "policy": {"guard": NO_LIMITS},
        "assertions": list(assertions),
    }
    made = await stored_connection(services, connection_id, **(settings | changes))
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED
    return made


def become(emulator: GraphEmulator, title: str, *people: str) -> None:
    for one in people:
        emulator.control.patch_person(one, {"jobTitle": title})


async def held_of(services: Services, run: Run) -> list[str]:
    return [one["objectId"] for one in await changes_of(services, run) if one["held"]]


async def roles(services: Services, connection_id: str) -> list[str | None]:
    """Return the roles of those who are active, by object id."""
    rows = await rows_of(services, connection_id)
    return [rows[one].get("role") for one in sorted(active(rows))]


async def test_the_last_ones_keep_the_value_and_the_others_go_on(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    connection = await imported(services, connection_id, group, ONE_ADMIN)
    new = emulator.control.create_person({"id": "f" + people[0][1:], "jobTitle": "user"})["id"]
    emulator.control.add_members(group, new)
    become(emulator, "user", *people[:2])
    become(emulator, "guest", people[2])
    emulator.control.soft_delete(people[3])
    told = await preview(services, connection)
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.HELD
    assert run.error is not None
    assert run.error.code == "assertion.failed"
    assert run.error.message == (
        "An assertion would be broken: 0 active people would have role = admin (2 now); at least 1 are "
        f"asserted; waiting: {people[0]}, {people[1]}. 2 changes wait."
    )
    assert "Only these people wait" in run.error.remedy
    assert await held_of(services, run) == people[:2]
    assert await roles(services, connection_id) == ["admin", "admin", "guest", "user"]
    assert (run.counts.held, run.counts.created, run.counts.disabled) == (2, 1, 1)
    [warning] = [one for one in told.warnings if one.code == "assertion.failed"]
    assert run.error.message.partition(" 2 changes")[0] in warning.message
    assert [one.object_id for one in told.changes if one.held] == people[:2]
    assert (told.counts.held, told.plan_hash) == (2, run.plan_hash)


async def test_who_is_enough_lets_the_others_go(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    await imported(
        services, connection_id, group, ONE_ADMIN, {"atMost": 2, "where": {"role": "admin"}}
    )
    become(emulator, "user", people[0])
    become(emulator, "admin", people[2])
    emulator.control.soft_delete(people[1])
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.held) == (RunStatus.SUCCEEDED, 0)
    assert await roles(services, connection_id) == ["user", "admin", "user"]


async def test_too_many_wait_whoever_they_are(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """A person who comes back, one who is new and one who is promoted: nobody of them is the third."""
    await imported(services, connection_id, group, {"atMost": 2, "where": {"role": "admin"}})
    emulator.control.soft_delete(people[0])
    await run_now(services, connection_id)
    emulator.control.restore(people[0])
    new = emulator.control.create_person({"id": "f" + people[0][1:], "jobTitle": "admin"})["id"]
    emulator.control.add_members(group, new)
    become(emulator, "admin", people[2])
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.HELD
    assert run.error is not None
    assert "4 active people would have role = admin (1 now); at most 2 are" in run.error.message
    assert await held_of(services, run) == [people[0], people[2], new]
    assert await roles(services, connection_id) == ["admin", "user", "user"]


async def test_a_first_import_is_held_for_it_as_well(
    services: Services, connection_id: str, people: list[str], group: str
) -> None:
    changes = {"mapping": [ROLE], "assertions": [{"atMost": 1, "where": {"role": "admin"}}]}
    await stored_connection(services, connection_id, scope=group_scope(group), **changes)
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.created) == (RunStatus.HELD, 2)
    assert await roles(services, connection_id) == ["user", "user"]


async def test_what_was_never_true_is_told_and_holds_nobody(
    services: Services, connection_id: str, people: list[str], group: str
) -> None:
    changes = {"mapping": [ROLE], "assertions": [{"atLeast": 3, "where": {"role": "admin"}}]}
    await stored_connection(services, connection_id, scope=group_scope(group), **changes)
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.created, run.counts.held) == (RunStatus.PARTIAL, 4, 0)
    assert run.error is not None
    assert "No change of this run makes it so." in run.error.message


async def test_several_columns_and_kinds_of_values(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """Only one of the two administrators is of the North; values of a table without types are compared."""
    for number, one in enumerate(people):
        emulator.control.patch_person(one, {"department": "North" if number % 2 else "South"})
    columns = [
        ROLE,
        {"target": "team", "source": "department"},
        {"target": "level", "constant": 7},
        {"target": "vip", "constant": True},
    ]
    where = {"role": "admin", "team": "North", "level": 7, "vip": True}
    await imported(services, connection_id, group, {"atLeast": 1, "where": where}, mapping=columns)
    become(emulator, "user", *people[:2])
    run = await run_now(services, connection_id)

    assert await held_of(services, run) == [people[1]]
    assert await roles(services, connection_id) == ["user", "admin", "user", "user"]
    assert run.error is not None
    assert "level = 7 and role = admin and team = North and vip = true (1 now)" in run.error.message


async def test_a_column_of_the_application_is_none_of_the_mapping(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """It had a `role` of its own before the mapping had one: that counts for nobody."""
    connection = await imported(
        services, connection_id, group, mapping=[{"target": "title", "source": "jobTitle"}]
    )
    table = await services.store.tables.table(USERS)
    for one in people:
        keys = {"PartitionKey": f"{connection_id}-{one[0]}", "RowKey": one}
        await table.update_entity(keys | {"role": "admin"})
    stored = await services.store.connections.get(connection_id)
    changes = {"mapping": [ROLE], "assertions": [{"atMost": 2, "where": {"role": "admin"}}]}
    changed = Connection.model_validate(connection.to_json() | changes)
    await services.store.connections.replace(changed, stored)
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.updated) == (RunStatus.SUCCEEDED, 4)
    assert await roles(services, connection_id) == ["admin", "admin", "user", "user"]


async def test_a_rise_that_waits_for_approval_makes_room_for_nobody(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """`sensitive` holds the rise, so the last administrators stay; approved, all of them change."""
    sensitive = [ROLE | {"sensitive": ["admin"]}]
    connection = await imported(services, connection_id, group, ONE_ADMIN, mapping=sensitive)
    become(emulator, "user", *people[:2])
    become(emulator, "admin", people[2])
    held = await run_now(services, connection_id)
    before = await roles(services, connection_id)
    moves = moves_of(held.plan_hash or "")
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())
    told = await preview(services, connection)
    approved = await run_now(services, connection_id)

    assert held.error is not None
    assert held.error.code == "assertion.failed"
    assert "column role would become admin for 1 person, which is sensitive" in held.error.message
    assert await held_of(services, held) == people[:3]
    assert before == ["admin", "admin", "user", "user"]
    assert (told.counts.held, {one.code for one in told.warnings} & {"assertion.failed"}) == (
        0,
        set(),
    )
    assert (approved.status, approved.counts.updated) == (RunStatus.SUCCEEDED, 3)
    assert await roles(services, connection_id) == ["user", "user", "admin", "user"]


async def test_a_confirmation_lets_through_what_it_is_about_and_not_the_last_one(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """The guard held two who leave; the administrator among them stays held."""
    guard = {"guard": NO_LIMITS | {"maxRemovals": 0}}
    connection = await imported(services, connection_id, group, ONE_ADMIN, policy=guard)
    become(emulator, "user", people[0])
    await run_now(services, connection_id)
    emulator.control.soft_delete(*people[1:3])
    held = await run_now(services, connection_id)
    moves = moves_of(held.plan_hash or "")
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())
    told = await preview(services, connection)
    confirmed = await run_now(services, connection_id)
    afterwards = await run_now(services, connection_id)

    assert held.error is not None
    assert held.error.code == "guard.held"
    assert [one.object_id for one in told.changes if one.held] == [people[1]]
    assert {"assertion.failed", "guard.confirmed"} <= {one.code for one in told.warnings}
    assert (confirmed.status, confirmed.counts.disabled) == (RunStatus.HELD, 1)
    assert await held_of(services, confirmed) == await held_of(services, afterwards) == [people[1]]
    assert await roles(services, connection_id) == ["user", "admin", "user"]


@pytest.mark.parametrize("known", [True, False])
async def test_nobody_points_at_a_manager_who_waits(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
    known: bool,
) -> None:
    """The manager would be an administrator too many: the reference comes when the manager does."""
    mapping = [ROLE, {"target": "managerId", "source": "manager"}]
    limit = {"atMost": 2, "where": {"role": "admin"}}
    await imported(services, connection_id, group, limit, mapping=mapping)
    boss = emulator.control.create_person({"id": "f" + people[0][1:], "jobTitle": "admin"})["id"]
    emulator.control.add_members(group, boss)
    for one in people:
        emulator.control.patch_person(one, {"manager": boss})
    if known:  # then the manager is decided after everybody was read, too
        emulator.control.patch_person(boss, {"manager": people[0]})
    run = await run_now(services, connection_id)
    rows = await rows_of(services, connection_id)

    assert run.status is RunStatus.HELD
    assert boss not in rows
    assert {rows[one].get("managerId") for one in people} == {None}


async def test_a_manager_whose_deletion_waits_is_pointed_at_still(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """Ben reports to the last administrator; Cat, who reports to her as well, is read after that is known."""
    boss, ben, cat, _ = people
    mapping = [ROLE, {"target": "managerId", "source": "manager"}]
    become(emulator, "user", ben)
    for one in (ben, cat):
        emulator.control.patch_person(one, {"manager": boss})
    policy = {"guard": NO_LIMITS, "leftScope": "delete"}
    await imported(services, connection_id, group, ONE_ADMIN, mapping=mapping, policy=policy)
    emulator.control.remove_members(group, boss)
    become(emulator, "guest", cat)
    run = await run_now(services, connection_id)
    rows = await rows_of(services, connection_id)

    assert await held_of(services, run) == [boss]
    assert [rows[one]["managerId"] for one in (ben, cat)] == [boss, boss]
    assert rows[cat]["role"] == "guest"
