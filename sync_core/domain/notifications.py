"""Change notifications of Microsoft Graph: a POST body in, the connections to look at out. Pure.

A notification is a hint, never data: what changed is read from Graph afterwards. Each item is checked by
its `clientState`, which names the connection and proves that this app made the subscription, so that
the webhook needs no look-up to answer within the 3 seconds that Graph allows
(learn.microsoft.com/graph/change-notifications-delivery-webhooks).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

import orjson

from sync_core.domain.errors import Invalid, RequestRefused

# More than Graph puts into one POST; whoever sends more is not Graph.
MAX_ITEMS = 1_000
# Graph keeps up to 128 characters (learn.microsoft.com/graph/api/resources/subscription).
MAX_CLIENT_STATE = 128


class TooManyItems(RequestRefused):
    """A POST with more notifications than are looked at."""

    status = 413


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one POST was about; `discarded` items had no valid `clientState`."""

    connection_ids: tuple[str, ...]
    discarded: int


def client_state(key: bytes, connection_id: str, nonce: str) -> str:
    """Return the `clientState` of one subscription: its connection, its nonce, and a proof of who wrote it.

    The nonce holds no full stop and at most 22 characters, as 16 random bytes in base64url do: with it, a
    state that has leaked is replaced alone.
    """
    told = f"graph-notifications|{connection_id}|{nonce}".encode()
    proof = base64.urlsafe_b64encode(hmac.digest(key, told, hashlib.sha256)).decode().rstrip("=")
    return f"{connection_id}.{nonce}.{proof}"


def read_delivery(body: bytes, key: bytes) -> Delivery:
    """Sort a POST by connection; raise `Invalid` or `TooManyItems` for what Graph would not send.

    Items that fail the check are discarded and the POST is accepted all the same: Graph would send the
    whole of it again otherwise.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise not_notifications() from error
    items = document.get("value") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise not_notifications()
    if len(items) > MAX_ITEMS:
        raise TooManyItems(
            "notifications.tooMany",
            f"The body holds {len(items)} notifications; at most {MAX_ITEMS} are taken.",
            "Send them in several requests.",
        )
    states = [item.get("clientState") for item in items]
    found = [connection for state in states if (connection := _connection(key, state))]
    return Delivery(tuple(dict.fromkeys(found)), len(states) - len(found))


def not_notifications() -> Invalid:
    return Invalid("The body is not a collection of change notifications.", [])


def _connection(key: bytes, state: object) -> str | None:
    if not isinstance(state, str) or len(state) > MAX_CLIENT_STATE:
        return None
    connection_id, _, rest = state.partition(".")
    expected = client_state(key, connection_id, rest.partition(".")[0])
    # Bytes: compare_digest refuses text that is not ASCII.
    return connection_id if hmac.compare_digest(expected.encode(), state.encode()) else None
