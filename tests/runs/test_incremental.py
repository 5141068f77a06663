"""Incremental runs: the delta says whom to look at, a look says what is true."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID, sample_group_id
from sync_core.domain.documents.run import Mode, ModeReason, Run, RunStatus
from sync_core.domain.incremental import mode
from sync_core.domain.incremental.checkpoint import DeltaLink
from sync_core.domain.incremental.open_people import Settlement
from sync_core.runs.hold import held
from sync_core.runs.incremental import Looks
from sync_core.runs.preview import preview
from sync_core.services import Services, utc_now
from sync_core.store.checkpoints import Move, leave_to_next_run
from sync_core.store.tables import USERS
from tests.system import active, group_scope, rows_of, run_now, set_clock, stored_connection

ENGINEERING = sample_group_id(1)
PLATFORM = sample_group_id(2)
HOUR = timedelta(hours=1)


async def imported(services: Services, connection_id: str, **changes: Any) -> list[str]:
    """Import the sample's people and read them all once more after the lag; return who is in, sorted."""
    await stored_connection(services, connection_id, **changes)
    set_clock(services, lambda: utc_now() - HOUR)
    run = await run_now(services, connection_id)
    assert run.status is RunStatus.SUCCEEDED, run.error
    set_clock(services, utc_now)
    await run_now(services, connection_id)
    return sorted(await rows_of(services, connection_id))


async def looked(services: Services, connection_id: str) -> Run:
    """Run by the delta."""
    run = await run_now(services, connection_id, mode="incremental")
    assert (run.mode, run.mode_reason) == (Mode.INCREMENTAL, None), run.error
    return run


async def what_a_full_run_would_do(services: Services, connection_id: str) -> dict[str, int]:
    """Return what a full reading would change now; nothing where the table is what it would make."""
    connection = (await services.store.connections.get(connection_id)).connection
    counts = (await preview(services, connection)).counts.model_dump()
    kinds = ("created", "updated", "reenabled", "disabled", "deleted")
    return {kind: counts[kind] for kind in kinds if counts[kind]}


async def test_the_first_run_is_full_and_the_next_one_is_not(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    first = await run_now(services, connection_id)
    second = await looked(services, connection_id)

    assert (first.mode, first.mode_reason) == (Mode.FULL, ModeReason.FIRST)
    assert second.status is RunStatus.SUCCEEDED
    assert second.graph.requests == 2
    assert second.counts.candidates == 0


async def test_one_change_costs_twenty_calls_to_the_tables_at_most(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = await imported(services, connection_id)
    rename(emulator, people[0])
    sent = sent_to_tables(monkeypatch, str((await services.store.tables.table(USERS)).url))
    run = await looked(services, connection_id)

    assert run.counts.updated == 1
    assert len(sent) <= 20


def sent_to_tables(monkeypatch: pytest.MonkeyPatch, tables: str) -> list[str]:
    """Return the addresses of the requests to the tables, as they are sent from now on."""
    send, sent = AioHttpTransport.send, list[str]()

    async def counted(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        if str(request.url).startswith(tables):
            sent.append(str(request.url))
        return await send(self, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", counted)
    return sent


Change = Callable[[GraphEmulator, str], object]


def rename(emulator: GraphEmulator, person: str) -> None:
    emulator.control.patch_person(person, {"displayName": "Zoë O'Brien"})


def sign_in_name(emulator: GraphEmulator, person: str) -> None:
    emulator.control.patch_person(person, {"userPrincipalName": "zoe@contoso.com"})


def block(emulator: GraphEmulator, person: str) -> None:
    emulator.control.patch_person(person, {"accountEnabled": False})


def guest(emulator: GraphEmulator, person: str) -> None:
    emulator.control.patch_person(person, {"userType": "Guest"})


def leave_groups(emulator: GraphEmulator, person: str) -> None:
    for group in emulator.control.person(person)["memberOf"]:
        emulator.control.remove_members(group, person)


def soft_delete(emulator: GraphEmulator, person: str) -> None:
    emulator.control.soft_delete(person)


def hard_delete(emulator: GraphEmulator, person: str) -> None:
    emulator.control.soft_delete(person)
    emulator.control.hard_delete(person)


def join(emulator: GraphEmulator, _: str) -> None:
    made = emulator.control.create_person({"displayName": "New Colleague"})
    emulator.control.add_members(ENGINEERING, made["id"])


def group_enters(emulator: GraphEmulator, _: str) -> None:
    made = emulator.control.create_person({"displayName": "New Colleague"})
    group = emulator.control.create_group("Design")["id"]
    emulator.control.add_members(group, made["id"])
    emulator.control.add_members(PLATFORM, group)


def group_leaves(emulator: GraphEmulator, _: str) -> None:
    emulator.control.remove_members(SAMPLE_GROUP_ID, ENGINEERING)


def group_deleted(emulator: GraphEmulator, _: str) -> None:
    emulator.control.delete_group(ENGINEERING)


CHANGES = [
    rename, sign_in_name, block, guest, leave_groups, soft_delete, hard_delete, join, group_enters,
    group_leaves,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changes_is_found_by_the_delta_as_by_a_full_run(
    services: Services, emulator: GraphEmulator, connection_id: str, change: Change
) -> None:
    person, *_ = await imported(services, connection_id, policy={"guard": {"maxRemovals": None}})
    change(emulator, person)
    expected = await what_a_full_run_would_do(services, connection_id)
    assert expected

    run = await looked(services, connection_id)

    done = {kind: getattr(run.counts, kind) for kind in expected}
    assert (run.status, done) == (RunStatus.SUCCEEDED, expected), run
    assert await what_a_full_run_would_do(services, connection_id) == {}


async def test_a_nested_group_that_is_deleted_takes_a_full_reading(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    group_deleted(emulator, "")

    run = await run_now(services, connection_id, mode="incremental")

    assert (run.mode, run.mode_reason) == (Mode.FULL, ModeReason.CHEAPER)
    assert await what_a_full_run_would_do(services, connection_id) == {}


async def test_a_nested_group_that_no_list_of_groups_shows_brings_its_people_in_all_the_same(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The list of nested groups comes from an index that may lack some of them; the delta has told it."""
    control = emulator.control
    root = control.create_group("Root")["id"]
    await imported(services, connection_id, scope=group_scope(root))
    person = control.create_person({"displayName": "New Colleague"})["id"]
    control.add_members(root, control.create_group("Design", members=[person])["id"])
    control.add_fault("flappingCast", share=1.0)

    await looked(services, connection_id)

    assert active(await rows_of(services, connection_id)) == {person}


async def test_a_restored_group_brings_its_people_back(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    people = await imported(
        services, connection_id, policy={"guard": {"maxGroupLossPercent": None}}
    )
    group_deleted(emulator, "")
    await run_now(services, connection_id)
    assert active(await rows_of(services, connection_id)) < set(people)
    emulator.control.restore_group(ENGINEERING)

    await looked(services, connection_id)

    assert active(await rows_of(services, connection_id)) == set(people)


async def test_a_root_group_that_is_deleted_removes_nobody_and_is_named(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person, *_ = people = await imported(services, connection_id)
    emulator.control.delete_group(SAMPLE_GROUP_ID)
    rename(emulator, person)

    run = await looked(services, connection_id)

    assert run.status is RunStatus.PARTIAL
    assert [error.code for error in run.errors] == ["scope.groupNotFound"]
    assert active(await rows_of(services, connection_id)) == set(people)

    emulator.control.restore_group(SAMPLE_GROUP_ID)
    again = await run_now(services, connection_id, mode="incremental")
    assert (again.mode, again.status) == (Mode.FULL, RunStatus.SUCCEEDED), again.errors
    assert (await rows_of(services, connection_id))[person]["displayName"] == "Zoë O'Brien"


async def test_a_restored_person_comes_back_though_no_delta_tells_it(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person, *_ = await imported(services, connection_id)
    soft_delete(emulator, person)
    await looked(services, connection_id)
    assert person not in active(await rows_of(services, connection_id))
    emulator.control.settings(restored_in_delta="untoldWithSelect")
    emulator.control.restore(person)

    run = await looked(services, connection_id)

    assert run.counts.reenabled == 1
    assert person in active(await rows_of(services, connection_id))


async def test_people_whom_the_guard_holds_are_planned_again_by_each_run(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    first, second, third, *_ = await imported(
        services, connection_id, policy={"guard": {"maxRemovals": 1}}
    )
    for person in (first, second):
        block(emulator, person)
    held = await looked(services, connection_id)
    rename(emulator, third)

    again = await looked(services, connection_id)

    assert (held.status, held.counts.held) == (RunStatus.HELD, 2)
    assert (again.status, again.counts.held, again.counts.updated) == (RunStatus.HELD, 2, 1)
    assert again.plan_hash is not None
    assert held.plan_hash is not None
    assert again.plan_hash.split(".")[0] == held.plan_hash.split(".")[0]


async def test_the_guard_counts_what_incremental_runs_removed_one_by_one(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    people = await imported(services, connection_id, policy={"guard": {"maxRemovals": 2}})
    runs = []
    for person in people[:3]:
        block(emulator, person)
        runs.append(await looked(services, connection_id))

    assert [run.counts.disabled for run in runs] == [1, 1, 0]
    assert runs[-1].status is RunStatus.HELD
    assert active(await rows_of(services, connection_id)) == set(people[2:])


async def test_a_person_who_answers_404_without_a_word_of_the_delta_is_looked_at_twice(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person, *_ = await imported(services, connection_id)
    rename(emulator, person)
    emulator.control.add_fault("notFound", path=f"/v1.0/users/{person}**")
    emulator.control.add_fault("notFound", path=f"/v1.0/directory/deletedItems/{person}")

    first = await looked(services, connection_id)
    assert (first.counts.unconfirmed, first.counts.disabled) == (1, 0)
    assert first.counts.contradictions == 1

    set_clock(services, lambda: utc_now() + timedelta(minutes=6))
    second = await looked(services, connection_id)
    assert second.counts.disabled == 1

    emulator.control.clear_faults()
    set_clock(services, lambda: utc_now() + HOUR)
    third = await looked(services, connection_id)
    assert third.counts.reenabled == 1
    assert await what_a_full_run_would_do(services, connection_id) == {}


async def test_a_decision_about_a_person_who_is_looked_at_just_now_is_left_to_the_next_run(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, *_ = await imported(services, connection_id)
    tables = services.store.tables
    await leave_to_next_run(tables, connection_id, person, utc_now())
    look_at_all = Looks.look_at_all

    async def decided_meanwhile(looks: Looks) -> None:
        await look_at_all(looks)
        await leave_to_next_run(tables, connection_id, person, utc_now())

    with monkeypatch.context() as patch:
        patch.setattr(Looks, "look_at_all", decided_meanwhile)
        first = await looked(services, connection_id)
    runs = [await looked(services, connection_id) for _ in range(2)]

    assert [run.counts.candidates for run in (first, *runs)] == [1, 1, 0]


async def test_more_pages_of_changes_than_a_full_reading_takes_are_not_read_to_their_end(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await imported(services, connection_id)
    monkeypatch.setattr(mode, "FEW_REQUESTS", 0)  # or so small a scope would be read anyway
    emulator.control.add_fault("emptyPages", count=150, path="/v1.0/users/delta()")

    run = await run_now(services, connection_id, mode="auto")

    assert (run.mode, run.mode_reason) == (Mode.FULL, ModeReason.CHEAPER)
    assert run.status is RunStatus.SUCCEEDED
    assert 100 <= run.graph.empty_delta_pages < 150


@pytest.mark.parametrize("kind", ["full", "incremental"])
async def test_an_older_answer_undoes_what_was_written_for_a_quarter_of_an_hour_at_most(
    services: Services, emulator: GraphEmulator, connection_id: str, kind: str
) -> None:
    """Answers are no consistent sequence: the second one may show what was before the first one."""
    person, *_ = await imported(services, connection_id)
    column = (await rows_of(services, connection_id))[person]["email"]
    emulator.control.advance_clock(3600)
    emulator.control.patch_person(person, {"mail": "new@contoso.com"})
    await looked(services, connection_id)
    assert (await rows_of(services, connection_id))[person]["email"] == "new@contoso.com"

    emulator.control.add_fault(
        "lag", maxSeconds=900, minSeconds=300, what=["user", "list", "members"]
    )
    await leave_to_next_run(services.store.tables, connection_id, person, utc_now())
    await run_now(services, connection_id, mode=kind)
    assert (await rows_of(services, connection_id))[person]["email"] == column

    emulator.control.clear_faults()
    set_clock(services, lambda: utc_now() + timedelta(minutes=16))
    await looked(services, connection_id)
    assert (await rows_of(services, connection_id))[person]["email"] == "new@contoso.com"


async def test_after_a_quarter_of_an_hour_everything_is_read_once_more(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    set_clock(services, lambda: utc_now() + timedelta(minutes=20))

    run = await run_now(services, connection_id, mode="incremental")
    assert (run.mode, run.mode_reason) == (Mode.FULL, ModeReason.FIRST)
    assert run.counts.drift == 0

    assert (await looked(services, connection_id)).counts.candidates == 0


async def test_a_scope_by_what_the_tenant_tells_no_changes_of_is_read_in_full_each_time(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_tenant(refused_in_delta=["employeeType"])
    by_kind = {"attribute": "employeeType", "operator": "EQUALS", "value": "Employee"}
    await stored_connection(services, connection_id, scope={"filters": [{"clauses": [by_kind]}]})
    await run_now(services, connection_id)

    assert (await run_now(services, connection_id)).mode_reason is ModeReason.UNTRACKED_SCOPE


async def test_other_settings_are_read_in_full(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    changed = stored.connection.model_copy(
        update={"scope": type(stored.connection.scope).model_validate(group_scope(PLATFORM))}
    )
    await services.store.connections.replace(changed, stored)

    run = await run_now(services, connection_id)

    assert (run.mode, run.mode_reason) == (Mode.FULL, ModeReason.SETTINGS_CHANGED)


async def test_links_that_graph_does_not_give_now_are_asked_for_by_the_next_run(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A fault of a moment; not a tenant without delta, which is asked once a week."""
    people = await imported(services, connection_id)
    group_enters(emulator, "")
    # What is stored is told; the link for the new group is refused.
    emulator.control.add_fault("gone", path="/v1.0/groups/delta**", after=1)

    without = await run_now(services, connection_id, mode="incremental")
    emulator.control.clear_faults()
    again = await run_now(services, connection_id, mode="incremental")

    assert (without.status, without.mode_reason) == (RunStatus.SUCCEEDED, ModeReason.CHEAPER)
    assert len(await rows_of(services, connection_id)) == len(people) + 1
    assert (again.status, again.mode_reason) == (RunStatus.SUCCEEDED, ModeReason.LINK_REFUSED)
    assert (await looked(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_link_of_another_graph_is_not_followed_and_everything_is_read(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The rig has other ports after each start, and an app may be moved to another cloud's Graph."""
    await imported(services, connection_id)
    kept = await services.store.checkpoints.load(connection_id)
    assert kept.checkpoint is not None
    elsewhere = DeltaLink(link="https://graph.example/v1.0/users/delta", taken_at=utc_now())
    checkpoint = kept.checkpoint.model_copy(update={"users": elsewhere})
    async with held(services, connection_id, budget=None) as hold:
        move = Move(Settlement((), ()), checkpoint)
        await services.store.checkpoints.move(connection_id, kept, move, hold.fence)

    run = await run_now(services, connection_id, mode="incremental")

    assert (run.status, run.mode_reason) == (RunStatus.SUCCEEDED, ModeReason.LINK_REFUSED)
    assert (await looked(services, connection_id)).counts.candidates == 0


async def test_what_a_run_by_the_delta_would_have_found_is_no_drift(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Nobody is told of themselves here: their manager is, the group they are in, or the settings differ."""
    control = emulator.control
    boss, report, *_ = await imported(
        services, connection_id, mapping=[{"target": "boss", "source": "manager.displayName"}]
    )
    control.patch_person(report, {"manager": boss})
    await looked(services, connection_id)

    rename(emulator, boss)
    renamed = await run_now(services, connection_id, mode="full")
    group_enters(emulator, "")
    entered = await run_now(services, connection_id, mode="full")
    await looked(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    mapping = [type(stored.connection.mapping[0])(target="boss", source="manager.mail")]
    changed = stored.connection.model_copy(update={"mapping": mapping})
    await services.store.connections.replace(changed, stored)
    edited = await run_now(services, connection_id, mode="full")

    assert [run.counts.drift for run in (renamed, entered, edited)] == [0, 0, 0]
    assert renamed.counts.updated >= 1
    assert entered.counts.created == 1
    assert edited.counts.held > 0


async def test_a_full_run_that_finds_what_no_delta_told_counts_it_as_drift(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person, *_ = await imported(services, connection_id)
    table = await services.store.tables.table(USERS)
    await table.delete_entity(f"{connection_id}-{person[0]}", person)

    run = await run_now(services, connection_id, mode="full")

    assert (run.counts.drift, run.counts.created) == (1, 1)


async def test_a_group_that_is_read_in_full_when_it_enters_is_listed_again_by_the_next_run(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Its list lags, and its link tells nothing of what came before it."""
    await imported(services, connection_id)
    group = emulator.control.create_group("Design")["id"]
    emulator.control.advance_clock(3600)
    set_clock(services, lambda: utc_now() + HOUR)
    made = emulator.control.create_person({"displayName": "New Colleague"})["id"]
    emulator.control.add_members(group, made)
    emulator.control.add_members(PLATFORM, group)
    emulator.control.add_fault(
        "lag", path=f"/v1.0/groups/{group}/members**", maxSeconds=600, minSeconds=600
    )
    await run_now(services, connection_id, mode="full")
    assert made not in await rows_of(services, connection_id)
    emulator.control.clear_faults()
    emulator.control.advance_clock(1200)
    set_clock(services, lambda: utc_now() + HOUR + timedelta(minutes=20))

    await looked(services, connection_id)

    assert made in active(await rows_of(services, connection_id))


async def test_streams_of_groups_that_entered_one_by_one_are_packed_by_full_runs(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    for _ in range(3):
        group_enters(emulator, "")
        await looked(services, connection_id)
    requests = [(await looked(services, connection_id)).graph.requests]
    for _ in range(2):
        await run_now(services, connection_id, mode="full")
        requests.append((await looked(services, connection_id)).graph.requests)

    assert await what_a_full_run_would_do(services, connection_id) == {}
    # Four streams, those and the new one, the new one alone; and the people of the tenant.
    assert requests[0] - requests[-1] == 3


async def test_a_tenant_without_delta_is_read_in_full_and_not_asked_each_time(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_tenant(advanced_queries=False)
    await imported(services, connection_id)
    emulator.control.reset_requests()

    run = await run_now(services, connection_id, mode="incremental")
    asked = [one.path for one in emulator.control.requests() if "delta" in one.path]
    set_clock(services, lambda: utc_now() + timedelta(days=8))
    await run_now(services, connection_id)

    assert (run.mode_reason, asked) == (ModeReason.NO_DELTA, [])
    assert any("delta" in one.path for one in emulator.control.requests())
