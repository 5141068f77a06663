"""Text and values: plain values in, YAML or JSON out, and back. Pure.

Text becomes plain values here, never objects. YAML is read as its version 1.2 reads it, and numbers only
where JSON has one: `NO`, `2027-01-31`, `0755` and `12:30` stay the text that somebody typed. Everything
that could grow out of a small text has a limit.
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from json import loads as loads_slowly
from typing import Any, NoReturn

import orjson
import yaml

from sync_core.domain.errors import RequestRefused

# Deeper than any document of ours.
MAX_DEPTH = 20
# With all repetitions by alias: a few lines of aliases of aliases can stand for billions of values.
MAX_VALUES = 200_000
# So many characters may be repeated by alias beyond those that are written out: one long text and a
# thousand aliases of it would otherwise be an answer of hundreds of megabytes.
MAX_REPEATED = 1_000_000

TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
LIST_TAGS = {None, "!", "tag:yaml.org,2002:seq"}
OBJECT_TAGS = {None, "!", "tag:yaml.org,2002:map"}
# yaml.org/spec/1.2.2, 10.3.2: the words of the core schema.
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# A number as JSON writes it: 0755 would lose its zero, 1_000 its line, and 12:30 would become 750.
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# What YAML 1.2 takes for a number and 1.1 does not; the dumper knows 1.1 and quotes for both.
NUMBER_OF_YAML_12 = re.compile(
    r"[-+]?(0o[0-7]+|0x[0-9a-fA-F]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)$"
)
# Line ends for YAML 1.1 and plain characters for 1.2; written as escapes they are the same for both.
LINE_ENDS_OF_YAML_11 = re.compile(r"[\r\x85\u2028\u2029]")
# Editors of Windows put it before the first character.
BOM = "\N{BYTE ORDER MARK}".encode()
# yaml.org/spec/1.2.2, 5.1.
UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7E\x85\xA0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
# The same as SafeLoader, written in C; a build of PyYAML without it is only slower.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(RequestRefused):
    """The text is no YAML or JSON that could be a file; says at which line and column, where known."""

    status = 400

    def __init__(self, kind: str, what: str, line: int = 0, column: int = 0) -> None:
        where = f" (line {line}, column {column})" if line else ""
        super().__init__(
            f"config.invalid{kind.title()}",
            f"The file is not usable {kind}: {what}{where}.",
            "Correct it there and send it again; nothing was changed.",
        )


# --- values to text -------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Writes lines that stay put when others change, and quotes what any YAML reader could misread."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if LINE_ENDS_OF_YAML_11.search(value) else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER_OF_YAML_12, list("-+.0123456789"))


def to_yaml(document: Any) -> str:
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text


def to_json(document: Any) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


# --- text to values -------------------------------------------------------------------------------


def from_json(body: bytes) -> Any:
    """Read JSON; raise `Unreadable` also for a name that stands twice in an object."""
    text = body.removeprefix(BOM)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable("JSON", error.msg, error.lineno, error.colno) from None
    if _is_deeper(document, MAX_DEPTH):
        raise Unreadable("JSON", f"it is nested deeper than {MAX_DEPTH} levels")
    # The quick reader keeps the last of two names, so one of two settings would vanish unseen.
    loads_slowly(text, object_pairs_hook=_refuse_doubled, parse_int=str, parse_float=str)
    return document


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Unreadable("JSON", f"{name!r} stands twice in the same object")
        seen.add(name)


def _is_deeper(value: Any, levels: int) -> bool:
    inside = [value]
    for _ in range(levels + 1):
        inside = [inner for one in inside for inner in _children(one)]
    return bool(inside)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def from_yaml(body: bytes) -> Any:
    """Read one YAML document into what JSON could hold as well, or raise `Unreadable`."""
    body = body.removeprefix(BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode()
        raise Unreadable("YAML", "it is not UTF-8", *_end_of(before)) from None
    if forbidden := UNPRINTABLE.search(text):
        before = text[: forbidden.start()]
        raise Unreadable("YAML", "it holds a control character", *_end_of(before))
    try:
        return _Events(yaml.parse(text, LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or "it ends too early"
        raise Unreadable("YAML", what, *_position(mark)) from None


def _end_of(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _position(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


@dataclass(frozen=True, slots=True)
class _Read:
    """A value, how many values and characters are in it, and how many levels deep it is."""

    value: Any
    size: int = 1
    characters: int = 0
    depth: int = 0


class _Events:
    """Builds values from the parser's events, with a limit for everything that could grow."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, _Read] = {}
        self._size = 0
        self._repeated_characters = 0

    def document(self) -> Any:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        read = self._value(next(self._events), 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            _refuse(after, "it holds more than one document")
        return read.value

    def _value(self, event: yaml.Event, depth: int) -> _Read:
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, depth)
        if depth > MAX_DEPTH:
            _refuse(event, f"it is nested deeper than {MAX_DEPTH} levels")
        self._count(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            read = _Read(_scalar(event), characters=len(event.value))
        elif isinstance(event, yaml.SequenceStartEvent):
            read = self._list(event, depth)
        else:
            read = self._object(event, depth)
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = read
        return read

    def _repeated(self, event: yaml.AliasEvent, depth: int) -> _Read:
        read = self._anchors.get(event.anchor or "")
        if read is None:
            _refuse(event, f"the alias *{event.anchor} has no whole value before it")
        if depth + read.depth > MAX_DEPTH:
            _refuse(event, f"it is nested deeper than {MAX_DEPTH} levels")
        self._count(event, read.size)
        self._repeated_characters += read.characters
        if self._repeated_characters > MAX_REPEATED:
            _refuse(event, f"its aliases repeat more than {MAX_REPEATED} characters")
        return read

    def _count(self, event: yaml.Event, size: int) -> None:
        self._size += size
        if self._size > MAX_VALUES:
            _refuse(event, f"it stands for more than {MAX_VALUES} values")

    def _list(self, start: yaml.Event, depth: int) -> _Read:
        _check_tag(start, LIST_TAGS)
        found: list[_Read] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, depth + 1))
        return _whole([one.value for one in found], found, 0)

    def _object(self, start: yaml.Event, depth: int) -> _Read:
        _check_tag(start, OBJECT_TAGS)
        found: dict[str, _Read] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = _name(event)
            if name in lines:
                _refuse(
                    event, f"{name!r} stands twice in the same object, first in line {lines[name]}"
                )
            lines[name] = _position(event.start_mark)[0]
            found[name] = self._value(next(self._events), depth + 1)
        value = {name: one.value for name, one in found.items()}
        return _whole(value, found.values(), sum(map(len, found)))


def _whole(value: Any, parts: Iterable[_Read], names: int) -> _Read:
    """Put a list or an object together; `names` are the characters of its fields' names."""
    sizes, characters, depths = [1], [names], [0]
    for one in parts:
        sizes.append(one.size)
        characters.append(one.characters)
        depths.append(one.depth + 1)
    return _Read(value, sum(sizes), sum(characters), max(depths))


def _name(event: yaml.Event) -> str:
    """Return a field's name: as it stands there, so a field could even be called `NO`."""
    if not isinstance(event, yaml.ScalarEvent):
        _refuse(event, "the name of a field has to be text")
    if event.value == "<<" and event.implicit[0]:
        _refuse(event, "merging with << is not part of YAML 1.2; an alias can repeat a whole value")
    return _checked_text(event)


def _scalar(event: yaml.ScalarEvent) -> Any:
    if event.tag is not None:
        _check_tag(event, TEXT_TAGS)
        return _checked_text(event)
    # implicit[0]: plain, without quotes.
    if not event.implicit[0]:
        return _checked_text(event)
    if event.value in WORDS:
        return WORDS[event.value]
    if not NUMBER.fullmatch(event.value):
        return _checked_text(event)
    try:
        return orjson.loads(event.value)
    except orjson.JSONDecodeError:
        return _refuse(event, "the number is too large; put it in quotes if it is text")


def _checked_text(event: yaml.ScalarEvent) -> str:
    value: str = event.value
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(event, "half of a character is missing (a lone surrogate)")
    return value


def _check_tag(event: yaml.Event, known: AbstractSet[str | None]) -> None:
    tag = getattr(event, "tag", None)
    if tag not in known:
        _refuse(event, f"the tag {tag!r} is not known here; leave it out")


def _refuse(event: yaml.Event, what: str) -> NoReturn:
    raise Unreadable("YAML", what, *_position(event.start_mark))
