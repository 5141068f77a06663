"""Only who is assigned to an enterprise application: people, and the members of assigned groups."""

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES
from sync_core.directory.checks import check_connection
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Mode, RunStatus
from sync_core.people.sync_now import sync_person
from sync_core.people.why import explain
from sync_core.runs import named
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.runs.by_hand import imported, results
from tests.switches import either_way
from tests.system import (
    BY_HAND,
    active,
    changes_of,
    group_scope,
    rows_of,
    run_now,
    stored_connection,
)

MAPPING = [{"target": "displayName", "source": "displayName"}]
FREE = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}
NOBODYS = "11111111-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def permission(emulator: GraphEmulator) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, "Application.Read.All"])


@pytest.fixture
def people(emulator: GraphEmulator) -> dict[str, str]:
    names = ("directly", "inGroup", "inNested", "notAtAll")
    control = emulator.control
    return {name: str(control.create_person({"displayName": name})["id"]) for name in names}


@pytest.fixture
def application(emulator: GraphEmulator, people: dict[str, str]) -> str:
    control = emulator.control
    nested = control.create_group("Nested", members=[people["inNested"]])["id"]
    group = control.create_group("Assigned", members=[people["inGroup"], nested])["id"]
    made = control.create_enterprise_app("Portal", NOBODYS)
    control.assign(made["id"], people["directly"], group)
    return str(made["id"])


async def connect(
    services: Services, connection_id: str, application: str, operator: str = "ARRAYCONTAINS"
) -> Connection:
    clause = {"attribute": "assignedTo", "operator": operator, "value": [application.upper()]}
    return await stored_connection(
        services,
        connection_id,
        scope={"filters": [{"clauses": [clause]}]},
        mapping=MAPPING,
        policy=FREE,
    )


async def test_who_is_assigned_comes_in_and_who_is_not_any_more_leaves(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    application: str,
) -> None:
    connection = await connect(services, connection_id, application)
    told = await preview(services, connection)
    await run_now(services, connection_id)
    first = active(await rows_of(services, connection_id))
    emulator.control.unassign(application, people["directly"])
    run = await run_now(services, connection_id)
    [change] = await changes_of(services, run)

    assert first == {people["directly"], people["inGroup"]}
    assert [(one.name, one.count) for one in told.reading.applications] == [("Portal", 2)]
    assert told.reading.judged_here == ["guests exclude", "agents exclude"]
    assert (change["objectId"], change["evidence"]["assignedTo"]) == (people["directly"], [])
    assert active(await rows_of(services, connection_id)) == {people["inGroup"]}


async def test_why_says_who_is_assigned(
    services: Services, connection_id: str, people: dict[str, str], application: str
) -> None:
    connection = await connect(services, connection_id, application)
    inside = await explain(services, connection, people["inGroup"], values_of_outsiders=True)
    outside = await explain(services, connection, people["inNested"], values_of_outsiders=True)

    assert inside.scope is not None
    assert inside.scope.filters[0].clauses[0].seen == [application]
    assert inside.code == "inScope"
    assert "assignedTo ARRAYCONTAINS" in outside.verdict
    assert "(assigned to none of them)" in outside.verdict


async def test_the_assigned_are_kept_out_of_a_group_and_wait_where_nobody_can_tell_them(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    application: str,
) -> None:
    group = emulator.control.create_group("All four", members=[*people.values()])["id"]
    scope = group_scope(group)
    scope["filters"][0]["clauses"].append(
        {"attribute": "assignedTo", "operator": "NOT ARRAYCONTAINS", "value": application}
    )
    await stored_connection(services, connection_id, scope=scope, mapping=MAPPING)
    await run_now(services, connection_id)

    assert active(await rows_of(services, connection_id)) == {
        people["inNested"],
        people["notAtAll"],
    }
    emulator.control.add_fault("notFound", path=f"/v1.0/servicePrincipals/{application}**")
    run = await run_now(services, connection_id, mode="incremental")

    assert (run.mode, run.status, run.counts.held) == (Mode.INCREMENTAL, RunStatus.HELD, 2)
    assert run.error is not None
    assert f"hat keeps people out is gone ({application}): 2 people" in run.error.message
    assert [(one.object_id, one.code) for one in run.errors] == [
        (application, "scope.applicationNotFound")
    ]


async def test_a_list_that_was_cut_short_removes_nobody(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    application: str,
) -> None:
    await connect(services, connection_id, application)
    await run_now(services, connection_id)
    path = "/v1.0/servicePrincipals/*/appRoleAssignedTo"
    emulator.control.add_fault("lostRest", path=path, times=1)
    run = await run_now(services, connection_id)

    assert run.counts.disabled == 0
    assert active(await rows_of(services, connection_id)) == {
        people["directly"],
        people["inGroup"],
    }


async def test_an_application_that_is_not_there_removes_nobody_and_is_named(
    services: Services, connection_id: str, application: str
) -> None:
    await connect(services, connection_id, application)
    await run_now(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    scope = stored.connection.scope.model_dump(mode="json", by_alias=True)
    scope["filters"][0]["clauses"][0]["value"] = NOBODYS
    wanted = stored.connection.model_copy(
        update={"scope": type(stored.connection.scope).model_validate(scope)}
    )
    await services.store.connections.replace(wanted, stored)
    run = await run_now(services, connection_id)
    result = await check_connection(services.directory, wanted, services.clock())

    assert run.status is RunStatus.PARTIAL
    assert [(one.object_id, one.code) for one in run.errors] == [
        (NOBODYS, "scope.applicationNotFound")
    ]
    assert len(active(await rows_of(services, connection_id))) == 2
    assert [one.code for one in result.checks if not one.ok] == ["scope.applicationNotFound"]


async def test_the_check_names_the_permission(
    services: Services, emulator: GraphEmulator, connection_id: str, application: str
) -> None:
    connection = await connect(services, connection_id, application)
    granted = await check_connection(services.directory, connection, services.clock())
    emulator.control.set_roles([*SAMPLE_ROLES])
    missing = await check_connection(services.directory, connection, services.clock())

    assert granted.ok
    assert "read who is assigned" in [one.name for one in granted.checks]
    assert [(one.name, one.code) for one in missing.checks if not one.ok] == [
        ("Application.Read.All", "permission.missing")
    ]


@either_way("hidden_members")
async def test_an_assigned_group_that_hides_its_members_is_named_and_removes_nobody(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
) -> None:
    control = emulator.control
    council = control.create_group(
        "Works council", members=[people["inGroup"]], hidden=True, microsoft_365=True
    )["id"]
    application = control.create_enterprise_app("Portal", NOBODYS)["id"]
    control.assign(application, people["directly"], council)
    control.set_roles([*SAMPLE_ROLES, "Application.Read.All", "Member.Read.Hidden"])
    connection = await connect(services, connection_id, application)
    await run_now(services, connection_id)
    control.set_roles([*SAMPLE_ROLES, "Application.Read.All"])
    result = await check_connection(services.directory, connection, services.clock())
    run = await run_now(services, connection_id)
    both = {people["directly"], people["inGroup"]}

    assert active(await rows_of(services, connection_id)) == both
    assert (run.status, run.counts.disabled) == (RunStatus.PARTIAL, 0)
    assert [(one.object_id, one.code) for one in run.errors] == [(council, "scope.membersHidden")]
    assert "Works council" in run.errors[0].message
    assert [(one.name, one.code) for one in result.checks if not one.ok] == [
        ("Member.Read.Hidden", "permission.missing")
    ]


@either_way("hidden_members")
async def test_an_assigned_group_that_hides_whom_it_keeps_out_lets_nobody_in(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
) -> None:
    control = emulator.control
    council = control.create_group(
        "Works council", members=[people["inGroup"]], hidden=True, microsoft_365=True
    )["id"]
    application = control.create_enterprise_app("Portal", NOBODYS)["id"]
    control.assign(application, council)
    await connect(services, connection_id, application, "NOT ARRAYCONTAINS")
    run = await run_now(services, connection_id)
    alone = (await sync_person(services, connection_id, people["inGroup"], BY_HAND)).run

    assert [one.error and one.error.code for one in (run, alone)] == ["scope.membersHidden"] * 2
    assert await rows_of(services, connection_id) == {}


async def test_an_assigned_group_that_is_emptied_is_held(
    services: Services, emulator: GraphEmulator, connection_id: str, people: dict[str, str]
) -> None:
    """Its rule is edited, and for some minutes it has few members."""
    control = emulator.control
    team = [control.create_person()["id"] for _ in range(12)]
    group = control.create_group("Team North", members=team, membership_rule="a")["id"]
    application = control.create_enterprise_app("Portal", NOBODYS)["id"]
    control.assign(application, people["directly"], group)
    await connect(services, connection_id, application)
    await run_now(services, connection_id)
    control.remove_members(group, *team[:8])
    held = await run_now(services, connection_id)

    assert (held.status, held.counts.held) == (RunStatus.HELD, 8)
    assert held.error is not None
    assert "group Team North lost 8 of 12, and is dynamic" in held.error.message
    assert active(await rows_of(services, connection_id)) == {people["directly"], *team}


async def test_an_import_reads_once_who_is_assigned_however_many_are_picked(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    application: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(named, "LOOKS_AT_ONCE", 1)
    await connect(services, connection_id, application)
    await run_now(services, connection_id)
    emulator.control.reset_requests()
    run = await imported(services, connection_id, list(people.values()))
    asked = [one.path for one in emulator.control.requests() if "appRoleAssignedTo" in one.path]

    assert results(run) == {
        people["directly"]: "alreadyIn",
        people["inGroup"]: "alreadyIn",
        people["inNested"]: "imported",
        people["notAtAll"]: "imported",
    }
    assert len(asked) == 1
