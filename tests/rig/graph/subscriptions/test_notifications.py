"""What a subscriber is told, when, and how often it is tried."""

import asyncio
import time
from collections.abc import Callable

import pytest

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application
from tests.rig.graph.webhook import Webhook, body

SALES = sample_group_id(4)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_a_changed_person_is_told(application: Application, webhook: Webhook) -> None:
    created = application.subscribe(body(webhook))
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
    application.subscribe(body(webhook, resource=f"groups/{SALES}/members"))
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
    application.subscribe(body(webhook, changeType="updated,deleted"))
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
    application.subscribe(body(webhook, changeType=asked))
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
    application.subscribe(body(webhook, resource=f"users/{people[0]}"))
    application.subscribe(body(webhook, resource=f"users/{people[1]}", changeType="deleted"))
    control.patch_group(SALES, {"description": "x"})
    for person in (people[2], people[1], people[0]):
        control.patch_person(person, {"department": "Moon"})
    wait_for(lambda: bool(webhook.posts))

    assert [item["resourceData"]["id"] for item in webhook.items()] == [people[0]]


def test_many_changes_share_a_post(application: Application, webhook: Webhook) -> None:
    application.subscribe(body(webhook))
    application.emulator.control.change_many("block", count=30)
    wait_for(lambda: len(webhook.items()) == 30)

    assert len(webhook.posts) == 1


def test_a_delivery_that_is_not_taken_is_tried_again(
    application: Application, webhook: Webhook
) -> None:
    application.subscribe(body(webhook))
    webhook.answers = [500, 503]
    person = application.emulator.control.people(top=1)[0]["id"]
    application.emulator.control.patch_person(person, {"department": "Moon"})
    wait_for(lambda: any(d["delivered"] for d in application.emulator.control.deliveries()))

    assert application.emulator.control.deliveries()[0]["statuses"] == [500, 503, 202]
    assert len(webhook.posts) == 3


def test_a_lifecycle_event_goes_to_its_own_address(
    application: Application, webhook: Webhook
) -> None:
    created = application.subscribe(body(webhook))

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


async def test_stopping_with_a_delivery_under_way_is_quick(
    application: Application, webhook: Webhook
) -> None:
    application.subscribe(body(webhook))
    application.emulator.control.settings(first_retry_s=3600)
    webhook.answers = [500]
    application.emulator.control.change_many("block", count=1)
    await asyncio.to_thread(wait_for, lambda: bool(webhook.posts))
    started = time.monotonic()

    await asyncio.to_thread(application.emulator.__exit__, None, None, None)

    assert time.monotonic() - started < 60


@pytest.mark.parametrize(("choice", "tells"), [("told", True), ("untold", False)])
def test_the_time_of_a_change_is_told_or_not(
    application: Application, webhook: Webhook, choice: str, tells: bool
) -> None:
    control = application.emulator.control
    control.settings(event_time=choice)
    application.subscribe(body(webhook))
    control.change_many("block", count=1)
    wait_for(lambda: bool(webhook.posts))

    assert ("eventTime" in webhook.items()[0]["resourceData"]) is tells


@pytest.mark.parametrize(
    ("fault", "options", "posts"),
    [("doubledNotifications", {}, 2), ("lateNotifications", {"milliseconds": 300}, 1)],
)
def test_a_post_is_late_or_doubled(
    application: Application, webhook: Webhook, fault: str, options: dict[str, int], posts: int
) -> None:
    control = application.emulator.control
    application.subscribe(body(webhook))
    control.add_fault(fault, path="/Users/**", **options)
    began = time.monotonic()
    control.change_many("block", count=1)
    wait_for(lambda: len(webhook.posts) == posts)

    assert time.monotonic() - began >= options.get("milliseconds", 0) / 1000


def test_a_lost_post_never_comes(application: Application, webhook: Webhook) -> None:
    control = application.emulator.control
    application.subscribe(body(webhook))
    one, other = (person["id"] for person in control.people(top=2))
    control.add_fault("lostNotifications", path="/Users/**", times=1)
    control.patch_person(one, {"department": "Moon"})
    wait_for(lambda: control.faults() == [] or control.faults()[0]["hits"] == 1)
    control.patch_person(other, {"department": "Moon"})
    wait_for(lambda: bool(webhook.posts))

    assert [item["resourceData"]["id"] for item in webhook.items()] == [other]


def test_items_come_in_the_opposite_order(application: Application, webhook: Webhook) -> None:
    control = application.emulator.control
    application.subscribe(body(webhook))
    control.add_fault("shuffledNotifications", path="/Users/**")
    control.change_many("block", count=2)
    wait_for(lambda: len(webhook.items()) == 2)

    one, other = (item["resourceData"]["sequenceNumber"] for item in webhook.items())
    assert one > other
