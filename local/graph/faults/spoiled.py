"""Answers that are valid and odd, or just not valid: an answer's bytes in, the spoiled bytes out."""

from collections.abc import Iterator
from typing import Any

import orjson

# JSON can name half of a surrogate pair, which no text may hold (RFC 8259, section 8.2); and a byte
# that is no UTF-8 makes the whole document none.
BROKEN = {"surrogate": b"\\ud83d", "utf8": b"\xc3"}
_MARK = "-broken-here-"


def reordered(body: bytes, turn: int) -> bytes:
    """Give the same answer with every list of values turned by so many places.

    Nobody promises an order: collections of values are unordered in OData (part 1, 11.2.6.2).
    """
    document = orjson.loads(body)
    for item in _items(document):
        for name, value in item.items():
            if isinstance(value, list) and len(value) > 1 and "@" not in name:
                place = turn % len(value)
                item[name] = value[place:] + value[:place]
    return orjson.dumps(document)


def with_broken_text(
    body: bytes, *, person: str | None, attribute: str | None, how: str | None
) -> bytes:
    """Break one attribute of one person, or of whoever comes first; others stay as they are."""
    document = orjson.loads(body)
    name = attribute or "displayName"
    for item in _items(document):
        if isinstance(item.get(name), str) and person in (None, item.get("id")):
            item[name] += _MARK
            break
    return orjson.dumps(document).replace(_MARK.encode(), BROKEN[how or "surrogate"])


def _items(document: Any) -> Iterator[dict[str, Any]]:
    """Walk the objects of a list, of each answer in a batch, or the one object that it is."""
    if not isinstance(document, dict):
        return
    if "responses" in document:
        for response in document["responses"]:
            yield from _items(response.get("body"))
    elif isinstance(document.get("value"), list):
        yield from (item for item in document["value"] if isinstance(item, dict))
    else:
        yield document
