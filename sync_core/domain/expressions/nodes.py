"""The parts of an expression as values: parsing makes them, printing and compiling read them.

Nodes are compared by what they say, never by where they stood in the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A text in double quotes, unescaped."""

    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: decimal, or hexadecimal after `&H`."""

    value: int | float
    hexadecimal: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: True, IgnoreAttributeFlow, vbTextCompare and their like."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the person, as named between the square brackets."""

    name: str


@dataclass(frozen=True, slots=True)
class Empty:
    """An argument left out between two commas: null that keeps its place."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Two or more texts put together with `&`."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and one of = <> > >= < <=."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Negation:
    """NOT and a condition."""

    condition: "Node"


@dataclass(frozen=True, slots=True)
class Conjunction:
    """Two or more conditions, all of which have to hold: AND."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """Two or more conditions, one of which has to hold: OR."""

    parts: tuple["Node", ...]


Node = (
    Text
    | Number
    | Word
    | Attribute
    | Empty
    | Call
    | Concatenation
    | Comparison
    | Negation
    | Conjunction
    | Disjunction
)


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct parts of a node, in the order they are written."""
    match node:
        case Call(arguments=parts):
            return parts
        case Concatenation(parts=parts) | Conjunction(parts=parts) | Disjunction(parts=parts):
            return parts
        case Comparison(left=left, right=right):
            return (left, right)
        case Negation(condition=condition):
            return (condition,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Return the node and everything in it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(children(one))
