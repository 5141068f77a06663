"""A large run leaves the event loop to others: to the heartbeat of its lease, and to Graph's webhook."""

import gc
from collections.abc import Iterator

import pytest

from benchmarks.loop import held_loop
from local.graph import GraphEmulator
from sync_core.services import Services
from tests.system import Rig, group_scope, run_now, stored_connection

PEOPLE = 7_000
# Planned in one piece, a first import of so many would hold the loop for longer.
LIMIT_S = 0.1


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=PEOPLE, groups=0, seed=7, tls=rig.tls) as running:
        yield running


async def test_a_first_import_never_holds_the_loop(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    everyone = {"everyone": True, "guests": "include"}
    assertions = [{"where": {"department": "Sales"}, "atLeast": 1}]
    await stored_connection(services, connection_id, scope=everyone, assertions=assertions)

    # What a process imports at its first run takes long, and is imported once.
    group = emulator.control.create_group("One", members=[emulator.control.create_person()["id"]])
    await stored_connection(services, f"{connection_id}-one", scope=group_scope(group["id"]))
    await run_now(services, f"{connection_id}-one")

    # The emulator's people, in this process, are none of the run's garbage.
    gc.freeze()
    with held_loop() as held:
        run = await run_now(services, connection_id)

    gc.unfreeze()
    assert run.counts.created > PEOPLE * 0.9
    assert held.longest_s < LIMIT_S
