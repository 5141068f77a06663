"""Bulk reading slows down before Graph has to refuse it, and knows what other workers use meanwhile."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_GROUP_ID, SAMPLE_TENANT_ID
from sync_core.directory import pace, requests
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.documents.run import RunStatus
from sync_core.services import Services
from sync_core.store.rows import moment
from sync_core.store.spending import RunSpending
from sync_core.store.tables import SPENDING
from tests.system import Rig, group_scope, run_now, stored_connection

APPLICATION = f"{SAMPLE_CLIENT_ID}|{SAMPLE_TENANT_ID}"


class EmulatorsTime:
    """Time that passes, for the run and for the emulator, by waiting only."""

    def __init__(self, emulator: GraphEmulator) -> None:
        self._control = emulator.control
        self._control.stop_clock()
        self._slept_s = 0.0

    def now(self) -> float:
        return self._slept_s

    async def sleep(self, seconds: float) -> None:
        self._slept_s += seconds
        self._control.advance_clock(seconds)


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    time = EmulatorsTime(emulator)
    async with rig.services(
        emulator, lambda: RetryBudget(sleep=time.sleep, clock=time.now)
    ) as opened:
        yield opened


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_PAGE", 5)


async def spending(services: Services) -> dict[str, Any]:
    table = await services.store.tables.table(SPENDING)
    return {row["RowKey"]: row async for row in table.query_entities("")}


@pytest.mark.usefixtures("small_pages")
async def test_a_reading_slows_down_before_it_is_refused(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The whole allowance is half of what the reading costs."""
    emulator.control.settings(units_per_10_s=10)
    await stored_connection(services, connection_id, scope={"everyone": True})

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert run.graph.throttled == 0
    assert run.graph.units >= 14
    assert run.graph.waited_seconds > 0


async def test_what_is_read_in_bulk_can_wait_and_looks_at_people_cannot(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id, scope=group_scope(SAMPLE_GROUP_ID))
    await run_now(services, connection_id)
    emulator.control.remove_members(SAMPLE_GROUP_ID, count=1)

    await run_now(services, connection_id, mode="full")

    asked = {(one.path.split("/")[-1], one.priority) for one in emulator.requests}
    assert ("graph.user", "low") in asked
    assert {what for what, priority in asked if priority is not None} == {"graph.user"}
    assert ("transitiveMemberOf", None) in asked


async def test_other_workers_of_the_same_app_and_tenant_are_waited_for(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "WORTH_SHARING", 1)
    table = await services.store.tables.table(SPENDING)
    now, other = datetime.now(UTC), {"PartitionKey": APPLICATION, "Units": 5000.0}
    await table.upsert_entity(other | {"RowKey": "now"} | moment("At", now))
    await table.upsert_entity(other | {"RowKey": "dead"} | moment("At", now - timedelta(days=1)))
    await stored_connection(services, connection_id, scope=group_scope(SAMPLE_GROUP_ID))

    run = await run_now(services, connection_id)

    assert run.graph.waited_seconds > 0
    # Its own row is gone with it, and so is one that a killed worker left behind.
    assert set(await spending(services)) == {"now"}
    await table.delete_entity(APPLICATION, "now")


async def test_a_run_that_asks_little_pays_nothing_for_the_others(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exchange(self: RunSpending, level: float, limit: int) -> float:
        raise AssertionError

    monkeypatch.setattr(RunSpending, "exchange", exchange)
    await stored_connection(services, connection_id, scope={"everyone": True})

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert run.graph.waited_seconds == 0
