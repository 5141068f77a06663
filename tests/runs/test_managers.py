"""A manager is a reference: to the row of a person who is in, whenever that person comes in."""

import math
import random
from collections.abc import Iterable
from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core.directory import requests
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.people.sync_now import sync_person
from sync_core.runs import spool
from sync_core.services import Services
from tests.system import (
    ADMINISTRATOR,
    active,
    changes_of,
    group_scope,
    rows_of,
    run_now,
    stored_connection,
)

MAPPING = [
    {"target": "displayName", "source": "displayName"},
    {"target": "managerId", "source": "manager"},
    {"target": "managerName", "expression": "[manager.displayName]"},
]
NO_GUARD = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}
DELETING = {"leftScope": "delete", "accountDisabled": "delete", "softDeleted": "delete",
            "hardDeleted": "delete"}  # fmt: skip


def hire(emulator: GraphEmulator, name: str, manager: str | None = None, **values: Any) -> str:
    """Create somebody; the later one is created, the later one is read."""
    control = emulator.control
    object_id = str(control.create_person({"displayName": name, **values})["id"])
    if manager is not None:
        control.patch_person(object_id, {"manager": manager})
    return object_id


def group(emulator: GraphEmulator, *members: str) -> str:
    return str(emulator.control.create_group("Staff", members=members)["id"])


async def connect(
    services: Services, connection_id: str, group_id: str | None = None, **changes: Any
) -> None:
    scope = {"everyone": True} if group_id is None else group_scope(group_id)
    await stored_connection(
        services,
        connection_id,
        **({"scope": scope, "mapping": MAPPING, "policy": NO_GUARD} | changes),
    )


async def managers_of(services: Services, connection_id: str) -> dict[str, str | None]:
    rows = await rows_of(services, connection_id)
    return {object_id: row.get("managerId") for object_id, row in rows.items()}


async def succeeded(services: Services, connection_id: str) -> Run:
    run = await run_now(services, connection_id)
    assert run.status is RunStatus.SUCCEEDED, (run.error, run.errors)
    return run


def expected(emulator: GraphEmulator, present: Iterable[str]) -> dict[str, str | None]:
    """Say what the references of these people have to be, by the directory itself."""
    people = set(present)
    told = {one: emulator.control.person(one)["manager"] for one in people}
    return {one: manager if manager in people else None for one, manager in told.items()}


@pytest.mark.parametrize("order", ["manager first", "manager last"])
async def test_manager_and_person_come_in_with_the_same_run(
    services: Services, emulator: GraphEmulator, connection_id: str, order: str
) -> None:
    one, other = hire(emulator, "One"), hire(emulator, "Other")
    boss, person = (one, other) if order == "manager first" else (other, one)
    emulator.control.patch_person(person, {"manager": boss})
    await connect(services, connection_id, group(emulator, one, other))

    run = await succeeded(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.counts.created == 2
    assert rows[person]["managerId"] == boss
    assert rows[person]["managerName"] == rows[boss]["displayName"]
    assert not {"managerId", "managerName"} & rows[boss].keys()


@pytest.mark.parametrize("everyone", [True, False])
async def test_a_whole_tenant_gets_its_references_at_once(
    services: Services, emulator: GraphEmulator, connection_id: str, everyone: bool
) -> None:
    ids = [one["id"] for one in emulator.control.people()]
    await connect(services, connection_id, None if everyone else group(emulator, *ids))

    await succeeded(services, connection_id)

    found = await managers_of(services, connection_id)
    assert found == expected(emulator, found)
    assert sum(manager is not None for manager in found.values()) > 20


async def test_nothing_is_written_when_nothing_has_changed(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await connect(services, connection_id)
    first = await succeeded(services, connection_id)

    run = await succeeded(services, connection_id)

    assert run.counts.unchanged == first.counts.created > 40
    assert await changes_of(services, run) == []


async def test_a_manager_who_comes_in_later_is_filled_in(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The person did not change, and nobody has to restart anything."""
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    staff = group(emulator, person)
    await connect(services, connection_id, staff)
    await succeeded(services, connection_id)
    before = await rows_of(services, connection_id)
    assert "managerId" not in before[person]
    assert before[person]["managerName"] == "Boss"

    emulator.control.add_members(staff, boss)
    run = await succeeded(services, connection_id)

    assert (run.counts.created, run.counts.updated) == (1, 1)
    assert (await managers_of(services, connection_id))[person] == boss
    told = {change["objectId"]: change["fields"] for change in await changes_of(services, run)}
    assert told[person] == {"managerId": [None, boss]}


async def test_a_new_or_no_manager_is_a_change(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    old, new = hire(emulator, "Old"), hire(emulator, "New")
    person = hire(emulator, "Person", old)
    await connect(services, connection_id, group(emulator, old, new, person))
    await succeeded(services, connection_id)

    emulator.control.patch_person(person, {"manager": new})
    await succeeded(services, connection_id)
    assert (await managers_of(services, connection_id))[person] == new

    emulator.control.patch_person(person, {"manager": None})
    await succeeded(services, connection_id)
    assert (await managers_of(services, connection_id))[person] is None


async def test_a_manager_who_is_disabled_keeps_a_row_and_is_still_referred_to(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    staff = group(emulator, boss, person)
    await connect(services, connection_id, staff)
    await succeeded(services, connection_id)

    emulator.control.remove_members(staff, boss)
    run = await succeeded(services, connection_id)
    again = await succeeded(services, connection_id)

    assert (run.counts.disabled, again.counts.unchanged) == (1, 1)
    assert (await managers_of(services, connection_id))[person] == boss


@pytest.mark.parametrize("order", ["manager first", "manager last"])
async def test_a_manager_who_is_deleted_by_this_run_is_nobodys_any_more(
    services: Services, emulator: GraphEmulator, connection_id: str, order: str
) -> None:
    one, other = hire(emulator, "One"), hire(emulator, "Other")
    boss, person = (one, other) if order == "manager first" else (other, one)
    emulator.control.patch_person(person, {"manager": boss})
    staff = group(emulator, one, other)
    await connect(services, connection_id, staff, policy=NO_GUARD | DELETING)
    await succeeded(services, connection_id)

    emulator.control.remove_members(staff, boss)
    run = await succeeded(services, connection_id)

    assert (run.counts.deleted, run.counts.updated) == (1, 1)
    assert await managers_of(services, connection_id) == {person: None}
    # The directory still knows the manager.
    assert (await rows_of(services, connection_id))[person]["managerName"]


@pytest.mark.parametrize("protected_by", ["id", "name"])
async def test_a_manager_whose_deletion_is_not_done_is_still_referred_to(
    services: Services, emulator: GraphEmulator, connection_id: str, protected_by: str
) -> None:
    boss = hire(emulator, "Boss", userPrincipalName="boss@contoso.com")
    person = hire(emulator, "Person", boss)
    staff = group(emulator, boss, person)
    names = {"protected": [boss if protected_by == "id" else "boss@contoso.com"]}
    await connect(services, connection_id, staff, policy=NO_GUARD | DELETING | names)
    await succeeded(services, connection_id)

    emulator.control.remove_members(staff, boss)
    run = await succeeded(services, connection_id)

    assert (run.counts.deleted, run.counts.updated) == (0, 0)
    assert await managers_of(services, connection_id) == {boss: None, person: boss}


async def test_a_manager_whose_deletion_is_held_is_still_referred_to(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    staff = group(emulator, boss, person)
    guard = {"guard": {"maxRemovals": 0, "maxRemovalPercent": None}}
    await connect(services, connection_id, staff, policy=guard | DELETING)
    await succeeded(services, connection_id)

    emulator.control.remove_members(staff, boss)
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.HELD
    assert await managers_of(services, connection_id) == {boss: None, person: boss}


async def test_a_newcomer_who_is_held_is_not_referred_to(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Nobody may follow a reference to a row that waits for approval."""
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    staff = group(emulator, person)
    guard = {"guard": {"maxRemovals": None, "maxRemovalPercent": None, "maxCreates": 1}}
    await connect(services, connection_id, staff, policy=guard)
    await succeeded(services, connection_id)

    emulator.control.add_members(staff, boss, hire(emulator, "Third", boss))
    run = await run_now(services, connection_id)
    again = await run_now(services, connection_id)

    assert (run.status, run.counts.held) == (RunStatus.HELD, 2)
    assert run.plan_hash == again.plan_hash
    assert await managers_of(services, connection_id) == {person: None}


async def test_a_deleted_account_is_nobodys_manager_until_restored(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    others = [hire(emulator, "X"), hire(emulator, "Y")]
    emulator.control.patch_person(others[0], {"manager": others[1]})
    await connect(services, connection_id, group(emulator, boss, person, *others))
    await succeeded(services, connection_id)

    emulator.control.soft_delete(boss)
    await succeeded(services, connection_id)
    assert (await managers_of(services, connection_id))[person] is None

    emulator.control.restore(boss)
    await succeeded(services, connection_id)
    assert (await managers_of(services, connection_id))[person] == boss


async def test_circles_and_ones_own_manager(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    one, two, three, own = (hire(emulator, name) for name in ("One", "Two", "Three", "Own"))
    for person, boss in ((one, two), (two, three), (three, one), (own, own)):
        emulator.control.patch_person(person, {"manager": boss})
    await connect(services, connection_id, group(emulator, one, two, three, own))

    await succeeded(services, connection_id)
    again = await succeeded(services, connection_id)

    assert again.counts.unchanged == 4
    assert await managers_of(services, connection_id) == {
        one: two, two: three, three: one, own: own,
    }  # fmt: skip


async def test_a_manager_who_cannot_come_in_is_not_referred_to(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Rejected, or blocked and never imported: no row, no reference."""
    person = hire(emulator, "Person")
    other = hire(emulator, "Other")
    too_long = hire(emulator, "x" * 40_000)
    blocked = hire(emulator, "Blocked", accountEnabled=False)
    emulator.control.patch_person(person, {"manager": too_long})
    emulator.control.patch_person(other, {"manager": blocked})
    mapping = MAPPING[:2]
    await connect(
        services,
        connection_id,
        group(emulator, person, other, too_long, blocked),
        mapping=mapping,
    )

    run = await run_now(services, connection_id)

    assert [(e.object_id, e.code) for e in run.errors] == [(too_long, "record.valueTooLarge")]
    assert await managers_of(services, connection_id) == {person: None, other: None}


async def test_whoever_needs_a_manager_who_is_in_follows_the_whole_way_up(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The expression refuses people without a manager who is in: the chief first, then all below."""
    needs = 'IIF(IsPresent([manager]), [manager], Error("no manager who is in"))'
    mapping = [MAPPING[0], {"target": "managerId", "expression": needs}]
    worker = hire(emulator, "Worker")
    lead = hire(emulator, "Lead")
    chief = hire(emulator, "Chief")
    emulator.control.patch_person(worker, {"manager": lead})
    emulator.control.patch_person(lead, {"manager": chief})
    await connect(services, connection_id, group(emulator, worker, lead, chief), mapping=mapping)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.PARTIAL
    assert {error.object_id for error in run.errors} == {worker, lead, chief}
    assert await rows_of(services, connection_id) == {}


@pytest.mark.parametrize("most", [None, 5], ids=["newcomers flow", "newcomers are held"])
async def test_the_plan_is_the_same_in_whatever_order_people_are_read(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    most: int | None,
) -> None:
    """Small pages of several groups come in any order; the names of the plans are compared."""
    monkeypatch.setattr(requests, "MAX_PAGE", 7)
    ids = [one["id"] for one in emulator.control.people() if one.get("accountEnabled")]
    later, leaving, shuffled = ids[:6], ids[6:15], ids[6:]
    policy = {"guard": NO_GUARD["guard"] | {"maxCreates": most}} | DELETING
    order = random.Random(1)
    first, second = set[str](), set[str]()
    for number in range(4):
        name = f"{connection_id}-{number}"
        order.shuffle(shuffled)
        parts = [group(emulator, *shuffled[start::3]) for start in range(3)]
        await connect(services, name, scope=group_scope(*parts), policy=policy)
        first.add(decided(await run_now(services, name)))
        # Leaders who were in go, others who were not come in.
        for part in parts:
            emulator.control.remove_members(part, *leaving)
        emulator.control.add_members(parts[number % 3], *later)
        second.add(decided(await run_now(services, name)))

    assert len(first) == 1
    assert len(second) == 1


def decided(run: Run) -> str:
    """Name what was decided about each person; the other half of a plan's name holds the connection."""
    assert run.plan_hash is not None
    return f"{run.plan_hash.partition('.')[2]} {run.counts}"


@pytest.mark.parametrize("policy", [{}, DELETING], ids=["disabling", "deleting"])
async def test_after_any_changes_references_are_what_the_directory_says(
    services: Services, emulator: GraphEmulator, connection_id: str, policy: dict[str, str]
) -> None:
    control, dice = emulator.control, random.Random(7)
    ids = [hire(emulator, f"P {number}") for number in range(14)]
    staff = group(emulator, *ids[::2])
    await connect(services, connection_id, staff, policy=NO_GUARD | policy)
    for _ in range(12):
        for _ in range(4):
            person, other = dice.choice(ids), dice.choice(ids)
            action = dice.choice(["report", "report", "alone", "join", "join", "leave", "delete"])
            if action == "join":
                control.restore(person)
                control.add_members(staff, person)
            elif action == "leave":
                control.remove_members(staff, person)
            elif action == "delete":
                control.soft_delete(person)
            else:
                control.patch_person(person, {"manager": other if action == "report" else None})

        await succeeded(services, connection_id)

        rows = await rows_of(services, connection_id)
        found = await managers_of(services, connection_id)
        told = expected(emulator, rows)
        assert {one: found[one] for one in active(rows)} == {one: told[one] for one in active(rows)}


async def test_the_scope_may_ask_for_the_manager(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """By the id in the directory, whether or not the manager is in."""
    boss = hire(emulator, "Boss", userPrincipalName="boss@contoso.com")
    person, lone = hire(emulator, "Person", boss), hire(emulator, "Lone")
    staff = group(emulator, boss, person, lone)

    def scope(clause: dict[str, Any]) -> dict[str, Any]:
        in_group = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [staff]}
        return {"filters": [{"clauses": [in_group, clause]}]}

    for number, (clause, found) in enumerate(
        [
            ({"attribute": "manager", "operator": "EQUALS", "value": boss.upper()}, {person}),
            ({"attribute": "manager", "operator": "IS NULL"}, {boss, lone}),
            ({"attribute": "manager", "operator": "IS NOT NULL"}, {person}),
            (
                {
                    "attribute": "manager.userPrincipalName",
                    "operator": "EQUALS",
                    "value": "boss@contoso.com",
                },
                {person},
            ),
        ]
    ):
        name = f"{connection_id}-{number}"
        await connect(services, name, scope=scope(clause))
        await succeeded(services, name)
        assert (await rows_of(services, name)).keys() == found

    emulator.control.patch_person(person, {"manager": None})
    run = await succeeded(services, f"{connection_id}-0")

    assert run.counts.disabled == 1
    assert active(await rows_of(services, f"{connection_id}-0")) == set()


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.parametrize("everyone", [True, False])
async def test_managers_cost_a_request_for_300_people(
    services: Services, emulator: GraphEmulator, connection_id: str, everyone: bool
) -> None:
    for number in range(700):
        emulator.control.create_person({"displayName": f"P {number}", "userType": "Member"})
    ids = [one["id"] for one in emulator.control.people(top=1000)]
    staff = None if everyone else group(emulator, *ids)
    await connect(services, f"{connection_id}-a", staff, mapping=MAPPING[:1])
    await connect(services, f"{connection_id}-b", staff)
    without = await succeeded(services, f"{connection_id}-a")
    with_managers = await succeeded(services, f"{connection_id}-b")

    people = with_managers.counts.created
    more = with_managers.graph.requests - without.graph.requests
    assert people == without.counts.created > 700
    assert more == math.ceil(people / 300)


async def test_most_of_it_stays_on_disk(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is decided later waits in a file, also when that is not kept in memory any more."""
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1)
    await connect(services, connection_id)

    await succeeded(services, connection_id)

    found = await managers_of(services, connection_id)
    assert found == expected(emulator, found)


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "where"),
    [("throttled", "batch"), ("unavailable", "batch"), ("unavailable", "direct")],
)
async def test_a_passing_trouble_with_managers_changes_nothing_about_the_outcome(
    services: Services, emulator: GraphEmulator, connection_id: str, kind: str, where: str
) -> None:
    await connect(services, connection_id)
    path = "/v1.0/users" if where == "batch" else "/v1.0/$batch"
    emulator.control.add_fault(kind, path=path, where=where, times=3, retryAfter="0.01")

    run = await succeeded(services, connection_id)

    found = await managers_of(services, connection_id)
    assert run.graph.retried > 0
    assert found == expected(emulator, found)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "unavailable", "path": "/v1.0/users", "where": "batch"}, "graph.unavailable"),
        ({"kind": "throttled", "path": "/v1.0/users", "where": "batch"}, "graph.throttled"),
        ({"kind": "hiddenManagers"}, "graph.managersHidden"),
        ({"kind": "lostPermission", "roles": ["User.Read.All"]}, "graph.permissionMissing"),
    ],
    ids=["unavailable", "throttled", "hidden", "permission lost"],
)
async def test_managers_that_cannot_be_read_clear_no_reference(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    fault: dict[str, Any],
    code: str,
) -> None:
    ids = [one["id"] for one in emulator.control.people()]
    await connect(services, connection_id, group(emulator, *ids))
    await succeeded(services, connection_id)
    before = await rows_of(services, connection_id)
    emulator.control.patch_person(min(before), {"displayName": "Changed"})
    emulator.control.add_fault(fault.pop("kind"), **fault)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.code == code
    assert await rows_of(services, connection_id) == before


@pytest.mark.parametrize("judged", [False, True], ids=["copied", "asked for by the scope"])
async def test_a_hidden_manager_neither_blanks_nor_removes_one_person_alone(
    services: Services, emulator: GraphEmulator, connection_id: str, judged: bool
) -> None:
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    scope = group_scope(group(emulator, person))
    if judged:
        scope["filters"][0]["clauses"] += [{"attribute": "manager", "operator": "IS NOT NULL"}]
    await connect(services, connection_id, scope=scope)
    await succeeded(services, connection_id)
    before = await rows_of(services, connection_id)
    emulator.control.add_fault("hiddenManagers")

    found = await sync_person(services, connection_id, person, ADMINISTRATOR)

    assert found.run.status is RunStatus.FAILED
    assert found.run.error is not None
    assert found.run.error.code == "graph.managersHidden"
    assert await rows_of(services, connection_id) == before


async def test_a_first_manager_who_is_told_by_one_answer_and_not_by_another_is_asked_for_again(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Right after the change, as a notification has them looked at: no permission is missing."""
    boss, person = hire(emulator, "Boss"), hire(emulator, "Person")
    await connect(services, connection_id, group(emulator, boss, person))
    await succeeded(services, connection_id)
    before = await rows_of(services, connection_id)
    emulator.control.patch_person(person, {"manager": boss})
    lag = emulator.control.add_fault("lag", what=["user", "list"], minSeconds=900, maxSeconds=900)

    late = (await sync_person(services, connection_id, person, ADMINISTRATOR)).run
    assert [(one.object_id, one.code) for one in late.errors] == [(person, "record.unanswered")]
    assert await rows_of(services, connection_id) == before

    emulator.control.remove_fault(lag["id"])
    await sync_person(services, connection_id, person, ADMINISTRATOR)
    assert (await managers_of(services, connection_id))[person] == boss


async def test_nobody_with_a_manager_is_believed_after_asking_directly(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = hire(emulator, "Person")
    await connect(services, connection_id, group(emulator, person))

    await succeeded(services, connection_id)

    asked = [one.path for one in emulator.control.requests()]
    assert f"/v1.0/users/{person}/manager" in asked
    assert await managers_of(services, connection_id) == {person: None}


async def test_somebody_of_whom_no_manager_is_told_stays_as_stored(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deleted for good between the two questions, the answer knows nothing of the person."""
    boss = hire(emulator, "Boss")
    person = hire(emulator, "Person", boss)
    other = hire(emulator, "Other", boss)
    await connect(services, connection_id, group(emulator, boss, person, other))
    await succeeded(services, connection_id)
    before = await rows_of(services, connection_id)
    asked = requests.users_by_id

    def deleted_meanwhile(*arguments: Any) -> Any:
        if emulator.control.people(search=person):
            emulator.control.hard_delete(person)
        return asked(*arguments)

    monkeypatch.setattr("sync_core.directory.managers.users_by_id", deleted_meanwhile)
    emulator.control.patch_person(other, {"displayName": "Changed"})

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert [(e.object_id, e.code) for e in run.errors] == [(person, "record.managerUnknown")]
    assert rows[person] == before[person]
    assert rows[other]["displayName"] == "Changed"
