r"""Patterns at work: compiled once, with limits for their size and for what one may cost; and Replace.

RE2 never goes back, so no text is worse than the product of pattern and text: that is the bound, not
the text alone. What is large is therefore refused when it is saved, or for the one text it is too
large for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from sync_core.domain.expressions.context import InTime
from sync_core.domain.expressions.dialect import (
    BOUNDARY,
    IN_A_WORD,
    INNER,
    PatternProblem,
    Spelling,
    marked,
    translated,
    unmarked,
)
from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.values import MAX_TEXT, too_long

# A pattern is tried again after every match, so many matches in a long text cost its square.
MAX_SUBJECT = 4096
MAX_PATTERN = 60_000
# RE2's instructions. One \w takes 1,500 of them, so \w{1,30} is about the largest. To find out that
# something is larger costs up to 0.1 s, during which nothing else in the process runs.
MAX_PROGRAM = 50_000
# Of all patterns of one expression, or of one scope.
MAX_PROGRAMS = 200_000
MAX_MEMORY = 4 * 1024 * 1024
MAX_CATEGORIES = 300
# Instructions times bytes: the worst pattern takes 40 ns for each, so one search ends within a second.
MAX_WORK = 25_000_000
TOO_LARGE = (
    "The pattern is too large. Repeat a class less often (\\w{1,30} is large, [A-Za-z]{1,30} and \\w+ are "
    "not), or divide it."
)
# Set for a single class of characters such as `[()\s-]+`, which is dropped character by character.
ONE_CLASS = re.compile(r"\[(?:[^\[\]\\]|\\.)+\][+*]?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern with the groups it has, numbered as .NET numbers them."""

    compiled: Any
    groups: dict[str, int]
    one_class: bool
    spelling: Spelling
    size: int

    def searcher(self) -> Callable[[str], bool]:
        """Return the test whether the pattern matches somewhere in a text."""
        search = self.compiled.search
        if self.spelling.boundaries:
            return lambda text: search(_bytes(self.marked(text))) is not None
        return lambda text: search(_bytes(text)) is not None

    def marked(self, text: str) -> str:
        spans = [found.span() for found in _words().finditer(unmarked(text))]
        return marked(unmarked(text), spans, self.spelling)


# A pattern and what RE2 keeps for it take up to 5 MB, and anyone who may try an expression brings some.
@lru_cache(maxsize=32)
def compiled(text: str) -> Pattern:
    """Compile a .NET pattern; raises `PatternProblem`."""
    if len(text) > MAX_PATTERN:
        raise PatternProblem(f"The pattern is longer than {MAX_PATTERN} characters. Divide it.")
    spelling = translated(text)
    pattern = _compiled(spelling.text)
    named: dict[str, int] = pattern.groupindex
    # .NET counts groups without a name first, then those with one.
    # learn.microsoft.com/dotnet/standard/base-types/grouping-constructs-in-regular-expressions
    unnamed = [index for index in range(1, pattern.groups + 1) if index not in named.values()]
    order = unnamed + sorted(named.values())
    numbered = {str(number): index for number, index in enumerate(order, 1)}
    one_class = ONE_CLASS.fullmatch(text) is not None
    return Pattern(pattern, {"0": 0} | numbered | named, one_class, spelling, pattern.programsize)


def _compiled(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    if text.count(r"\p{") + text.count(r"\P{") > MAX_CATEGORIES:
        raise PatternProblem(TOO_LARGE)
    try:
        pattern = re2.compile(text, options)
    except re2.error as error:
        reason = _reason(error)
        raise PatternProblem(
            TOO_LARGE if "too large" in reason else f"The pattern is not valid: {reason}"
        ) from None
    except UnicodeEncodeError:
        raise PatternProblem("The pattern holds half a character (a lone surrogate)") from None
    if pattern.programsize > MAX_PROGRAM:
        raise PatternProblem(TOO_LARGE)
    return pattern


@lru_cache(maxsize=1)
def _words() -> Any:
    return _compiled(IN_A_WORD)


def _reason(error: Exception) -> str:
    reason = error.args[0]
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


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


def replaced(pattern: Pattern, source: str, pieces: Sequence[Piece], in_time: InTime) -> str:
    """Replace every match in the source."""
    subject = _subject(pattern, source)
    out = []
    size = end = 0
    for found, start, stop in _matches(pattern, subject, in_time):
        made = subject[end:start] + b"".join([_made(piece, found, subject) for piece in pieces])
        size += len(made)
        _check_size(size)
        out.append(made)
        end = stop
    return _text(b"".join(out) + subject[end:], pattern)


def with_group_replaced(
    pattern: Pattern, source: str, group: str, replacement: str, in_time: InTime
) -> str:
    """Replace, in every match, only what the group matched."""
    subject = _subject(pattern, source)
    made = _bytes(replacement)
    index = pattern.groups[group]
    out = []
    size = end = 0
    for found, _, _ in _matches(pattern, subject, in_time):
        start, stop = found.span(index)
        if start < end:  # the group took no part in this match
            continue
        out += [subject[end:start], made]
        size += start - end + len(made)
        _check_size(size)
        end = stop
    return _text(b"".join(out) + subject[end:], pattern)


def group_in(pattern: Pattern, source: str, group: str) -> str | None:
    """Return what the group matched first, null when nothing did."""
    found = pattern.compiled.search(_subject(pattern, source))
    matched = found[pattern.groups[group]] if found else None
    return None if matched is None else _text(matched, pattern)


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
    """Return a function that drops every match of a pattern that is a single class of characters."""
    table = Deletions(pattern)
    return lambda source: source.translate(table)


def _matches(pattern: Pattern, subject: bytes, in_time: InTime) -> Iterator[tuple[Any, int, int]]:
    """Yield the matches from left to right, each with where it begins and ends."""
    if pattern.spelling.boundaries:
        yield from _between_marks(pattern, subject, in_time)
        return
    for found in pattern.compiled.finditer(subject):
        in_time()
        start, end = found.span()
        # RE2 looks at bytes: an empty match inside a character of several bytes is none.
        if start == end < len(subject) and subject[start] & 0xC0 == 0x80:
            continue
        yield found, start, end


# Three bytes each.
MARKS = (BOUNDARY.encode(), INNER.encode())


def _between_marks(
    pattern: Pattern, subject: bytes, in_time: InTime
) -> Iterator[tuple[Any, int, int]]:
    """Search again from the end of a match, and before the marks there: they belong to both sides."""
    position = 0
    while (found := pattern.compiled.search(subject, position)) is not None:
        in_time()
        start, end = found.span()
        while start < end and subject.startswith(MARKS, start):
            start += 3
        while end > start and subject.startswith(MARKS, end - 3):
            end -= 3
        yield found, start, end
        if end > start:
            position = end
            continue
        position = found.end()
        while subject.startswith(MARKS, position):
            position += 3
        position += 1
        while position < len(subject) and subject[position] & 0xC0 == 0x80:
            position += 1
        if position > len(subject):
            return


def _made(piece: Piece, found: Any, subject: bytes) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, int):
        matched: bytes | None = found[piece]
        return matched or b""
    start, end = found.span()
    return {"`": subject[:start], "'": subject[end:]}.get(piece, subject)


def _subject(pattern: Pattern, source: str) -> bytes:
    """Return the text as RE2 takes it, or refuse one that this pattern would take too long for."""
    if len(source) > MAX_SUBJECT:
        raise EvaluationError(
            "evaluation.textTooLong",
            f"A pattern is applied to at most {MAX_SUBJECT} characters",
        )
    subject = _bytes(pattern.marked(source) if pattern.spelling.boundaries else source)
    if len(subject) * pattern.size > MAX_WORK:
        raise EvaluationError(
            "evaluation.patternTooLarge",
            f"The pattern is too large for a text of {len(source)} characters; with this one it may take "
            f"{MAX_WORK // pattern.size} bytes",
        )
    return subject


def _text(content: bytes, pattern: Pattern) -> str:
    text = content.decode("utf-8", "replace")
    return unmarked(text) if pattern.spelling.boundaries else text


def _check_size(size: int) -> None:
    if size > 4 * MAX_TEXT:
        raise too_long()


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character: JSON may carry it, UTF-8 cannot
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
