"""Removals over the limit wait; everything else goes ahead, and the plan shows what waits."""

from collections.abc import Awaitable, Callable

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.connections.warnings import warnings_now
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.documents.scope import Scope
from sync_core.domain.plan.digest import moves_of
from sync_core.runs import hold, planner
from sync_core.runs.hold import Hold, OutOfTime
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.runs.events import stop_clock
from tests.system import active, changes_of, group_scope, rows_of, run_now, stored_connection

NO_LIMITS = {"maxRemovals": None, "maxRemovalPercent": None, "maxGroupLossPercent": None}


async def leave(emulator: GraphEmulator, services: Services, connection_id: str, count: int) -> int:
    people = sorted(active(await rows_of(services, connection_id)))
    emulator.control.change_many("softDelete", keys=people[:count])
    return len(people)


async def imported(services: Services, connection_id: str, **guard: object) -> None:
    await stored_connection(services, connection_id, policy={"guard": guard})
    await run_now(services, connection_id)


async def test_a_mass_removal_is_held_and_the_rest_goes_ahead(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    count = await leave(emulator, services, connection_id, 20)
    stays = sorted(emulator.control.members(SAMPLE_GROUP_ID, transitive=True))
    stays = [one for one in stays if one in active(await rows_of(services, connection_id))]
    emulator.control.patch_person(stays[-1], {"jobTitle": "Still here"})

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.status is RunStatus.HELD
    assert (run.counts.held, run.counts.disabled, run.counts.updated) == (20, 0, 1)
    assert len(active(rows)) == count
    assert rows[stays[-1]]["jobTitle"] == "Still here"
    assert run.error is not None
    assert run.error.code == "guard.held"
    assert f"20 of {count} active people" in run.error.message


async def test_held_removals_are_shown_with_their_reasons(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    await leave(emulator, services, connection_id, 20)

    run = await run_now(services, connection_id)

    held = [change for change in await changes_of(services, run) if change["held"]]
    assert len(held) == 20
    assert {change["reason"] for change in held} == {"softDeleted"}
    assert all(change["userPrincipalName"] for change in held)


async def test_the_same_removals_make_the_same_plan(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The hash names what would be approved; it changes when somebody is added to it."""
    await imported(services, connection_id)
    await leave(emulator, services, connection_id, 20)

    first, second = [await run_now(services, connection_id) for _ in range(2)]
    await leave(emulator, services, connection_id, 21)
    third = await run_now(services, connection_id)

    assert first.plan_hash == second.plan_hash
    assert third.plan_hash != second.plan_hash


@pytest.mark.parametrize(
    ("guard", "leavers", "status"),
    [
        pytest.param({"maxRemovals": 3, "maxRemovalPercent": 100}, 3, "succeeded", id="at count"),
        pytest.param({"maxRemovals": 3, "maxRemovalPercent": 100}, 4, "held", id="over count"),
        pytest.param(NO_LIMITS, 20, "succeeded", id="none"),
        pytest.param({"maxRemovals": 0}, 1, "held", id="zero allows nobody"),
    ],
)
async def test_limits_of_the_guard(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    guard: dict[str, object],
    leavers: int,
    status: str,
) -> None:
    await imported(services, connection_id, **guard)
    await leave(emulator, services, connection_id, leavers)

    run = await run_now(services, connection_id)

    assert run.status == status
    assert run.counts.disabled == (leavers if status == "succeeded" else 0)


async def widen(services: Services, connection_id: str) -> None:
    """Take everybody into the scope, as the API would once the plan was confirmed."""
    stored = await services.store.connections.get(connection_id)
    wide = stored.connection.model_copy(update={"scope": Scope(everyone=True)})
    await services.store.connections.replace(wide, stored)


async def test_a_first_import_is_never_held_and_who_comes_later_may_be(
    services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id, policy={"guard": {"maxCreates": 2}})
    first = await run_now(services, connection_id)
    await widen(services, connection_id)
    second = await run_now(services, connection_id)

    assert first.status is RunStatus.SUCCEEDED
    assert (second.status, second.counts.created) == (RunStatus.HELD, 0)
    assert second.counts.held == 3


async def test_a_first_import_that_was_cut_off_goes_on(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored_connection(services, connection_id, policy={"guard": {"maxCreates": 5}})
    with monkeypatch.context() as patch:
        # Of the checks that count, none comes by the clock: else a slow reading would be all that there is.
        patch.setattr(hold, "LOOK_EVERY_S", 600)
        patch.setattr(Hold, "check", cut_off_after(9))
        first = await run_now(services, connection_id)
    second = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert first.error is not None
    assert first.counts_at_least
    assert 0 < second.counts.created < len(rows)
    assert first.counts.created + second.counts.created <= len(rows)
    assert second.status is RunStatus.SUCCEEDED


def cut_off_after(batches: int) -> Callable[[Hold], Awaitable[None]]:
    left = [batches]

    async def check(_: Hold) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OutOfTime

    return check


async def test_a_slow_loss_is_held_like_a_sudden_one(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """What runs removed in the last hours counts, and is forgotten once the window is over."""
    clock = stop_clock(services)
    await imported(services, connection_id, maxRemovals=6, maxRemovalPercent=90)
    runs = []
    for _ in range(3):
        await leave(emulator, services, connection_id, 3)
        clock.skip(hours=1)
        runs.append(await run_now(services, connection_id))
    shown = await preview(
        services, (await services.store.connections.get(connection_id)).connection
    )
    clock.skip(hours=24)
    later = await run_now(services, connection_id)

    assert [run.counts.disabled for run in runs] == [3, 3, 0]
    assert runs[2].error is not None
    said = "3 people would be removed, after 6 in the last 24 hours; the limit is 6 in 24 hours"
    assert said in runs[2].error.message
    assert [said in one.message for one in shown.warnings if one.code == "guard.held"] == [True]
    assert (later.status, later.counts.disabled) == (RunStatus.SUCCEEDED, 3)


async def test_who_was_approved_or_came_back_is_not_counted(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id, maxRemovals=3, maxRemovalPercent=90)
    await leave(emulator, services, connection_id, 5)
    held = await run_now(services, connection_id)
    moves = moves_of(held.plan_hash or "")
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())
    approved = await run_now(services, connection_id)
    gone = sorted(active(await rows_of(services, connection_id)))[:3]
    emulator.control.change_many("softDelete", keys=gone)
    counted = await run_now(services, connection_id)
    emulator.control.change_many("restore", keys=gone)
    back = await run_now(services, connection_id)
    await leave(emulator, services, connection_id, 3)
    last = await run_now(services, connection_id)

    assert (held.status, approved.counts.disabled) == (RunStatus.HELD, 5)
    assert (counted.counts.disabled, back.counts.reenabled) == (3, 3)
    assert (last.status, last.counts.disabled) == (RunStatus.SUCCEEDED, 3)


async def test_people_who_come_back_at_once_wait_like_new_ones(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(
        services, connection_id, maxRemovalPercent=90, maxCreates=10, maxGroupLossPercent=None
    )
    await leave(emulator, services, connection_id, 20)
    left = await run_now(services, connection_id)
    disabled = await rows_of(services, connection_id)
    gone = [key for key, row in disabled.items() if row["Status"] == "disabled"]
    emulator.control.change_many("restore", keys=gone)

    run = await run_now(services, connection_id)
    moves = moves_of(run.plan_hash or "")
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())
    approved = await run_now(services, connection_id)

    assert left.counts.disabled == 20
    assert (run.status, run.counts.reenabled, run.counts.held) == (RunStatus.HELD, 0, 20)
    assert run.error is not None
    assert "20 people would be created or enabled again" in run.error.message
    assert approved.counts.reenabled == 20


async def test_values_that_vanish_for_many_wait_and_other_updates_go_ahead(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A lost permission empties a column for nearly everybody, and Graph says nothing of it."""
    await imported(services, connection_id)
    before = await rows_of(services, connection_id)
    first, *others = sorted(active(before))
    for person in others:
        emulator.control.patch_person(person, {"jobTitle": None})
    emulator.control.patch_person(first, {"jobTitle": "Other"})

    run = await run_now(services, connection_id)
    shown = await preview(
        services, (await services.store.connections.get(connection_id)).connection
    )

    after = await rows_of(services, connection_id)
    had_one = [person for person in others if before[person].get("jobTitle")]
    assert (run.status, run.counts.updated) == (RunStatus.HELD, 1)
    assert run.counts.held == run.columns["jobTitle"].blanked == len(had_one)
    assert run.error is not None
    assert f"jobTitle would be emptied for {len(had_one)} of {len(before)}" in run.error.message
    assert all(after[one]["jobTitle"] == before[one]["jobTitle"] for one in had_one)
    assert after[first]["jobTitle"] == "Other"
    assert [(one.column, one.people) for one in shown.held_values] == [("jobTitle", len(had_one))]


async def test_people_who_come_back_to_a_wrong_mapping_wait(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A connection that was deleted has disabled them all; made again, it must not empty their rows."""
    await imported(services, connection_id, **NO_LIMITS)
    await leave(emulator, services, connection_id, 10_000)
    await run_now(services, connection_id)
    gone = await rows_of(services, connection_id)
    emulator.control.change_many("restore", keys=sorted(gone))
    stored = await services.store.connections.get(connection_id)
    rule = MappingRule(target="email", constant="all@contoso.com")
    wrong = stored.connection.model_copy(update={"mapping": [rule]})
    await services.store.connections.replace(wrong, stored)
    run = await run_now(services, connection_id)

    assert active(gone) == set()
    assert (run.status, run.counts.reenabled) == (RunStatus.HELD, 0)
    assert run.columns["email"].rewritten == len(gone)
    assert run.error is not None
    assert (
        f"displayName would be emptied for {len(gone)} of {len(gone)} people" in run.error.message
    )


async def test_deletions_have_a_limit_of_their_own(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    policy = {"softDeleted": "delete", "guard": {"maxDeletes": 2, "maxRemovalPercent": 90}}
    await stored_connection(services, connection_id, policy=policy)
    await run_now(services, connection_id)
    count = await leave(emulator, services, connection_id, 3)

    run = await run_now(services, connection_id)

    assert (run.status, run.counts.deleted, run.counts.held) == (RunStatus.HELD, 0, 3)
    assert len(await rows_of(services, connection_id)) == count


async def test_of_very_many_leavers_only_the_first_are_asked_for(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that will be held anyway does not ask for 100,000 people one by one."""
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 5)
    monkeypatch.setattr(planner, "CONFIRM_HELD", 15)
    await imported(services, connection_id)
    await leave(emulator, services, connection_id, 30)
    emulator.control.reset_requests()

    run = await run_now(services, connection_id, mode="full")

    held = [change for change in await changes_of(services, run) if change["held"]]
    asked = [
        r for r in emulator.requests if r.path in {f"/v1.0/users/{one['objectId']}" for one in held}
    ]
    assert (run.status, run.counts.held, run.counts.disabled) == (RunStatus.HELD, 30, 0)
    assert [change["reason"] for change in held] == ["softDeleted"] * 15 + [None] * 15
    assert len(asked) == 15


async def test_leavers_who_are_kept_by_policy_never_hold_a_run(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 5)
    monkeypatch.setattr(planner, "CONFIRM_HELD", 5)
    await stored_connection(services, connection_id, policy={"softDeleted": "keep"})
    await run_now(services, connection_id)
    await leave(emulator, services, connection_id, 20)

    run = await run_now(services, connection_id)

    assert (run.status, run.counts.held) == (RunStatus.SUCCEEDED, 0)


async def test_an_emptied_group_is_held_though_it_is_a_small_part_of_all(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    clock = stop_clock(services)
    people = sorted(emulator.control.members(SAMPLE_GROUP_ID, transitive=True))[:12]
    group = emulator.control.create_group("Team North", members=people, membership_rule="a")["id"]
    guard = {"guard": {"maxRemovalPercent": 90}}
    await stored_connection(services, connection_id, scope=group_scope(group), policy=guard)
    first = await run_now(services, connection_id)
    emulator.control.remove_members(group, *people[:4])
    some = await run_now(services, connection_id)
    emulator.control.remove_members(group, *people[4:8])
    clock.skip(hours=1)
    held = await run_now(services, connection_id)
    emulator.control.add_members(group, *people[4:8])
    back = await run_now(services, connection_id)

    assert first.counts.created - some.counts.disabled > some.counts.disabled > 0
    assert (held.status, held.counts.disabled) == (RunStatus.HELD, 0)
    assert held.error is not None
    assert "group Team North lost 8 of 12, and is dynamic" in held.error.message
    assert (back.status, back.counts.disabled) == (RunStatus.SUCCEEDED, 0)


async def test_a_held_run_is_told_by_its_connection_until_it_is_over(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await imported(services, connection_id)
    people = sorted(active(await rows_of(services, connection_id)))[:20]
    emulator.control.change_many("softDelete", keys=people)
    await run_now(services, connection_id)
    held = await warnings_of(services, connection_id)
    opened = await services.store.incidents.all(connection_id)
    emulator.control.change_many("restore", keys=people)
    await run_now(services, connection_id)
    [(code, ended_at)] = await services.store.incidents.all(connection_id)

    [message] = [one.message for one in held if one.code == "guard.held"]
    assert "20 of " in message
    assert opened == [("guard.held", None)]
    assert (code, ended_at is None) == ("guard.held", False)
    assert "guard.held" not in {one.code for one in await warnings_of(services, connection_id)}


async def warnings_of(services: Services, connection_id: str) -> list[Warning]:
    stored = await services.store.connections.get(connection_id)
    state = await services.store.verifications.read(connection_id)
    return await warnings_now(services, stored.connection, state)


async def test_a_rise_to_a_sensitive_value_waits_for_approval(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    role = {"target": "role", "source": "jobTitle", "sensitive": ["admin"]}
    await stored_connection(services, connection_id, mapping=[role])
    await run_now(services, connection_id)
    riser, other, *_ = sorted(active(await rows_of(services, connection_id)))
    emulator.control.patch_person(riser, {"jobTitle": "admin"})
    emulator.control.patch_person(other, {"jobTitle": "user"})
    held = await run_now(services, connection_id)
    before = await rows_of(services, connection_id)
    moves = moves_of(held.plan_hash or "")
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())
    approved = await run_now(services, connection_id)

    assert (held.status, held.counts.held, held.counts.updated) == (RunStatus.HELD, 1, 1)
    assert held.error is not None
    assert "column role would become admin for 1 person" in held.error.message
    assert (before[riser].get("role"), before[other]["role"]) != ("admin", None)
    assert (approved.status, approved.counts.updated) == (RunStatus.SUCCEEDED, 1)
    assert (await rows_of(services, connection_id))[riser]["role"] == "admin"
