"""A killed run loses nothing: after a death before any write, the next run ends with the same table."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.graph import GraphEmulator
from sync_core.connections import delete
from sync_core.connections.refusals import NeedsConfirmation
from sync_core.domain.connections.deletion import Users
from sync_core.services import Services, utc_now
from tests.runs.by_hand import asked_for, done, imported, results
from tests.runs.killed import KILLED, run_until_write
from tests.runs.recovery import (
    assert_fences_stand,
    assert_history_is_whole,
    essence,
    let_lease_end,
    recover,
)
from tests.system import (
    BY_HAND,
    Rig,
    fences_of,
    group_scope,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)


def made(emulator: GraphEmulator, number: int) -> list[str]:
    """Make so many people whose rows are in three partitions: more of them add no other kind of write."""
    ids = [f"{'abc'[n % 3]}{str(uuid4())[1:]}" for n in range(number)]
    return [emulator.control.create_person({"id": one})["id"] for one in ids]


async def die_at_every_write(
    services: Services, rig: Rig, emulator: GraphEmulator, victims: Sequence[str], wanted: Any
) -> int:
    """Kill the n-th victim's run before its n-th write, let the next run recover; counts the deaths."""
    for deadly, victim in enumerate(victims, start=1):
        request = {"connectionId": victim, "trigger": "manual"}
        if run_until_write(rig.environment(emulator), request, deadly) != KILLED:
            return deadly - 1
        await recover(services, victim)
        assert essence(await rows_of(services, victim)) == wanted
        await assert_history_is_whole(services, victim)
        await assert_fences_stand(services, victim)
    pytest.fail("the run makes more writes than there are victims")


async def test_killed_before_any_write_of_a_first_import(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    people = made(emulator, 4)
    scope = group_scope(emulator.control.create_group("Small", members=people)["id"])
    victims = [f"{connection_id}-{number}" for number in range(1, 16)]
    for name in [connection_id, *victims]:
        await stored_connection(services, name, scope=scope)
    await run_now(services, connection_id)
    wanted = essence(await rows_of(services, connection_id))

    deaths = await die_at_every_write(services, rig, emulator, victims, wanted)

    # Lease, run record, plan, a batch for each of three partitions, run record, lease.
    assert deaths >= 8


async def test_killed_before_any_write_of_a_run_with_changes_and_leavers(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    people = sorted(made(emulator, 8))
    group = control.create_group("Small", members=people)["id"]
    policy = {"leftScope": "delete", "guard": {"maxRemovals": None, "maxRemovalPercent": None}}
    victims = [f"{connection_id}-{number}" for number in range(1, 25)]
    for name in [connection_id, *victims]:
        await stored_connection(services, name, policy=policy, scope=group_scope(group))
        await run_now(services, name)
    control.change_many("patch", keys=people[:2], values={"jobTitle": "Moved"})
    control.change_many("softDelete", keys=people[2:4])
    control.change_many("block", keys=people[4:5])
    control.remove_members(group, people[5])
    control.add_members(group, *made(emulator, 1))
    await run_now(services, connection_id)
    wanted = essence(await rows_of(services, connection_id))

    deaths = await die_at_every_write(services, rig, emulator, victims, wanted)

    assert people[5] not in wanted
    assert deaths >= 9


# Writes: the lease, the run's record, its plan, the person, the record again, the lease again.
@pytest.mark.parametrize("deadly", [1, 2, 3, 4, 5, 6])
async def test_killed_while_one_person_is_synced(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str, deadly: int
) -> None:
    """The lease ends by itself, the timer's run closes the record, and the person is as wanted."""
    person = emulator.control.create_person()["id"]
    scope = group_scope(emulator.control.create_group("One", members=[person])["id"])
    victim = f"{connection_id}-1"
    for name in (connection_id, victim):
        await stored_connection(services, name, scope=scope)
    await run_now(services, connection_id)
    wanted = essence(await rows_of(services, connection_id))
    request = {"connectionId": victim, "person": person}
    code = run_until_write(rig.environment(emulator), request, deadly)
    written = len(await rows_of(services, victim))
    await recover(services, victim)

    assert (code, written) == (KILLED, 1 if deadly > 4 else 0)
    assert essence(await rows_of(services, victim)) == wanted
    await assert_history_is_whole(services, victim)
    runs = await services.store.runs.page(victim, top=5, after=None)
    assert all(run.status.is_final for run in runs)
    killed = [run for run in runs if run.error and run.error.code == "run.interrupted"]
    assert [run.counts_at_least for run in killed] == ([True] if deadly in {3, 4, 5} else [])


async def begin_deletion(services: Services, connection_id: str) -> None:
    """Confirm that a connection is deleted with its people; the queue does it."""
    stored = await services.store.connections.get(connection_id)
    with pytest.raises(NeedsConfirmation) as refused:
        await delete.delete(services, stored, Users.DELETE, [], BY_HAND)
    confirmed = [refused.value.members["planHash"]]
    assert await delete.delete(services, stored, Users.DELETE, confirmed, BY_HAND) is not None


async def test_killed_while_people_are_deleted(
    services: Services,
    rig: Rig,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any write to a partition, its fence included, which goes last: the next worker ends it."""
    monkeypatch.setattr(delete, "ANSWER_BUDGET", timedelta(0))
    people = [emulator.control.create_person({"id": f"{n}{str(uuid4())[1:]}"})["id"] for n in "0f"]
    scope = group_scope(emulator.control.create_group("Two", members=people)["id"])
    # The lease; of each partition the rows and then the fence; and one that comes after.
    for deadly in range(1, 7):
        set_clock(services, utc_now)
        victim = f"{connection_id}-{deadly}"
        await stored_connection(services, victim, scope=scope)
        await run_now(services, victim)
        await begin_deletion(services, victim)
        request = {"connectionId": victim, "purpose": "delete"}
        code = run_until_write(rig.environment(emulator), request, deadly)
        rows, fences = await rows_of(services, victim), await fences_of(services, victim)
        let_lease_end(services)
        await delete.go_on(services, victim)

        assert code == KILLED
        assert rows.keys() <= set(people)
        assert {object_id[0] for object_id in rows} <= fences.keys()
        assert (len(rows) + len(fences) == 4) is (deadly <= 2)
        assert (len(rows) + len(fences) == 0) is (deadly == 6)
        assert await rows_of(services, victim) == await fences_of(services, victim) == {}
        assert await services.store.connections.find(victim) is None
        assert await services.store.deletions.find(victim) is None


async def test_killed_before_any_write_of_an_import_by_hand(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    """It goes on under its name; nobody is doubled, and each is answered for as if nothing had been."""
    # Two in one partition: more of them add no other kind of write.
    people, until = made(emulator, 4)[::3], (services.clock() + timedelta(days=30)).date()
    blocked = emulator.control.create_person({"accountEnabled": False})["id"]
    victims = [f"{connection_id}-{number}" for number in range(1, 16)]
    for name in [connection_id, *victims]:
        await stored_connection(services, name, scope={})
    whole = await imported(services, connection_id, [*people, blocked], until)
    wanted = picked(await rows_of(services, connection_id))

    deaths = 0
    for victim in victims:
        set_clock(services, utc_now)
        run = await asked_for(services, victim, [*people, blocked], until)
        message = {"connectionId": victim, "trigger": "import", "runId": run.id}
        if run_until_write(rig.environment(emulator), message, deaths + 1) != KILLED:
            break
        deaths += 1
        let_lease_end(services)
        ended = await done(services, run)
        assert results(ended) == results(whole)
        assert picked(await rows_of(services, victim)) == wanted
        await assert_history_is_whole(services, victim)
        assert await services.store.named.waiting(victim) == []
    else:
        pytest.fail("the import makes more writes than there are victims")

    # Lease, request, record, cases, plan, a batch, record, request, lease.
    assert deaths >= 8


def picked(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is left in the table, but for the runs that wrote it."""
    return {
        object_id: {name: value for name, value in row.items() if name != "ImportRunId"}
        for object_id, row in essence(rows).items()
    }
