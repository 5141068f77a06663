"""Timers and the queue, called as the host calls them."""

import json

import pytest

from local.sample import SAMPLE_GROUP_ID
from sync_core.connections import verify
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.services import Services
from tests.loading.conftest import LoadedApp
from tests.system import stored_connection


async def test_the_schedule_asks_for_what_is_due(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await stored_connection(services, f"{connection_id}-off", enabled=False)

    app.worker.timer("scheduled_sync", past_due=True)

    [request] = app.requests()
    assert request.asked_at is not None
    assert request == SyncRequest(
        connection_id=connection_id, trigger=Trigger.TIMER, asked_at=request.asked_at
    )


async def test_maintenance_runs_and_asks_for_nothing(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    app.worker.timer("maintenance")

    assert app.requests() == []


async def test_a_message_brings_the_people_in(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    members = map(
        app.emulator.control.person,
        app.emulator.control.members(SAMPLE_GROUP_ID, transitive=True),
    )
    wanted = {
        one["id"] for one in members if one["accountEnabled"] and one.get("userType") != "Guest"
    }

    # Delivered for the fortieth time, because hosts were taken away: nobody has given it up.
    app.worker.queue(
        "run_sync",
        json.dumps({"connectionId": connection_id, "trigger": "manual", "mode": "auto"}),
        deliveries=40,
    )

    people = (await services.store.users(connection_id).load_index()).people
    assert wanted
    assert people.keys() == wanted


async def test_a_message_tries_waiting_settings_and_brings_nobody_in(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await verify.request_try(services, connection_id)
    (message,) = app.requests()

    app.worker.queue("run_sync", message.model_dump_json(by_alias=True))

    assert message.purpose == "verify"
    assert (await services.store.verifications.read(connection_id)).status == "verified"
    assert (await services.store.users(connection_id).load_index()).people == {}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("not JSON", id="no JSON"),
        pytest.param("{}", id="nothing asked"),
        pytest.param('{"connectionId": "../x", "trigger": "manual"}', id="no connection's id"),
        pytest.param('{"connectionId": "x"}', id="no reason"),
        pytest.param(
            '{"connectionId": "x", "trigger": "manual", "runId": "a/b#"}', id="no run's id"
        ),
    ],
)
def test_a_message_that_is_no_request_is_told_and_done_with(app: LoadedApp, body: str) -> None:
    """It must not vanish, and no further try would help."""
    before = app.worker.log().count("request.unreadable")
    app.worker.queue("run_sync", body)
    app.worker.queue("poisoned", body)

    assert app.worker.log().count("request.unreadable") == before + 2


async def test_a_request_that_the_host_gave_up_is_told_in_its_record(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    app.worker.queue("poisoned", json.dumps({"connectionId": connection_id, "trigger": "timer"}))

    [run] = await services.store.runs.page(connection_id, top=5, after=None)
    assert (run.status, run.error and run.error.code) == ("failed", "request.poisoned")


def test_a_message_for_a_connection_that_is_gone_is_done(
    app: LoadedApp, connection_id: str
) -> None:
    """It was deleted meanwhile: nothing to repeat, nothing to alarm about."""
    app.worker.queue("run_sync", json.dumps({"connectionId": connection_id, "trigger": "timer"}))

    assert app.requests() == []
