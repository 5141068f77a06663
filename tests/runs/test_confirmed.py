"""A plan that was confirmed is carried out to its end, also by the run after one that was killed."""

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.plan.digest import moves_of
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.runs.killed import KILLED, run_until_write
from tests.runs.recovery import recover
from tests.system import Rig, active, group_scope, rows_of, run_now, stored_connection


async def confirmed(services: Services, emulator: GraphEmulator, connection_id: str) -> list[str]:
    """Give ten people of ten partitions; that eight of them leave has been confirmed."""
    people = [f"{digit}0000000-0000-4000-8000-000000000000" for digit in range(10)]
    for one in people:
        emulator.control.create_person({"id": one})
    group = emulator.control.create_group("Ten", members=people)["id"]
    connection = await stored_connection(services, connection_id, scope=group_scope(group))
    await run_now(services, connection_id)
    emulator.control.soft_delete(*people[:8])
    moves = moves_of((await preview(services, connection)).plan_hash)
    await services.store.approvals.remember(
        connection_id, moves, "an administrator", services.clock()
    )
    return people


# Writes: lease, run record, the confirmation, the plan, then the partitions, four at a time; and now and then
# one of the tenant's budget, or a heartbeat, between.
@pytest.mark.parametrize("deadly", [5, 11])
async def test_killed_in_the_midst_of_a_confirmed_plan(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str, deadly: int
) -> None:
    people = await confirmed(services, emulator, connection_id)
    request = {"connectionId": connection_id, "trigger": "manual"}
    code = run_until_write(rig.environment(emulator), request, deadly)
    before = active(await rows_of(services, connection_id))
    await recover(services, connection_id)
    begun = await services.store.approvals.begun(connection_id, services.clock())

    assert code == KILLED
    assert set(people[8:]) < before
    assert (len(before) < 10) is (deadly == 11)
    assert active(await rows_of(services, connection_id)) == set(people[8:])
    assert begun == [], "the confirmation is used up"


async def test_the_rest_of_a_confirmed_plan_is_not_another_one(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    """One more leaver than was confirmed, and the rest waits like any plan over the limit."""
    people = await confirmed(services, emulator, connection_id)
    request = {"connectionId": connection_id, "trigger": "manual"}
    run_until_write(rig.environment(emulator), request, 5)
    emulator.control.soft_delete(people[8])
    await recover(services, connection_id)
    runs = await services.store.runs.page(connection_id, top=1, after=None)

    assert runs[0].status is RunStatus.HELD
    assert len(active(await rows_of(services, connection_id))) == 10


async def test_somebody_who_leaves_for_another_reason_was_not_confirmed(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    people = await confirmed(services, emulator, connection_id)
    request = {"connectionId": connection_id, "trigger": "manual"}
    run_until_write(rig.environment(emulator), request, 5)
    emulator.control.hard_delete(people[0])
    await recover(services, connection_id)
    runs = await services.store.runs.page(connection_id, top=1, after=None)

    assert runs[0].status is RunStatus.HELD
