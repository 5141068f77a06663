"""An expression to one Python function, made once and called for each person.

Each node becomes a closure over the closures of its parts. What depends on nothing but constants
is worked out here. With an observer, every node's closure is handed to it, nothing is worked out
ahead, and the observer may wrap the closure: that is how the trace is made.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sync_core.domain.expressions.attributes import reader
from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.dates import printed_date
from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.functions.function import Arguments, Condition, Evaluate
from sync_core.domain.expressions.functions.registry import CONSTANTS, FUNCTIONS
from sync_core.domain.expressions.nodes import (
    Attribute,
    Call,
    Comparison,
    Concatenation,
    Conjunction,
    Disjunction,
    Empty,
    Negation,
    Node,
    Number,
    Text,
    Word,
    children,
    walk,
)
from sync_core.domain.expressions.printer import printed
from sync_core.domain.expressions.values import (
    IGNORE_ATTRIBUTE,
    IGNORE_OBJECT,
    equal,
    order,
    to_condition,
    to_text_or_empty,
    within_limit,
)

Attributes = Mapping[str, object]
Observer = Callable[[Node, Evaluate], Evaluate]

WORDS: Mapping[str, object] = {
    **CONSTANTS,
    "IgnoreAttributeFlow": IGNORE_ATTRIBUTE,
    "IgnoreObjectFlow": IGNORE_OBJECT,
}
ORDERINGS: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Never read: what is worked out ahead depends on constants only.
NOBODY: Attributes = {}
NEVER = Context(now=datetime(1, 1, 1, tzinfo=UTC))


def compiled(root: Node, observe: Observer | None = None) -> Evaluate:
    """Make the function that evaluates the expression."""
    evaluate, _ = _Compilation(printed(root), observe).make(root)
    calls = [FUNCTIONS[node.name] for node in walk(root) if isinstance(node, Call)]
    if any(function.gives_date for function in calls):
        evaluate = _with_printed_date(evaluate)
    if any(function.redacts for function in calls):
        evaluate = _with_silent_errors(evaluate)
    return evaluate


def _with_printed_date(evaluate: Evaluate) -> Evaluate:
    def run(attributes: Attributes, context: Context) -> object:
        value = evaluate(attributes, context)
        return printed_date(value) if isinstance(value, datetime) else value

    return run


def _with_silent_errors(evaluate: Evaluate) -> Evaluate:
    def run(attributes: Attributes, context: Context) -> object:
        try:
            return evaluate(attributes, context)
        except EvaluationError as error:
            raise EvaluationError(error.code, error.message) from None

    return run


@dataclass(slots=True)
class _Compilation:
    text: str
    observe: Observer | None
    calls: int = 0

    def make(self, node: Node) -> tuple[Evaluate, bool]:
        """Make the function for a node; True beside it when everybody gets the same value."""
        made = [self.make(part) for part in children(node)]
        evaluate = self._evaluate(node, tuple(one for one, _ in made))
        if self.observe:
            return self.observe(node, evaluate), False
        if _depends_on_person(node) or not all(constant for _, constant in made):
            return evaluate, False
        return _worked_out(evaluate), True

    def _evaluate(self, node: Node, parts: tuple[Evaluate, ...]) -> Evaluate:
        match node:
            case Call():
                return self._call(node, parts)
            case Concatenation():
                return _concatenation(parts)
            case Comparison(operator=sign):
                return _comparison(sign, *parts)
            case Negation() | Conjunction() | Disjunction():
                return _combined(node, _conditions(node, parts))
            case _:
                return _leaf(node)

    def _call(self, node: Call, parts: tuple[Evaluate, ...]) -> Evaluate:
        self.calls += 1
        function = FUNCTIONS[node.name]
        if function.build is None:
            return _applied(function.call, parts)
        salt = f"{self.calls}\n{self.text}"
        return function.build(Arguments(node.arguments, parts, _conditions(node, parts), salt))


def _depends_on_person(node: Node) -> bool:
    return isinstance(node, Attribute) or (isinstance(node, Call) and not FUNCTIONS[node.name].pure)


def _leaf(node: Text | Number | Word | Empty | Attribute) -> Evaluate:
    match node:
        case Attribute(name=name):
            return reader(name)
        case Word(name=name):
            return _constant(WORDS.get(name, name))
        case Empty():
            return _constant(None)
        case _:
            return _constant(node.value)


def _constant(value: object) -> Evaluate:
    return lambda _attributes, _context: value


def _worked_out(evaluate: Evaluate) -> Evaluate:
    try:
        return _constant(evaluate(NOBODY, NEVER))
    except EvaluationError:  # it fails for everybody, but perhaps nobody comes here
        return evaluate


def _applied(call: Callable[..., object], parts: tuple[Evaluate, ...]) -> Evaluate:
    match parts:
        case (one,):
            return lambda attributes, context: call(one(attributes, context))
        case (one, other):
            return lambda attributes, context: call(
                one(attributes, context), other(attributes, context)
            )
        case _:
            return lambda attributes, context: call(*[part(attributes, context) for part in parts])


def _conditions(node: Node, parts: tuple[Evaluate, ...]) -> tuple[Condition, ...]:
    return tuple(map(_condition, children(node), parts))


def _condition(node: Node, evaluate: Evaluate) -> Condition:
    if _gives_condition(node):
        return cast(Condition, evaluate)
    return lambda attributes, context: to_condition(evaluate(attributes, context))


def _gives_condition(node: Node) -> bool:
    if isinstance(node, Call):
        return FUNCTIONS[node.name].gives_condition
    return isinstance(node, Comparison | Negation | Conjunction | Disjunction)


def _concatenation(parts: tuple[Evaluate, ...]) -> Evaluate:
    def concatenate(attributes: Attributes, context: Context) -> str:
        texts = [to_text_or_empty(part(attributes, context)) for part in parts]
        return within_limit("".join(texts))

    return concatenate


def _comparison(sign: str, left: Evaluate, right: Evaluate) -> Condition:
    if sign == "=":
        return lambda attributes, context: equal(
            left(attributes, context), right(attributes, context)
        )
    if sign == "<>":
        return lambda attributes, context: (
            not equal(left(attributes, context), right(attributes, context))
        )
    holds = ORDERINGS[sign]

    def compare(attributes: Attributes, context: Context) -> bool:
        found = order(left(attributes, context), right(attributes, context))
        return found is not None and holds(found, 0)

    return compare


def _combined(
    node: Negation | Conjunction | Disjunction, conditions: tuple[Condition, ...]
) -> Condition:
    first = conditions[0]
    if isinstance(node, Negation):
        return lambda attributes, context: not first(attributes, context)
    if isinstance(node, Conjunction):
        return lambda attributes, context: all(
            condition(attributes, context) for condition in conditions
        )
    return lambda attributes, context: any(
        condition(attributes, context) for condition in conditions
    )
