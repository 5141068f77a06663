"""Letters that cannot be seen, and letters that look the same: named, and left out of comparisons. Pure.

A no-break space pasted from a page, a zero width space, an accent that is a letter of its own: two texts
look the same on every screen and are not equal. unicode.org/reports/tr44 (categories, default ignorable).
"""

import unicodedata
from collections.abc import Iterable, Iterator

# Shown as nothing at all, and no format characters (Cf): a joiner, fillers of Hangul, variation selectors.
IGNORABLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
    | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
HIDDEN = frozenset({"Cf", "Cc"})
SPACES = frozenset({"Zs", "Zl", "Zp"})
BLANK = " "


def comparable_text(text: str) -> str:
    """Return what two texts that look the same have in common, upper and lower case apart.

    Canonical caseless matching (unicode.org/versions/latest, section 3.13, D145), without what cannot be
    seen and with one kind of blank; blanks at the ends do not count.
    """
    if text.isascii() and text.isprintable():
        return text.strip().lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", _seen(text)).casefold())


def as_seen(text: str) -> str:
    """Return a text as it looks: composed, without what cannot be seen; case counts."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return unicodedata.normalize("NFC", _seen(text))


def hidden_letters(values: Iterable[object]) -> list[str]:
    """Name what the texts among these values hold and no screen shows: `U+00A0 NO-BREAK SPACE`."""
    texts = (value for value in values if isinstance(value, str))
    found = (_named(letter) for text in texts for letter, hidden in _letters(text) if hidden)
    return list(dict.fromkeys(found))


def with_hidden_letters(text: str) -> str:
    """Write a text so that all of it can be seen: `Sales[U+00A0 NO-BREAK SPACE]`."""
    return "".join(f"[{_named(letter)}]" if hidden else letter for letter, hidden in _letters(text))


def _seen(text: str) -> str:
    kept = (_kept(letter) for letter in text)
    return "".join(kept).strip()


def _kept(letter: str) -> str:
    category = unicodedata.category(letter)
    if category in SPACES or letter.isspace():
        return BLANK
    return "" if category in HIDDEN or ord(letter) in IGNORABLE else letter


def _letters(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each letter, and whether it is one that nobody sees where it stands.

    That is a blank at one of the ends, any other blank but the usual one, what shows nothing at all, and
    an accent of its own where there is one letter for both.
    """
    inner = text.strip()
    first = text.find(inner)
    composed = unicodedata.is_normalized("NFC", text)
    for place, letter in enumerate(text):
        at_end = not first <= place < first + len(inner)
        apart = not composed and unicodedata.combining(letter) != 0
        yield letter, at_end or apart or (letter != BLANK and _kept(letter) != letter)


def _named(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return f"U+{ord(letter):04X} {name}".rstrip()
