"""A notification says by its `clientState` whose it is, and whether this app's key has signed it."""

import hmac
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import Invalid
from sync_core.domain.notifications import (
    MAX_CLIENT_STATE,
    MAX_ITEMS,
    Delivery,
    Notification,
    TooManyItems,
    client_state,
    read_delivery,
)
from tests.unit.builders import JSON

KEY = b"k" * 32
NONCE = "nonce-of-22-characters"
OURS = client_state(KEY, "contoso", NONCE)


ANN = "aaaaaaaa-0000-4000-8000-00000000000a"
BOB = "bbbbbbbb-0000-4000-8000-00000000000b"
GROUP = "10000000-0000-4000-8000-000000000001"


def post(*states: object, **data: Any) -> bytes:
    """Return a body as Graph sends it, one item a `clientState`."""
    items = [
        {"subscriptionId": "S", "clientState": state, "changeType": "updated", "resourceData": data}
        for state in states
    ]
    return orjson.dumps({"value": items})


def read(**data: Any) -> Notification:
    """Return the only notification of a POST."""
    [notification] = read_delivery(post(OURS, **data), KEY).notifications
    return notification


def test_a_notification_names_its_connection_and_its_subscription() -> None:
    expected = Notification("contoso", NONCE, is_proven=True, subscription_id="s")

    assert read_delivery(post(OURS), KEY) == Delivery((expected,), 0)


def test_several_connections_may_share_a_post() -> None:
    fabrikam = client_state(KEY, "fabrikam", NONCE)
    delivery = read_delivery(post(fabrikam, OURS, fabrikam), KEY)

    named = [one.connection_id for one in delivery.notifications]
    assert named == ["fabrikam", "contoso", "fabrikam"]


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(client_state(b"another key", "contoso", NONCE), id="another key"),
        pytest.param(OURS.replace("contoso", "fabrikam"), id="proof of another connection"),
        pytest.param(OURS.replace("22", "23"), id="proof of another subscription"),
    ],
)
def test_what_the_key_of_now_has_not_signed_is_not_proven(state: str) -> None:
    """It may be signed with the key before it was replaced: the stored subscriptions tell."""
    [notification] = read_delivery(post(state), KEY).notifications

    assert not notification.is_proven


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("contoso", id="no proof"),
        pytest.param(f"contoso.{NONCE}.", id="empty proof"),
        pytest.param(OURS.removeprefix("contoso"), id="no connection"),
        pytest.param(OURS[:-1], id="cut off"),
        pytest.param(OURS + "=", id="something added"),
        pytest.param(OURS.upper(), id="upper case"),
        pytest.param(OURS + " ", id="blank at the end"),
        pytest.param("", id="empty"),
        pytest.param("contosö.é", id="letters that are not ASCII"),
        pytest.param("contoso." + "x" * 200, id="longer than Graph keeps"),
        pytest.param(None, id="null"),
        pytest.param(7, id="number"),
        pytest.param([OURS], id="list"),
        pytest.param({OURS: OURS}, id="object"),
    ],
)
def test_an_item_without_a_state_is_discarded_and_the_others_count(state: object) -> None:
    delivery = read_delivery(post(state, OURS, state), KEY)

    assert (len(delivery.notifications), delivery.discarded) == (1, 2)


def test_an_item_without_client_state_is_discarded() -> None:
    assert read_delivery(b'{"value": [{}]}', KEY) == Delivery((), 1)


def test_a_post_without_items_is_taken() -> None:
    assert read_delivery(b'{"value": []}', KEY) == Delivery((), 0)


def test_it_names_who_changed_and_when() -> None:
    told = read(id=ANN.upper(), eventTime="2026-05-04T12:00:00.1234567Z")

    assert told.object_id == ANN
    assert told.at == datetime(2026, 5, 4, 12, 0, 0, 123456, UTC)


def test_it_names_members_of_a_group_and_whether_they_came_or_left() -> None:
    """Here `@removed` is a text; one member was seen with both in one item."""
    told = read(
        id=GROUP,
        **{
            "members@delta": [
                {"id": ANN},
                {"id": BOB, "@removed": "deleted"},
                {"id": GROUP},
                {"id": GROUP, "@removed": "deleted"},
                {"id": BOB, "@removed": "deleted"},
            ]
        },
    )

    assert told.members == ((ANN, False), (BOB, True), (GROUP, None))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"id": "1"}, None, id="no object id"),
        pytest.param({"id": 7}, None, id="a number"),
        pytest.param({"id": ANN + "0"}, None, id="too long"),
        pytest.param({"id": ANN, "members@delta": "x"}, ANN, id="members as text"),
        pytest.param({"id": ANN, "members@delta": ["x", {"id": "y"}]}, ANN, id="no members"),
        pytest.param({"id": ANN, "eventTime": "yesterday"}, ANN, id="no time"),
        pytest.param({"id": ANN, "eventTime": 7}, ANN, id="a time as a number"),
    ],
)
def test_what_is_not_well_formed_is_left_out(data: dict[str, Any], expected: str | None) -> None:
    told = read(**data)

    assert (told.object_id, told.members, told.at) == (expected, (), None)


def test_a_time_without_a_zone_is_utc() -> None:
    assert read(eventTime="2026-05-04T12:00:00").at == datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_resource_data_that_is_no_object_names_nobody() -> None:
    body = orjson.dumps({"value": [{"clientState": OURS, "resourceData": [ANN]}]})
    [told] = read_delivery(body, KEY).notifications

    assert (told.object_id, told.subscription_id) == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b'{"value": [', id="cut off"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"value"', id="text"),
        pytest.param(b"{}", id="no value"),
        pytest.param(b'{"value": null}', id="null value"),
        pytest.param(b'{"value": ""}', id="empty text for a list"),
        pytest.param(b'{"value": {}}', id="object for a list"),
        pytest.param(b'{"value": 5}', id="number for a list"),
        pytest.param(b'{"value": [null]}', id="null for an item"),
        pytest.param(b'{"value": [[]]}', id="list for an item"),
        pytest.param(b'{"value": ["x"]}', id="text for an item"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_a_body_that_graph_would_not_send_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid, match="not a collection of change notifications"):
        read_delivery(body, KEY)


@given(JSON)
def test_any_json_is_a_delivery_or_refused(document: object) -> None:
    for body in (orjson.dumps(document), orjson.dumps({"value": document})):
        try:
            delivery = read_delivery(body, KEY)
        except Invalid:
            continue

        assert delivery.notifications == ()


def test_a_thousand_items_are_read_and_one_more_is_refused() -> None:
    most = ["x"] * (MAX_ITEMS - 1)

    assert read_delivery(post(*most, OURS), KEY).discarded == MAX_ITEMS - 1
    with pytest.raises(TooManyItems, match="1001 notifications"):
        read_delivery(post(*most, OURS, OURS), KEY)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True))
def test_every_connection_id_fits_what_graph_keeps(connection_id: str) -> None:
    state = client_state(KEY, connection_id, NONCE)
    [told] = read_delivery(post(state), KEY).notifications

    assert len(state) <= MAX_CLIENT_STATE
    assert (told.connection_id, told.is_proven) == (connection_id, True)


def test_proofs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever hmac says is what counts: there is no other comparison beside it."""
    monkeypatch.setattr(hmac, "compare_digest", lambda _one, _other: True)

    [told] = read_delivery(post(OURS.replace("contoso", "fabrikam")), KEY).notifications
    assert told.is_proven


def test_the_proof_is_an_hmac_of_the_connection_and_the_nonce() -> None:
    """Written down: subscriptions that live for weeks carry it over deployments."""
    assert OURS == "contoso.nonce-of-22-characters.j3UoK7oRY_Ah5M3m6qiORV712SoLts377w6wVEz1Dtw"
