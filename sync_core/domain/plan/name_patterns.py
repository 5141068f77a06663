"""Names of people in assertions: one whole name, or a pattern in which `*` stands for any letters. Pure."""

import re
from collections.abc import Callable, Sequence

from sync_core.domain.documents.policy import Assertion

Fits = Callable[[str], bool]


def name_of(assertion: Assertion) -> str | None:
    """Return whom an assertion names; None for one about a number of people."""
    return assertion.is_in if assertion.is_in is not None else assertion.never


def fits(assertion: Assertion) -> Fits | None:
    """Return the test for what names people; each `*` stands for any letters."""
    name = name_of(assertion)
    if name is None:
        return None
    first, *rest = re.split(r"\*+", name.casefold())
    if not rest:
        return lambda text: text == first
    *inner, last = rest
    return lambda text: _is_like(text, first, inner, last)


def _is_like(text: str, first: str, inner: Sequence[str], last: str) -> bool:
    """Whether a text is these pieces in this order, with anything between them.

    The leftmost place of a piece leaves most room for the others, so no place is tried twice. As a
    regular expression with seven `*`, the same took seconds for one name that nearly fits.
    """
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in inner:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
