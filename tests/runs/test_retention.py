"""What is older than `HISTORY_DAYS` is forgotten, in small steps, whoever it was about; the audit is not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.run import Run, Trigger
from sync_core.domain.errors import RetryLater
from sync_core.domain.model import Action, Change
from sync_core.domain.retention import PASS_EVERY, Budget, Pass
from sync_core.runs.hold import held
from sync_core.runs.retention import forget_old
from sync_core.services import Services, utc_now
from sync_core.store.marks import MARKS
from sync_core.store.rows import HISTORY, Stamp
from sync_core.store.runs import new_run_id
from sync_core.store.tables import AUDIT, RUNS, USERS
from tests.system import Rig, set_clock

DAYS = 30
NOW = utc_now()
KEPT_FOR = timedelta(days=DAYS)
MOMENT = timedelta(milliseconds=1)
ANN, BEN = "a0000000-0000-4000-8000-000000000000", "b0000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def own_rig(rig: Rig) -> Rig:
    """Storage of its own: a pass goes over everything that is there."""
    return rig.apart()


@pytest.fixture
async def services(own_rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    async with own_rig.services(emulator) as opened:
        settings = replace(opened.settings, history_days=DAYS)
        set_clock(opened, lambda: NOW)
        await opened.store.passes.delete("runs")
        await opened.store.passes.delete("histories")
        yield replace(opened, settings=settings)


async def write(services: Services, connection_id: str, who: str, at: datetime) -> Run:
    """Let a run have happened: its record, its plan, one person with history and mark."""
    run = Run(
        id=new_run_id(at), connection_id=connection_id, trigger=Trigger.TIMER, requested_at=at
    )
    await services.store.runs.save(run)
    await services.store.plans.save(connection_id, run.id, [{"objectId": who}])
    change = Change(Action.CREATE, who, "ann@contoso.com", digest="1", values={"userName": "ann"})
    stamp = Stamp(connection_id, "tenant", run.id, at)
    users = services.store.users(connection_id)
    async with held(services, connection_id, budget=None) as hold:
        async for _, error in users.apply([change], {}, stamp, hold.fence, mark=lambda _: "c"):
            assert error is None
    return run


async def left(services: Services, connection_id: str) -> dict[str, set[str]]:
    """Return of each kind the runs that are still told of."""
    runs = await services.store.runs.page(connection_id, top=100, after=None)
    table = await services.store.tables.table(USERS)
    own = f"PartitionKey ge '{connection_id}-' and PartitionKey lt '{connection_id}.'"
    rows = [row async for row in table.query_entities(own)]
    histories = [row for row in rows if row["RowKey"].startswith(HISTORY)]
    return {
        "runs": {run.id for run in runs},
        "plans": {run.id for run in runs if await planned(services, run)},
        "marks": {row["RunId"] for row in histories if row["RowKey"].startswith(MARKS)},
        "histories": {row["RunId"] for row in histories if "ObjectId" in row},
        "people": {row["RowKey"] for row in rows if row["RowKey"][0] != HISTORY},
    }


async def planned(services: Services, run: Run) -> list[dict[str, object]]:
    return [change async for change in services.store.plans.load(run.connection_id, run.id)]


async def test_what_is_older_goes_and_the_rest_stays(
    services: Services, connection_id: str
) -> None:
    """There is no such connection any more; what is exactly as old as allowed stays."""
    old = await write(services, connection_id, ANN, NOW - KEPT_FOR - MOMENT)
    kept = await write(services, connection_id, ANN, NOW - KEPT_FOR)
    before = await left(services, connection_id)
    await forget_old(services)

    assert all(before[kind] == {old.id, kept.id} for kind in ("runs", "plans", "marks"))
    assert await left(services, connection_id) == {
        "runs": {kept.id},
        "plans": {kept.id},
        "marks": {kept.id},
        "histories": {kept.id},
        "people": {ANN},
    }
    assert await planned(services, old) == []


async def test_rows_of_an_application_and_the_audit_are_never_deleted(
    services: Services, connection_id: str
) -> None:
    long_ago = NOW - timedelta(days=4_000)
    await write(services, connection_id, ANN, long_ago)
    await services.store.audit.note(long_ago, "ann", "connection.deleted", connection_id)
    table = await services.store.tables.table(USERS)
    [history] = [
        dict(row)
        async for row in table.query_entities(f"PartitionKey eq '{connection_id}-a'")
        if "ObjectId" in row
    ]
    own = {"PartitionKey": f"{connection_id}-a", "RowKey": f"~{ANN}~notes"}
    copied = {"PartitionKey": "archive-a", "RowKey": history["RowKey"]}
    for row in (own, history | copied):
        await table.upsert_entity(row)
    await forget_old(services)
    audit = await services.store.tables.table(AUDIT)

    for row in (own, copied):
        await table.get_entity(row["PartitionKey"], row["RowKey"])
        await table.delete_entity(row["PartitionKey"], row["RowKey"])
    assert (await left(services, connection_id))["runs"] == set()
    rows = audit.query_entities(f"ConnectionId eq '{connection_id}'")
    assert len([row async for row in rows]) == 1


async def test_a_tick_does_a_bounded_part_and_the_next_goes_on_from_there(
    services: Services, connection_id: str
) -> None:
    names = [f"{connection_id}{letter}" for letter in "xyz"]
    for name in names:
        for who in (ANN, BEN):
            await write(services, name, who, NOW - KEPT_FOR * 2)
    stands: list[Pass] = []
    for _ in range(100):
        budget = Budget(left=3)
        await forget_old(services, budget)
        assert budget.left > -10, "no more than a step over"
        stands.append(await services.store.passes.read("histories"))
        if stands[-1].is_over and stands[-1].began_at is not None:
            break
    found = [await left(services, name) for name in names]
    partitions = [one.partition for one in stands]

    assert 5 < len(stands) < 100
    assert partitions[:-1] == sorted(partitions[:-1]), "each tick goes on where the last one stood"
    assert len({one.began_at for one in stands if one.began_at}) == 1
    assert all(one["runs"] == one["histories"] == one["marks"] == set() for one in found)


async def test_a_pass_is_made_once_a_day(services: Services, connection_id: str) -> None:
    await forget_old(services)
    run = await write(services, connection_id, ANN, NOW - KEPT_FOR * 2)
    set_clock(services, lambda: NOW + PASS_EVERY / 2)
    await forget_old(services)
    same_day = await left(services, connection_id)
    set_clock(services, lambda: NOW + PASS_EVERY)
    await forget_old(services)

    assert same_day["runs"] == same_day["histories"] == {run.id}
    assert (await left(services, connection_id))["runs"] == set()


async def test_a_run_stays_until_its_plan_is_gone(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the run nobody would find what is left of the plan."""
    run = await write(services, connection_id, ANN, NOW - KEPT_FOR * 2)

    async def broken(*_: object) -> None:
        raise RetryLater("storage.unavailable", "Table Storage did not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(services.store.plans, "delete", broken)
        with pytest.raises(RetryLater):
            await forget_old(services)
    between = await left(services, connection_id)
    await forget_old(services)

    assert between["runs"] == {run.id}
    assert (await left(services, connection_id))["runs"] == set()
    assert await planned(services, run) == []


async def test_what_somebody_else_deletes_meanwhile_is_no_obstacle(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [await write(services, connection_id, ANN, NOW - KEPT_FOR * 2) for _ in range(3)]
    delete, table = services.store.plans.delete, await services.store.tables.table(RUNS)

    async def and_the_run(connection_id: str, run_id: str) -> None:
        await delete(connection_id, run_id)
        if run_id == runs[1].id:
            await table.delete_entity(connection_id, run_id)

    monkeypatch.setattr(services.store.plans, "delete", and_the_run)
    await forget_old(services)

    assert (await left(services, connection_id))["runs"] == set()
