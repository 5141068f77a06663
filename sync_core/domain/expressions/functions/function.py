"""What a function of the expression language is: its name, how it is written, and what it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.nodes import Node, Text

Evaluate = Callable[[Mapping[str, object], Context], object]
Condition = Callable[[Mapping[str, object], Context], bool]


def constant_text(node: Node) -> str | None:
    """Return the text of an argument that is written in quotes; null for any other argument."""
    return node.value if isinstance(node, Text) else None


class Topic(StrEnum):
    """Where the reference lists a function."""

    TEXT = "Text"
    DATES = "Dates"
    LISTS = "Lists"
    DECISIONS = "Decisions"
    CONVERSION = "Conversion"
    GENERATED = "Generated values"


@dataclass(frozen=True, slots=True)
class Example:
    """An expression, the attributes it is evaluated with, and the value that comes out."""

    expression: str
    attributes: Mapping[str, object]
    value: object


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, as nodes and ready to evaluate.

    `salt` is different for every call of an expression and the same in every run.
    """

    nodes: tuple[Node, ...]
    evaluate: tuple[Evaluate, ...]
    conditions: tuple[Condition, ...]
    salt: str


def _nothing(*_values: object) -> None:
    """Stand for `call` in a function that has `build`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function: `call` takes values and gives one, `build` takes arguments and gives a closure.

    `build` wins where both could be. `most` is None when arguments may go on; `even` asks for an
    even count. `results` tells for an argument's index whether its value can become the result,
    so that a signal such as IgnoreAttributeFlow may stand there. `words` are the bare words an
    argument takes. `check` raises `ArgumentProblem` for constants that can never work; `weight` is the size
    of the pattern among them.
    """

    name: str
    topic: Topic
    signature: str
    summary: str
    example: Example
    least: int
    most: int | None
    even: bool = False
    call: Callable[..., object] = _nothing
    build: Callable[[Arguments], Evaluate] | None = None
    check: Callable[[tuple[Node, ...]], None] | None = None
    weight: Callable[[tuple[Node, ...]], int] = field(default=lambda _nodes: 0)
    results: Callable[[int], bool] = field(default=lambda _index: False)
    words: Mapping[int, frozenset[str]] = field(default_factory=dict)
    # Depends on its arguments alone, so it can be worked out once when they are constant.
    pure: bool = True
    gives_condition: bool = False
    gives_signal: bool = False
    gives_date: bool = False
    outermost_only: bool = False
    redacts: bool = False
    reads: frozenset[str] = frozenset()
