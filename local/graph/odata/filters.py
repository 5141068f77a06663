"""$filter: text in, a checked expression out that can be asked about a person or group.

Grammar of OData as far as Graph takes it: eq ne ge le in, and or not, startsWith, endsWith, any.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from local.graph.directory.people import Value
from local.graph.http.errors import (
    GraphError,
    bad_request,
    needs_advanced,
    unsupported_filter,
    unsupported_query,
)
from local.graph.odata.properties import ADVANCED, BOOLEANS, COLLECTIONS, DATES, Filterable, Support

Getter = Callable[[str], Value]
Test = Callable[[Getter], bool]

_TOKENS = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<date>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_./]*)|(?P<mark>[(),:])|(?P<number>-?\d+))"
)
# Of a default query. learn.microsoft.com/graph/known-issues, "Some limitations apply to query
# parameters"; startsWith: github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/2103.
_MAX_TEXT = 120
# github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1238
_MAX_CLAUSES = 15
# github.com/microsoftgraph/microsoft-graph-docs/issues/3641
_MAX_HEIGHT = 3


@dataclass(slots=True)
class Filter:
    """A checked filter; ``ids`` are set when only these objects can match."""

    test: Test
    ids: tuple[str, ...] | None = None


@dataclass(slots=True)
class _Node:
    """A part of the filter; `in` is an `or` of its values, and an `or` in an `or` is one with it."""

    test: Test
    ids: tuple[str, ...] | None = None
    kind: str = "leaf"
    """leaf, or, and"""
    height: int = 1
    leaves: int = 1

    def height_in(self, kind: str) -> int:
        return self.height - (self.kind == kind)


@dataclass(slots=True)
class _Parser:
    text: str
    resource: str
    filterable: Mapping[str, Filterable]
    known: frozenset[str]
    advanced: bool
    tokens: list[tuple[str, str]] = field(default_factory=list)
    place: int = 0

    def parse(self) -> Filter:
        self.tokens = list(_tokenize(self.text))
        node = self._or()
        if self._peek()[0] != "end":
            raise self._invalid(f"Syntax error at '{self._peek()[1]}'")
        return Filter(node.test, node.ids)

    def _or(self) -> _Node:
        nodes = [self._and()]
        while self._take_word("or"):
            nodes.append(self._and())
        if len(nodes) == 1:
            return nodes[0]
        every_ids = [node.ids for node in nodes]
        ids = tuple(i for ids in every_ids if ids is not None for i in ids)
        tests = [node.test for node in nodes]
        return self._joined(
            "or",
            nodes,
            lambda get: any(test(get) for test in tests),
            None if None in every_ids else ids,
        )

    def _and(self) -> _Node:
        nodes = [self._not()]
        while self._take_word("and"):
            nodes.append(self._not())
        if len(nodes) == 1:
            return nodes[0]
        tests = [node.test for node in nodes]
        ids = next((node.ids for node in nodes if node.ids is not None), None)
        return self._joined("and", nodes, lambda get: all(test(get) for test in tests), ids)

    def _joined(
        self, kind: str, nodes: list[_Node], test: Test, ids: tuple[str, ...] | None
    ) -> _Node:
        """Join with `or` or `and`, within the limits of default queries."""
        height = 1 + max(node.height_in(kind) for node in nodes)
        leaves = sum(node.leaves for node in nodes)
        if not self.advanced:
            if kind == "or" and leaves > _MAX_CLAUSES:
                raise too_many(leaves)
            if height > _MAX_HEIGHT:
                raise unsupported_query(
                    f"The search filter expression has excessive height: {height}. "
                    f"Max allowed: {_MAX_HEIGHT}."
                )
        return _Node(test, ids, kind, height, leaves)

    def _not(self) -> _Node:
        if not self._take_word("not"):
            return self._primary()
        if not self.advanced:
            raise needs_advanced("Operator 'not'")
        test = self._not().test
        return _Node(lambda get: not test(get))

    def _primary(self) -> _Node:
        if self._take_mark("("):
            node = self._or()
            self._expect(")")
            return node
        kind, word = self._next()
        if kind != "word":
            raise self._invalid(f"Syntax error at '{word}'")
        if word.lower() in ("startswith", "endswith"):
            return _Node(self._function(word, self._property))
        if word.lower() in ("contains", "substringof"):
            raise unsupported_query(f"Unsupported Query: the function '{word}' is not supported.")
        if word.endswith("/any"):
            return _Node(self._any(word.removesuffix("/any")))
        if word.endswith(("/all", "/$count")):
            raise unsupported_filter(word.split("/")[0], self.resource)
        return self._comparison(word)

    def _comparison(self, name: str) -> _Node:
        rules = self._rules(name)
        if name in COLLECTIONS or name == "groupTypes":
            raise unsupported_filter(name, self.resource)
        kind, operator = self._next()
        operator = operator.lower()
        if kind != "word" or operator not in ("eq", "ne", "ge", "le", "in"):
            raise self._invalid(f"Unsupported operator '{operator}'")
        if operator == "in":
            self._need(rules.eq, name, "Operator 'in'")
            values = [self._checked(name, value) for value in self._list()]
            if len(values) > _MAX_CLAUSES and not self.advanced:
                raise too_many(len(values))
            wanted = {_folded(value) for value in values}
            ids = tuple(str(value).lower() for value in values) if name == "id" else None
            height = 2 if len(values) > 1 else 1
            return _Node(
                lambda get: _folded(_at(get, name)) in wanted, ids, "or", height, len(values)
            )
        value = self._checked(name, self._literal())
        if operator in ("ge", "le"):
            return _Node(self._order(name, operator, value, rules))
        return self._equality(name, operator, value, rules)

    def _equality(self, name: str, operator: str, value: Value, rules: Filterable) -> _Node:
        self._need(rules.null if value is None else rules.eq, name, f"Operator '{operator}'")
        if operator == "ne" and not self.advanced:
            raise needs_advanced("Operator 'ne'")
        wanted = _folded(value)
        if operator == "ne":
            return _Node(lambda get: _folded(_at(get, name)) != wanted)
        ids = (str(value).lower(),) if name == "id" else None
        return _Node(lambda get: _folded(_at(get, name)) == wanted, ids)

    def _order(self, name: str, operator: str, value: Value, rules: Filterable) -> Test:
        self._need(rules.order, name, f"Operator '{operator}'")
        limit = self._moment(str(value))
        sign = 1 if operator == "ge" else -1

        def test(get: Getter) -> bool:
            held = _at(get, name)
            if held is None:
                return False
            moment = self._moment(str(held))
            return moment == limit or (moment > limit) == (sign > 0)

        return test

    def _function(self, word: str, read: Callable[[str], Filterable]) -> Test:
        self._expect("(")
        name = self._next()[1]
        rules = read(name)
        self._expect(",")
        text = self._literal()
        self._expect(")")
        if not isinstance(text, str) or not text:
            raise self._invalid(f"The function '{word}' needs a text")
        is_start = word.lower() == "startswith"
        shown = "startsWith" if is_start else "endsWith"
        self._need(rules.starts if is_start else rules.ends, name, f"Operator '{shown}'")
        self._check_length(name, text)
        wanted = str(_folded(text))
        match = str.startswith if is_start else str.endswith
        return lambda get: match(str(_folded(_at(get, name)) or ""), wanted)

    def _any(self, name: str) -> Test:
        """`proxyAddresses/any(p:p eq 'x')`: the lambda's variable stands for the element."""
        rules = self._rules(name)
        if name not in COLLECTIONS and name != "groupTypes":
            raise unsupported_filter(name, self.resource)
        self._expect("(")
        variable = self._next()[1]
        self._expect(":")
        kind, word = self._next()
        if word.lower() in ("startswith", "endswith"):
            inner = self._function(word, lambda used: self._element(used, variable, rules))
        else:
            self._element(word, variable, rules)
            operator = self._next()[1].lower()
            if kind != "word" or operator != "eq":
                raise unsupported_filter(name, self.resource)
            self._need(rules.eq, name, "Operator 'eq'")
            value = self._literal()
            self._check_length(name, value)
            wanted = _folded(value)
            inner = lambda get: _folded(get(variable)) == wanted  # noqa: E731 -- one of two
        self._expect(")")

        def test(get: Getter) -> bool:
            held = _at(get, name)
            return isinstance(held, list) and any(inner(_constant(e)) for e in held)

        return test

    def _element(self, used: str, variable: str, rules: Filterable) -> Filterable:
        if used != variable:
            raise self._invalid(f"'{used}' is not the variable of the lambda")
        return rules

    def _property(self, name: str) -> Filterable:
        rules = self._rules(name)
        if name in COLLECTIONS:
            raise unsupported_filter(name, self.resource)
        return rules

    def _rules(self, name: str) -> Filterable:
        if name.split("/", maxsplit=1)[0] not in self.known:
            raise GraphError(
                400,
                "BadRequest",
                f"Invalid filter clause: Could not find a property named '{name}' on type "
                f"'microsoft.graph.{self.resource.lower()}'.",
            )
        rules = self.filterable.get(name)
        if rules is None:
            raise unsupported_filter(name, self.resource)
        return rules

    def _need(self, support: Support, name: str, what: str) -> None:
        if support is None:
            raise unsupported_filter(name, self.resource)
        if support == ADVANCED and not self.advanced:
            raise needs_advanced(f"{what} on property '{name}'")

    def _checked(self, name: str, value: Value) -> Value:
        """A boolean for a boolean, a date for a date, a text for a text."""
        fits = (
            value is None
            or (name in BOOLEANS and isinstance(value, bool))
            or (name in DATES and isinstance(value, _Date))
            or (
                name not in BOOLEANS
                and name not in DATES
                and isinstance(value, str)
                and not isinstance(value, _Date)
            )
        )
        if not fits:
            raise self._invalid(
                "A binary operator with incompatible types was detected. Found operand types that "
                f"do not fit property '{name}'"
            )
        self._check_length(name, value)
        if name == "id" and not is_guid(str(value)):
            raise bad_request(f"Invalid object identifier '{value}'.")
        return value

    def _check_length(self, name: str, value: Value) -> None:
        if isinstance(value, str) and len(value) > _MAX_TEXT and not self.advanced:
            # The sentence says nothing of the length, as the thread at _MAX_TEXT complains.
            raise unsupported_filter(name, self.resource)

    def _moment(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self._invalid(f"'{text}' is not a date") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _list(self) -> list[Value]:
        self._expect("(")
        values = [self._literal()]
        while self._take_mark(","):
            values.append(self._literal())
        self._expect(")")
        return values

    def _literal(self) -> Value:
        kind, text = self._next()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "date":
            return _Date(text)
        if kind == "word" and text in ("true", "false"):
            return text == "true"
        if kind == "word" and text == "null":
            return None
        raise self._invalid(f"'{text}' is not a value")

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        if token[0] == "end":
            raise self._invalid("the expression ends too early")
        self.place += 1
        return token

    def _take_word(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "word" and text.lower() == word
        self.place += found
        return found

    def _take_mark(self, mark: str) -> bool:
        found = self._peek() == ("mark", mark)
        self.place += found
        return found

    def _expect(self, mark: str) -> None:
        if not self._take_mark(mark):
            raise self._invalid(f"'{mark}' expected, not '{self._peek()[1]}'")

    def _invalid(self, reason: str) -> GraphError:
        return GraphError(400, "BadRequest", f"Invalid filter clause: {reason}.")


def _constant(value: Value) -> Getter:
    return lambda _: value


class _Date(str):
    """A date literal, which stands without quotes."""

    __slots__ = ()


def _tokenize(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKENS.match(text, place)
        if match is None or match.lastgroup is None:
            raise GraphError(
                400, "BadRequest", f"Invalid filter clause: Syntax error at position {place}."
            )
        yield match.lastgroup, match.group(match.lastgroup)
        place = match.end()


def too_many(count: int) -> GraphError:
    return unsupported_query(
        "Too many child clauses specified in search filter expression containing 'OR' operators: "
        f"{count}. Max allowed: {_MAX_CLAUSES}."
    )


def _folded(value: Value) -> Value:
    """Graph compares texts without regard to case.

    How it does that beyond ASCII is not documented. Here only pairs of single letters are the same,
    and none of them is an ASCII letter: whoever relies on more (ß and ss) is found out.
    """
    if not isinstance(value, str) or value.isascii():
        return value.lower() if isinstance(value, str) else value
    return "".join(map(_folded_letter, value))


def _folded_letter(letter: str) -> str:
    lower = letter.lower()
    same_kind = len(lower) == 1 and lower.isascii() == letter.isascii()
    return lower if same_kind else letter


def is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _at(get: Getter, path: str) -> Value:
    name, _, inner = path.partition("/")
    value = get(name)
    if not inner:
        return value
    return value.get(inner) if isinstance(value, dict) else None


def parse_filter(
    text: str,
    *,
    resource: str,
    filterable: Mapping[str, Filterable],
    known: frozenset[str],
    advanced: bool,
) -> Filter:
    """Refuses, as Graph does, what the property or the missing advanced pair does not allow."""
    return _Parser(text, resource, filterable, known, advanced).parse()
