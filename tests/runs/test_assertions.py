"""Assertions of a connection, checked before anything is applied: a red one lets nobody come or go."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.system import active, changes_of, group_scope, rows_of, run_now, stored_connection

FREE = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}
MAPPING = [{"target": "displayName", "source": "displayName"}]


@pytest.fixture
def people(emulator: GraphEmulator) -> dict[str, str]:
    """Object ids by sign-in name."""
    made = [emulator.control.create_person({"displayName": name}) for name in ("Ann", "Ben", "Cid")]
    return {str(one["userPrincipalName"]): str(one["id"]) for one in made}


@pytest.fixture
def group(emulator: GraphEmulator, people: dict[str, str]) -> str:
    return str(emulator.control.create_group("Asserted", members=[*people.values()])["id"])


async def connect(
    services: Services, connection_id: str, group: str, *assertions: dict[str, Any]
) -> Connection:
    return await stored_connection(
        services,
        connection_id,
        scope=group_scope(group),
        mapping=MAPPING,
        policy=FREE,
        assertions=list(assertions),
    )


def codes(run: Run) -> tuple[str, str | None]:
    return run.status.value, run.error.code if run.error else None


async def test_a_green_one_changes_nothing(
    services: Services, connection_id: str, people: dict[str, str], group: str
) -> None:
    ann = next(iter(people))
    await connect(
        services, connection_id, group, {"in": ann.upper()}, {"atLeast": 3}, {"never": "svc-*"}
    )

    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_red_one_blocks_removals_and_creates_and_lets_updates_through(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    (ann, ben, _), control = people, emulator.control
    connection = await connect(services, connection_id, group, {"in": ann})
    await run_now(services, connection_id)
    new = str(control.create_person({"displayName": "Dot"})["id"])
    control.remove_members(group, people[ann])
    control.add_members(group, new)
    control.patch_person(people[ben], {"displayName": "Benjamin"})
    told = await preview(services, connection)
    run = await run_now(services, connection_id)
    rows = await rows_of(services, connection_id)
    held = {one["objectId"]: one["held"] for one in await changes_of(services, run)}

    assert codes(run) == ("held", "assertion.failed")
    assert run.error is not None
    assert "would be removed" in run.error.message
    assert run.error.remedy
    assert active(rows) == set(people.values())
    assert rows[people[ben]]["displayName"] == "Benjamin"
    assert held == {people[ann]: True, new: True, people[ben]: False}
    assert "assertion.failed" in {one.code for one in told.warnings}
    assert told.plan_hash == run.plan_hash


async def test_it_is_over_when_it_is_true_again(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, {"atLeast": 3})
    await run_now(services, connection_id)
    somebody = next(iter(people.values()))
    emulator.control.remove_members(group, somebody)
    red = await run_now(services, connection_id)
    emulator.control.add_members(group, somebody)

    assert codes(red) == ("held", "assertion.failed")
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_name_that_must_never_come_in(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, {"never": "svc-*"})
    await run_now(services, connection_id)
    name = {"displayName": "Backup", "userPrincipalName": "svc-backup@contoso.com"}
    service = str(emulator.control.create_person(name)["id"])
    emulator.control.add_members(group, service)
    red = await run_now(services, connection_id)

    assert codes(red) == ("held", "assertion.failed")
    assert red.error is not None
    assert service in red.error.message
    assert service not in await rows_of(services, connection_id)


async def test_one_that_is_red_without_any_change_is_told_as_well(
    services: Services, connection_id: str, people: dict[str, str], group: str
) -> None:
    connection = await connect(services, connection_id, group)
    await run_now(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    changes = {"assertions": [{"in": "nobody@contoso.com"}, {"atMost": 1}]}
    asserting = Connection.model_validate(connection.to_json() | changes)
    await services.store.connections.replace(asserting, stored)
    run = await run_now(services, connection_id)

    assert codes(run) == ("partial", "assertion.failed")
    assert run.error is not None
    assert "is not in; 3 people would be active" in run.error.message
    assert "Nobody would have come or gone anyway." in run.error.message


async def test_a_reading_that_broke_off_takes_nobody_for_gone(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    """Who is stored and was not read stays in, so the assertion holds."""
    await connect(services, connection_id, group, {"in": next(iter(people))}, {"atLeast": 3})
    await run_now(services, connection_id)
    emulator.control.delete_group(group)
    run = await run_now(services, connection_id)

    assert (run.status, run.error) == (RunStatus.PARTIAL, None)


async def assert_from_now_on(services: Services, connection: Connection, *found: Any) -> None:
    stored = await services.store.connections.get(connection.id)
    changed = Connection.model_validate(connection.to_json() | {"assertions": list(found)})
    await services.store.connections.replace(changed, stored)


async def test_nobody_comes_back_either(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    connection = await connect(services, connection_id, group)
    await run_now(services, connection_id)
    (name, object_id), *_ = people.items()
    emulator.control.remove_members(group, object_id)
    await run_now(services, connection_id)
    await assert_from_now_on(services, connection, {"never": name})
    emulator.control.add_members(group, object_id)
    red = await run_now(services, connection_id)
    (change,) = await changes_of(services, red)

    assert codes(red) == ("held", "assertion.failed")
    assert (change["action"], change["held"]) == ("reenable", True)
    assert red.counts.held == 1
    assert object_id not in active(await rows_of(services, connection_id))


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("red", [True, False])
async def test_nobody_points_at_a_manager_who_may_not_come_in(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
    red: bool,
    above: bool,
) -> None:
    """Whoever is read: the manager may come before the person, or after."""
    await stored_connection(
        services,
        connection_id,
        scope=group_scope(group),
        mapping=[*MAPPING, {"target": "managerId", "source": "manager"}],
        assertions=[{"never": "svc-*" if red else "nobody-*"}],
    )
    await run_now(services, connection_id)
    name = {"displayName": "Boss", "userPrincipalName": "svc-boss@contoso.com"}
    boss = str(emulator.control.create_person(name)["id"])
    emulator.control.add_members(group, boss)
    if above:  # then the boss, too, is decided after everybody was read
        owner = str(emulator.control.create_person({"displayName": "Owner"})["id"])
        emulator.control.add_members(group, owner)
        emulator.control.patch_person(boss, {"manager": owner})
    for object_id in people.values():
        emulator.control.patch_person(object_id, {"manager": boss})
    await run_now(services, connection_id)
    rows = await rows_of(services, connection_id)

    expected = None if red else boss
    assert {rows[one].get("managerId") for one in people.values()} == {expected}
    assert (boss in rows) is not red
