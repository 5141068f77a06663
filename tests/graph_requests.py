"""Requests to Graph, held against Microsoft's description: a request in, what is wrong with it out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.graph.http.messages import parse_query
from local.graph.http.recorder import Recorded
from tests.graph_description import (
    ROOT,
    Builder,
    builder,
    items_of,
    model,
    properties,
    snake,
)

# What the description lacks, and who says that it exists.
UNDESCRIBED_PATHS = {
    "$metadata": "learn.microsoft.com/graph/traverse-the-graph, 'Microsoft Graph API metadata'",
    "$batch": "learn.microsoft.com/graph/json-batching",
    "me": "learn.microsoft.com/graph/api/user-get; the SDK has it under another name",
}
UNDESCRIBED_PARAMETERS = {
    "$skiptoken": "in a nextLink: learn.microsoft.com/graph/paging",
    "$deltatoken": "in a deltaLink: learn.microsoft.com/graph/delta-query-overview",
    "$format": "of $metadata: docs.oasis-open.org/odata/odata/v4.01, part 2, 5.1.2",
}
UNDESCRIBED_PROPERTIES = {
    r"extension_[0-9a-f]{32}_\w+": "a directory extension: learn.microsoft.com/graph/extensibility-overview",
    r"ext[0-9a-z]{8}_\w+": "a schema extension: the same page",
    r"@odata\.type": "docs.oasis-open.org/odata/odata-json-format/v4.01, 4.6.3",
}
# A list of directoryObjects selects what any of the objects in it has, as the sample of Microsoft's post
# on limited information does (devblogs.microsoft.com/microsoft365dev, "Upcoming API changes to return
# limited information for inaccessible member resources"); the description has the common part only.
DIRECTORY_OBJECTS = ("user", "group", "device", "orgContact", "servicePrincipal")

# What tests of the emulator write badly on purpose, or ask of nobody; the program may do neither.
BADLY_WRITTEN = frozenset((400, 404, 405, 501))

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^/]*@[^/]*", re.IGNORECASE)
_BY_KEY = re.compile(r"(\w+)\((\w+)='[^']*'\)")
_TEXT = re.compile(r"'(?:[^']|'')*'|\b\d{4}-\d\d-\d\d[\dT:.Z+-]*")
_ANY = re.compile(r"([\w/]+)/any\((\w+):")
_NAME = re.compile(r"[A-Za-z_][\w/$]*(?!\w*[(:])")
_WORDS = frozenset(
    ("eq", "ne", "ge", "le", "in", "and", "or", "not", "null", "true", "false")
)  # fmt: skip
_LIKE = frozenset(("startsWith", "startswith", "endsWith", "endswith"))


@dataclass(frozen=True)
class Shape:
    """A request without the values in it: what of it can be right or wrong."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: tuple[tuple[str, str], ...] | None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" if value else name for name, value in self.query)
        body = "" if self.body is None else f" {dict(self.body)}"
        return f"{self.method} {self.path}{'?' if query else ''}{query}{body}"


def is_meant(recorded: Recorded) -> bool:
    """Whether a request has to be right: all of the program's, and whatever Graph took as well-formed."""
    if not recorded.path.startswith("/v1.0/"):
        return False
    return recorded.by_sdk or recorded.status not in BADLY_WRITTEN


class Witness:
    """Sees the requests of a session, and asks of each kind once whether Microsoft describes it."""

    def __init__(self) -> None:
        self._heard: list[Recorded] = []
        self._seen: set[Shape] = set()

    def hear(self, recorded: Recorded) -> None:
        self._heard.append(recorded)

    def fresh(self) -> set[Shape]:
        """Give the kinds of requests that came since the last time and never before."""
        heard, self._heard = self._heard, []
        shapes = {shape_of(one) for one in heard if is_meant(one)} - self._seen
        self._seen |= shapes
        return shapes


def shape_of(recorded: Recorded) -> Shape:
    path = recorded.path.removeprefix("/v1.0/").rstrip("/")
    segments = ["{id}" if _ID.fullmatch(part) else _keyless(part) for part in path.split("/")]
    query = [
        (name, ",".join(sorted(_names(name, value))))
        for name, value in parse_query(recorded.query).items()
    ]
    body = None if recorded.body is None else tuple(sorted(recorded.body.items()))
    return Shape(recorded.method, "/".join(segments), tuple(sorted(query)), body)


def _keyless(segment: str) -> str:
    return _TEXT.sub("''", segment)


def problems(shape: Shape, misspelt: frozenset[str] = frozenset()) -> list[str]:
    """Name every segment, parameter, property and type that Microsoft's description does not have.

    ``misspelt`` are names of properties that are wrong on purpose.
    """
    if shape.path in UNDESCRIBED_PATHS:
        return [*_wrong_parameters(shape, frozenset())]
    address, wrong = _walk(shape.path)
    if address is None:
        return wrong
    if shape.method not in address.calls:
        return [f"no {shape.method} at {shape.path}"]
    body, answer = address.calls[shape.method]
    found = [*_wrong_parameters(shape, address.parameters)]
    if answer is not None:
        found += _wrong_names(shape, items_of(answer), misspelt)
    return [*found, *_wrong_body(shape, body)]


def _walk(path: str) -> tuple[Builder | None, list[str]]:
    here = builder(ROOT)
    for segment in path.split("/"):
        file = _onward(here, segment)
        if file is None:
            return None, [f"no segment {segment} in {path}"]
        here = builder(file)
    return here, []


def _onward(here: Builder, segment: str) -> Path | None:
    """`members`, `graph.user`, `microsoft.graph.checkMemberGroups`, `delta()`, `(appId='…')`, `{id}`."""
    keyed = _BY_KEY.fullmatch(segment)
    if keyed:
        return here.onward.get(f"{snake(keyed[1])}_with_{snake(keyed[2])}")
    plain = segment.removesuffix("()")
    namespaced = re.match(r"(?:microsoft\.)?graph\.(\w+)", plain)
    if namespaced:
        names = [f"graph_{snake(namespaced[1])}", snake(namespaced[1])]
    else:
        names = [snake(plain.removeprefix("$"))]
    found = next((here.onward[name] for name in names if name in here.onward), None)
    if found is not None:
        return found if _says(builder(found).segment, plain) else None
    return here.by_key if segment == "{id}" else None


def _says(described: str, segment: str) -> bool:
    """The description's own spelling, with its alias `graph` of the namespace or the whole."""
    short = described.removesuffix("()").removeprefix("microsoft.").removeprefix("graph.")
    return short == segment.removeprefix("microsoft.").removeprefix("graph.")


def _wrong_parameters(shape: Shape, known: frozenset[str]) -> Iterator[str]:
    for name, _ in shape.query:
        if name not in known and name not in UNDESCRIBED_PARAMETERS:
            yield f"no parameter {name} at {shape.path}"


def _wrong_names(shape: Shape, item: Path, misspelt: frozenset[str]) -> Iterator[str]:
    kinds = [item]
    if item == model("directoryObject"):
        kinds += [kind for name in DIRECTORY_OBJECTS if (kind := model(name))]
    for parameter, names in shape.query:
        for name in filter(None, names.split(",")):
            if name not in misspelt and not any(_has(kind, name.split("/")) for kind in kinds):
                yield f"no property {name} of {item.stem} ({parameter} at {shape.path})"


def _has(kind: Path | None, steps: list[str]) -> bool:
    if not steps:
        return True
    if any(re.fullmatch(pattern, steps[0]) for pattern in UNDESCRIBED_PROPERTIES):
        return True
    found = properties(kind).get(steps[0]) if kind else None
    if found is None:
        return False
    return (found.is_list and steps[1:] == ["$count"]) or _has(found.model, steps[1:])


def _wrong_body(shape: Shape, body: Path | None) -> Iterator[str]:
    for name, kind in shape.body or ():
        found = properties(body).get(name) if body else None
        if any(re.fullmatch(pattern, name) for pattern in UNDESCRIBED_PROPERTIES):
            continue
        if found is None:
            yield f"no property {name} in the body of {shape.method} {shape.path}"
        elif kind != "null" and (found.is_list, found.is_bool) != (kind == "list", kind == "bool"):
            yield f"{name} is {found.getter}, not {kind}, in the body of {shape.path}"


def _names(parameter: str, value: str) -> set[str]:
    """Give the properties that a query option names."""
    if parameter in ("$select", "$expand", "$orderby"):
        return {part.strip().split("(")[0].split(" ")[0] for part in value.split(",")}
    if parameter == "$search":
        return set(re.findall(r"\"(\w+):", value))
    if parameter != "$filter":
        return set()
    text = _TEXT.sub("''", value)
    lambdas = {variable: collection for collection, variable in _ANY.findall(text)}
    found = set()
    for name in _NAME.findall(text):
        first, *rest = name.removesuffix("/any").split("/")
        if first not in _WORDS | _LIKE:
            found.add("/".join([lambdas.get(first, first), *rest]))
    return found
