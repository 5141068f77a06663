"""A lifecycle notification counts only with our own proof in it, and each event of a POST once."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.request import LifecycleEvent, SubscriptionEvent
from sync_core.domain.errors import Invalid
from sync_core.domain.lifecycle import MOST_OF_ONE, read_lifecycle
from sync_core.domain.notifications import MAX_ITEMS, TooManyItems, client_state
from tests.unit.builders import JSON

KEY = b"k" * 32
OURS = client_state(KEY, "contoso", "nonce")


def item(**changes: Any) -> dict[str, Any]:
    told = {"subscriptionId": "s", "clientState": OURS, "lifecycleEvent": "missed"}
    return told | changes


def post(*items: dict[str, Any]) -> bytes:
    return orjson.dumps({"value": items})


def test_events_are_sorted_by_connection_and_each_is_told_once() -> None:
    fabrikam = client_state(KEY, "fabrikam", "other")
    body = post(
        item(), item(), item(lifecycleEvent="subscriptionRemoved"), item(clientState=fabrikam)
    )

    told = read_lifecycle(body, KEY)

    missed = SubscriptionEvent(subscription_id="s", nonce="nonce", event=LifecycleEvent.MISSED)
    assert told.events == {
        "contoso": [missed, missed.model_copy(update={"event": LifecycleEvent.REMOVED})],
        "fabrikam": [missed.model_copy(update={"nonce": "other"})],
    }
    assert told.discarded == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"clientState": OURS + "." + OURS}, id="too many parts"),
        pytest.param({"clientState": "x" * 129}, id="too long"),
        pytest.param({"clientState": "é.è.ê"}, id="no ASCII"),
        pytest.param({"clientState": None}, id="none"),
        pytest.param({"lifecycleEvent": "renamed"}, id="event not known"),
        pytest.param({"lifecycleEvent": ["missed"]}, id="event no text"),
        pytest.param({"subscriptionId": ""}, id="no id"),
        pytest.param({"subscriptionId": 7}, id="id no text"),
        pytest.param({"subscriptionId": "x" * 65}, id="id too long"),
        pytest.param({"subscriptionId": "a\nb"}, id="line break in the id"),
    ],
)
def test_what_is_not_signed_or_not_known_is_discarded(changes: dict[str, Any]) -> None:
    told = read_lifecycle(post(item(**changes)), KEY)

    assert (told.events, told.discarded) == ({}, 1)


@pytest.mark.parametrize(
    ("state", "origin"),
    [
        (client_state(b"x", "contoso", "nonce"), ("contoso", "nonce")),
        (OURS.replace("nonce", "other"), ("contoso", "other")),
        (OURS.replace("contoso", "fabrikam"), ("fabrikam", "nonce")),
    ],
    ids=["another key", "another nonce", "another connection"],
)
def test_what_this_key_has_not_signed_is_left_to_whoever_knows_the_rows(
    state: str, origin: tuple[str, str]
) -> None:
    told = read_lifecycle(post(item(clientState=state)), KEY)

    assert (told.events, told.discarded) == ({}, 0)
    assert [(connection_id, event.nonce) for connection_id, event in told.unproven] == [origin]


def test_one_post_fills_no_more_than_one_message() -> None:
    items = [item(subscriptionId=str(number)) for number in range(MOST_OF_ONE + 5)]

    assert len(read_lifecycle(post(*items), KEY).events["contoso"]) == MOST_OF_ONE


def test_more_than_a_thousand_items_are_refused() -> None:
    with pytest.raises(TooManyItems):
        read_lifecycle(post(*[item()] * (MAX_ITEMS + 1)), KEY)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"value": 7}', b'{"value": [7]}'])
def test_what_graph_would_not_send_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_lifecycle(body, KEY)


@given(st.lists(JSON, max_size=3))
def test_whatever_is_sent_nobody_is_named_without_our_proof(values: list[Any]) -> None:
    try:
        told = read_lifecycle(orjson.dumps({"value": values}), KEY)
    except Invalid:
        return
    assert told.events == {}
