"""What Graph says about a subscription is done, once; what somebody else says is not."""

import asyncio
from typing import Any

import orjson
import pytest

from sync_core import triggers
from sync_core.connections import lifecycle
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.notifications import client_state
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import LIFE, Subscription
from tests.queue_of_requests import Requests
from tests.subscriptions.conftest import App, Document

EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")


async def heeded(app: App, requests: Requests) -> list[tuple[str, str, str]]:
    """Let the messages about subscriptions be done, as `run_sync` does; return what was asked for then."""
    for request in await requests.all():
        assert request.events, "the webhook asks for nothing else"
        await triggers.requested(request.model_dump_json(by_alias=True).encode())
    return await requests.taken()


async def item(app: App, row: Subscription, event: str, **changes: Any) -> Document:
    """Return a notification as Graph signs it."""
    key = await app.services.vault.own_key(CLIENT_STATE_KEY)
    return {
        "subscriptionId": row.subscription_id,
        "clientState": client_state(key, row.connection_id, row.nonce),
        "lifecycleEvent": event,
        "tenantId": row.place.tenant_id,
    } | changes


async def test_reauthorization_is_a_renewal_and_repeated_within_minutes_it_is_done_once(
    app: App, requests: Requests
) -> None:
    app.control.settings(token_life_s=3_600)
    await app.made()
    before = await app.tend()
    await requests.all()
    app.pass_time(hours=1)  # the token of each is over, and Graph says so

    answers = await app.deliver()
    assert await heeded(app, requests) == []
    app.pass_time(minutes=5)
    for row in before:
        await app.post("lifecycle", [await item(app, row, "reauthorizationRequired")] * 2)
    assert await heeded(app, requests) == []

    assert {status for _, status in answers} == {202}
    assert (app.asked("PATCH"), app.asked("POST")) == (2, 2)
    after = await app.rows()
    assert [row.subscription_id for row in after] == [row.subscription_id for row in before]
    for row in after:
        assert row.expires_at is not None
        assert row.expires_at > app.now() + LIFE * 0.99


async def test_reauthorization_that_fails_is_tried_again_when_graph_says_so_again(
    app: App, requests: Requests
) -> None:
    app.control.settings(token_life_s=3_600)
    await app.made()
    await app.tend()
    await requests.all()
    app.control.add_fault("denied", path="/v1.0/subscriptions/**", method="PATCH")
    app.pass_time(hours=1)
    await app.deliver()
    await heeded(app, requests)
    failing = set((await app.states()).values())
    app.control.clear_faults()
    app.pass_time(minutes=15)
    await app.deliver()
    await heeded(app, requests)

    assert failing == {"graph.accessDenied"}
    assert set((await app.states()).values()) == {"active"}


async def test_a_subscription_that_is_removed_is_made_again_and_then_a_run_is_asked_for(
    app: App, requests: Requests
) -> None:
    await app.made()
    [users, members] = await app.tend()
    await requests.all()
    app.pass_time(minutes=11)
    app.control.send_lifecycle("subscriptionRemoved", subscription_id=str(users.subscription_id))
    await app.deliver()

    asked = await heeded(app, requests)
    again = await app.rows()
    # Graph tells it once more, of the one that is gone.
    await app.post("lifecycle", [await item(app, users, "subscriptionRemoved")])
    repeated = await heeded(app, requests)

    assert asked == [(app.connection_id, "sync", "auto")]
    assert repeated == []
    assert again == await app.rows()
    assert again[0].subscription_id == app.at_graph()["users"]["id"] != users.subscription_id
    assert again[1] == members


async def test_what_was_missed_is_looked_for_once(app: App, requests: Requests) -> None:
    await app.made()
    [users, _] = await app.tend()
    await requests.all()
    app.control.send_lifecycle("missed", subscription_id=str(users.subscription_id))
    [(_, status)] = await app.deliver()
    first = await heeded(app, requests)
    await app.post("lifecycle", [await item(app, users, "missed")] * 3)
    repeated = await heeded(app, requests)
    app.pass_time(minutes=11)
    await app.post("lifecycle", [await item(app, users, "missed")])
    later = await heeded(app, requests)

    assert status == 202
    assert first == later == [(app.connection_id, "sync", "auto")]
    assert repeated == []


async def test_what_is_forged_or_old_changes_nothing(app: App, requests: Requests) -> None:
    await app.made()
    [users, members] = await app.tend()
    await requests.all()
    app.pass_time(minutes=11)
    app.control.reset_requests()
    states = [
        client_state(b"another key", app.connection_id, "nonce"),
        "theirs",
        None,
        await _state(app, "somebody-else"),
        await _state(app, nonce="of-before"),
    ]
    forged = [
        await item(app, users, event, clientState=state) for event in EVENTS for state in states
    ]
    forged += [
        await item(app, users, event, subscriptionId=members.subscription_id) for event in EVENTS
    ]
    forged.append(await item(app, users, "renamed"))

    status = await app.post("lifecycle", forged)
    asked = await heeded(app, requests)

    assert status == 202
    assert asked == []
    assert await app.rows() == [users, members]
    assert app.emulator.requests == []


async def _state(app: App, connection_id: str = "", nonce: str = "nonce") -> str:
    key = await app.services.vault.own_key(CLIENT_STATE_KEY)
    return client_state(key, connection_id or app.connection_id, nonce)


async def test_what_was_signed_with_the_key_of_before_is_heeded(
    app: App, requests: Requests
) -> None:
    """A subscription keeps its state for as long as it is renewed, and the key may be replaced meanwhile."""
    await app.made()
    [users, _] = await app.tend()
    await requests.all()
    told = await item(app, users, "missed")
    app.services.vault._own_keys[CLIENT_STATE_KEY] = b"another key"
    try:
        await app.post("lifecycle", [told])
    finally:
        app.services.vault._own_keys.clear()

    assert await heeded(app, requests) == [(app.connection_id, "sync", "auto")]


async def test_one_that_is_being_made_is_known_by_its_nonce(app: App, requests: Requests) -> None:
    await app.made()
    [users, _] = await app.tend()
    await requests.all()
    table = app.services.store.subscriptions
    making = Subscription(
        users.connection_id, "users", users.place, users.address, nonce=users.nonce, etag=users.etag
    )
    await table.put(making)

    await app.post("lifecycle", [await item(app, users, "missed")])

    assert await heeded(app, requests) == [(app.connection_id, "sync", "auto")]


async def test_it_is_answered_within_three_seconds_also_where_nothing_answers_behind_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "LIMIT_S", 0.05)
    await app.made()
    [users, _] = await app.tend()

    async def hanging(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(type(app.services.queue), "send", hanging)
    body = orjson.dumps({"value": [await item(app, users, "missed")]})
    status, told = await triggers.lifecycle_notified(body, "application/json")

    assert (status, orjson.loads(told)["code"]) == (503, "notifications.notTaken")


async def test_a_delivery_does_not_wait_for_the_second_clock(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hanging(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("sync_core.health.clock.wake", hanging)
    monkeypatch.setattr(triggers, "WAKES_WITHIN_S", 0.05)

    assert await asyncio.wait_for(app.post("notifications", []), timeout=2) == 202


async def test_of_a_connection_without_realtime_nothing_is_heeded(
    app: App, requests: Requests
) -> None:
    await app.made()
    [users, _] = await app.tend()
    told = await item(app, users, "missed")
    await app.change(realtime=False)
    await requests.all()

    await app.post("lifecycle", [told])

    assert await heeded(app, requests) == []


def test_a_message_holds_all_events_of_a_connection() -> None:
    """A message of the queue has at most 64 KiB, in base64."""
    events = [
        {"subscriptionId": f"{number:036d}", "nonce": "n" * 22, "event": "reauthorizationRequired"}
        for number in range(200)
    ]
    request = SyncRequest.model_validate(
        {"connectionId": "c" * 48, "trigger": "lifecycle", "purpose": "subscribe", "events": events}
    )

    assert len(request.model_dump_json(by_alias=True)) * 4 / 3 < 64 * 1024
