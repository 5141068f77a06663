"""What runs learn of notifications: how fast changes come by them, and which ones they did not tell."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import sample_group_id
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.incremental.open_people import Cause, OpenCase
from sync_core.domain.plan.digest import moves_of
from sync_core.domain.realtime import RealtimeState
from sync_core.runs.preview import preview
from sync_core.services import Services, utc_now
from sync_core.store.tables import USERS
from tests.runs.test_incremental import HOUR, imported, looked, sent_to_tables
from tests.runs.world import NO_LIMITS
from tests.system import rows_of, run_now, set_clock

ENGINEERING = sample_group_id(1)
NO_GUARD = {"guard": NO_LIMITS}

Happens = Callable[[Services, GraphEmulator, str], Awaitable[None]]


async def known(services: Services, connection_id: str) -> RealtimeState:
    return (await services.store.realtime.read(connection_id)).state


async def notified(services: Services, connection_id: str, person: str, told_at: datetime) -> None:
    """Leave a person to the next run, as a notification does."""
    case = OpenCase(person, Cause.NOTIFIED, utc_now(), utc_now(), told_at=told_at)
    await services.store.checkpoints.notify(connection_id, [case])


def several(emulator: GraphEmulator, people: list[str]) -> dict[str, set[str]]:
    """Change people in the ways that there are; return which subscriptions have to tell each of it."""
    control = emulator.control
    renamed, blocked, deleted, leaver, *_ = people
    made = str(control.create_person({"displayName": "New Colleague"})["id"])
    control.patch_person(renamed, {"displayName": "Zoë O'Brien"})
    control.patch_person(blocked, {"accountEnabled": False})
    control.soft_delete(deleted)
    groups = set(control.person(leaver)["memberOf"])
    for group in groups:
        control.remove_members(group, leaver)
    control.add_members(ENGINEERING, made)
    told = {one: {"users"} for one in (renamed, blocked, deleted)}
    return told | {leaver: groups, made: {"users", ENGINEERING}}


def missed(state: RealtimeState) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for slot, some in state.untold.items():
        for one in some:
            found.setdefault(one.person, set()).add(slot)
    return found


async def test_what_polling_finds_and_no_notification_told_is_kept_with_who_should_have_told_it(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="entra_user_sync")
    people = await imported(services, connection_id, realtime=True, policy=NO_GUARD)
    untold = several(emulator, people)
    told = people[-1]
    emulator.control.patch_person(told, {"displayName": "Told"})
    await notified(services, connection_id, told, utc_now() - timedelta(seconds=3))

    run = await looked(services, connection_id)

    state = await known(services, connection_id)
    assert run.counts.updated + run.counts.disabled + run.counts.created == 6
    found = missed(state)
    assert found.keys() == untold.keys()
    assert all(found[one] and found[one] <= untold[one] for one in untold), (found, untold)
    assert (state.by_notification, state.by_polling) == (1, 5)
    assert 3 <= state.notified[0].seconds < 60
    assert all(0 < one.seconds < 30 for one in state.polled)
    assert "realtime.suspected" in caplog.text


async def test_to_keep_count_costs_no_call_to_the_tables(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, *_ = await imported(services, connection_id, realtime=True)
    sent = sent_to_tables(monkeypatch, str((await services.store.tables.table(USERS)).url))

    await looked(services, connection_id)
    nothing = len(sent)
    sent.clear()
    emulator.control.patch_person(person, {"displayName": "Zoë O'Brien"})
    await looked(services, connection_id)

    assert nothing == 14
    assert len(sent) <= 20


async def other_settings(services: Services, emulator: GraphEmulator, connection_id: str) -> None:
    stored = await services.store.connections.get(connection_id)
    rules = [rule for rule in stored.connection.mapping if rule.target != "displayName"]
    changed = stored.connection.model_copy(update={"mapping": rules})
    await services.store.connections.replace(changed, stored)
    await renamed_one(services, emulator, connection_id)


async def renamed_one(services: Services, emulator: GraphEmulator, connection_id: str) -> None:
    person = next(iter(await rows_of(services, connection_id)))
    emulator.control.patch_person(person, {"displayName": "Zoë O'Brien"})


async def approved(services: Services, emulator: GraphEmulator, connection_id: str) -> None:
    connection = (await services.store.connections.get(connection_id)).connection
    emulator.control.soft_delete(*list(await rows_of(services, connection_id))[:30])
    moves = moves_of((await preview(services, connection)).plan_hash)
    await services.store.approvals.remember(connection_id, moves, "Ann", services.clock())


async def outage(services: Services, emulator: GraphEmulator, connection_id: str) -> None:
    await renamed_one(services, emulator, connection_id)
    set_clock(services, lambda: utc_now() + 5 * HOUR)


@pytest.mark.parametrize(
    ("happens", "policy", "mode"),
    [
        pytest.param(other_settings, NO_GUARD, "auto", id="settings"),
        pytest.param(approved, {}, "auto", id="approved"),
        pytest.param(outage, {}, "incremental", id="after an outage"),
    ],
)
async def test_what_no_notification_had_to_tell_is_not_missed(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    happens: Happens,
    policy: dict[str, Any],
    mode: str,
) -> None:
    await imported(services, connection_id, realtime=True, policy=policy)
    await happens(services, emulator, connection_id)

    run = await run_now(services, connection_id, mode=mode)

    assert run.plan_hash is not None, run.error
    assert sum((run.counts.created, run.counts.updated, run.counts.disabled)) > 0, run
    assert missed(await known(services, connection_id)) == {}


async def test_a_leaver_whom_only_a_full_reading_found_is_missed(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person, *_ = await imported(services, connection_id, realtime=True)
    emulator.control.add_fault("lag", path="/v1.0/users/delta**", minSeconds=7200, maxSeconds=7200)
    emulator.control.soft_delete(person)

    run = await run_now(services, connection_id, mode="full")

    assert (run.status, run.counts.drift, run.counts.disabled) == (RunStatus.SUCCEEDED, 1, 1)
    assert missed(await known(services, connection_id)) == {person: {"users"}}


async def test_without_realtime_nothing_is_counted_and_what_was_is_forgotten(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    people = await imported(services, connection_id, realtime=True, policy=NO_GUARD)
    several(emulator, people)
    await looked(services, connection_id)
    before = await known(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    changed = stored.connection.model_copy(update={"realtime": False})
    await services.store.connections.replace(changed, stored)
    await renamed_one(services, emulator, connection_id)

    await looked(services, connection_id)

    assert before.untold
    assert await known(services, connection_id) == RealtimeState()
