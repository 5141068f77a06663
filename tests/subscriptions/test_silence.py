"""Notifications that do not arrive are noticed by what polling finds, told once, and mended if possible."""

from typing import Any

import orjson
import pytest

from sync_core import triggers
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Run, Trigger
from sync_core.domain.incidents import SILENT
from sync_core.runs import worker
from tests.runs.events import events_of, health_of
from tests.subscriptions.conftest import App
from tests.system import group_scope, run_now

INCIDENTS = ("incident.opened", "incident.resolved")


@pytest.fixture(autouse=True)
def everything_is_captured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="entra_user_sync")


async def listening(app: App, **changes: Any) -> list[str]:
    """Have a connection with subscriptions that were made long ago; return its people."""
    people = [str(app.control.create_person({"displayName": "Before"})["id"]) for _ in range(4)]
    await app.made(scope=group_scope(app.group(*people)), **changes)
    await app.tend()
    for minutes in (0, 20):
        app.pass_time(minutes=minutes)
        await run_now(app.services, app.connection_id)
    return people


async def polled(app: App, *people: str) -> Run:
    """Change people of whom no notification arrives, and let the next hourly run find them."""
    for person in people:
        app.control.patch_person(person, {"displayName": f"Changed at {app.now()}"})
    app.pass_time(hours=1)
    run = await run_now(app.services, app.connection_id)
    assert run.counts.updated == len(people), run
    return run


async def look(app: App, *, minutes: float = 16) -> None:
    """Let the time pass in which a notification may be late, and take the message that is sent for then."""
    app.pass_time(minutes=minutes)
    request = SyncRequest(
        connection_id=app.connection_id, trigger=Trigger.TIMER, purpose=Purpose.LISTEN
    )
    await triggers.requested(orjson.dumps(request.to_json()))


async def test_three_changes_in_a_row_that_nobody_told_open_one_incident_and_make_the_subscription_anew(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    people = await listening(app)
    before = app.at_graph()
    for person in people[:2]:
        await polled(app, person)
    await look(app)
    assert events_of(caplog, app.connection_id, "realtime.suspected", *INCIDENTS) == []
    first = app.now()

    await polled(app, people[2])
    assert events_of(caplog, app.connection_id, "realtime.suspected") == ["realtime.suspected"]
    await look(app, minutes=5)
    assert SILENT not in (await health_of(app.services, app.connection_id)).waiting
    for _ in range(2):
        await look(app)

    opened = f"incident.opened {SILENT}"
    events = ("realtime.madeAnew", *INCIDENTS)
    assert events_of(caplog, app.connection_id, *events) == ["realtime.madeAnew", opened]
    incident = (await health_of(app.services, app.connection_id)).waiting[SILENT]
    status = await app.status()
    assert status.silent_since == incident.since
    assert incident.since < first
    assert "3 changes in a row" in incident.message
    assert "subscriptions to users" in incident.message
    assert f"{app.webhook.url}/api/graph/notifications answers" in incident.remedy
    after = app.at_graph()
    assert {one for one in before if before[one]["id"] != after[one]["id"]} == {"users"}
    assert status.changes.by_polling == 3


async def test_where_the_address_lets_nobody_in_the_incident_says_so(app: App) -> None:
    people = await listening(app)
    await polled(app, *people[:3])
    before, app.webhook.status = app.at_graph(), 401

    await look(app)

    incident = (await health_of(app.services, app.connection_id)).waiting[SILENT]
    assert "could not be made anew" in incident.remedy
    assert "App Service authentication" in incident.remedy
    assert app.at_graph() == before, "what there is stays"


async def test_a_service_principal_that_was_disabled_for_hours_is_one_incident(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    people = await listening(app)
    caplog.clear()
    app.control.enable_app(False)
    for person in people[:3]:
        app.control.patch_person(person, {"displayName": "Changed meanwhile"})
    for _ in range(2):
        app.pass_time(hours=1)
        await run_now(app.services, app.connection_id)
        await app.maintain()
    app.control.enable_app(True)
    run = await run_now(app.services, app.connection_id)
    await look(app)

    assert run.counts.updated == 3
    told = events_of(caplog, app.connection_id, *INCIDENTS)
    assert [one.partition(" ")[0] for one in told] == list(INCIDENTS)
    assert (await app.status()).changes.by_polling == 3


async def test_changes_from_the_time_when_a_subscription_was_made_are_no_silence(app: App) -> None:
    """The delta may tell late what happened before there was anybody to tell it."""
    people = await listening(app)
    app.control.drop_subscription(app.at_graph()["users"]["id"])
    await app.maintain()
    await polled(app, *people[:3])
    await look(app)

    assert (await app.status()).silent_since is None

    app.pass_time(minutes=20)
    await run_now(app.services, app.connection_id)
    await polled(app, *people[:3])
    await look(app)

    assert (await app.status()).silent_since is not None


async def told(app: App, person: str) -> Run | None:
    """Change somebody, let the notification arrive, and do what its message asks for."""
    app.webhook.posts.clear()
    app.control.patch_person(person, {"displayName": f"Told at {app.now()}"})
    return await delivered(app)


async def delivered(app: App) -> Run | None:
    assert {status for _, status in await app.deliver()} == {202}
    app.pass_time(seconds=2)
    request = SyncRequest(connection_id=app.connection_id, trigger=Trigger.WEBHOOK)
    return await worker.handle(app.services, request)


@pytest.mark.parametrize("is_ours", [True, False], ids=["of ours", "of somebody else"])
async def test_the_first_notification_ends_the_silence_whomever_it_is_about(
    app: App, caplog: pytest.LogCaptureFixture, is_ours: bool
) -> None:
    people = await listening(app)
    await polled(app, *people[:3])
    await look(app)
    stranger = str(app.control.create_person({"displayName": "Nobody of ours"})["id"])
    caplog.clear()

    await told(app, people[3] if is_ours else stranger)

    assert events_of(caplog, app.connection_id, *INCIDENTS) == [f"incident.resolved {SILENT}"]
    status = await app.status()
    assert status.silent_since is None
    assert status.last_notification_at is not None
    assert status.changes.by_notification == is_ours
    assert all(0 < one < 10 for one in [status.latency.by_cause["notification"].p95_seconds] if one)

    await polled(app, *people[:2])
    await look(app)
    assert (await app.status()).silent_since is None, "the row begins anew"


async def test_notifications_that_are_ten_minutes_late_are_no_silence(app: App) -> None:
    people = await listening(app)
    app.webhook.posts.clear()
    await polled(app, *people)
    app.pass_time(minutes=10)
    await delivered(app)
    await look(app, minutes=6)

    heard = await app.services.store.realtime.read(app.connection_id)
    status = await app.status()
    assert (status.silent_since, heard.state.untold) == (None, {})
    assert (status.changes.by_polling, status.changes.by_notification) == (len(people), 0)
