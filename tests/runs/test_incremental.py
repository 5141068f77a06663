"""Incremental runs: the delta says whom to look at, a look says what is true."""

from local.graph import GraphEmulator
from sync_core.domain.documents import Mode, ModeReason, RunStatus
from sync_core.services import Services
from tests.system import rows_of, run_now, stored_connection


async def test_the_first_run_is_full_and_the_next_one_is_not(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    first = await run_now(services, connection_id)
    second = await run_now(services, connection_id, mode="incremental")

    assert (first.mode, first.mode_reason) == (Mode.FULL, ModeReason.FIRST)
    assert (second.mode, second.mode_reason) == (Mode.INCREMENTAL, None)
    assert second.status is RunStatus.SUCCEEDED, second.error
    assert second.graph.requests == 2
    assert second.counts.candidates == 0


async def test_a_rename_is_found_by_the_delta(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    person = min(await rows_of(services, connection_id))
    emulator.control.patch_person(person, {"displayName": "Zoë O'Brien"})

    run = await run_now(services, connection_id, mode="incremental")

    assert (run.mode, run.counts.updated, run.counts.candidates) == (Mode.INCREMENTAL, 1, 1)
    assert (await rows_of(services, connection_id))[person]["displayName"] == "Zoë O'Brien"
