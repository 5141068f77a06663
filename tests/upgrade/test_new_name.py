"""The move to a new app name, as docs/operate.md tells it: another app over the same storage and vault."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from local.azurite import Azurite
from local.graph import GraphEmulator
from sync_core import triggers
from sync_core.domain.documents.run import RunStatus, Trigger
from sync_core.runs.notifications import client_state_key
from sync_core.runs.request import request_due
from sync_core.services import Services, open_services, process
from sync_core.settings import Settings
from sync_core.store.queue import QUEUE
from sync_core.store.wire import Entity
from tests.api.conftest import ADMIN, app_over, calling
from tests.runs.events import stop_clock
from tests.system import (
    Clock,
    Rig,
    active,
    group_scope,
    histories_of,
    impatient,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)


@pytest.fixture(scope="module")
def own_rig(rig: Rig) -> Iterator[Rig]:
    with Azurite() as azurite:
        yield replace(rig, azurite=azurite)


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=20, groups=2, seed=7, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def both(own_rig: Rig, emulator: GraphEmulator) -> AsyncIterator[tuple[Services, Services]]:
    """The old app and the new one: their addresses differ, and nothing else does."""
    async with AsyncExitStack() as stack:
        apps = []
        for name in ("func-old", "func-old-b"):
            environment = own_rig.environment(emulator) | {
                "PUBLIC_BASE_URL": f"https://{name}.azurewebsites.net"
            }
            opened = open_services(
                Settings.from_env(environment), clock=Clock(), retry_budget=impatient
            )
            apps.append(await stack.enter_async_context(opened))
        yield apps[0], apps[1]


async def drained(rig: Rig, app: Services, monkeypatch: pytest.MonkeyPatch) -> int:
    """Have one app do all that the queue holds; return how many messages those were."""
    monkeypatch.setattr(process, "_services", app)
    done = 0
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        while message := await queue.receive_message():
            await queue.delete_message(message)
            await triggers.requested(message.content.encode())
            done += 1
    return done


def keys(histories: Mapping[str, Iterable[Entity]]) -> set[str]:
    return {row["RowKey"] for rows in histories.values() for row in rows}


async def test_an_app_moves_to_a_new_name_and_loses_nothing(
    both: tuple[Services, Services],
    own_rig: Rig,
    emulator: GraphEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = both
    now = stop_clock(old)
    set_clock(new, now)
    people = [
        emulator.control.create_person({"displayName": f"Person {number}"})["id"]
        for number in range(12)
    ]
    leaver, *others = people
    group = emulator.control.create_group("Staff", members=people)["id"]
    await stored_connection(old, "staff", scope=group_scope(group))
    await run_now(old, "staff")
    before = keys(await histories_of(old, "staff"))
    # What is asked for while the old app stops is done by the new one.
    now.skip(hours=2)
    emulator.control.remove_members(group, leaver)
    await request_due(old)
    moved = await drained(own_rig, new, monkeypatch)
    runs = await new.store.runs.page("staff", top=9, after=None)
    async with calling(app_over(new), ADMIN) as admin:
        shown = (await admin.get("/api/connections/staff")).json()
        users = (await admin.get("/api/connections/staff/users")).json()["items"]

    assert moved == 1
    assert before <= keys(await histories_of(new, "staff"))
    assert len(before) >= len(people)
    assert active(await rows_of(new, "staff")) == {*others}
    assert [(run.status, run.trigger) for run in runs] == [
        (RunStatus.SUCCEEDED, Trigger.TIMER),
        (RunStatus.SUCCEEDED, Trigger.MANUAL),
    ]
    assert shown["credential"]["secretName"] == "staff-client-secret"
    assert len(users) == 12
    assert await client_state_key(old.vault) == await client_state_key(new.vault)


async def test_both_apps_alive_at_once_run_nothing_twice(
    both: tuple[Services, Services],
    own_rig: Rig,
    emulator: GraphEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the two deployments both timers fire."""
    old, new = both
    now = stop_clock(old)
    set_clock(new, now)
    group = emulator.control.create_group("Nobody", members=[])["id"]
    await stored_connection(old, "twice", scope=group_scope(group))
    for app in (old, new):
        monkeypatch.setattr(process, "_services", app)
        await triggers.scheduled(past_due=False)
    messages = await drained(own_rig, new, monkeypatch)
    runs = await new.store.runs.page("twice", top=9, after=None)

    assert messages >= 2
    assert len(runs) == 1
