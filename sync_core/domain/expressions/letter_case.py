"""Upper and lower case as .NET does it, proper case, and letters without their diacritics.

.NET changes one character into one character, so the sharp s has no upper case there and no text
changes its length. learn.microsoft.com/dotnet/api/system.string.toupperinvariant
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

CULTURE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")

DOTLESS = "\N{LATIN SMALL LETTER DOTLESS I}"

# The invariant culture leaves the dotted capital and the dotless small i alone; other cultures map
# them to plain ones; Turkish and Azerbaijani keep the dot.
# learn.microsoft.com/dotnet/standard/base-types/best-practices-strings
_LOWER_INVARIANT = {"İ": "İ"}
_UPPER_INVARIANT = {DOTLESS: DOTLESS}
_LOWER_CULTURE = {"İ": "i"}
_LOWER_TURKIC = {"I": DOTLESS, "İ": "i"}
_UPPER_TURKIC = {"i": "İ"}

# What Unicode does not decompose, from the table of NormalizeDiacritics.
# learn.microsoft.com/entra/identity/app-provisioning/functions-for-customizing-application-data
_PLAIN = {
    "æ": "ae",
    "Æ": "AE",
    "ø": "oe",
    "Ø": "OE",
    "œ": "oe",
    "Œ": "OE",
    "ß": "ss",
    "ł": "l",
    "Ł": "L",
    DOTLESS: "i",
}

# Words of .NET's ToTitleCase end at these categories; digits and marks belong to the word.
# learn.microsoft.com/dotnet/api/system.globalization.textinfo.totitlecase
_SEPARATORS = frozenset(
    {"Zs", "Zl", "Zp", "Cc", "Cf", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"}
)


def to_lower(text: str, culture: str | None = None) -> str:
    """Put every character in lower case."""
    if _is_turkic(culture):
        return _mapped(text, str.lower, _LOWER_TURKIC)
    if text.isascii():
        return text.lower()
    return _mapped(text, str.lower, _LOWER_CULTURE if culture else _LOWER_INVARIANT)


def to_upper(text: str, culture: str | None = None) -> str:
    """Put every character in upper case."""
    if _is_turkic(culture):
        return _mapped(text, str.upper, _UPPER_TURKIC)
    if text.isascii():
        return text.upper()
    return _mapped(text, str.upper, {} if culture else _UPPER_INVARIANT)


def to_proper(text: str, separators: str | None) -> str:
    """Put the first character of each word in upper case and the others in lower case."""
    if separators is None:
        return _to_title(to_lower(text))
    starts = True
    characters = []
    for character in text:
        characters.append(to_upper(character) if starts else to_lower(character))
        starts = character in separators
    return "".join(characters)


def without_diacritics(text: str) -> str:
    """Return Latin letters without their marks; every other character stays."""
    if text.isascii():
        return text
    characters: list[str] = []
    for character in text:
        if unicodedata.category(character) != "Mn":
            characters.append(_plain(character))
        elif not characters or not characters[-1][-1:].isascii():
            characters.append(character)
    return "".join(characters)


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0]
    base = _PLAIN.get(base, base)
    return base if base.isascii() and base.isalpha() else character


def _is_turkic(culture: str | None) -> bool:
    return culture is not None and culture[:2].lower() in {"tr", "az"}


def _mapped(text: str, change: Callable[[str], str], exceptions: dict[str, str]) -> str:
    characters = []
    for character in text:
        changed = exceptions.get(character) or change(character)
        characters.append(changed if len(changed) == 1 else character)
    return "".join(characters)


def _to_title(text: str) -> str:
    # A word begins with a letter and goes on to the next separator; an apostrophe is none, so
    # "o'connor" is one word. That is what .NET's own code does.
    inside = False
    characters = []
    for character in text:
        category = unicodedata.category(character)
        if not inside and category[0] == "L":
            titled = character.title()
            characters.append(titled if len(titled) == 1 else character)
            inside = True
            continue
        characters.append(character)
        inside = inside and (character == "'" or category not in _SEPARATORS)
    return "".join(characters)
