"""A notification counts only with our own proof in it, and the webhook looks nothing up."""

import hmac
import secrets

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import Invalid
from sync_core.domain.notifications import (
    MAX_CLIENT_STATE,
    MAX_ITEMS,
    Delivery,
    TooManyItems,
    client_state,
    read_delivery,
)
from tests.unit.builders import JSON

KEY = b"k" * 32
NONCE = "nonce-of-22-characters"
OURS = client_state(KEY, "contoso", NONCE)


def post(*states: object) -> bytes:
    """Give a body as Graph sends it, one item a `clientState`."""
    return orjson.dumps(
        {
            "value": [
                {
                    "subscriptionId": "s",
                    "clientState": state,
                    "changeType": "updated",
                    "resource": "Users/1",
                    "resourceData": {
                        "id": "1",
                        "members@delta": [{"id": "2", "@removed": "deleted"}],
                    },
                }
                for state in states
            ]
        }
    )


def test_a_notification_names_its_connection() -> None:
    assert read_delivery(post(OURS), KEY) == Delivery(("contoso",), 0)


def test_several_connections_may_share_a_post() -> None:
    """Each once, in the order of their first item."""
    fabrikam = client_state(KEY, "fabrikam", NONCE)

    assert read_delivery(post(fabrikam, OURS, fabrikam, OURS), KEY) == Delivery(
        ("fabrikam", "contoso"), 0
    )


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(client_state(b"another key", "contoso", NONCE), id="another key"),
        pytest.param(OURS.replace("contoso", "fabrikam"), id="proof of another connection"),
        pytest.param("contoso", id="no proof"),
        pytest.param("contoso.", id="empty proof"),
        pytest.param("." + OURS.partition(".")[2], id="no connection"),
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
def test_an_item_without_our_proof_is_discarded_and_the_others_count(state: object) -> None:
    assert read_delivery(post(state, OURS, state), KEY) == Delivery(("contoso",), 2)


def test_an_item_without_client_state_is_discarded() -> None:
    assert read_delivery(b'{"value": [{}]}', KEY) == Delivery((), 1)


def test_a_post_without_items_is_taken() -> None:
    assert read_delivery(b'{"value": []}', KEY) == Delivery((), 0)


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

        assert delivery.connection_ids == ()


def test_a_thousand_items_are_read_and_one_more_is_refused() -> None:
    most = ["x"] * (MAX_ITEMS - 1)

    assert read_delivery(post(*most, OURS), KEY) == Delivery(("contoso",), MAX_ITEMS - 1)
    with pytest.raises(TooManyItems, match="1001 notifications"):
        read_delivery(post(*most, OURS, OURS), KEY)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True))
def test_every_connection_id_fits_what_graph_keeps(connection_id: str) -> None:
    state = client_state(KEY, connection_id, NONCE)

    assert len(state) <= MAX_CLIENT_STATE
    assert read_delivery(post(state), KEY).connection_ids == (connection_id,)


def test_the_longest_state_that_graph_keeps_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a longer one is not: 128 characters are the limit."""
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(other))
        return secrets.compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    read_delivery(post("x" * 128, "x" * 129), KEY)

    assert compared == [128]


def test_proofs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever hmac says is what counts: there is no other comparison beside it."""
    monkeypatch.setattr(hmac, "compare_digest", lambda _one, _other: True)

    assert read_delivery(post("fabrikam.wrong"), KEY).connection_ids == ("fabrikam",)


def test_the_proof_is_an_hmac_of_the_connection() -> None:
    """Written down: subscriptions that live for weeks carry it over deployments."""
    assert OURS == "contoso.nonce-of-22-characters.j3UoK7oRY_Ah5M3m6qiORV712SoLts377w6wVEz1Dtw"
