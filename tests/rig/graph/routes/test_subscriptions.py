"""Subscriptions: what Graph asks of them, the handshake, and how they end."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, Document, error_code
from tests.rig.graph.webhook import Webhook, body, in_minutes

SALES = sample_group_id(4)


def test_creating_validates_both_addresses_and_keeps_their_query(
    application: Application, webhook: Webhook
) -> None:
    created = application.subscribe(body(webhook))

    paths = [handshake.partition("?")[0] for handshake in webhook.handshakes]
    assert paths == ["/api/graph/notifications", "/api/graph/lifecycle"]
    assert "?code=a%2Bb&validationToken=" in webhook.handshakes[0]
    assert created["clientState"] == "a secret"
    assert created["notificationUrl"].endswith("?code=a%2Bb")


@pytest.mark.parametrize("webhook", ["https"], indirect=True)
def test_a_webhook_with_a_certificate_of_the_rig_is_trusted(
    application: Application, webhook: Webhook
) -> None:
    application.subscribe(body(webhook))

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


@pytest.mark.parametrize(
    ("minutes", "status"),
    [
        pytest.param(41_759, 201, id="longest life"),
        pytest.param(41_770, 400, id="too long a life"),
        pytest.param(-1, 400, id="in the past"),
    ],
)
def test_how_long_a_subscription_may_live(
    application: Application, webhook: Webhook, minutes: int, status: int
) -> None:
    ends = in_minutes(minutes)  # from now on, and not from when the tests were collected
    answer = application.ask(
        "/subscriptions", method="POST", json=body(webhook, expirationDateTime=ends)
    )

    assert answer.status_code == status, answer.text


def test_less_than_45_minutes_are_raised_to_45(application: Application, webhook: Webhook) -> None:
    created = application.subscribe(body(webhook, expirationDateTime=in_minutes(5)))

    ends = datetime.fromisoformat(created["expirationDateTime"][:19] + "+00:00")
    assert timedelta(minutes=44) < ends - datetime.now(UTC) < timedelta(minutes=46)


def test_the_same_subscription_twice_is_a_conflict(
    application: Application, webhook: Webhook
) -> None:
    created = application.subscribe(body(webhook))

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert answer.status_code == 409
    assert created["id"] in answer.json()["error"]["message"]
    application.subscribe(body(webhook, changeType="deleted"))


def test_the_quota_is_told_as_403(application: Application, webhook: Webhook) -> None:
    application.emulator.control.settings(subscription_quota=1)
    application.subscribe(body(webhook))

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


def test_renewing_moves_the_end_and_shakes_hands_again(
    application: Application, webhook: Webhook
) -> None:
    created = application.subscribe(body(webhook))
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
    created = application.subscribe(body(webhook))
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
    path = f"/subscriptions/{application.subscribe(body(webhook))['id']}"
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
    created = application.subscribe(body(webhook))
    control = application.emulator.control
    other = "00000000-1111-4222-8333-444444444444"
    control.create_app(other, "Another app")
    control.set_roles(["User.Read.All"], app=other)
    application.sign_in(client_id=other, client_secret=control.add_secret(app=other))

    assert application.ask("/subscriptions").json()["value"] == []
    assert application.ask(f"/subscriptions/{created['id']}").status_code == 404


@pytest.mark.parametrize("name", ["clientState", "lifecycleNotificationUrl", "resource"])
def test_what_cannot_be_changed(application: Application, webhook: Webhook, name: str) -> None:
    created = application.subscribe(body(webhook))

    answer = application.ask(
        f"/subscriptions/{created['id']}", method="PATCH", json={name: f"{webhook.url}/x"}
    )

    assert answer.status_code == 400


def test_reauthorizing_does_not_move_the_end(application: Application, webhook: Webhook) -> None:
    created = application.subscribe(body(webhook))
    path = f"/subscriptions/{created['id']}"

    answer = application.ask(f"{path}/reauthorize", method="POST")

    assert answer.status_code == 204
    assert application.ask(path).json()["expirationDateTime"] == created["expirationDateTime"]


def test_reading_and_deleting(application: Application, webhook: Webhook) -> None:
    created = application.subscribe(body(webhook))
    path = f"/subscriptions/{created['id']}"
    listed = application.ask("/subscriptions").json()["value"]
    deleted = application.ask(path, method="DELETE")

    assert [item["id"] for item in listed] == [created["id"]]
    assert listed[0]["clientState"] is None, "told once, at creation"
    assert deleted.status_code == 204
    assert application.ask(path).status_code == 404


def test_a_subscription_ends(application: Application, webhook: Webhook) -> None:
    created = application.subscribe(body(webhook, expirationDateTime=in_minutes(60)))
    application.emulator.control.advance_clock(61 * 60)

    answer = application.ask(
        f"/subscriptions/{created['id']}",
        method="PATCH",
        json={"expirationDateTime": in_minutes(9000)},
    )

    assert answer.status_code == 404


def test_a_subscription_can_be_lost_without_a_word(
    application: Application, webhook: Webhook
) -> None:
    created = application.subscribe(body(webhook))

    assert application.emulator.control.drop_subscription(created["id"])
    assert application.ask(f"/subscriptions/{created['id']}").status_code == 404


@pytest.mark.parametrize(("setting", "status"), [("optional", 201), ("required", 400)])
def test_pages_disagree_whether_a_client_state_is_needed(
    application: Application, webhook: Webhook, setting: str, status: int
) -> None:
    application.emulator.control.settings(client_state=setting)
    document = body(webhook)
    document.pop("clientState", None)

    answer = application.ask("/subscriptions", method="POST", json=document)

    assert answer.status_code == status


def test_a_tenant_of_azure_ad_b2c_has_no_subscriptions(
    application: Application, webhook: Webhook
) -> None:
    application.emulator.control.set_tenant(advanced_queries=False)

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert answer.status_code == 400


def test_who_may_subscribe_to_nothing_may_not_ask_for_subscriptions(
    application: Application, webhook: Webhook
) -> None:
    path = f"/subscriptions/{application.subscribe(body(webhook))['id']}"
    application.emulator.control.set_roles(["GroupMember.Read.All"])
    application.sign_in()
    statuses = {
        application.ask("/subscriptions").status_code,
        application.ask(path).status_code,
        application.ask(path, method="PATCH", json={}).status_code,
        application.ask(path, method="DELETE").status_code,
    }

    assert statuses == {403}


def test_each_resource_wants_its_own_permission_all_its_life(
    application: Application, webhook: Webhook
) -> None:
    path = f"/subscriptions/{application.subscribe(body(webhook, resource='groups'))['id']}"
    application.emulator.control.set_roles(["User.Read.All"])
    application.sign_in()
    renewal = {"expirationDateTime": in_minutes(40_000)}

    assert application.ask(path, method="PATCH", json=renewal).status_code == 403


@pytest.mark.parametrize("first", ["PATCH", "POST"])
def test_renewing_and_reauthorizing_within_ten_minutes_is_refused(
    application: Application, webhook: Webhook, first: str
) -> None:
    """Graph warns of an inconsistent state; here a client is told."""
    path = f"/subscriptions/{application.subscribe(body(webhook))['id']}"
    control = application.emulator.control

    def ask(method: str) -> int:
        if method == "POST":
            return application.ask(f"{path}/reauthorize", method="POST").status_code
        renewal = {"expirationDateTime": in_minutes(1_000)}
        return application.ask(path, method="PATCH", json=renewal).status_code

    second = "POST" if first == "PATCH" else "PATCH"
    done, refused = ask(first), ask(second)
    again = ask(first)
    control.advance_clock(10 * 60)

    assert (done < 300, refused, again < 300) == (True, 400, True)
    assert ask(second) < 300


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "'Unauthorized'"), (403, "'Forbidden'"), (500, "'InternalServerError'")],
)
def test_a_refusal_says_what_the_webhook_answered(
    application: Application, webhook: Webhook, status: int, told: str
) -> None:
    webhook.status = status

    answer = application.ask("/subscriptions", method="POST", json=body(webhook))

    assert f"HTTP status code is {told}" in answer.json()["error"]["message"]


def test_a_list_may_leave_out_what_lives_and_tell_what_is_dead(
    application: Application, webhook: Webhook
) -> None:
    control = application.emulator.control
    live = application.subscribe(body(webhook))["id"]
    dead = application.subscribe(body(webhook, resource="groups"))["id"]
    application.ask(f"/subscriptions/{dead}", method="DELETE")
    control.add_fault("hiddenSubscriptions")
    control.add_fault("deadSubscriptions")

    listed = application.ask("/subscriptions").json()["value"]

    assert [one["id"] for one in listed] == [dead]
    assert application.ask(f"/subscriptions/{dead}").status_code == 404
    assert application.ask(f"/subscriptions/{live}").status_code == 200


@pytest.mark.parametrize("renewal", ["PATCH", "POST"])
def test_a_token_that_is_over_holds_notifications_and_is_asked_for_every_15_minutes(
    application: Application, webhook: Webhook, renewal: str
) -> None:
    control = application.emulator.control
    control.settings(token_life_s=3_600)
    path = f"/subscriptions/{application.subscribe(body(webhook))['id']}"
    person = control.people()[0]["id"]
    for minutes in (59, 1, 5, 10, 15):
        control.advance_clock(minutes * 60)
    reminders = wait_for(webhook.items, 3)
    control.patch_person(person, {"jobTitle": "Another"})
    time.sleep(0.1)
    held = [one for one in webhook.items() if "lifecycleEvent" not in one]
    if renewal == "POST":
        application.ask(f"{path}/reauthorize", method="POST")
    else:
        later = {"expirationDateTime": in_minutes(40_000)}
        application.ask(path, method="PATCH", json=later)
    everything = wait_for(webhook.items, 4)
    control.advance_clock(30 * 60)

    assert [one["lifecycleEvent"] for one in reminders] == ["reauthorizationRequired"] * 3
    assert held == []
    assert everything[-1]["resource"] == f"Users/{person}"
    assert len(webhook.items()) == 4


def wait_for(look: Callable[[], list[Document]], count: int) -> list[Document]:
    deadline = time.monotonic() + 5
    while len(look()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return look()
