"""Lists in pages: `?top=` and `?cursor=` in, `{"items", "next"}` out."""

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hmac import compare_digest
from typing import Annotated, Any

from fastapi import Query

from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.domain.secret_names import CURSOR_KEY
from sync_core.services import Services

DEFAULT_TOP = 100
# Half of the digest, as much as a signed cookie has.
SEAL_BYTES = 16
Top = Annotated[int, Query(ge=1, le=999, description="How many items to answer with at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next` of the page before; nothing for the first page."),
]


def page(items: Iterable[Any], next_cursor: str | None) -> dict[str, Any]:
    return {"items": list(items), "next": next_cursor}


async def to_cursor(services: Services, kind: str, position: str | None) -> str | None:
    """Write down where a list goes on, signed; None at its end.

    `kind` names the list, so that a cursor is of no use for another one.

    It is signed because a position may hold a filter of a table or a link of Graph, which no caller chooses.
    """
    if position is None:
        return None
    seal = _seal(await _key(services), kind, position.encode())
    return urlsafe_b64encode(seal + position.encode()).decode().rstrip("=")


async def from_cursor(services: Services, kind: str, cursor: str | None) -> str | None:
    """Return the position, or None for the beginning; anything else was not made by `to_cursor`."""
    if cursor is None:
        return None
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        content = b""
    seal, position = content[:SEAL_BYTES], content[SEAL_BYTES:]
    if not compare_digest(seal, _seal(await _key(services), kind, position)):
        raise foreign_cursor()
    return position.decode()


async def _key(services: Services) -> bytes:
    return await services.vault.own_key(CURSOR_KEY)


def _seal(key: bytes, kind: str, position: bytes) -> bytes:
    # The kind is ours and holds no zero byte, so no two pairs are written alike.
    return hmac.digest(key, kind.encode() + b"\0" + position, hashlib.sha256)[:SEAL_BYTES]


def number_of(position: str | None) -> int:
    """Return how many items were listed before, of a list that is paged by number."""
    if position is None:
        return 0
    if not position.isdecimal():
        raise foreign_cursor()
    return int(position)


def foreign_cursor() -> Invalid:
    problem = FieldProblem("cursor", 'must be the "next" of an earlier page of the same list')
    return Invalid("The cursor does not belong to this list.", [problem])
