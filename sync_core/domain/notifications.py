"""Change notifications of Microsoft Graph: a POST body in, what each of them names out. Pure.

A notification is a hint, never data: what changed is read from Graph afterwards. Each item is checked by
its `clientState`, which names the connection and the subscription and proves that this app made it, so that
a forged one costs no look-up (learn.microsoft.com/graph/change-notifications-delivery-webhooks).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from sync_core.domain.errors import Invalid, RequestRefused

# More than Graph puts into one POST; whoever sends more is not Graph.
MAX_ITEMS = 1_000
# Graph keeps up to 128 characters (learn.microsoft.com/graph/api/resources/subscription).
MAX_CLIENT_STATE = 128
# The parts of a state, connection id, nonce and proof. Of what looks otherwise nothing is asked.
_STATE = re.compile(r"([a-z0-9-]{1,48})\.([\w-]{1,22})\.([\w-]{43})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TooManyItems(RequestRefused):
    """A POST with more notifications than are looked at."""

    status = 413


@dataclass(frozen=True, slots=True)
class Notification:
    """One item: its subscription, and the people or the group that it names.

    `nonce` is that of the `clientState`. `is_proven`: the key of now has signed it; else nobody has, or the
    key of before or after it was replaced in the vault. `object_id` is the person or group that changed, None
    where the item names none. `members` are those who came into the group (False) or left it (True), None of
    whom both is said. They have no type: some may be devices or groups. `at` is Graph's own time of it.
    `is_of_group`: it was a group that changed, and not a person.
    """

    connection_id: str
    nonce: str
    is_proven: bool
    subscription_id: str = ""
    object_id: str | None = None
    members: tuple[tuple[str, bool | None], ...] = ()
    at: datetime | None = None
    is_of_group: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one POST holds; `discarded` items had a `clientState` that no app of this release makes."""

    notifications: tuple[Notification, ...]
    discarded: int


def client_state(key: bytes, connection_id: str, nonce: str) -> str:
    """Return the `clientState` of one subscription: its connection, its nonce, and a proof of who wrote it.

    The nonce holds no full stop and at most 22 characters, as 16 random bytes in base64url do: with it, a
    state that has leaked is replaced alone.
    """
    told = f"graph-notifications|{connection_id}|{nonce}".encode()
    proof = base64.urlsafe_b64encode(hmac.digest(key, told, hashlib.sha256)).decode().rstrip("=")
    return f"{connection_id}.{nonce}.{proof}"


class Origin(NamedTuple):
    """What a `clientState` says: whose it is, its nonce, and whether this key has signed it."""

    connection_id: str
    nonce: str
    is_proven: bool


def origin_of(state: object, key: bytes) -> Origin | None:
    """Read a `clientState`; None for one that no release of this app makes."""
    parts = _STATE.fullmatch(state) if isinstance(state, str) else None
    if parts is None:
        return None
    expected = client_state(key, parts[1], parts[2])
    return Origin(parts[1], parts[2], hmac.compare_digest(expected, parts[0]))


def read_delivery(body: bytes, key: bytes) -> Delivery:
    """Read a POST; raise `Invalid` or `TooManyItems` for what Graph would not send.

    Items without a state are discarded and the POST is accepted all the same: Graph would send the whole of
    it again otherwise.
    """
    items = items_of(body)
    found = [one for item in items if (one := _notification(item, key)) is not None]
    return Delivery(tuple(found), len(items) - len(found))


def items_of(body: bytes) -> list[dict[str, Any]]:
    """Return the items of a POST, of either webhook.

    Raises `Invalid` or `TooManyItems` for what Graph would not send.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_notifications() from error
    items = document.get("value") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _not_notifications()
    if len(items) > MAX_ITEMS:
        raise TooManyItems(
            "notifications.tooMany",
            f"The body holds {len(items)} notifications; at most {MAX_ITEMS} are taken.",
            "Send them in several requests.",
        )
    return items


def _not_notifications() -> Invalid:
    return Invalid("The body is not a collection of change notifications.", [])


def _notification(item: Mapping[str, Any], key: bytes) -> Notification | None:
    origin = origin_of(item.get("clientState"), key)
    if origin is None:
        return None
    given = item.get("resourceData")
    data = given if isinstance(given, dict) else {}
    return Notification(
        connection_id=origin.connection_id,
        nonce=origin.nonce,
        is_proven=origin.is_proven,
        subscription_id=_text(item.get("subscriptionId")).lower(),
        object_id=_object_id(data.get("id")),
        members=_members(data.get("members@delta")),
        at=_time(data.get("eventTime")),
        is_of_group=_text(item.get("resource")).lower().lstrip("/").startswith("groups"),
    )


def _members(listed: object) -> tuple[tuple[str, bool | None], ...]:
    """Return who came or left by `members@delta`, where `@removed` is a text, unlike in a delta query."""
    found: dict[str, bool | None] = {}
    for member in listed if isinstance(listed, list) else ():
        object_id = _object_id(member.get("id")) if isinstance(member, dict) else None
        if object_id is not None:
            left = "@removed" in member
            found[object_id] = left if found.get(object_id, left) is left else None
    return tuple(found.items())


def _object_id(value: object) -> str | None:
    text = _text(value).lower()
    return text if _ID.fullmatch(text) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
