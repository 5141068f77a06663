"""A change that would move more people than the guard allows is saved only when somebody confirms it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET, SAMPLE_ROLES
from sync_core.connections import impact
from sync_core.domain.documents.mapping import DEFAULT_MAPPING
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.plan.digest import moves_of
from sync_core.runs import confirmed, planner
from sync_core.services import Services, utc_now
from sync_core.store.approvals import LIFE
from tests.api.conftest import Create, Json
from tests.api.description import mismatches
from tests.switches import the_other_way
from tests.system import active, group_scope, rows_of, run_now, set_clock

CODE = "connection.needsConfirmation"
Patch = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


@pytest.fixture
def patch(admin: httpx.AsyncClient, url: str) -> Patch:
    async def patched(confirm: str | None = None, **changes: Any) -> httpx.Response:
        params = {"confirm": confirm} if confirm else {}
        return await admin.patch(url, json=changes, params=params)

    return patched


@pytest.fixture
async def imported(
    create: Create, services: Services, connection_id: str, wide: Json
) -> httpx.Response:
    """The test's connection, with its ten people in the table."""
    answer = await create(scope=wide)
    await run_now(services, connection_id)
    return answer


@the_other_way()
@pytest.mark.usefixtures("imported")
async def test_from_the_preview_over_the_confirmation_to_the_run(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    url: str,
    patch: Patch,
    narrow: Json,
    people: list[str],
) -> None:
    previewed = (await admin.post(f"{url}/preview", json={"scope": narrow})).json()
    refused = await patch(scope=narrow)
    unchanged = (await admin.get(url)).json()
    whole = (await admin.get(refused.json()["planUrl"])).json()
    saved = await patch(refused.json()["planHash"], scope=narrow)
    coming = (await admin.post(f"{url}/preview")).json()
    run = await run_now(services, connection_id)

    problem = refused.json()
    assert (coming["counts"]["held"], coming["counts"]["leavers"]) == (0, 6)
    assert "guard.confirmed" in {one["code"] for one in coming["warnings"]}
    assert not any(one["held"] for one in coming["changes"])
    assert (refused.status_code, problem["code"]) == (409, CODE)
    assert problem["planHash"] == previewed["planHash"]
    assert problem["counts"]["leavers"] == problem["counts"]["held"] == 6
    assert {one["objectId"] for one in problem["changes"]} == set(people[4:])
    assert previewed["planUrl"] == problem["planUrl"]
    assert {one["objectId"] for one in whole["items"] if one["held"]} == set(people[4:])
    assert mismatches(whole, "PlanChangeList") == []
    assert "6 of 10 active people" in problem["detail"]
    assert f"?confirm={problem['planHash']}" in problem["remedy"]
    assert len(unchanged["scope"]["filters"]) == 1
    assert unchanged["scope"] != narrow
    assert saved.status_code == 200, saved.text
    assert run.status is RunStatus.SUCCEEDED
    assert run.plan_hash == problem["planHash"]
    assert active(await rows_of(services, connection_id)) == set(people[:4])
    assert mismatches(problem, "Problem") == []


async def test_save_preview_and_run_tell_the_same_of_a_number_that_is_asserted(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    url: str,
    patch: Patch,
    narrow: Json,
    people: list[str],
) -> None:
    """Nobody is an administrator by the new rule: the one who is stays it, the others change."""
    ann, *others = people[:4]
    emulator.control.patch_person(ann, {"jobTitle": "admin", "department": "user"})
    for other in others:
        emulator.control.patch_person(other, {"jobTitle": "user", "department": "guest"})
    mapping = [{"target": "role", "source": "jobTitle"}]
    asserted = [{"atLeast": 1, "where": {"role": "admin"}}]
    await create(scope=narrow, mapping=mapping, assertions=asserted)
    await run_now(services, connection_id)
    rule = [{"target": "role", "source": "department"}]
    tried = (await admin.post(f"{url}/preview", json={"mapping": rule})).json()
    saved = await patch(mapping=rule)
    run = await run_now(services, connection_id)
    rows = await rows_of(services, connection_id)

    [[told], [warned]] = [
        [one["message"] for one in answer["warnings"] if one["code"] == "assertion.failed"]
        for answer in (tried, saved.json())
    ]
    assert told == warned
    assert f"role = admin (1 now); at least 1 are asserted; waiting: {ann}" in told
    assert [one["objectId"] for one in tried["changes"] if one["held"]] == [ann]
    assert run.error is not None
    assert run.error.message.partition(" 1 changes")[0] in told
    assert (run.status, run.counts.held, run.counts.updated) == (RunStatus.HELD, 1, 3)
    assert [rows[one]["role"] for one in people[:4]] == ["admin", "guest", "guest", "guest"]


@pytest.mark.usefixtures("imported")
async def test_another_plan_than_the_confirmed_one_is_held(
    *,
    services: Services,
    connection_id: str,
    patch: Patch,
    narrow: Json,
    people: list[str],
    emulator: GraphEmulator,
) -> None:
    refused = await patch(scope=narrow)
    await patch(refused.json()["planHash"], scope=narrow)
    emulator.control.soft_delete(people[0])
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.held) == (RunStatus.HELD, 7)
    assert active(await rows_of(services, connection_id)) == set(people)


@pytest.mark.usefixtures("imported")
async def test_an_update_meanwhile_leaves_the_confirmation_alone(
    *,
    services: Services,
    connection_id: str,
    patch: Patch,
    narrow: Json,
    people: list[str],
    emulator: GraphEmulator,
) -> None:
    refused = await patch(scope=narrow)
    await patch(refused.json()["planHash"], scope=narrow)
    emulator.control.patch_person(people[0], {"mobilePhone": "+41 44 000 00 00"})
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert (run.counts.updated, run.counts.disabled) == (1, 6)
    assert run.plan_hash != refused.json()["planHash"]


@pytest.mark.usefixtures("imported")
async def test_a_confirmation_lasts_a_day(
    services: Services, connection_id: str, patch: Patch, narrow: Json
) -> None:
    refused = await patch(scope=narrow)
    await patch(refused.json()["planHash"], scope=narrow)
    set_clock(services, lambda: utc_now() + LIFE + timedelta(minutes=1))

    assert (await run_now(services, connection_id)).status is RunStatus.HELD


@pytest.mark.usefixtures("imported")
async def test_a_confirmation_is_used_once(
    services: Services, connection_id: str, patch: Patch, narrow: Json
) -> None:
    refused = await patch(scope=narrow)
    moves = moves_of(refused.json()["planHash"])
    await patch(refused.json()["planHash"], scope=narrow)
    kept = await services.store.approvals.find(connection_id, moves, services.clock())
    await run_now(services, connection_id)

    assert kept is not None
    assert kept.by == "local Sync.Admin"
    assert await services.store.approvals.find(connection_id, moves, services.clock()) is None


@pytest.mark.usefixtures("imported")
async def test_an_outdated_confirmation_is_refused_with_the_new_plan(
    patch: Patch, narrow: Json, people: list[str], emulator: GraphEmulator
) -> None:
    first = (await patch(scope=narrow)).json()["planHash"]
    emulator.control.soft_delete(people[0])
    second = await patch(first, scope=narrow)

    assert (second.status_code, second.json()["code"]) == (409, CODE)
    assert second.json()["planHash"] != first
    assert "not the plan that was confirmed" in second.json()["detail"]


@pytest.mark.parametrize("users", ["keep", "delete"])
async def test_a_deleted_connection_forgets_its_confirmations(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    services: Services,
    connection_id: str,
    url: str,
    users: str,
) -> None:
    await create()
    await services.store.approvals.remember(connection_id, "moves", "somebody", services.clock())
    answer = await admin.delete(url, params={"users": users})

    assert answer.status_code == 204
    assert await services.store.approvals.find(connection_id, "moves", services.clock()) is None


@pytest.mark.usefixtures("imported")
async def test_raised_limits_are_no_way_around(
    services: Services, connection_id: str, patch: Patch, narrow: Json, people: list[str]
) -> None:
    policy = {"guard": {"maxRemovals": 1000, "maxRemovalPercent": 99}}
    refused = await patch(scope=narrow, policy=policy)
    saved = await patch(refused.json()["planHash"], scope=narrow, policy=policy)
    run = await run_now(services, connection_id)

    assert (refused.status_code, saved.status_code) == (409, 200)
    assert run.counts.disabled == 6


async def test_to_leave_out_what_is_sensitive_is_no_way_around(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    url: str,
    services: Services,
    connection_id: str,
    patch: Patch,
    wide: Json,
    people: list[str],
) -> None:
    """One riser is under every limit; a mapping that is sent whole must not drop what guards it."""
    role = {"target": "role", "constant": "user", "sensitive": ["admin"]}
    await create(scope=wide, mapping=[role])
    await run_now(services, connection_id)
    risen = [{"target": "role", "expression": f'IIF([id]="{people[0]}", "Admin", "user")'}]
    refused = await patch(mapping=risen)
    unchanged = (await admin.get(url)).json()["mapping"]
    saved = await patch(refused.json()["planHash"], mapping=risen)
    run = await run_now(services, connection_id)

    assert (refused.status_code, refused.json()["code"]) == (409, CODE)
    assert "would bring more sensitive values than its guard allows" in refused.json()["detail"]
    assert "role would become Admin for 1 person" in refused.json()["detail"]
    assert [rule["sensitive"] for rule in unchanged] == [["admin"]]
    assert saved.status_code == 200, saved.text
    assert (run.status, run.counts.updated) == (RunStatus.SUCCEEDED, 1)


@pytest.mark.usefixtures("imported")
async def test_raising_the_limits_below_a_held_plan_needs_confirmation_as_well(
    services: Services,
    connection_id: str,
    patch: Patch,
    people: list[str],
    emulator: GraphEmulator,
) -> None:
    emulator.control.soft_delete(*people[:5])
    held = await run_now(services, connection_id)
    refused = await patch(policy={"guard": {"maxRemovalPercent": 60}})

    assert held.status is RunStatus.HELD
    assert (refused.status_code, refused.json()["planHash"]) == (409, held.plan_hash)


@pytest.mark.usefixtures("imported")
async def test_what_is_held_anyway_is_not_asked_for_and_not_confirmed(
    services: Services,
    connection_id: str,
    patch: Patch,
    people: list[str],
    emulator: GraphEmulator,
) -> None:
    """Whoever edits the mapping while removals wait must not have to approve them."""
    emulator.control.soft_delete(*people[:5])
    mapping = [rule.to_json() for rule in DEFAULT_MAPPING]
    saved = await patch(mapping=[*mapping, {"target": "city", "source": "city"}])
    run = await run_now(services, connection_id)

    assert saved.status_code == 200, saved.text
    assert (run.status, run.counts.held) == (RunStatus.HELD, 5)


@pytest.mark.usefixtures("imported")
async def test_enabling_a_connection_counts_as_a_change(
    patch: Patch, narrow: Json, people: list[str]
) -> None:
    switched_off = await patch(enabled=False, scope=narrow)
    refused = await patch(enabled=True)
    switched_on = await patch(refused.json()["planHash"], enabled=True)

    assert switched_off.status_code == 200
    assert (refused.status_code, refused.json()["counts"]["leavers"]) == (409, 6)
    assert switched_on.status_code == 200


async def test_too_many_joiners_need_confirmation_where_there_is_a_limit(
    *,
    create: Create,
    patch: Patch,
    wide: Json,
    narrow: Json,
    connection_id: str,
    services: Services,
) -> None:
    """The first import is nobody's mistake; who comes after it may be."""
    await create(scope=narrow, policy={"guard": {"maxCreates": 5}})
    first = await run_now(services, connection_id)
    refused = await patch(scope=wide)
    await patch(refused.json()["planHash"], scope=wide)
    run = await run_now(services, connection_id)

    assert first.counts.created == 4
    assert (refused.status_code, refused.json()["counts"]["joiners"]) == (409, 6)
    assert run.counts.created == 6


@pytest.mark.usefixtures("imported")
async def test_a_mapping_that_empties_columns_by_mistake_needs_confirmation(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    url: str,
    patch: Patch,
) -> None:
    before = await rows_of(services, connection_id)
    one_rule = [{"target": "email", "constant": "all@contoso.com"}]
    refused = await patch(mapping=one_rule)
    unchanged = (await admin.get(url)).json()
    saved = await patch(refused.json()["planHash"], mapping=one_rule)
    run = await run_now(services, connection_id)

    problem = refused.json()
    held = {one["column"]: one for one in problem["heldValues"]}
    example = held["email"]["examples"][0]
    assert (refused.status_code, problem["code"]) == (409, CODE)
    assert (
        "displayName would be emptied for 10 of 10 people; the limit is 10 %" in problem["detail"]
    )
    assert problem["columns"]["displayName"] == {"blanked": 10, "rewritten": 0}
    assert (held["email"]["what"], held["email"]["people"]) == ("rewritten", 10)
    assert example["before"] == before[example["objectId"]]["email"]
    assert example["after"] == "all@contoso.com"
    assert len(unchanged["mapping"]) == 10
    assert saved.status_code == 200, saved.text
    assert (run.status, run.counts.updated) == (RunStatus.SUCCEEDED, 10)
    assert run.columns["email"].rewritten == 10
    assert mismatches(problem, "Problem") == []


@pytest.mark.usefixtures("imported")
async def test_other_edits_do_not_read_the_directory(patch: Patch, emulator: GraphEmulator) -> None:
    emulator.control.reset_requests()
    for changes in (
        {"displayName": "Another"},
        {"schedule": {"everyMinutes": 30}},
        {"enabled": False},
    ):
        assert (await patch(**changes)).status_code == 200

    # A save is checked with single reads of people and the tree of groups; a plan reads whole lists.
    lists = [one for one in emulator.requests if "top=999" in one.query]
    assert [one for one in lists if not one.path.endswith("/members/graph.group")] == []


@pytest.mark.usefixtures("imported")
async def test_a_change_within_the_limits_is_saved_at_once(
    *, patch: Patch, wide: Json, services: Services, people: list[str], connection_id: str
) -> None:
    wide["filters"][0]["clauses"].append(
        {"attribute": "id", "operator": "NOT EQUALS", "value": people[9]}
    )
    saved = await patch(scope=wide)
    run = await run_now(services, connection_id)

    assert saved.status_code == 200
    assert (run.status, run.counts.disabled) == (RunStatus.SUCCEEDED, 1)


@pytest.mark.usefixtures("imported")
async def test_put_asks_as_well(
    admin: httpx.AsyncClient, url: str, narrow: Json, imported: httpx.Response
) -> None:
    document = imported.json() | {"scope": narrow}
    refused = await admin.put(url, json=document)
    confirm = {"confirm": refused.json()["planHash"]}
    saved = await admin.put(url, json=document, params=confirm)

    assert (refused.status_code, refused.json()["code"]) == (409, CODE)
    assert saved.status_code == 200


@pytest.mark.usefixtures("imported")
async def test_graph_that_does_not_answer_keeps_the_new_settings_beside_the_old_ones(
    admin: httpx.AsyncClient, url: str, patch: Patch, narrow: Json, emulator: GraphEmulator
) -> None:
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    try:
        answer = await patch(scope=narrow)
    finally:
        emulator.control.clear_faults()
    stored = (await admin.get(url)).json()

    assert (answer.status_code, answer.json()["code"]) == (422, "connection.notVerified")
    assert stored["scope"]["filters"] != narrow["filters"]
    assert stored["verification"]["status"] == "waiting"
    assert stored["verification"]["pending"]["scope"]["filters"] == narrow["filters"]


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        pytest.param({}, 200, id="the guard of the run stays"),
        pytest.param({"guard": {"maxRemovalPercent": 90}}, 502, id="the guard is raised"),
    ],
)
async def test_settings_that_cannot_be_read_with_are_saved_unless_they_raise_the_guard(
    *,
    imported: httpx.Response,
    patch: Patch,
    narrow: Json,
    policy: Json,
    status: int,
    emulator: GraphEmulator,
) -> None:
    """A connection whose consent is gone must stay editable."""
    changes = {"policy": policy} if policy else {}
    emulator.control.set_roles([])
    try:
        answer = await patch(scope=narrow, **changes)
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    assert answer.status_code == status, answer.text


@pytest.mark.usefixtures("imported")
async def test_stored_settings_that_cannot_be_read_with_are_no_way_around(
    patch: Patch, narrow: Json, imported: httpx.Response
) -> None:
    tenant = imported.json()["tenantId"]
    broken = await patch(tenantId="99999999-2222-3333-4444-555555555555")
    refused = await patch(tenantId=tenant, scope=narrow)

    assert broken.status_code == 422, "it waits beside what is in use"
    assert (refused.status_code, refused.json()["code"]) == (409, CODE)


@pytest.mark.usefixtures("imported")
async def test_a_directory_too_large_to_plan_in_time_is_left_to_the_run(
    services: Services,
    connection_id: str,
    patch: Patch,
    narrow: Json,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(impact, "LIMIT_S", 0.0)
    saved = await patch(scope=narrow)
    raised = await patch(policy={"guard": {"maxRemovalPercent": 90}})
    run = await run_now(services, connection_id)

    assert (saved.status_code, raised.status_code) == (200, 504)
    assert (run.status, run.counts.held) == (RunStatus.HELD, 6)


@pytest.fixture
async def stored_before(
    *, create: Create, services: Services, connection_id: str, wide: Json, emulator: GraphEmulator,
    people: list[str],
) -> None:  # fmt: skip
    """A connection of ten people by a pattern, as the first release stored it; six are called Müller."""
    for number, person in enumerate(people):
        surname = "Smith" if number < 4 else "M\u00fcller"
        emulator.control.patch_person(person, {"surname": surname})
    clause = {"attribute": "surname", "operator": "NOT REGEX MATCH", "value": r"^[A-Z]\w+$"}
    clauses = [*wide["filters"][0]["clauses"], clause]
    await create(scope=wide | {"filters": [{"clauses": clauses}]})
    found = await services.store.connections.get(connection_id)
    before = found.connection.model_copy(update={"scope": found.connection.scope.as_before()})
    await services.store.connections.replace(before, found)
    await run_now(services, connection_id)


@pytest.mark.usefixtures("stored_before")
async def test_a_pattern_stored_by_an_earlier_release_moves_nobody_before_it_is_confirmed(
    *, admin: httpx.AsyncClient, services: Services, connection_id: str, url: str, patch: Patch
) -> None:
    """The first release knew ASCII letters only in scopes: six of ten come in by that."""
    answer = (await admin.get(url)).json()
    again = await run_now(services, connection_id)
    previewed = (await admin.post(f"{url}/preview", json={"scope": answer["scope"]})).json()
    refused = await patch(displayName="Another name")
    saved = await patch(refused.json()["planHash"], displayName="Another name")
    after = (await admin.get(url)).json()

    assert "scope.patternsAsBefore" in {one["code"] for one in answer["warnings"]}
    assert (again.counts.in_scope, again.counts.unchanged) == (6, 6)
    assert previewed["counts"]["leavers"] == 6
    assert (refused.status_code, refused.json()["code"]) == (409, CODE)
    assert saved.status_code == 200
    assert "scope.patternsAsBefore" not in {one["code"] for one in after["warnings"]}
    assert after["scope"] == answer["scope"]


async def test_a_file_is_no_way_around(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    imported: httpx.Response,
    connection_id: str,
    narrow: Json,
    url: str,
    wide: Json,
) -> None:
    """The plan of a file says what applying it will be refused for; both are confirmed at once."""
    other = f"{connection_id}-b"
    made = await admin.post(
        "/api/connections",
        json=imported.json()
        | {
            "id": other,
            "credential": {"clientSecret": SAMPLE_CLIENT_SECRET},
            "scope": wide | {"guests": "include"},
        },
    )
    assert made.status_code == 201, made.text
    await run_now(services, other)
    file = (await admin.get("/api/config", params={"connection": [connection_id, other]})).json()
    file["connections"][0]["scope"] = narrow
    file["connections"][1]["scope"] = narrow | {"guests": "include"}

    planned = (await admin.post("/api/config/plan", json=file)).json()
    assert "confirmations" in planned, planned
    hashes = [one["planHash"] for one in planned["confirmations"]]
    query: dict[str, Any] = {"planHash": planned["planHash"]}
    refused = await admin.post("/api/config/apply", json=file, params=query)
    half = await admin.post("/api/config/apply", json=file, params=query | {"confirm": hashes[0]})
    stored = (await admin.get(url)).json()
    applied = await admin.post("/api/config/apply", json=file, params=query | {"confirm": hashes})
    runs = [await run_now(services, one) for one in (connection_id, other)]

    assert mismatches(planned, "ConfigPlan") == []
    assert [one["connection"] for one in planned["confirmations"]] == [connection_id, other]
    assert {one["code"] for one in planned["confirmations"]} == {CODE}
    assert (refused.status_code, refused.json()["code"]) == (409, CODE)
    assert len(refused.json()["confirmations"]) == 2
    assert [one["connection"] for one in half.json()["confirmations"]] == [other]
    assert stored["scope"]["filters"] == imported.json()["scope"]["filters"], "half was applied"
    assert applied.status_code == 200, applied.text
    assert [run.counts.disabled for run in runs] == [6, 6]


async def test_a_file_that_changes_nothing_about_people_needs_no_confirmation(
    admin: httpx.AsyncClient, imported: httpx.Response, connection_id: str
) -> None:
    file = (await admin.get("/api/config", params={"connection": connection_id})).json()
    file["connections"][0]["displayName"] = "Another"
    planned = (await admin.post("/api/config/plan", json=file)).json()

    assert planned["confirmations"] == []


@pytest.mark.parametrize("method", ["put", "file"])
async def test_people_who_were_kept_are_not_lost_to_a_new_connection_of_the_same_id(
    *,
    admin: httpx.AsyncClient,
    imported: httpx.Response,
    url: str,
    connection_id: str,
    narrow: Json,
    method: str,
) -> None:
    await admin.delete(url, params={"users": "keep"})
    secret = imported.json()["credential"]["secretName"]
    unlimited = {"guard": {"maxRemovals": 1000, "maxRemovalPercent": 99}}
    document = imported.json() | {"scope": narrow, "policy": unlimited}
    document["credential"] = {"secretName": secret}
    del document["warnings"]
    file = {"apiVersion": "entra-user-sync/v1", "connections": [document]}
    calls: dict[str, tuple[str, str, Any]] = {
        "put": ("PUT", url, document),
        "file": ("POST", "/api/config/apply", file),
    }
    verb, path, body = calls[method]
    params: dict[str, Any] = {}
    if method == "file":
        planned = await admin.post("/api/config/plan", json=file)
        params["planHash"] = planned.json()["planHash"]
    refused = await admin.request(verb, path, json=body, params=params)
    problem = refused.json()
    confirm = problem.get("planHash") or problem["confirmations"][0]["planHash"]
    missing = await admin.get(url)
    made = await admin.request(verb, path, json=body, params=params | {"confirm": confirm})

    assert (refused.status_code, problem["code"]) == (409, CODE)
    assert missing.status_code == 404
    assert made.status_code in {200, 201}, made.text


@pytest.mark.usefixtures("imported")
async def test_raised_limits_and_very_many_leavers(
    *,
    services: Services,
    connection_id: str,
    patch: Patch,
    narrow: Json,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many are asked for depends on the limits; the confirmed run is let through all the same."""
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 1)
    monkeypatch.setattr(planner, "CONFIRM_HELD", 1)
    policy = {"guard": {"maxRemovalPercent": 40}}
    refused = await patch(scope=narrow, policy=policy)
    await patch(refused.json()["planHash"], scope=narrow, policy=policy)
    run = await run_now(services, connection_id)

    assert refused.json()["leaversByReason"] == {"leftScope": 3, "unasked": 3}
    assert (run.status, run.counts.disabled) == (RunStatus.SUCCEEDED, 6)


@pytest.mark.usefixtures("imported")
async def test_a_run_that_cannot_ask_for_all_leaves_the_rest_to_the_next(
    *,
    services: Services,
    connection_id: str,
    patch: Patch,
    narrow: Json,
    people: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is removed unasked, confirmed or not; one confirmation does for all of the runs."""
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 1)
    monkeypatch.setattr(planner, "CONFIRM_HELD", 2)
    monkeypatch.setattr(confirmed, "ASKED_A_RUN", 2)
    refused = await patch(scope=narrow)
    await patch(refused.json()["planHash"], scope=narrow)
    runs = [await run_now(services, connection_id) for _ in range(3)]
    rows = await rows_of(services, connection_id)

    assert refused.json()["leaversByReason"] == {"leftScope": 3, "unasked": 3}
    assert [(run.counts.disabled, run.counts.held) for run in runs] == [(5, 1), (1, 0), (0, 0)]
    assert {rows[one]["DisabledReason"] for one in people[4:]} == {"leftScope"}
    assert [run.status for run in runs] == ["held", "succeeded", "succeeded"]


@pytest.mark.usefixtures("imported")
async def test_what_waited_for_entra_needs_confirmation_as_well(
    *,
    admin: httpx.AsyncClient,
    url: str,
    patch: Patch,
    narrow: Json,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    """It could not be planned when it was saved; nobody is moved by it before somebody has seen whom."""
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    await patch(scope=narrow)
    emulator.control.clear_faults()
    checked = (await admin.post(f"{url}/check")).json()
    waiting = (await admin.get(url)).json()["verification"]
    told = next(one for one in checked["checks"] if not one["ok"])
    refused = await patch(scope=narrow)
    saved = await patch(refused.json()["planHash"], scope=narrow)
    run = await run_now(services, connection_id)

    assert (told["name"], told["code"]) == ("people who move", CODE)
    assert (waiting["status"], sorted(waiting["pending"])) == ("notVerified", ["scope"])
    assert (refused.status_code, saved.status_code) == (409, 200)
    assert saved.json()["verification"]["pending"] is None
    assert run.counts.disabled == 6


async def test_who_waits_because_a_group_that_keeps_people_out_is_gone_comes_in_once_confirmed(
    *,
    create: Create,
    patch: Patch,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    control = emulator.control
    people = [control.create_person()["id"] for _ in range(2)]
    team = control.create_group("Team", members=people)["id"]
    out = control.create_group("Out", members=people[:1])["id"]
    scope = group_scope(team)
    scope["filters"][0]["clauses"].append(
        {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [out]}
    )
    await create(scope=scope)
    await run_now(services, connection_id)
    control.delete_group(out)
    held = await run_now(services, connection_id, mode="full")
    raised = {"guard": {"maxCreates": 1000}}
    refused = await patch(policy=raised)
    saved = await patch(refused.json()["planHash"], policy=raised)
    await run_now(services, connection_id, mode="full")

    assert (held.status, held.counts.held) == (RunStatus.HELD, 1)
    assert (refused.status_code, saved.status_code) == (409, 200)
    assert active(await rows_of(services, connection_id)) == set(people)
