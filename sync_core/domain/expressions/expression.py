"""A parsed expression: what it needs, how it is written, and the function that evaluates it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_core.domain.expressions.attributes import property_of
from sync_core.domain.expressions.compile import compiled
from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.functions.decisions import group_of
from sync_core.domain.expressions.functions.function import Evaluate, Function
from sync_core.domain.expressions.functions.registry import FUNCTIONS
from sync_core.domain.expressions.nodes import Attribute, Call, Node, walk
from sync_core.domain.expressions.parsing import parse_node
from sync_core.domain.expressions.printer import printed
from sync_core.domain.expressions.trace import traced


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was checked; two are equal when they say the same."""

    root: Node

    @property
    def attributes(self) -> frozenset[str]:
        """The Graph properties it reads, so that they are selected."""
        named = {property_of(one.name) for one in walk(self.root) if isinstance(one, Attribute)}
        return frozenset(named).union(*(function.reads for function in self._functions()))

    @property
    def names(self) -> frozenset[str]:
        """The attributes as they are written between brackets, with the dots of inner values."""
        return frozenset(one.name for one in walk(self.root) if isinstance(one, Attribute))

    @property
    def groups(self) -> frozenset[str]:
        """The ids of the groups it asks for, in lower case."""
        return frozenset(
            group_of(one.arguments)
            for one in walk(self.root)
            if isinstance(one, Call) and one.name == "InGroup"
        )

    @property
    def uses_time(self) -> bool:
        """Whether the value can change although nothing changed in the directory."""
        return any(function.name == "Now" for function in self._functions())

    @property
    def uses_taken(self) -> bool:
        """Whether it needs the values that other people have, as SelectUniqueValue does."""
        return any(function.outermost_only for function in self._functions())

    @property
    def redacts(self) -> bool:
        """Whether its values must not be shown in logs and explanations."""
        return any(function.redacts for function in self._functions())

    def print(self) -> str:
        """Return the canonical text; parsing it gives an equal expression."""
        return printed(self.root)

    def compile(self) -> Evaluate:
        """Make the function of a person's attributes and a context that gives the value.

        It gives a JSON-like value, IGNORE_ATTRIBUTE or IGNORE_OBJECT, or raises `EvaluationError`.
        """
        return compiled(self.root)

    def _functions(self) -> list[Function]:
        return [FUNCTIONS[one.name] for one in walk(self.root) if isinstance(one, Call)]


def parse(text: str) -> Expression:
    """Parse an expression; raises `ExpressionError` with the position and a hint."""
    return Expression(parse_node(text))


def evaluate_with_trace(
    expression: Expression, attributes: Mapping[str, object], context: Context
) -> tuple[object, dict[str, Any]]:
    """Evaluate for one person and tell how the value came about."""
    return traced(expression.root, attributes, context)
