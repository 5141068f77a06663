"""After a run that was killed: let the next one recover, and compare what both left in the table."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sync_core.services import Services, utc_now
from sync_core.store.leases import DURATION
from sync_core.store.wire import Entity
from tests.system import fences_of, histories_of, rows_of, run_now, set_clock

# What differs between two runs that do the same: when, by which run, for which connection.
OWN = {"PartitionKey", "ConnectionId", "LastRunId", "CreatedAt", "UpdatedAt", "DisabledAt"}


def essence(rows: Mapping[str, Entity]) -> dict[str, dict[str, Any]]:
    return {
        object_id: {name: value for name, value in row.items() if name not in OWN}
        for object_id, row in rows.items()
    }


def let_lease_end(services: Services) -> None:
    """Put the clock behind the end of what a dead worker holds."""
    set_clock(services, lambda: utc_now() + DURATION + timedelta(seconds=5))


async def recover(services: Services, connection_id: str) -> None:
    """What the timer does when the dead worker's lease has ended."""
    let_lease_end(services)
    await run_now(services, connection_id, trigger="timer")


async def assert_fences_stand(services: Services, connection_id: str) -> None:
    """Each partition with people has a fence, and none is of an epoch that has not been yet."""
    lease = await services.store.leases.read(connection_id)
    fences = await fences_of(services, connection_id)
    people = await rows_of(services, connection_id)
    assert {object_id[0] for object_id in people} <= fences.keys()
    for fence in fences.values():
        assert 0 < fence["Epoch"] <= lease.epoch
        assert fence["Batch"] > 0


async def assert_history_is_whole(services: Services, connection_id: str) -> None:
    """No change without its record, and no change told twice in a row."""
    histories = await histories_of(services, connection_id)
    for object_id, row in (await rows_of(services, connection_id)).items():
        history = histories[object_id]
        assert history[0]["RunId"] == row["LastRunId"]
        actions = [entry["Action"] for entry in history]
        assert actions[-1] == "create"
        assert actions.count("create") == 1
        assert actions.count("disable") <= 1
