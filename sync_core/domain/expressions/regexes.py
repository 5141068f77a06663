r"""Regular expressions of .NET to RE2, which runs in linear time, and what Replace does with them.

Entra's patterns are .NET's: `\w` and `\s` know all of Unicode there, RE2's only ASCII, so they are
spelled out. What cannot be done in linear time (look-around, back-references) is refused.
learn.microsoft.com/dotnet/standard/base-types/regular-expression-language-quick-reference and
github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.values import MAX_TEXT, too_long

# A pattern is tried again after every match, so many matches in a long text cost its square.
MAX_SUBJECT = 4096

WORD = r"\p{L}\p{Mn}\p{Nd}\p{Pc}"
SPACE = r"\t-\r\x{85}\p{Z}"
# Inside a class there is no way to say "not one of these", so the rest is listed.
NOT_WORD = r"\p{Mc}\p{Me}\p{Nl}\p{No}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{S}\p{Z}\p{C}"
NOT_SPACE = r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\x00-\x08\x0E-\x1F\x7F-\x84\x86-\x9F"
OUTSIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": f"[{WORD}]",
    "W": f"[^{WORD}]",
    "s": f"[{SPACE}]",
    "S": f"[^{SPACE}]",
    "A": r"\A",
    "z": r"\z",
    "Z": r"\z",
}
INSIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": WORD,
    "W": NOT_WORD,
    "s": SPACE,
    "S": NOT_SPACE,
    "b": r"\x08",
}
CONTROLS = {"a": 7, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27}

CODE = re.compile(r"u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|c([A-Za-z])")
CATEGORY = re.compile(r"[pP]\{[^{}]*\}")
NAMED = re.compile(r"\(\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|'([A-Za-z_][A-Za-z0-9_]*)')")
FLAGS = re.compile(r"\(\?(?:[ims]*-)?[ims]*[:)]")
ONE_CLASS = re.compile(r"\[(?:[^\[\]\\]|\\.)+\][+*]?", re.DOTALL)

LINEAR = "Patterns run in linear time here, whatever the text."
REFUSED_GROUPS = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?>": "an atomic group",
    "(?(": "a condition inside the pattern",
    "(?#": "a comment",
}


class PatternProblem(ValueError):
    """A pattern that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern with the groups it has, numbered as .NET numbers them."""

    compiled: Any
    groups: dict[str, int]
    # Set for a single class of characters such as `[()\s-]+`: what to drop, character by character.
    one_class: bool


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """Compile a .NET pattern; raises `PatternProblem`."""
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(translated(text), options)
    except re2.error as error:
        raise PatternProblem(f"The pattern is not valid: {_reason(error)}") from None
    except UnicodeEncodeError:
        raise PatternProblem("The pattern holds half a character (a lone surrogate)") from None
    named: dict[str, int] = pattern.groupindex
    # .NET counts groups without a name first, then those with one.
    # learn.microsoft.com/dotnet/standard/base-types/grouping-constructs-in-regular-expressions
    unnamed = [index for index in range(1, pattern.groups + 1) if index not in named.values()]
    order = unnamed + sorted(named.values())
    numbered = {str(number): index for number, index in enumerate(order, 1)}
    one_class = ONE_CLASS.fullmatch(text) is not None
    return Pattern(pattern, {"0": 0} | numbered | named, one_class)


def _reason(error: Exception) -> str:
    reason = error.args[0]
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def translated(pattern: str) -> str:
    """Spell a .NET pattern for RE2; raises `PatternProblem`."""
    pieces = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            piece, position = _escape(pattern, position + 1, OUTSIDE)
        elif character == "[":
            piece, position = _class(pattern, position + 1)
        elif pattern.startswith("(?", position):
            piece, position = _group(pattern, position)
        else:
            piece, position = character, position + 1
        pieces.append(piece)
    return "".join(pieces)


def _escape(pattern: str, position: int, shorthands: dict[str, str]) -> tuple[str, int]:
    """Translate what follows a backslash."""
    character = pattern[position : position + 1]
    if character in shorthands:
        return shorthands[character], position + 1
    if character in CONTROLS:
        return rf"\x{{{CONTROLS[character]:X}}}", position + 1
    if found := CODE.match(pattern, position):
        return rf"\x{{{_code(found):X}}}", found.end()
    if found := CATEGORY.match(pattern, position):
        return f"\\{found[0]}", found.end()
    if character in {"b", "B"}:
        raise PatternProblem(
            f"The pattern uses a word boundary (\\{character}), which knows ASCII letters only here"
        )
    if character in set("123456789k"):
        raise PatternProblem(f"The pattern uses a back-reference (\\{character}). {LINEAR}")
    if not character or character.isalnum() or character == "_":
        raise PatternProblem(f"The pattern uses \\{character}, which is not known here")
    return _literal(character), position + 1


def _code(found: re.Match[str]) -> int:
    if found[3]:
        return ord(found[3].upper()) - 64
    return int(found[1] or found[2], 16)


def _literal(character: str) -> str:
    punctuation = character.isascii() and character.isprintable() and character != " "
    return f"\\{character}" if punctuation else character


def _class(pattern: str, position: int) -> tuple[str, int]:
    """Translate a class of characters, from behind its opening bracket."""
    pieces = ["["]
    if pattern.startswith("^", position):
        pieces.append("^")
        position += 1
    first = position
    while position < len(pattern):
        character = pattern[position]
        if character == "]" and position > first:
            return "".join([*pieces, "]"]), position + 1
        if pattern.startswith("-[", position):
            raise PatternProblem(r"The pattern subtracts one class from another ([a-z-[aeiou]])")
        if character == "\\":
            piece, position = _escape(pattern, position + 1, INSIDE)
        else:
            # A hyphen behind a shorthand such as \w is just a hyphen.
            after_shorthand = character == "-" and pieces[-1] in INSIDE.values()
            piece = f"\\{character}" if character in "[]" or after_shorthand else character
            position += 1
        pieces.append(piece)
    raise PatternProblem("A [ in the pattern is not closed")


def _group(pattern: str, position: int) -> tuple[str, int]:
    """Translate the opening of a group, from its `(?`."""
    for opening, name in REFUSED_GROUPS.items():
        if pattern.startswith(opening, position):
            raise PatternProblem(f"The pattern uses {name} ({opening}...). {LINEAR}")
    if found := NAMED.match(pattern, position):
        return f"(?P<{found[1] or found[2]}>", found.end()
    if found := FLAGS.match(pattern, position):
        return found[0], found.end()
    raise PatternProblem(
        f"The pattern uses {pattern[position : position + 4]}, which is not known here"
    )


# A piece of a replacement: literal bytes, the number of a group, or what $` $' and $_ stand for.
Piece = bytes | int | str
TEMPLATE = re.compile(r"\$(?:([0-9]+)|\{([A-Za-z0-9_]+)\}|([$&`'+_]))")


@lru_cache(maxsize=256)
def template(text: str, pattern: str) -> tuple[Piece, ...]:
    """Read a .NET replacement text; a group that the pattern does not have stays as typed.

    learn.microsoft.com/dotnet/standard/base-types/substitutions-in-regular-expressions
    """
    groups = compiled(pattern).groups
    pieces: list[Piece] = []
    end = 0
    for found in TEMPLATE.finditer(text):
        pieces.append(_bytes(text[end : found.start()]))
        pieces.append(_substitution(found, groups))
        end = found.end()
    pieces.append(_bytes(text[end:]))
    return tuple(piece for piece in pieces if piece != b"")


def _substitution(found: re.Match[str], groups: dict[str, int]) -> Piece:
    number, name, sign = found.groups()
    if sign is None:
        key = str(int(number)) if number and len(number) < 9 else number or name
        return groups.get(key, _bytes(found[0]))
    last = groups[max((key for key in groups if key.isdigit()), key=int)]
    signs: dict[str, Piece] = {"$": b"$", "&": 0, "+": last}
    return signs.get(sign, sign)


def replaced(pattern: Pattern, source: str, pieces: Sequence[Piece]) -> str:
    """Replace every match in the source."""
    subject = _subject(source)
    out = []
    size = end = 0
    for found in _matches(pattern, subject):
        start, stop = found.span()
        made = subject[end:start] + b"".join([_made(piece, found, subject) for piece in pieces])
        size += len(made)
        _check_size(size)
        out.append(made)
        end = stop
    return (b"".join(out) + subject[end:]).decode("utf-8", "replace")


def with_group_replaced(pattern: Pattern, source: str, group: str, replacement: str) -> str:
    """Replace, in every match, only what the group matched."""
    subject = _subject(source)
    made = _bytes(replacement)
    index = pattern.groups[group]
    out = []
    size = end = 0
    for found in _matches(pattern, subject):
        start, stop = found.span(index)
        if start < end:  # the group took no part in this match
            continue
        out += [subject[end:start], made]
        size += start - end + len(made)
        _check_size(size)
        end = stop
    return (b"".join(out) + subject[end:]).decode("utf-8", "replace")


def group_in(pattern: Pattern, source: str, group: str) -> str | None:
    """Give what the group matched first, null when nothing did."""
    found = pattern.compiled.search(_subject(source))
    matched = found[pattern.groups[group]] if found else None
    return None if matched is None else matched.decode("utf-8", "replace")


class Deletions(dict[int, int | None]):
    """A table for `str.translate` that drops what a class of characters matches; fills itself."""

    def __init__(self, pattern: Pattern) -> None:
        super().__init__()
        self._matches = pattern.compiled.fullmatch

    def __missing__(self, code: int) -> int | None:
        kept = None if self._matches(_bytes(chr(code))) else code
        self[code] = kept
        return kept


def deleting(pattern: Pattern) -> Callable[[str], str]:
    """Give a function that drops every match of a pattern that is a single class of characters."""
    table = Deletions(pattern)
    return lambda source: source.translate(table)


def _matches(pattern: Pattern, subject: bytes) -> Any:
    for found in pattern.compiled.finditer(subject):
        start, end = found.span()
        # RE2 looks at bytes: an empty match inside a character of several bytes is none.
        if start == end < len(subject) and subject[start] & 0xC0 == 0x80:
            continue
        yield found


def _made(piece: Piece, found: Any, subject: bytes) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, int):
        matched: bytes | None = found[piece]
        return matched or b""
    start, end = found.span()
    return {"`": subject[:start], "'": subject[end:]}.get(piece, subject)


def _subject(source: str) -> bytes:
    if len(source) > MAX_SUBJECT:
        raise EvaluationError(
            "evaluation.textTooLong",
            f"A pattern is applied to at most {MAX_SUBJECT} characters",
        )
    return _bytes(source)


def _check_size(size: int) -> None:
    if size > 4 * MAX_TEXT:
        raise too_long()


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character: JSON may carry it, UTF-8 cannot
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
