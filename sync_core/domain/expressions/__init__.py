"""The mapping expression language: Entra's functions, parsed once, compiled once, pure.

Text goes in at `parse`; an `Expression` tells what it reads and compiles to a function of a
person's attributes and a `Context`. Nothing here does I/O or looks at a clock. The reference for
administrators is docs/expressions.md.
"""

from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.errors import EvaluationError, ExpressionError
from sync_core.domain.expressions.expression import Expression, evaluate_with_trace, parse
from sync_core.domain.expressions.functions.function import Example, Function, Topic
from sync_core.domain.expressions.functions.registry import FUNCTIONS, REFUSED
from sync_core.domain.expressions.values import IGNORE_ATTRIBUTE, IGNORE_OBJECT

__all__ = [
    "FUNCTIONS",
    "IGNORE_ATTRIBUTE",
    "IGNORE_OBJECT",
    "REFUSED",
    "Context",
    "EvaluationError",
    "Example",
    "Expression",
    "ExpressionError",
    "Function",
    "Topic",
    "evaluate_with_trace",
    "parse",
]
