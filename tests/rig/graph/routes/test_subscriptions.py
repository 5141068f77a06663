"""Subscriptions: what Graph asks of them, the handshake, and what it delivers."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from local.graph import GraphEmulator
from local.sample import sample_group_id
from local.tls import TlsFiles
from tests.rig.graph.conftest import Application, Document, error_code

SALES = sample_group_id(4)


@dataclass
class Webhook:
    """A small receiver that does the handshake and keeps what it gets; it can misbehave."""

    echo: Callable[[str], str] = lambda token: token
    content_type: str = "text/plain"
    status: int = 200
    delay_s: float = 0.0
    answers: list[int] = field(default_factory=list)
    """Statuses of the next notifications; 202 when there are none left."""
    handshakes: list[str] = field(default_factory=list)
    posts: list[tuple[str, list[Document]]] = field(default_factory=list)
    url: str = ""

    def items(self) -> list[Document]:
        return [item for _, items in self.posts for item in items]


@pytest.fixture
def webhook(request: pytest.FixtureRequest, tls: TlsFiles) -> Iterator[Webhook]:
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            query = parse_qs(urlsplit(self.path).query)
            time.sleep(webhook.delay_s)
            if "validationToken" in query:
                webhook.handshakes.append(self.path)
                self.answer(webhook.status, webhook.echo(query["validationToken"][0]))
                return
            status = webhook.answers.pop(0) if webhook.answers else 202
            webhook.posts.append((self.path, orjson.loads(body)["value"]))
            self.answer(status, "")

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", webhook.content_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = getattr(request, "param", "http")
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    webhook.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    yield webhook
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def quick(emulator: GraphEmulator) -> None:
    emulator.control.settings(delay_s=0.02, first_retry_s=0.02)


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def body(webhook: Webhook, **changes: Any) -> Document:
    document = {
        "changeType": "updated",
        "notificationUrl": f"{webhook.url}/api/graph/notifications?code=a%2Bb",
        "lifecycleNotificationUrl": f"{webhook.url}/api/graph/lifecycle",
        "resource": "users",
        "expirationDateTime": in_minutes(1000),
        "clientState": "a secret",
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def create(application: Application, document: Document) -> Document:
    answer = application.ask("/subscriptions", method="POST", json=document)
    assert answer.status_code == 201, answer.text
    created: Document = answer.json()
    return created


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


# Creating


def test_creating_validates_both_addresses_and_keeps_their_query(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))

    paths = [handshake.partition("?")[0] for handshake in webhook.handshakes]
    assert paths == ["/api/graph/notifications", "/api/graph/lifecycle"]
    assert "?code=a%2Bb&validationToken=" in webhook.handshakes[0]
    assert created["clientState"] == "a secret"
    assert created["notificationUrl"].endswith("?code=a%2Bb")


@pytest.mark.parametrize("webhook", ["https"], indirect=True)
def test_a_webhook_with_a_certificate_of_the_rig_is_trusted(
    application: Application, webhook: Webhook
) -> None:
    create(application, body(webhook))

    assert webhook.url.startswith("https://")
    assert len(webhook.handshakes) == 2


@pytest.mark.parametrize(
    "misbehaviour",
    [
        pytest.param({"status": 202}, id="not 200"),
        pytest.param({"content_type": "application/json"}, id="not plain text"),
        pytest.param({"echo": lambda _: "OK"}, id="not the token"),
        pytest.param({"echo": lambda token: token.replace("+", " ")}, id="decoded twice"),
        pytest.param({"echo": lambda token: token.replace(" ", "%20")}, id="not decoded"),
    ],
)
def test_a_handshake_that_goes_wrong_fails_the_creation(
    application: Application, webhook: Webhook, misbehaviour: dict[str, Any]
) -> None:
    for name, value in misbehaviour.items():
        setattr(webhook, name, value)

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert (answer.status_code, error_code(answer)) == (400, "ValidationError")
    assert application.ask("/subscriptions").json()["value"] == []


def test_a_handshake_that_takes_too_long_fails_the_creation(
    application: Application, webhook: Webhook
) -> None:
    application.emulator.control.settings(handshake_timeout_s=0.05)
    webhook.delay_s = 0.3

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert answer.json()["error"]["message"] == "Subscription validation request timed out."


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"expirationDateTime": in_minutes(41_759)}, 201, id="longest life"),
        pytest.param({"expirationDateTime": in_minutes(41_770)}, 400, id="too long a life"),
        pytest.param({"expirationDateTime": in_minutes(-1)}, 400, id="in the past"),
        pytest.param({"expirationDateTime": "soon"}, 400, id="not a date"),
        pytest.param({"expirationDateTime": ...}, 400, id="no end"),
        pytest.param({"clientState": "x" * 128}, 201, id="clientState 128"),
        pytest.param({"clientState": "x" * 129}, 400, id="clientState 129"),
        pytest.param({"resource": "/users"}, 201, id="leading slash"),
        pytest.param({"resource": "groups"}, 201, id="groups"),
        pytest.param({"resource": f"groups/{SALES}/members"}, 201, id="members of a group"),
        pytest.param({"resource": f"groups/{SALES[::-1]}"}, 404, id="no such group"),
        pytest.param({"resource": "me/messages"}, 400, id="mail"),
        pytest.param({"resource": "https://graph.microsoft.com/v1.0/users"}, 400, id="whole url"),
        pytest.param({"changeType": "created,updated"}, 201, id="two change types"),
        pytest.param({"changeType": "renamed"}, 400, id="unknown change type"),
        pytest.param({"notificationUrl": "http://example.com/"}, 400, id="http elsewhere"),
        pytest.param({"notificationUrl": "webhook"}, 400, id="not an address"),
        pytest.param({"lifecycleNotificationUrl": ...}, 201, id="no lifecycle address"),
        pytest.param({"includeResourceData": True}, 400, id="rich data"),
        pytest.param({"latestSupportedTlsVersion": "v9"}, 400, id="unknown tls"),
        pytest.param({"colour": "blue"}, 400, id="unknown property"),
    ],
)
def test_what_a_subscription_may_ask_for(
    application: Application, webhook: Webhook, changes: Document, status: int
) -> None:
    answer = application.ask("/subscriptions", method="POST", json=body(webhook, **changes))

    assert answer.status_code == status, answer.text


def test_less_than_45_minutes_are_raised_to_45(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook, expirationDateTime=in_minutes(5)))

    ends = datetime.fromisoformat(created["expirationDateTime"][:19] + "+00:00")
    assert timedelta(minutes=44) < ends - datetime.now(UTC) < timedelta(minutes=46)


def test_the_same_subscription_twice_is_a_conflict(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert answer.status_code == 409
    assert created["id"] in answer.json()["error"]["message"]
    create(application, body(webhook, changeType="deleted"))


def test_the_quota_is_told_as_403(application: Application, webhook: Webhook) -> None:
    application.emulator.control.settings(subscription_quota=1)
    create(application, body(webhook))

    answer = application.ask("/subscriptions", method="POST", json=body(webhook, resource="groups"))

    assert answer.status_code == 403
    assert "limit of 1" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("roles", "resource", "status"),
    [
        pytest.param(["User.Read.All"], "users", 201, id="users"),
        pytest.param(["Group.Read.All"], "groups", 201, id="groups"),
        pytest.param(["GroupMember.Read.All"], "groups", 403, id="group members do not suffice"),
        pytest.param(["User.ReadWrite.All"], "users", 403, id="write permissions do not count"),
    ],
)
def test_a_subscription_needs_exactly_the_listed_permission(
    application: Application, webhook: Webhook, roles: list[str], resource: str, status: int
) -> None:
    application.emulator.control.set_roles(roles)
    application.sign_in()

    document = body(webhook, resource=resource)
    answer = application.ask("/subscriptions", method="POST", json=document)

    assert answer.status_code == status


# Keeping


def test_renewing_moves_the_end_and_shakes_hands_again(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))
    webhook.handshakes.clear()

    answer = application.ask(
        f"/subscriptions/{created['id']}",
        method="PATCH",
        json={"expirationDateTime": in_minutes(40_000)},
    )

    assert answer.status_code == 200
    assert answer.json()["expirationDateTime"] > created["expirationDateTime"]
    assert len(webhook.handshakes) == 2


def test_a_renewal_whose_handshake_fails_changes_nothing(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))
    webhook.status = 500

    answer = application.ask(
        f"/subscriptions/{created['id']}",
        method="PATCH",
        json={"expirationDateTime": in_minutes(40_000)},
    )

    kept = application.ask(f"/subscriptions/{created['id']}").json()
    assert answer.status_code == 400
    assert kept["expirationDateTime"] == created["expirationDateTime"]


def test_a_new_address_is_taken_once_it_answers(application: Application, webhook: Webhook) -> None:
    path = f"/subscriptions/{create(application, body(webhook))['id']}"
    moved = f"{webhook.url}/elsewhere"
    webhook.status = 500
    refused = application.ask(path, method="PATCH", json={"notificationUrl": moved})
    kept = application.ask(path).json()["notificationUrl"]
    webhook.status = 200
    taken = application.ask(path, method="PATCH", json={"notificationUrl": moved})

    assert refused.status_code == 400
    assert kept != moved
    assert taken.json()["notificationUrl"] == moved


def test_other_apps_do_not_see_a_subscription(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook))
    control = application.emulator.control
    other = "00000000-1111-4222-8333-444444444444"
    control.create_app(other, "Another app")
    control.set_roles(["User.Read.All"], app=other)
    application.sign_in(client_id=other, client_secret=control.add_secret(app=other))

    assert application.ask("/subscriptions").json()["value"] == []
    assert application.ask(f"/subscriptions/{created['id']}").status_code == 404


@pytest.mark.parametrize("name", ["clientState", "lifecycleNotificationUrl", "resource"])
def test_what_cannot_be_changed(application: Application, webhook: Webhook, name: str) -> None:
    created = create(application, body(webhook))

    answer = application.ask(
        f"/subscriptions/{created['id']}", method="PATCH", json={name: f"{webhook.url}/x"}
    )

    assert answer.status_code == 400


def test_reauthorizing_does_not_move_the_end(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook))
    path = f"/subscriptions/{created['id']}"

    answer = application.ask(f"{path}/reauthorize", method="POST")

    assert answer.status_code == 204
    assert application.ask(path).json()["expirationDateTime"] == created["expirationDateTime"]


def test_reading_and_deleting(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook))
    path = f"/subscriptions/{created['id']}"
    listed = application.ask("/subscriptions").json()["value"]
    deleted = application.ask(path, method="DELETE")

    assert [item["id"] for item in listed] == [created["id"]]
    assert listed[0]["clientState"] is None, "told once, at creation"
    assert deleted.status_code == 204
    assert application.ask(path).status_code == 404


def test_a_subscription_ends(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook, expirationDateTime=in_minutes(60)))
    application.emulator.control.advance_clock(61 * 60)

    answer = application.ask(
        f"/subscriptions/{created['id']}",
        method="PATCH",
        json={"expirationDateTime": in_minutes(9000)},
    )

    assert answer.status_code == 404


# Delivering


def test_a_changed_person_is_told(application: Application, webhook: Webhook) -> None:
    created = create(application, body(webhook))
    person = application.emulator.control.people(top=1)[0]["id"]
    application.emulator.control.patch_person(person, {"department": "Moon"})
    wait_for(lambda: bool(webhook.posts))

    path, items = webhook.posts[0]
    assert path == "/api/graph/notifications?code=a%2Bb"
    assert items[0]["subscriptionId"] == created["id"]
    assert items[0]["clientState"] == "a secret"
    assert items[0]["changeType"] == "updated"
    assert items[0]["resource"] == f"Users/{person}"
    assert items[0]["tenantId"] == application.emulator.control.tenant_of(None).id
    assert items[0]["resourceData"]["@odata.type"] == "#Microsoft.Graph.User"
    assert items[0]["resourceData"]["id"] == person


def test_members_are_told_with_a_removed_that_is_a_text(
    application: Application, webhook: Webhook
) -> None:
    create(application, body(webhook, resource=f"groups/{SALES}/members"))
    control = application.emulator.control
    removed = control.remove_members(SALES, count=1)[0]
    control.patch_group(SALES, {"description": "not of interest"})
    wait_for(lambda: bool(webhook.posts))

    item = webhook.items()[0]
    assert item["resource"] == f"Groups/{SALES}"
    assert item["resourceData"]["members@delta"] == [{"id": removed, "@removed": "deleted"}]


def test_soft_deletion_is_an_update_and_permanent_deletion_is_a_deletion(
    application: Application, webhook: Webhook
) -> None:
    create(application, body(webhook, changeType="updated,deleted"))
    person = application.emulator.control.people(top=1)[0]["id"]
    application.emulator.control.soft_delete(person)
    wait_for(lambda: len(webhook.items()) == 1)
    application.emulator.control.hard_delete(person)
    wait_for(lambda: len(webhook.items()) == 2)

    assert [item["changeType"] for item in webhook.items()] == ["updated", "deleted"]


@pytest.mark.parametrize(
    ("asked", "told"), [("created", "created"), ("updated", "updated"), ("deleted", None)]
)
def test_a_new_person_is_an_update_unless_only_creations_were_asked_for(
    application: Application, webhook: Webhook, asked: str, told: str | None
) -> None:
    control = application.emulator.control
    create(application, body(webhook, changeType=asked))
    created = control.create_person({"displayName": "Ada Neu"})["id"]
    gone = control.people(top=1)[0]["id"]
    control.patch_person(gone, {"department": "Moon"})
    if asked == "deleted":
        control.hard_delete(gone)
    wait_for(lambda: bool(webhook.posts))

    about_new = [i for i in webhook.items() if i["resourceData"]["id"] == created]
    assert [item["changeType"] for item in about_new] == ([told] if told else [])


def test_only_the_subscribed_kind_of_change_is_told(
    application: Application, webhook: Webhook
) -> None:
    """Another object, another kind, another type of change: silence."""
    control = application.emulator.control
    people = [person["id"] for person in control.people(top=3)]
    create(application, body(webhook, resource=f"users/{people[0]}"))
    create(application, body(webhook, resource=f"users/{people[1]}", changeType="deleted"))
    control.patch_group(SALES, {"description": "x"})
    for person in (people[2], people[1], people[0]):
        control.patch_person(person, {"department": "Moon"})
    wait_for(lambda: bool(webhook.posts))

    assert [item["resourceData"]["id"] for item in webhook.items()] == [people[0]]


def test_many_changes_share_a_post(application: Application, webhook: Webhook) -> None:
    create(application, body(webhook))
    application.emulator.control.change_many("block", count=30)
    wait_for(lambda: len(webhook.items()) == 30)

    assert len(webhook.posts) == 1


def test_a_delivery_that_is_not_taken_is_tried_again(
    application: Application, webhook: Webhook
) -> None:
    create(application, body(webhook))
    webhook.answers = [500, 503]
    person = application.emulator.control.people(top=1)[0]["id"]
    application.emulator.control.patch_person(person, {"department": "Moon"})
    wait_for(lambda: any(d["delivered"] for d in application.emulator.control.deliveries()))

    assert application.emulator.control.deliveries()[0]["statuses"] == [500, 503, 202]
    assert len(webhook.posts) == 3


def test_a_lifecycle_event_goes_to_its_own_address(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))

    assert application.emulator.control.send_lifecycle("reauthorizationRequired") == 1
    wait_for(lambda: bool(webhook.posts))
    path, items = webhook.posts[0]
    assert path == "/api/graph/lifecycle"
    assert items[0].keys() == {
        "subscriptionId",
        "subscriptionExpirationDateTime",
        "tenantId",
        "clientState",
        "lifecycleEvent",
    }
    assert items[0]["subscriptionId"] == created["id"]


def test_a_subscription_can_be_lost_without_a_word(
    application: Application, webhook: Webhook
) -> None:
    created = create(application, body(webhook))

    assert application.emulator.control.drop_subscription(created["id"])
    assert application.ask(f"/subscriptions/{created['id']}").status_code == 404


async def test_stopping_with_a_delivery_under_way_is_quick(
    application: Application, webhook: Webhook
) -> None:
    create(application, body(webhook))
    application.emulator.control.settings(first_retry_s=3600)
    webhook.answers = [500]
    application.emulator.control.change_many("block", count=1)
    await asyncio.to_thread(wait_for, lambda: bool(webhook.posts))
    started = time.monotonic()

    await asyncio.to_thread(application.emulator.__exit__, None, None, None)

    assert time.monotonic() - started < 3
