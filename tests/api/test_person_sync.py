"""One person now: what is done, which steps are shown, and what keeps it from being done."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.run import Actor, Run, RunStatus, Trigger
from sync_core.domain.incremental.open_people import Cause
from sync_core.domain.model import Origin
from sync_core.people import sync_now
from sync_core.runs import hold
from sync_core.services import Services, utc_now
from sync_core.store.leases import DURATION, Next
from sync_core.store.runs import new_run_id
from sync_core.store.tables import USERS
from tests.api.conftest import Create, Json
from tests.api.description import mismatches
from tests.api.stored import lose_answers
from tests.switches import the_other_way
from tests.system import changes_of, group_scope, history_of, rows_of, run_now, set_clock

Sync = Callable[..., Awaitable[Json]]
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def sync(admin: httpx.AsyncClient, connection_id: str) -> Sync:
    async def synced(object_id: str, status: int = 200) -> Json:
        path = f"/api/connections/{connection_id}/users/{object_id}/sync"
        answer = await admin.post(path)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    return synced


@pytest.fixture
def people(emulator: GraphEmulator) -> list[str]:
    names = ["Ann", "Ben", "Cid"]
    return [emulator.control.create_person({"displayName": one})["id"] for one in names]


@pytest.fixture
def group(emulator: GraphEmulator, people: list[str]) -> str:
    return str(emulator.control.create_group("Few", members=people)["id"])


@pytest.fixture
async def made(create: Create, group: str) -> Json:
    document: Json = (await create(scope=group_scope(group))).json()
    return document


def steps(found: Json) -> list[tuple[str, bool]]:
    return [(one["name"], one["ok"]) for one in found["steps"]]


ALL_WELL = [(name, True) for name in ("lease", "read", "scope", "decide", "apply", "record")]


async def test_somebody_new_is_created_and_nobody_else(
    *,
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    reader: httpx.AsyncClient,
) -> None:
    found = await sync(people[0])
    run = Run.model_validate(found["run"])
    rows = await rows_of(services, connection_id)
    listed = (await reader.get(f"/api/connections/{connection_id}/runs")).json()["items"]
    history = await history_of(services, connection_id, people[0])

    assert steps(found) == ALL_WELL
    assert "Ann is in" in found["steps"][2]["message"]
    assert (run.mode, run.trigger, run.status) == ("users", "manual", "succeeded")
    assert run.by == Actor(name="local Sync.Admin")
    assert (run.counts.read, run.counts.created) == (1, 1)
    assert rows.keys() == {people[0]}
    assert found["person"]["attributes"]["displayName"] == "Ann"
    assert listed == [found["run"]]
    assert [row["RunId"] for row in history] == [run.id]
    assert [one["action"] for one in await changes_of(services, run)] == ["create"]
    assert run.plan_hash is not None


async def test_who_does_not_exist_any_more_is_disabled_at_the_second_look(
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    """An account that exists may answer 404 for a while, and nothing else is known of this person."""
    await run_now(services, connection_id)
    ann = people[0]
    emulator.control.change_many("hardDelete", keys=[ann])

    first = await sync(ann)
    before = (await rows_of(services, connection_id))[ann]["Status"]
    set_clock(services, lambda: utc_now() + timedelta(minutes=6))
    second = await sync(ann)

    assert (first["run"]["counts"]["unconfirmed"], before) == (1, "active")
    assert "has to say the same" in str(first["steps"])
    assert second["run"]["counts"]["disabled"] == 1
    assert (await rows_of(services, connection_id))[ann]["DisabledReason"] == "hardDeleted"


async def test_the_answer_has_the_fields_that_are_described(
    made: Json, sync: Sync, people: list[str]
) -> None:
    answer = await sync(people[0])

    assert mismatches(answer, "PersonSynced") == []


@pytest.mark.parametrize(
    ("change", "action", "reason"),
    [
        pytest.param("patch", "updated", None, id="changed"),
        pytest.param("leave", "disabled", "leftScope", id="out of the group"),
        pytest.param("block", "disabled", "accountDisabled", id="blocked"),
        pytest.param("softDelete", "disabled", "softDeleted", id="deleted"),
        pytest.param(None, "unchanged", None, id="the same"),
    ],
)
async def test_somebody_stored_is_brought_in_line(
    *,
    made: Json,
    sync: Sync,
    people: list[str],
    group: str,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
    change: str | None,
    action: str,
    reason: str | None,
) -> None:
    """One of three leavers is more than the guard's 20 %: somebody named is not subject to it."""
    await run_now(services, connection_id)
    ann = people[0]
    if change == "patch":
        emulator.control.patch_person(ann, {"jobTitle": "Boss"})
    elif change == "leave":
        emulator.control.remove_members(group, ann)
    elif change is not None:
        emulator.control.change_many(change, keys=[ann])
    emulator.control.patch_person(people[1], {"jobTitle": "Not asked for"})
    found = await sync(ann)
    rows = await rows_of(services, connection_id)
    plan = await changes_of(services, Run.model_validate(found["run"]))

    assert steps(found) == ALL_WELL
    assert found["run"]["counts"][action] == 1
    assert rows[ann].get("DisabledReason") == reason
    assert rows[people[1]].get("jobTitle") is None, "somebody else was written"
    if reason is not None:
        assert found["person"]["disabledReason"] == reason
        assert plan[0]["evidence"] is not None


async def test_somebody_comes_back(
    made: Json, sync: Sync, people: list[str], group: str, emulator: GraphEmulator
) -> None:
    await sync(people[0])
    emulator.control.remove_members(group, people[0])
    gone = await sync(people[0])
    emulator.control.add_members(group, people[0])
    back = await sync(people[0])

    assert gone["person"]["status"] == "disabled"
    assert back["run"]["counts"]["reenabled"] == 1
    assert back["person"]["status"] == "active"


async def test_somebody_out_of_scope_stays_out(
    made: Json, sync: Sync, emulator: GraphEmulator, services: Services, connection_id: str
) -> None:
    other = emulator.control.create_person({"displayName": "Zoe"})["id"]
    found = await sync(other)

    assert steps(found) == ALL_WELL
    assert found["steps"][2]["message"].startswith("Zoe is out")
    assert found["person"] is None
    assert await rows_of(services, connection_id) == {}


@pytest.mark.parametrize("kind", ["protected", "manual", "foreign"])
async def test_what_holds_for_everybody_holds_for_one(
    *,
    create: Create,
    sync: Sync,
    people: list[str],
    group: str,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
    kind: str,
) -> None:
    ann = people[0]
    policy = {"protected": [ann]} if kind == "protected" else {}
    await create(scope=group_scope(group), policy=policy)
    await run_now(services, connection_id)
    table = await services.store.tables.table(USERS)
    owner = {"manual": {"Origin": Origin.MANUAL.value}, "foreign": {"ConnectionId": "other"}}
    keys = {"PartitionKey": f"{connection_id}-{ann[0]}", "RowKey": ann}
    await table.update_entity(keys | owner.get(kind, {}))
    emulator.control.remove_members(group, ann)
    found = await sync(ann)

    assert found["run"]["counts"]["disabled"] == 0
    assert (await rows_of(services, connection_id))[ann]["Status"] == "active"


async def test_somebody_whom_the_mapping_cannot_write(
    create: Create, sync: Sync, people: list[str], group: str, emulator: GraphEmulator
) -> None:
    emulator.control.patch_person(people[0], {"department": "Legal"})
    mapping = [{"target": "truth", "expression": "CBool([department])"}]
    await create(scope=group_scope(group), mapping=mapping)
    found = await sync(people[0])

    assert found["run"]["status"] == "partial"
    assert ("scope", False) in steps(found)
    assert found["run"]["errors"][0]["code"] == "record.expressionFailed"


async def test_somebody_unknown(
    made: Json, sync: Sync, services: Services, connection_id: str
) -> None:
    problem = await sync(UNKNOWN, status=404)
    lease = await services.store.leases.read(connection_id)

    assert problem["code"] == "user.unknown"
    assert lease.run_id is None
    assert await services.store.runs.page(connection_id, top=1, after=None) == []


async def test_a_disabled_connection_is_refused(
    create: Create, sync: Sync, people: list[str], group: str
) -> None:
    await create(scope=group_scope(group), enabled=False)

    assert (await sync(people[0], status=409))["code"] == "connection.disabled"


async def test_a_connection_that_is_not_there(sync: Sync, people: list[str]) -> None:
    assert (await sync(people[0], status=404))["code"] == "connection.notFound"


async def taken_by_a_run(services: Services, connection_id: str) -> Next:
    """Hold the lease as a run under way does."""
    wanted = Next(new_run_id(services.clock()), Trigger.TIMER.value, "auto")
    await services.store.leases.acquire(connection_id, wanted, "a-run", services.clock())
    return wanted


async def test_while_a_run_is_under_way_it_is_refused_and_leaves_nothing_behind(
    *,
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync_now, "WAIT_S", 0.1)
    monkeypatch.setattr(hold, "LOOK_EVERY_S", 0.05)
    await taken_by_a_run(services, connection_id)
    before = await services.store.leases.read(connection_id)
    problem = await sync(people[0], status=409)

    assert problem["code"] == "connection.runUnderWay"
    assert "end" in problem["remedy"]
    assert await services.store.leases.read(connection_id) == before


async def test_a_run_that_ends_soon_is_waited_for(
    *,
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await taken_by_a_run(services, connection_id)
    acquire = services.store.leases.acquire
    looks: list[bool] = []

    async def acquiring(*given: Any, **more: Any) -> Any:
        result = await acquire(*given, **more)
        looks.append(result[0] is not None)
        if len(looks) == 1:
            await services.store.leases.release(connection_id, "a-run")
        return result

    monkeypatch.setattr(hold, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(services.store.leases, "acquire", acquiring)
    found = await sync(people[0])

    assert looks == [False, True]
    assert found["run"]["status"] == "succeeded"


async def test_neither_the_schedule_nor_who_waits_is_disturbed(
    made: Json, sync: Sync, people: list[str], services: Services, connection_id: str
) -> None:
    waiting = Next(new_run_id(services.clock()), Trigger.MANUAL.value, "full")
    await services.store.leases.request(connection_id, waiting)
    await sync(people[0])
    lease = await services.store.leases.read(connection_id)

    assert lease.next == waiting
    assert (lease.run_id, lease.last_started_at) == (None, None)


async def test_a_run_that_died_is_closed_and_followed(
    made: Json, sync: Sync, people: list[str], services: Services, connection_id: str
) -> None:
    dead = await taken_by_a_run(services, connection_id)
    await services.store.runs.save(
        Run(
            id=dead.run_id,
            connection_id=connection_id,
            trigger=Trigger.TIMER,
            status=RunStatus.RUNNING,
            requested_at=services.clock(),
        )
    )
    set_clock(services, lambda: utc_now() + DURATION + timedelta(seconds=5))
    found = await sync(people[0])
    closed = await services.store.runs.get(connection_id, dead.run_id)
    lease = await services.store.leases.read(connection_id)

    assert found["run"]["status"] == "succeeded"
    assert (closed.status, closed.error and closed.error.code) == ("failed", "run.interrupted")
    assert lease.next is not None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"kind": "unavailable", "path": "/v1.0/**"}, "graph.unavailable", id="503"),
        pytest.param(
            {"kind": "lostPermission", "roles": ["User.Read.All"]},
            "graph.permissionMissing",
            id="lost permission",
        ),
    ],
)
async def test_a_directory_that_cannot_be_asked_makes_a_failed_run_with_its_step(
    *,
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
    fault: Json,
    code: str,
) -> None:
    await sync(people[0])
    before = await rows_of(services, connection_id)
    emulator.control.add_fault(fault["kind"], **{k: v for k, v in fault.items() if k != "kind"})
    try:
        found = await sync(people[0])
    finally:
        emulator.control.clear_faults()
    kept = await services.store.runs.get(connection_id, found["run"]["id"])

    assert (found["run"]["status"], found["run"]["error"]["code"]) == ("failed", code)
    assert steps(found) == [("lease", True), ("read", False), ("record", True)]
    assert kept.status is RunStatus.FAILED
    assert await rows_of(services, connection_id) == before
    assert (await services.store.leases.read(connection_id)).run_id is None


async def test_what_nobody_foresaw_ends_with_a_record_as_well(
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services.store.plans, "save", broken)
    found = await sync(people[0])

    assert found["run"]["error"]["code"] == "run.unexpected"
    assert steps(found)[-2:] == [("apply", False), ("record", True)]
    assert await rows_of(services, connection_id) == {}


async def test_a_write_whose_answer_does_not_come_is_not_said_to_be_none(
    made: Json,
    sync: Sync,
    people: list[str],
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose_answers(monkeypatch)
    found = await sync(people[0])

    assert (found["run"]["status"], found["run"]["error"]["code"]) == (
        "failed",
        "storage.unavailable",
    )
    assert (found["run"]["counts"]["created"], found["run"]["countsAtLeast"]) == (0, True)
    assert found["run"]["counts"]["read"] == 1
    assert (await rows_of(services, connection_id)).keys() == {people[0]}


async def test_an_answer_that_takes_too_long_ends_before_the_lease(
    made: Json, sync: Sync, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_now, "LIMIT_S", 0.0)
    found = await sync(people[0])

    assert found["run"]["error"]["code"] == "run.outOfTime"


# --- with what other parts know -----------------------------------------------------------------------


async def test_the_manager_is_a_reference_if_there_is_a_row(
    *,
    create: Create,
    sync: Sync,
    people: list[str],
    group: str,
    emulator: GraphEmulator,
) -> None:
    boss, person, own = people
    emulator.control.patch_person(person, {"manager": boss})
    emulator.control.patch_person(own, {"manager": own})
    await create(scope=group_scope(group), mapping=[{"target": "boss", "source": "manager"}])
    before = await sync(person)
    await sync(boss)
    after = await sync(person)
    self_made = await sync(own)

    assert before["person"]["attributes"]["boss"] is None
    assert after["person"]["attributes"]["boss"] == boss
    assert self_made["person"]["attributes"]["boss"] == own


async def test_somebody_who_may_stand_in_the_table_already_is_left_to_a_whole_run(
    *,
    create: Create,
    sync: Sync,
    people: list[str],
    group: str,
    services: Services,
    connection_id: str,
) -> None:
    """Who else claims the row is known only when everybody was read."""
    table = await services.store.tables.table(USERS)
    row = {"PartitionKey": f"{connection_id}-a", "RowKey": "app-1", "displayName": "Ann"}
    await table.create_entity(row)
    await create(scope=group_scope(group), matching=["displayName"])
    waits = await sync(people[0])
    listed = await services.store.matches(connection_id).all()
    flows = await sync(people[1])
    await run_now(services, connection_id)
    again = await sync(people[0])

    assert waits["run"]["status"] == "partial"
    assert [one["code"] for one in waits["run"]["errors"]] == ["match.waiting"]
    assert waits["person"] is None
    assert "everybody" in waits["steps"][3]["message"]
    assert list(listed) == people[:1], "so that it can be decided at once"
    assert flows["run"]["status"] == "succeeded"
    assert again["person"]["linkedFrom"] == f"{connection_id}-a|app-1"


async def test_somebody_who_waits_is_listed_and_comes_in_by_decision(
    *,
    create: Create,
    sync: Sync,
    admin: httpx.AsyncClient,
    people: list[str],
    group: str,
    services: Services,
    connection_id: str,
) -> None:
    table = await services.store.tables.table(USERS)
    for number in (1, 2):
        row = {"PartitionKey": f"{connection_id}-a", "RowKey": f"app-{number}"}
        await table.create_entity(row | {"displayName": "Ann"})
    await create(scope=group_scope(group), matching=["displayName"])
    waits = await sync(people[0])
    path = f"/api/connections/{connection_id}/matches/{people[0]}"
    one = {"decision": "link", "row": f"{connection_id}-a|app-2"}
    decided = await admin.post(path, json=one)
    linked = await sync(people[0])

    assert waits["steps"][3]["message"] == "Nothing is written: a match waits for a decision."
    assert decided.status_code == 200, decided.text
    assert linked["person"]["linkedFrom"] == one["row"]
    assert await services.store.matches(connection_id).all() == {}


async def test_whoever_waits_because_of_somebody_else_is_not_created_by_the_way(
    *,
    create: Create,
    sync: Sync,
    admin: httpx.AsyncClient,
    emulator: GraphEmulator,
    people: list[str],
    group: str,
    services: Services,
    connection_id: str,
) -> None:
    """Two share an address; that the other one is not read is no reason to prefer this one."""
    for one in people[:2]:
        emulator.control.patch_person(one, {"mail": "desk@contoso.com"})
    await create(scope=group_scope(group), matching=["email"])
    await run_now(services, connection_id)
    waits = await sync(people[0])
    path = f"/api/connections/{connection_id}/matches/{people[0]}"
    await admin.post(path, json={"decision": "create"})
    decided = await sync(people[0])

    assert [one["code"] for one in waits["run"]["errors"]] == ["match.waiting"]
    assert waits["person"] is None
    assert decided["person"]["status"] == "active"


async def test_somebody_who_was_left_out_by_a_decision_stays_out(
    *,
    create: Create,
    sync: Sync,
    admin: httpx.AsyncClient,
    people: list[str],
    group: str,
    services: Services,
    connection_id: str,
) -> None:
    table = await services.store.tables.table(USERS)
    row = {"PartitionKey": f"{connection_id}-a", "RowKey": "app-1", "displayName": "Ann"}
    await table.create_entity(row)
    await create(scope=group_scope(group), matching=["displayName"])
    await sync(people[0])
    path = f"/api/connections/{connection_id}/matches/{people[0]}"
    await admin.post(path, json={"decision": "ignore"})
    found = await sync(people[0])

    assert found["run"]["status"] == "succeeded"
    assert found["person"] is None
    assert found["steps"][3]["message"] == "Nothing is written: a decision leaves the person out."


@the_other_way()
async def test_nobody_is_removed_while_a_group_of_the_scope_is_gone(
    *,
    create: Create,
    sync: Sync,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    people: list[str],
    services: Services,
    connection_id: str,
) -> None:
    """As in a run that reads everybody, and as the look at one person says."""
    group = str(emulator.control.create_group("Gone soon", members=people)["id"])
    await create(scope=group_scope(group))
    await run_now(services, connection_id)
    emulator.control.delete_group(group)
    found = await sync(people[0])
    why = (await reader.get(f"/api/connections/{connection_id}/why/{people[0]}")).json()

    assert found["person"]["status"] == "active"
    assert found["run"]["status"] == "partial"
    assert [one["code"] for one in found["run"]["errors"]] == ["scope.groupNotFound"]
    assert "does not exist" in found["steps"][3]["message"]
    assert why["nextRun"]["action"] is None
    assert "does not exist" in why["nextRun"]["message"]


async def test_an_assertion_keeps_a_named_person_out_as_well(
    admin: httpx.AsyncClient,
    create: Create,
    sync: Sync,
    services: Services,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    await create(scope=group_scope(group), assertions=[{"never": people[0]}])
    why = (await admin.get(f"/api/connections/{connection_id}/why/{people[0]}")).json()
    found = await sync(people[0])
    (change,) = await changes_of(services, Run.model_validate(found["run"]))

    assert found["run"]["status"] == "held"
    assert found["run"]["error"]["code"] == "assertion.failed"
    assert ("apply", False) in steps(found)
    assert "asserted never to be in" in found["steps"][-2]["message"]
    assert change["held"] is True
    assert "asserted never to be in" in why["nextRun"]["message"]
    assert await rows_of(services, connection_id) == {}


async def test_an_assertion_about_others_keeps_nobody_out(
    create: Create, sync: Sync, people: list[str], group: str
) -> None:
    """Who else is in, and how many, is not known to a run of one person."""
    found_by_all = [{"atLeast": 50}, {"in": "somebody@contoso.com"}, {"never": "svc-*"}]
    await create(scope=group_scope(group), assertions=found_by_all)

    assert (await sync(people[0]))["run"]["status"] == "succeeded"


async def test_the_last_of_a_number_keeps_the_value_when_named_as_well(
    *,
    create: Create,
    sync: Sync,
    admin: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
    people: list[str],
    group: str,
) -> None:
    """Of others nothing is read, but how many they are is counted where it matters."""
    (ann, ben, _), control = people, emulator.control
    for person, title in zip(people, ("admin", "admin", "user"), strict=True):
        control.patch_person(person, {"jobTitle": title})
    await create(
        scope=group_scope(group),
        mapping=[{"target": "role", "source": "jobTitle"}],
        assertions=[{"atLeast": 1, "where": {"role": "admin"}}],
    )
    await run_now(services, connection_id)
    control.patch_person(ann, {"jobTitle": "user"})
    control.patch_person(ben, {"jobTitle": "user"})
    first = await sync(ann)
    why = (await admin.get(f"/api/connections/{connection_id}/why/{ben}")).json()
    last = await sync(ben)
    rows = await rows_of(services, connection_id)

    assert (first["run"]["status"], rows[ann]["role"]) == ("succeeded", "user")
    assert (last["run"]["status"], rows[ben]["role"]) == ("held", "admin")
    assert last["run"]["error"]["code"] == "assertion.failed"
    assert "0 active people would have role = admin (1 now)" in last["run"]["error"]["message"]
    assert "0 active people would have role = admin (1 now)" in why["nextRun"]["message"]


@pytest.fixture
def dan(emulator: GraphEmulator) -> Iterator[str]:
    """Make a person who has been there for an hour; afterwards it is no later than before for the others."""
    person = emulator.control.create_person({"displayName": "Dan"})["id"]
    emulator.control.advance_clock(3600)
    yield person
    emulator.control.advance_clock(-3600)


async def test_one_answer_that_lacks_a_group_removes_nobody(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    made: Json,
    group: str,
    sync: Sync,
    dan: str,
) -> None:
    control, person = emulator.control, dan
    control.add_members(group, person)
    await run_now(services, connection_id)
    path = f"/v1.0/users/{person}/transitiveMemberOf"
    fault = control.add_fault("lag", path=path, minSeconds=1800, maxSeconds=1800)

    unsure = await sync(person)
    kept = await services.store.checkpoints.load(connection_id)

    assert unsure["person"]["status"] == "active"
    assert unsure["run"]["counts"]["unconfirmed"] == 1
    assert "another one differs" in steps_told(unsure)["decide"]
    assert {cause for one, cause in kept.cases if one == person} == {Cause.UNCONFIRMED}

    control.remove_fault(fault["id"])
    control.remove_members(group, person)
    assert (await sync(person))["person"]["status"] == "disabled"


def steps_told(found: Json) -> dict[str, str]:
    return {one["name"]: one["message"] for one in found["steps"]}
