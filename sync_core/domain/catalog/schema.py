"""Graph's own description of a user: `$metadata` (OData CSDL, some MB of XML) in, properties out. Pure.

It is read event by event and never becomes a tree. Only the description tells properties from
navigation properties and knows their types; msgraph-sdk's model of a user has both in one list, and
a national cloud has properties of its own time. docs.oasis-open.org/odata/odata-csdl-xml/v4.01;
learn.microsoft.com/graph/traverse-the-graph#microsoft-graph-api-metadata
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from xml.parsers import expat

NAMESPACE = "microsoft.graph"
# Graph refers to its own namespace in both ways.
PREFIXES = ("graph.", f"{NAMESPACE}.")
DEEPEST_BASE = 10


class Kind(StrEnum):
    """What a value is, in the words of an administrator."""

    TEXT = "text"
    BOOLEAN = "boolean"
    NUMBER = "number"
    DATE = "date"
    BINARY = "binary"
    OBJECT = "object"


KINDS = {
    "Edm.Boolean": Kind.BOOLEAN,
    "Edm.Byte": Kind.NUMBER,
    "Edm.Int16": Kind.NUMBER,
    "Edm.Int32": Kind.NUMBER,
    "Edm.Int64": Kind.NUMBER,
    "Edm.Single": Kind.NUMBER,
    "Edm.Double": Kind.NUMBER,
    "Edm.Decimal": Kind.NUMBER,
    "Edm.Date": Kind.DATE,
    "Edm.DateTimeOffset": Kind.DATE,
    "Edm.Binary": Kind.BINARY,
    "Edm.Stream": Kind.BINARY,
}


class UnreadableSchema(ValueError):
    """What came is no description of Graph, or knows no user."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property; an object has `parts`."""

    name: str
    kind: Kind
    is_list: bool = False
    parts: tuple["Property", ...] = ()


@dataclass(slots=True)
class _Type:
    base: str
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Types:
    """Entity and complex types of the main namespace by name, as far as they were read."""

    known: dict[str, _Type] = field(default_factory=dict)
    _is_ours: bool = False
    _open: _Type | None = None

    def start(self, element: str, attributes: Mapping[str, str]) -> None:
        name = element.rpartition(" ")[2]
        if name == "Schema":
            self._is_ours = attributes.get("Namespace") == NAMESPACE
        elif self._is_ours and name in {"EntityType", "ComplexType"}:
            self._open = _Type(_plain(attributes.get("BaseType", "")))
            self.known[attributes.get("Name", "")] = self._open
        elif name == "Property" and self._open is not None:
            self._open.properties[attributes.get("Name", "")] = attributes.get("Type", "")

    def end(self, element: str) -> None:
        if element.rpartition(" ")[2] in {"EntityType", "ComplexType"}:
            self._open = None

    def properties_of(self, name: str) -> dict[str, str]:
        """Return the properties of a type with those of the types that it is based on."""
        chain: list[_Type] = []
        found = self.known.get(name)
        while found is not None and len(chain) < DEEPEST_BASE:
            chain.append(found)
            found = self.known.get(found.base)
        return {key: value for one in reversed(chain) for key, value in one.properties.items()}


def user_properties(description: bytes) -> tuple[Property, ...]:
    """Return a user's properties by name; raises `UnreadableSchema`."""
    types = _Types()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = types.start
    parser.EndElementHandler = types.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(description, True)
    except expat.ExpatError as error:
        raise UnreadableSchema(str(error)) from error
    found = types.properties_of("user")
    if not found:
        raise UnreadableSchema("there is no entity type user")
    return tuple(_property(types, name, kind, deep=True) for name, kind in sorted(found.items()))


def _refuse_doctype(*_: object) -> None:
    raise UnreadableSchema("a document type is declared, which Graph never does")


def _property(types: _Types, name: str, declared: str, *, deep: bool) -> Property:
    is_list = declared.startswith("Collection(")
    plain = _plain(declared.removeprefix("Collection(").removesuffix(")") if is_list else declared)
    if plain in KINDS:
        return Property(name, KINDS[plain], is_list)
    if plain not in types.known:  # Edm.String, Edm.Guid, and enumerations, which come as text
        return Property(name, Kind.TEXT, is_list)
    inner = types.properties_of(plain) if deep else {}
    parts = tuple(_property(types, part, kind, deep=False) for part, kind in inner.items())
    return Property(name, Kind.OBJECT, is_list, parts)


def _plain(declared: str) -> str:
    for prefix in PREFIXES:
        if declared.startswith(prefix):
            return declared.removeprefix(prefix)
    return declared
