"""$search on directory objects: `"displayName:anna" OR "mail:anna"` in, a test out."""

import re

from local.graph.http.errors import GraphError, bad_request, unsupported_query
from local.graph.odata.filters import Getter, Test

_CLAUSE = re.compile(r'"((?:[^"\\]|\\.)*)"')
# learn.microsoft.com/graph/search-query-parameter: a quote or a backslash is escaped with a backslash.
_ESCAPE = re.compile(r'\\(["\\])')
_WORDS = re.compile(r"[^\w]+")


def parse_search(text: str, searchable: tuple[str, ...], resource: str) -> Test:
    """Clauses are quoted `property:text`, joined by AND and OR (upper case, AND binds closer)."""
    tests: list[list[Test]] = [[]]
    rest = text.strip()
    while True:
        clause = _CLAUSE.match(rest)
        if clause is None:
            raise bad_request("Syntax error: a $search clause must be put in double quotes.")
        tests[-1].append(_clause(clause.group(1), searchable, resource))
        rest = rest[clause.end() :].strip()
        if not rest:
            break
        word, _, rest = rest.partition(" ")
        rest = rest.strip()
        if word == "OR":
            tests.append([])
        elif word != "AND":
            raise bad_request(f"Syntax error: '{word}' is not AND or OR.")
    return lambda get: any(all(test(get) for test in group) for group in tests)


def _clause(clause: str, searchable: tuple[str, ...], resource: str) -> Test:
    name, colon, wanted = _ESCAPE.sub(r"\1", clause).partition(":")
    if not colon or not wanted:
        raise GraphError(400, "BadRequest", 'A $search clause has the form "property:value".')
    if name not in searchable:
        raise unsupported_query(
            f"Unsupported property '{name}' for $search on resource '{resource}'."
        )
    wanted_words = _words(wanted)

    def test(get: Getter) -> bool:
        held = get(name)
        if not isinstance(held, str):
            return False
        # Most values lack a word altogether, and to cut them up is what takes the time.
        folded = held.casefold()
        if any(wanted_word not in folded for wanted_word in wanted_words):
            return False
        # Each searched word must begin a word of the value, wherever it stands.
        words = _words(held)
        starts = [word for word in words if word]
        return all(
            any(word.startswith(wanted_word) for word in [folded, *starts])
            for wanted_word in wanted_words
        )

    return test


def _words(text: str) -> list[str]:
    return [word for word in _WORDS.split(text.casefold()) if word]
