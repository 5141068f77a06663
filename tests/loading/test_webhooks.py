"""Graph's two webhooks: the handshake, and what a delivery puts on the queue.

Protocol: learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import settings

from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.notifications import MAX_ITEMS, client_state
from sync_core.runs.notifications import DEBOUNCE_S, client_state_key
from sync_core.services import Services
from sync_core.triggers import MAX_DELIVERY_BYTES
from tests.loading.conftest import LoadedApp
from tests.loading.driver import HttpAnswer
from tests.notified import post, subscribed

PROOF_EXAMPLES = 5_000
ANN = "aaaaaaaa-0000-4000-8000-00000000000a"
BOB = "bbbbbbbb-0000-4000-8000-00000000000b"


@dataclass(frozen=True)
class Webhook:
    """A function, and its address."""

    function: str
    url: str

    def post(
        self, app: LoadedApp, body: str, query: str = "", media_type: str | None = None
    ) -> HttpAnswer:
        """Post as Graph does; the handshake comes as plain text."""
        headers = {"Content-Type": media_type or "application/json; charset=utf-8"}
        return app.worker.http(self.function, "POST", self.url + query, body=body, headers=headers)


@pytest.fixture(
    params=[
        Webhook("graph_notifications", "/api/graph/notifications"),
        Webhook("graph_lifecycle", "/api/graph/lifecycle"),
    ],
    ids=lambda webhook: webhook.function,
)
def webhook(request: pytest.FixtureRequest) -> Webhook:
    given: Webhook = request.param
    return given


def delivery(*client_states: str) -> str:
    items = [
        {
            "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
            "changeType": "updated",
            "resource": "Groups/9d0c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c90",
            "clientState": state,
        }
        for state in client_states
    ]
    return json.dumps({"value": items})


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        pytest.param(
            "Validation%3A%20Testing%2B1", "Validation: Testing+1", id="blank and plus sign"
        ),
        pytest.param("a+b", "a b", id="plus sign for a blank"),
        pytest.param("100%2525", "100%25", id="decoded once"),
        pytest.param("%E2%82%AC-%E6%97%A5%E6%9C%AC", "€-日本", id="letters of any script"),
        pytest.param("%3Cb%3E%26", "<b>&", id="markup stays text"),
        pytest.param("", "", id="empty"),
    ],
)
def test_the_handshake_gives_the_token_back(
    app: LoadedApp, webhook: Webhook, sent: str, token: str
) -> None:
    answer = webhook.post(app, "", f"?validationToken={sent}", "text/plain; charset=utf-8")

    assert (answer.status, answer.body) == (200, token)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    # Anybody can make us say something here; no browser may take it for a page.
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        pytest.param("/api/graph/notifications", "POST", id="as it is"),
        pytest.param("/api/Graph/Lifecycle/", "GET", id="letters and a slash"),
        pytest.param("/api/graph%2Fnotifications", "POST", id="an escaped slash"),
        pytest.param("/api//graph//lifecycle", "OPTIONS", id="doubled slashes"),
        pytest.param("/api/gr%61ph/notifications", "POST", id="an escaped letter"),
    ],
)
def test_where_a_host_routes_a_webhook_to_the_api_the_handshake_is_answered_and_nothing_else(
    app: LoadedApp, path: str, method: str
) -> None:
    query, plain = "?validationToken=Testing%2B1", {"Content-Type": "text/plain"}
    shaken = app.worker.http("admin", method, path + query, body="", headers=plain)
    json_body = {"Content-Type": "application/json"}
    other = app.worker.http("admin", method, path, body=delivery("x"), headers=json_body)

    assert (shaken.status, shaken.body) == (200, "Testing+1")
    assert shaken.headers["content-type"] == "text/plain; charset=utf-8"
    assert (other.status, other.json()["code"]) == (404, "route.notFound")
    assert other.headers["content-type"] == "application/problem+json"


async def test_a_delivery_is_kept_and_asks_for_a_run(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    told = await subscribed(services, connection_id)
    webhook = Webhook("graph_notifications", "/api/graph/notifications")

    answer = webhook.post(app, post(told.user(ANN), told.user(BOB)).decode())

    assert (answer.status, answer.body) == (202, "")
    # Not visible before the burst is over; two items and a second delivery are one request.
    webhook.post(app, post(told.user(ANN)).decode())
    await asyncio.sleep(DEBOUNCE_S + 0.5)
    asked = SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK)
    assert app.requests() == [asked]
    kept = await services.store.checkpoints.load(connection_id)
    assert {object_id for object_id, _ in kept.cases} == {ANN, BOB}


async def test_a_lifecycle_notification_becomes_a_message_about_the_subscription(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    webhook = Webhook("graph_lifecycle", "/api/graph/lifecycle")
    state = client_state(await client_state_key(services.vault), connection_id, "nonce")
    event = {"subscriptionId": "s", "clientState": state, "lifecycleEvent": "missed"}

    answer = webhook.post(app, json.dumps({"value": [event, event]}))

    assert (answer.status, answer.body) == (202, "")
    [request] = app.requests()
    assert (request.connection_id, request.purpose) == (connection_id, Purpose.SUBSCRIBE)
    assert [one.event.value for one in request.events] == ["missed"]


async def test_a_forged_delivery_is_taken_and_asks_for_nothing(
    app: LoadedApp, services: Services, connection_id: str, webhook: Webhook
) -> None:
    """Graph would repeat what is refused, and a forger would learn what is right."""
    forged = client_state(b"somebody else's key", connection_id, "n")

    answer = webhook.post(app, delivery(forged))

    assert (answer.status, answer.body) == (202, "")
    await asyncio.sleep(DEBOUNCE_S + 0.5)
    assert app.requests() == []


async def test_a_thousand_forged_bodies_a_second_take_no_memory_and_true_ones_arrive(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    """With the profile "proof" for a minute."""
    told = await subscribed(services, connection_id)
    seconds = 60 if settings().max_examples >= PROOF_EXAMPLES else 1
    people = [str(uuid.uuid4()) for _ in range(10 * seconds)]
    forged = [
        told.user(ANN) | {"clientState": client_state(b"a guess", f"forged-{number}", "n" * 22)}
        for number in range(1_000)
    ]
    bodies = [post(*forged[start : start + 10]).decode() for start in range(0, 1_000, 10)]
    bodies += ["<html>", json.dumps({"value": [{}] * MAX_ITEMS})]
    true = [post(told.user(person)).decode() for person in people]
    answered = app.worker.flood(
        "graph_notifications", "/api/graph/notifications", bodies, true, seconds=seconds
    )
    kept = await services.store.checkpoints.load(connection_id)
    sys.stdout.write(f"{answered}\n")

    assert {object_id for object_id, _ in kept.cases} == set(people)
    assert answered.statuses.keys() == {202, 400}
    assert answered.peak_mib < 300


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty"),
        pytest.param("<html>", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"value": 7}', id="no collection"),
        pytest.param('{"value": ["x"]}', id="no notification"),
    ],
)
def test_what_graph_would_not_send_is_refused(app: LoadedApp, webhook: Webhook, body: str) -> None:
    answer = webhook.post(app, body)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_a_megabyte_is_the_most_and_more_is_not_parsed(
    app: LoadedApp, webhook: Webhook
) -> None:
    """Anybody may call a webhook, and parsing takes forty times the size of the body."""
    longest = delivery("x").ljust(MAX_DELIVERY_BYTES)

    taken, refused = webhook.post(app, longest), webhook.post(app, "<" + longest)

    assert taken.status == 202
    # No JSON at all, and yet not 400: it was measured first.
    assert (refused.status, refused.json()["code"]) == (413, "request.tooLarge")


def test_more_than_a_thousand_notifications_are_refused(app: LoadedApp, webhook: Webhook) -> None:
    body = json.dumps({"value": [{}] * (MAX_ITEMS + 1)})

    answer = webhook.post(app, body)

    assert (answer.status, answer.json()["code"]) == (413, "notifications.tooMany")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_a_delivery_is_sent_as_json(app: LoadedApp, webhook: Webhook, media_type: str) -> None:
    """A page of another site can send forms and plain text without being asked, JSON not."""
    answer = webhook.post(app, delivery("x"), media_type=media_type)

    assert (answer.status, answer.json()["code"]) == (415, "request.mediaType")
