"""Removals over the limit wait; everything else goes ahead, and the plan shows what waits."""

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.domain.documents import RunStatus
from sync_core.runs import planner
from sync_core.services import Services
from tests.system import active, changes_of, rows_of, run_now, stored_connection


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
        pytest.param({"maxRemovals": None, "maxRemovalPercent": None}, 20, "succeeded", id="none"),
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


async def test_too_many_creates_wait_as_well(services: Services, connection_id: str) -> None:
    await imported(services, connection_id, maxCreates=5)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.HELD
    assert run.counts.created == 0
    assert await rows_of(services, connection_id) == {}


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

    run = await run_now(services, connection_id)

    held = [change for change in await changes_of(services, run) if change["held"]]
    asked = [r for r in emulator.requests if r.path.startswith("/v1.0/users/")]
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
