"""Microsoft's own description of Graph, read out of the generated code of `msgraph-sdk`.

A request builder names its address, its parameters, what may follow it and what it answers; a model names
its properties on the wire and their types. All of it is generated from Graph's metadata, so what is not
here does not exist in v1.0. Read as text: importing it takes seconds.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import msgraph

GENERATED = Path(next(iter(msgraph.__path__))) / "generated"
ROOT = GENERATED / "base_graph_service_client.py"

_IMPORT = re.compile(r"^\s*from (\.+)([\w.]*) import (\w+)$", re.MULTILINE)
_ADDRESS = re.compile(r"super\(\).__init__\(request_adapter, \"\{\+baseurl\}([^\"{?]*(?:\{[^?}]*\}[^\"{?]*)*)"
                      r"(?:\{\?([^}]*)\})?\"")  # fmt: skip
_ONWARD = re.compile(r"^    def (\w+)\(self,?[^)]*\) -> (\w+RequestBuilder):", re.MULTILINE)
_CALL = re.compile(
    r"^    async def (get|post|patch|put|delete)\(self,\s*(?:body: (\w+), )?.*?-> (?:Optional\[)?(\w+)",
    re.MULTILINE,
)
_CLASS = re.compile(r"^class (\w+)\((\w+)", re.MULTILINE)
_FIELD = re.compile(r"\"([^\"]+)\": lambda n : setattr\(self, '\w+', n\.(get_\w+)\((\w*)")


@dataclass(frozen=True)
class Property:
    """One property of a model: whether it is a list, and the model that its values are, if any."""

    getter: str
    model: Path | None

    @property
    def is_list(self) -> bool:
        return "collection" in self.getter

    @property
    def is_bool(self) -> bool:
        return self.getter == "get_bool_value"


@dataclass(frozen=True)
class Builder:
    """One address of Graph."""

    segment: str
    parameters: frozenset[str]
    onward: dict[str, Path]
    """What may follow, by the name of the method: `members`, `by_group_id`, `graph_user`."""
    calls: dict[str, tuple[Path | None, Path | None]]
    """By HTTP method: the model of the body, and the model that is answered."""

    @property
    def by_key(self) -> Path | None:
        return next((p for name, p in self.onward.items() if re.match(r"by_\w+_id$", name)), None)


@cache
def builder(file: Path) -> Builder:
    text = file.read_text()
    named = _imports(file, text)
    address = _ADDRESS.search(text)
    return Builder(
        segment=unquote(address[1].rpartition("/")[2]) if address else "",
        parameters=frozenset(unquote(address[2] or "").split(",")) if address else frozenset(),
        onward={name: named[kind] for name, kind in _ONWARD.findall(text) if kind in named},
        calls={
            method.upper(): (named.get(body), named.get(answer))
            for method, body, answer in _CALL.findall(text)
        },
    )


@cache
def properties(file: Path) -> dict[str, Property]:
    """Give a model's own properties and those that it inherits."""
    text = file.read_text()
    named = _imports(file, text)
    found = {name: Property(getter, named.get(kind)) for name, getter, kind in _FIELD.findall(text)}
    parent = _CLASS.search(text)
    inherited = named.get(parent[2]) if parent else None
    return (properties(inherited) if inherited else {}) | found


@cache
def model(name: str) -> Path | None:
    """Find a type by its name on the wire, `microsoft.graph.user` or `user`."""
    file = GENERATED / "models" / f"{snake(name.rpartition('.')[2])}.py"
    return file if file.is_file() else None


def items_of(answer: Path) -> Path:
    """Give the model of a list's items, or the model itself."""
    value = properties(answer).get("value")
    return value.model if value is not None and value.is_list and value.model else answer


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _imports(file: Path, text: str) -> dict[str, Path]:
    """Find the files of the classes that a module names."""
    found = {}
    for dots, path, name in _IMPORT.findall(text):
        folder = file
        for _ in dots:
            folder = folder.parent
        found[name] = (folder / path.replace(".", "/")).with_suffix(".py")
    return found
