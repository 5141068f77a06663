"""Lists in pages: `?top=` and `?cursor=` in, `{"items", "next"}` out."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Query

from sync_core.domain.errors import FieldProblem, Invalid

DEFAULT_TOP = 100
Top = Annotated[int, Query(ge=1, le=999, description="How many items to answer with at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next` of the page before; nothing for the first page."),
]


def page(items: Iterable[Any], next_cursor: str | None) -> dict[str, Any]:
    return {"items": list(items), "next": next_cursor}


def to_cursor(kind: str, position: str) -> str:
    """Hide where a list goes on; `kind` keeps a cursor from being used for another list."""
    return urlsafe_b64encode(f"{kind}:{position}".encode()).decode().rstrip("=")


def from_cursor(kind: str, cursor: str | None) -> str | None:
    """Give the position, or None for the beginning; anything else was not made by `to_cursor`."""
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found, _, position = text.partition(":")
    if found != kind or not position:
        raise foreign_cursor()
    return position


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
