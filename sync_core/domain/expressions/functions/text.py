"""Functions on text. Null in, null out, unless a function's own line says otherwise."""

import re

from sync_core.domain.expressions.errors import ArgumentProblem, EvaluationError
from sync_core.domain.expressions.functions.function import Example, Function, Topic
from sync_core.domain.expressions.letter_case import (
    CULTURE,
    to_lower,
    to_proper,
    to_upper,
    without_diacritics,
)
from sync_core.domain.expressions.nodes import Node, Text
from sync_core.domain.expressions.values import (
    MAX_TEXT,
    to_list,
    to_text,
    to_text_or_empty,
    to_whole,
    too_long,
    within_limit,
)

COMPARE_WORDS = frozenset({"vbTextCompare", "vbBinaryCompare"})
# RFC 4514: a backslash and two hexadecimal digits are a byte, another pair is its second character.
ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
COMPONENT = re.compile(r"(?:[^,\\]|\\.|\\$)+", re.DOTALL)


def append(source: object, suffix: object) -> str:
    return within_limit(to_text_or_empty(source) + to_text_or_empty(suffix))


def join(separator: object, *sources: object) -> str:
    pieces: list[str] = []
    size = 0
    for source in sources:
        found = [source] if type(source) is str else map(to_text_or_empty, to_list(source))
        added = [piece for piece in found if piece]
        size += sum(map(len, added))
        # A list may stand there a thousand times.
        if size > MAX_TEXT:
            raise too_long()
        pieces += added
    return within_limit(to_text_or_empty(separator).join(pieces))


def lower(source: object, culture: object = None) -> str | None:
    text = to_text(source)
    return None if text is None else to_lower(text, to_text(culture))


def upper(source: object, culture: object = None) -> str | None:
    text = to_text(source)
    return None if text is None else to_upper(text, to_text(culture))


def check_culture(nodes: tuple[Node, ...]) -> None:
    if len(nodes) > 1 and isinstance(nodes[1], Text) and not CULTURE.fullmatch(nodes[1].value):
        raise ArgumentProblem(1, "The culture is not a language tag", 'Write it like "tr-TR".')


def proper(source: object, separators: object = None) -> str | None:
    text = to_text(source)
    return None if text is None else to_proper(text, to_text(separators))


def left(source: object, count: object) -> str:
    text = to_text_or_empty(source)
    size = to_whole(count) or 0
    return text if size < 0 else text[:size]


def mid(source: object, start: object, length: object = None) -> str | None:
    text = to_text(source)
    first = to_whole(start) or 0
    size = to_whole(length)
    if text is None:
        return None
    if first < 1 or (size is not None and size < 0):
        raise EvaluationError(
            "evaluation.outOfBounds", "Mid starts at 1 or later and takes 0 or more characters"
        )
    return text[first - 1 :] if size is None else text[first - 1 : first - 1 + size]


def word(source: object, number: object, delimiters: object) -> str:
    index = to_whole(number) or 0
    splitters = to_text_or_empty(delimiters)
    text = to_text_or_empty(source)
    ends = [place for place, character in enumerate(text) if character in splitters]
    pairs = zip([-1, *ends], [*ends, len(text)], strict=True)
    words = [text[before + 1 : end] for before, end in pairs if before + 1 < end]
    return words[index - 1] if 1 <= index <= len(words) else ""


def in_str(searched: object, sought: object, start: object = None, compare: object = None) -> int:
    text, piece = to_text_or_empty(searched), to_text_or_empty(sought)
    if compare == "vbTextCompare":
        text, piece = to_lower(text), to_lower(piece)
    return text.find(piece, max(0, (to_whole(start) or 1) - 1)) + 1


def strip_spaces(source: object) -> str | None:
    text = to_text(source)
    return None if text is None else text.replace(" ", "")


def trim(source: object) -> str | list[str] | None:
    if isinstance(source, list):
        return [to_text_or_empty(one).strip() for one in source]
    text = to_text(source)
    return None if text is None else text.strip()


def normalize_diacritics(source: object) -> str | None:
    text = to_text(source)
    return None if text is None else within_limit(without_diacritics(text))


def dn_component(name: object, number: object) -> str | None:
    index = to_whole(number) or 0
    components = COMPONENT.findall(to_text_or_empty(name))
    if not 1 <= index <= len(components):
        return None
    value: str = components[index - 1].partition("=")[2].strip()
    raw = value.encode("utf-8", "surrogatepass")
    return ESCAPED.sub(_unescaped, raw).decode("utf-8", "replace")


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if len(found[1]) == 2 else found[1]


TEXT_FUNCTIONS = (
    Function(
        name="Append",
        topic=Topic.TEXT,
        signature="Append(source, suffix)",
        summary="Puts the suffix at the end of the source. Null counts as no characters.",
        example=Example(
            'Append([userPrincipalName], ".test")',
            {"userPrincipalName": "John.Doe@contoso.com"},
            "John.Doe@contoso.com.test",
        ),
        least=2,
        most=2,
        call=append,
    ),
    Function(
        name="DNComponent",
        topic=Topic.TEXT,
        signature="DNComponent(dn, componentNumber)",
        summary="Gives the value of a component of a distinguished name, counted from the left, "
        "from 1. Null when there is no such component.",
        example=Example(
            "DNComponent([onPremisesDistinguishedName], 2)",
            {"onPremisesDistinguishedName": "CN=Doe\\, Ada,OU=Sales,DC=contoso,DC=com"},
            "Sales",
        ),
        least=2,
        most=2,
        call=dn_component,
    ),
    Function(
        name="InStr",
        topic=Topic.TEXT,
        signature="InStr(searched, sought [, start [, compareType]])",
        summary="Gives the position of the first hit, counted from 1; 0 when there is none. "
        "compareType is vbBinaryCompare (the default) or vbTextCompare, which ignores case.",
        example=Example('InStr("The quick brown fox", "quick")', {}, 5),
        least=2,
        most=4,
        call=in_str,
        words={3: COMPARE_WORDS},
    ),
    Function(
        name="Join",
        topic=Topic.TEXT,
        signature="Join(separator, source1, source2, ...)",
        summary="Puts texts together with the separator between them. A list adds each of its "
        "values; null and empty sources are left out.",
        example=Example(
            'Join(", ", [surname], [givenName])',
            {"givenName": "John", "surname": "Doe"},
            "Doe, John",
        ),
        least=2,
        most=None,
        call=join,
    ),
    Function(
        name="Left",
        topic=Topic.TEXT,
        signature="Left(source, numChars)",
        summary='Gives the first characters. Null gives ""; a negative number gives all of it.',
        example=Example('Left("John Doe", 3)', {}, "Joh"),
        least=2,
        most=2,
        call=left,
    ),
    Function(
        name="Mid",
        topic=Topic.TEXT,
        signature="Mid(source, start [, length])",
        summary="Gives a part of the text. The first character has number 1; without a length, "
        "or past the end, the rest.",
        example=Example("Mid([surname], 1, 5)", {"surname": "Anderson"}, "Ander"),
        least=2,
        most=3,
        call=mid,
    ),
    Function(
        name="NormalizeDiacritics",
        topic=Topic.TEXT,
        signature="NormalizeDiacritics(source)",
        summary="Gives Latin letters without their marks: ë to e, ø to oe, ß to ss. Other "
        "characters stay.",
        example=Example("NormalizeDiacritics([givenName])", {"givenName": "Zoë"}, "Zoe"),
        least=1,
        most=1,
        call=normalize_diacritics,
    ),
    Function(
        name="PCase",
        topic=Topic.TEXT,
        signature="PCase(source [, wordSeparators])",
        summary="Puts the first letter of each word in upper case and the rest in lower case. "
        "wordSeparators are the characters between words; without them, blanks, punctuation and "
        "symbols, but not the apostrophe.",
        example=Example(
            'PCase([surname], " \'-")', {"surname": "PINTO-DE'SILVA"}, "Pinto-De'Silva"
        ),
        least=1,
        most=2,
        call=proper,
    ),
    Function(
        name="StripSpaces",
        topic=Topic.TEXT,
        signature="StripSpaces(source)",
        summary="Takes out every space.",
        example=Example("StripSpaces([displayName])", {"displayName": " John  Doe "}, "JohnDoe"),
        least=1,
        most=1,
        call=strip_spaces,
    ),
    Function(
        name="ToLower",
        topic=Topic.TEXT,
        signature="ToLower(source [, culture])",
        summary='Puts the text in lower case. A culture such as "tr-TR" has its own rules.',
        example=Example(
            "ToLower([mail])", {"mail": "John.Doe@Contoso.com"}, "john.doe@contoso.com"
        ),
        least=1,
        most=2,
        call=lower,
        check=check_culture,
    ),
    Function(
        name="ToUpper",
        topic=Topic.TEXT,
        signature="ToUpper(source [, culture])",
        summary='Puts the text in upper case. A culture such as "tr-TR" has its own rules.',
        example=Example("ToUpper([givenName])", {"givenName": "john"}, "JOHN"),
        least=1,
        most=2,
        call=upper,
        check=check_culture,
    ),
    Function(
        name="Trim",
        topic=Topic.TEXT,
        signature="Trim(source)",
        summary="Takes white space from both ends; of a list, from each of its values.",
        example=Example('Trim(" Test ")', {}, "Test"),
        least=1,
        most=1,
        call=trim,
    ),
    Function(
        name="Word",
        topic=Topic.TEXT,
        signature="Word(source, wordNumber, delimiters)",
        summary="Gives a word, counted from 1. Any of the delimiters ends a word; several in a row "
        'count once. Null, or no such word, gives "".',
        example=Example('Word("The quick brown fox", 3, " ")', {}, "brown"),
        least=3,
        most=3,
        call=word,
    ),
)
