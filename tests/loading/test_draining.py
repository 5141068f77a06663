"""The worker is asked to end: what it has in hand is answered first, then it ends as it always did."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import RunStatus, Trigger
from sync_core.services import Services
from tests.loading import interpreters
from tests.loading.conftest import environment
from tests.loading.driver import WorkerProcess
from tests.system import Rig, rows_of, stored_connection

MEMBERS = "/v1.0/groups/*/members**"
SLOW_S, SOON_S = 120, 60


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=60, groups=12, seed=7, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    async with rig.services(emulator) as opened:
        yield opened


@pytest.fixture
def worker(rig: Rig, emulator: GraphEmulator, tmp_path: Path) -> Iterator[WorkerProcess]:
    log = tmp_path / "log.txt"
    with WorkerProcess(interpreters.own(), environment(rig, emulator), log) as started:
        started.load()
        yield started


@pytest.mark.parametrize("begun", [False, True], ids=["nothing was called", "all has returned"])
async def test_an_idle_worker_ends_at_once(*, worker: WorkerProcess, begun: bool) -> None:
    if begun:
        request = SyncRequest(connection_id="nobody-has-it", trigger=Trigger.MANUAL)
        worker.queue("run_sync", request.model_dump_json(by_alias=True))
    worker.ask_to_end()

    assert await asyncio.to_thread(worker.ended) == -signal.SIGTERM


async def test_a_run_is_left_off_and_answered_before_the_worker_ends(
    worker: WorkerProcess, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Without an answer the host would hand the message to another worker ten minutes later."""
    await stored_connection(services, connection_id)
    emulator.control.add_fault("slow", path=MEMBERS, milliseconds=SLOW_S * 1000)
    request = SyncRequest(connection_id=connection_id, trigger=Trigger.MANUAL)
    body = request.model_dump_json(by_alias=True)
    async with asyncio.timeout(SOON_S):
        answer = asyncio.create_task(asyncio.to_thread(worker.queue, "run_sync", body))
        while not emulator.control.faults()[0]["hits"]:  # noqa: ASYNC110 -- it is in another thread
            await asyncio.sleep(0.1)
        worker.ask_to_end()
        await answer
        code = await asyncio.to_thread(worker.ended)
    [run] = await services.store.runs.page(connection_id, top=5, after=None)

    assert code == -signal.SIGTERM
    assert (run.status, run.error.code if run.error else None) == (
        RunStatus.PARTIAL,
        "run.drained",
    )
    assert (await services.store.leases.read(connection_id)).run_id is None
    assert await rows_of(services, connection_id) == {}
