"""What real directories do, and what a run makes of it: one odd thing never stops the others."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES
from sync_core.directory import requests
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.services import Services
from tests.switches import either_way
from tests.system import active, group_scope, rows_of, run_now, stored_connection

NO_GUARD = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty people are three pages of twenty."""
    monkeypatch.setattr(requests, "MAX_PAGE", 20)


@pytest.fixture
def people(emulator: GraphEmulator) -> list[str]:
    """Fifteen employees."""
    found = emulator.control.people(top=60)
    return [
        one["id"] for one in found if one.get("accountEnabled") and one.get("userType") != "Guest"
    ][:15]


async def imported(services: Services, connection_id: str, **scope: Any) -> None:
    await stored_connection(services, connection_id, scope=scope, policy=NO_GUARD)
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


def codes(run: Run) -> list[tuple[str, str]]:
    return [(error.object_id, error.code) for error in run.errors]


# --- hidden members ---------------------------------------------------------------------------------


@either_way("hidden_members")
@pytest.mark.parametrize("opaque", [False, True], ids=["roles told", "roles untold"])
async def test_a_hidden_nested_group_is_named_and_the_others_come_in(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    opaque: bool,
) -> None:
    control = emulator.control
    hidden = control.create_group(
        "Works council", members=people[10:], hidden=True, microsoft_365=True
    )["id"]
    root = control.create_group("Everybody", members=[*people[:10], hidden])["id"]
    control.set_roles([*SAMPLE_ROLES, "Member.Read.Hidden"])
    await imported(services, connection_id, **group_scope(root))
    assert active(await rows_of(services, connection_id)) == set(people)

    control.set_roles(SAMPLE_ROLES)
    control.issue_opaque_tokens(opaque)
    control.remove_members(root, people[0])
    control.patch_person(people[1], {"jobTitle": "Still read"})
    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert (run.status, codes(run)) == (RunStatus.PARTIAL, [(hidden, "scope.membersHidden")])
    assert "Works council" in run.errors[0].message
    assert "Member.Read.Hidden" in run.errors[0].message
    assert active(rows) == set(people)
    assert rows[people[1]]["jobTitle"] == "Still read"


@either_way("hidden_members")
async def test_a_hidden_group_that_keeps_people_out_lets_nobody_in(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    """Whom it keeps out is not known, so everybody might be one of them."""
    hidden = emulator.control.create_group(
        "Works council", members=people[:2], hidden=True, microsoft_365=True
    )["id"]
    scope = group_scope(hidden)
    scope["filters"][0]["clauses"][0]["operator"] = "NOT ARRAYCONTAINS"
    await stored_connection(services, connection_id, scope=scope)

    run = await run_now(services, connection_id)

    assert run.error is not None
    assert run.error.code == "scope.membersHidden"
    assert "Works council" in run.error.message
    assert "Member.Read.Hidden" in run.error.remedy
    assert await rows_of(services, connection_id) == {}


# --- odd people -------------------------------------------------------------------------------------


async def test_an_account_without_a_sign_in_name_is_that_records_error_alone(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    control = emulator.control
    group = control.create_group("Team", members=people)["id"]
    await imported(services, connection_id, **group_scope(group))
    before = await rows_of(services, connection_id)
    odd, leaver = people[3], people[7]
    control.patch_person(odd, {"userPrincipalName": None, "jobTitle": "Odd"})
    control.remove_members(group, leaver)

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert (run.status, codes(run)) == (RunStatus.PARTIAL, [(odd, "record.noSignInName")])
    assert rows[odd] == before[odd]
    assert active(rows) == set(people) - {leaver}


async def test_an_account_that_lost_its_sign_in_name_has_not_left_the_scope(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    clause = {"attribute": "userPrincipalName", "operator": "INCLUDES", "value": "@"}
    await imported(services, connection_id, filters=[{"clauses": [clause]}])
    odd = people[3]
    emulator.control.patch_person(odd, {"userPrincipalName": None})

    run = await run_now(services, connection_id)

    assert codes(run) == [(odd, "record.noSignInName")]
    assert odd in active(await rows_of(services, connection_id))


# --- groups that go ---------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "named"])
async def test_a_group_deleted_while_it_is_read(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    nested: bool,
) -> None:
    """A nested one has no members any more; of a named one the administrator has to hear."""
    control = emulator.control
    going = control.create_group("Going", members=people[10:])["id"]
    rest = control.create_group("Staying", members=[*people[:10], *([going] if nested else [])])
    named = [rest["id"]] if nested else [rest["id"], going]
    await imported(services, connection_id, **group_scope(*named))
    control.add_fault(
        "deletedGroup", group=going, path=f"/v1.0/groups/{going}/members/**user", times=1
    )

    run = await run_now(services, connection_id, mode="full")

    left = active(await rows_of(services, connection_id))
    if nested:
        assert (run.status, codes(run), left) == (RunStatus.SUCCEEDED, [], set(people[:10]))
    else:
        assert (run.status, codes(run)) == (RunStatus.PARTIAL, [(going, "scope.groupNotFound")])
        assert left == set(people)


# --- passing trouble --------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["0", "0.124", "1"])
@pytest.mark.parametrize("kind", ["throttled", "unavailable", "gatewayTimeout"])
@pytest.mark.parametrize("where", ["direct", "batch"])
async def test_eight_short_wishes_to_wait_are_outlasted(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    kind: str,
    wish: str,
    where: str,
) -> None:
    group = emulator.control.create_group("Team", members=people)["id"]
    path = "/v1.0/groups/*" if where == "batch" else "/v1.0/groups/*/members/**"
    emulator.control.add_fault(kind, path=path, where=where, times=8, retryAfter=wish)

    await imported(services, connection_id, **group_scope(group))

    assert active(await rows_of(services, connection_id)) == set(people)


@pytest.mark.parametrize("kind", ["expiredToken", "errorBody"])
@pytest.mark.parametrize("where", ["direct", "batch"])
async def test_what_passes_for_a_request_passes_for_an_item_of_a_batch(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    kind: str,
    where: str,
) -> None:
    """A token that is not accepted is renewed once; an error with status 200 is asked again."""
    group = emulator.control.create_group("Team", members=people)["id"]
    path = "/v1.0/groups/*" if where == "batch" else "/v1.0/groups/*/members/**"
    emulator.control.add_fault(kind, path=path, where=where, times=1)

    await imported(services, connection_id, **group_scope(group))

    assert active(await rows_of(services, connection_id)) == set(people)


async def test_an_error_with_status_200_is_never_proof_that_a_person_is_gone(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    group = emulator.control.create_group("Team", members=people)["id"]
    await imported(services, connection_id, **group_scope(group))
    emulator.control.remove_members(group, people[0])
    emulator.control.add_fault(
        "errorBody", error="Request_ResourceNotFound", path="/v1.0/users/*", where="batch"
    )

    run = await run_now(services, connection_id)

    assert run.error is not None
    assert run.error.code == "graph.badAnswer"
    assert "Request_ResourceNotFound" in run.error.message
    assert active(await rows_of(services, connection_id)) == set(people)


# --- tenants that do not count ----------------------------------------------------------------------


async def test_a_count_that_cannot_be_had_stops_nothing_and_is_told(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id, everyone=True)
    before = await rows_of(services, connection_id)
    [leaver] = emulator.control.change_many("softDelete", keys=[min(before)])
    emulator.control.add_fault("unavailable", path="/v1.0/users/$count")

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert [warning.code for warning in run.warnings] == ["reading.uncounted"]
    assert active(await rows_of(services, connection_id)) == before.keys() - {leaver}


@pytest.fixture
def b2c(emulator: GraphEmulator) -> None:
    emulator.control.set_tenant(advanced_queries=False)


@pytest.mark.usefixtures("b2c")
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "direct"])
async def test_a_tenant_without_advanced_queries_can_be_scoped_by_group(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: list[str],
    nested: bool,
) -> None:
    """Members are read without a cast, and told apart by their type."""
    control = emulator.control
    inner = control.create_group("Inner", members=people[10:])["id"]
    root = control.create_group("Outer", members=[*people[:10], inner])["id"]
    inside = people if nested else people[:10]
    await imported(services, connection_id, **group_scope(root), nestedGroups=nested)
    assert active(await rows_of(services, connection_id)) == set(inside)

    control.remove_members(root, people[0])
    run = await run_now(services, connection_id)

    assert (run.status, codes(run)) == (RunStatus.SUCCEEDED, [])
    assert [warning.code for warning in run.warnings] == ["reading.uncounted"]
    assert active(await rows_of(services, connection_id)) == set(inside) - {people[0]}


@pytest.mark.usefixtures("b2c")
async def test_a_plain_list_that_ends_early_removes_nobody_who_is_in_a_group_below(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    control = emulator.control
    inner = control.create_group("Inner", members=people[10:])["id"]
    root = control.create_group("Outer", members=[*people[:10], inner])["id"]
    await imported(services, connection_id, **group_scope(root))
    control.add_fault("lostRest", path=f"/v1.0/groups/{inner}/members", where="direct")

    await run_now(services, connection_id)

    assert active(await rows_of(services, connection_id)) == set(people)
