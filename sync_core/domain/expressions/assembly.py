"""What the grammar's rules mean: tokens and finished parts in, checked parts out.

Everything that can be known without a person is checked here, where the position is still known.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sync_core.domain.expressions import attributes
from sync_core.domain.expressions.errors import ArgumentProblem
from sync_core.domain.expressions.functions.function import Function
from sync_core.domain.expressions.functions.registry import (
    ARGUMENT_WORDS,
    CONSTANTS,
    FUNCTIONS,
    REFUSED,
    SIGNALS,
)
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
)
from sync_core.domain.expressions.regexes import MAX_PROGRAMS

# Deep enough for a chain of 60 nested IIF; what walks an expression may recurse this far.
MAX_DEPTH = 64
LONGEST_NUMBER = 40
ESCAPE = re.compile(r'\\([\\"])')
OTHER_WORDS = {
    "AuthoritativeNull": 'Write Null, and choose "whenNull": "clear" in the mapping.',
}


class Problem(Exception):
    """What is wrong, and where; parsing makes an `ExpressionError` of it."""

    def __init__(self, code: str, message: str, position: int, hint: str = "") -> None:
        super().__init__(message)
        self.code = f"expression.{code}"
        self.message = message
        self.position = position
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part of the expression: where it starts, how deep it is, what is odd about it.

    `weight` is the size of all patterns in it.
    `signal` is a part in it that may say "ignore", `outermost` one that must not be inside another.
    """

    node: Node
    position: int
    depth: int = 1
    weight: int = 0
    signal: "Part | None" = None
    outermost: "Part | None" = None


def text(token: str, position: int) -> Part:
    # A backslash before anything else stays: the guides write both "\\d" and "\+".
    return Part(Text(ESCAPE.sub(r"\1", token[1:-1])), position)


def hexadecimal(token: str, position: int) -> Part:
    _check_length(token, position)
    return Part(Number(int(f"0x{token[2:]}", 0), hexadecimal=True), position)


def decimal(token: str, position: int) -> Part:
    _check_length(token, position)
    return Part(Number(float(token) if "." in token else int(token)), position)


def _check_length(token: str, position: int) -> None:
    if len(token) > LONGEST_NUMBER:
        raise Problem(
            "number",
            "The number is too long",
            position,
            "Long digits may stand in quotes, as text.",
        )


def attribute(token: str, position: int) -> Part:
    name = token[1:-1].strip()
    if not attributes.is_name(name):
        raise Problem(
            "attributeName",
            f'"{name[:40]}" is not the name of an attribute',
            position,
            "Write the name of a property between the brackets, like [department] or "
            "[employeeOrgData.division].",
        )
    return Part(Attribute(name), position)


def word(token: str, position: int) -> Part:
    part = Part(Word(token), position)
    if token in SIGNALS:
        return Part(Word(token), position, signal=part)
    if token in CONSTANTS or token in ARGUMENT_WORDS:
        return part
    raise Problem("unknownWord", f'"{token}" means nothing here', position, _word_hint(token))


def _word_hint(token: str) -> str:
    if token in OTHER_WORDS:
        return OTHER_WORDS[token]
    if token.upper() in {"AND", "OR", "NOT"}:
        return 'AND and OR stand between two conditions, NOT before one: [a] = "x" AND [b] = "y".'
    if token in FUNCTIONS:
        return f"A function is followed by its arguments: {FUNCTIONS[token].signature}."
    for known in (*CONSTANTS, *SIGNALS, *ARGUMENT_WORDS):
        if known.lower() == token.lower():
            return f"Write {known}."
    return f'Write [{token}] for the attribute, "{token}" for the text.'


def call(name: str, position: int, arguments: Sequence[Part | None]) -> Part:
    """Check a call and make a part of it; null stands for an argument left out."""
    parts = [Part(Empty(), position) if part is None else part for part in arguments]
    if arguments == [None]:
        parts = []
    function = _function(name, position)
    _check_count(function, len(parts), position)
    for index, part in enumerate(parts):
        _check_inside(part, function, index)
    nodes = tuple(part.node for part in parts)
    if function.check:
        try:
            function.check(nodes)
        except ArgumentProblem as problem:
            where = parts[problem.index].position
            code = problem.code.removeprefix("expression.")
            raise Problem(code, f"{name}: {problem.message}", where, problem.hint) from None
    signals = (part.signal for part in parts if part.signal)
    part = _of(Call(name, nodes), parts, position, function.weight(nodes))
    return replace(
        part,
        signal=part if function.gives_signal else next(signals, None),
        outermost=part if function.outermost_only else None,
    )


def _function(name: str, position: int) -> Function:
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if name in REFUSED:
        raise Problem("functionRefused", f"{name} is not available", position, REFUSED[name])
    raise Problem(
        "unknownFunction", f'There is no function "{name}"', position, _function_hint(name)
    )


def _function_hint(name: str) -> str:
    if name.upper() in {"AND", "OR"}:
        return f'Write {name.upper()} between two conditions: [a] = "x" {name.upper()} [b] = "y".'
    for known in FUNCTIONS:
        if known.lower() == name.lower():
            return f"Upper and lower case matter: write {known}."
    close = difflib.get_close_matches(name, FUNCTIONS, n=1)
    return f"Did you mean {close[0]}?" if close else "The reference lists all functions."


def _check_count(function: Function, count: int, position: int) -> None:
    enough = count >= function.least and (function.most is None or count <= function.most)
    if enough and not (function.even and count % 2):
        return
    raise Problem(
        "argumentCount",
        f"{function.name} takes {_takes(function)}, not {count}",
        position,
        f"It is written {function.signature}.",
    )


def _takes(function: Function) -> str:
    least, most = function.least, function.most
    if function.even:
        return f"an even number of arguments, {least} or more"
    if most is None:
        return f"{least} or more arguments"
    if least == most:
        return "no arguments" if most == 0 else f"{most} argument{'s' * (most > 1)}"
    return f"{least} to {most} arguments"


def _check_inside(part: Part, function: Function, index: int) -> None:
    """Check whether the part may be the argument of this number."""
    taken = function.words.get(index, frozenset())
    if isinstance(part.node, Word) and part.node.name in ARGUMENT_WORDS - taken:
        raise _misplaced_word(part)
    if part.outermost:
        raise _nested_outermost(part.outermost)
    if part.signal and not function.results(index):
        raise _nested_signal(part.signal)


def _misplaced_word(part: Part) -> Problem:
    name = part.node.name if isinstance(part.node, Word) else ""
    takers = [
        one.name for one in FUNCTIONS.values() if name in frozenset().union(*one.words.values())
    ]
    return Problem(
        "unknownWord",
        f"{name} means nothing here",
        part.position,
        f"It is an argument of {', '.join(takers)}. For the text, put it in quotes.",
    )


def _nested_outermost(part: Part) -> Problem:
    return Problem(
        "notOutermost",
        "SelectUniqueValue has to be the outermost function",
        part.position,
        "Put the other functions inside its rules.",
    )


def _nested_signal(part: Part) -> Problem:
    name = part.node.name if isinstance(part.node, Word | Call) else ""
    return Problem(
        "misplacedSignal",
        f"{name} decides about the whole value, so it cannot be a part of another one",
        part.position,
        "Use it as the whole expression or as a result of IIF, Switch or Coalesce.",
    )


def joined(
    kind: type[Concatenation] | type[Conjunction] | type[Disjunction], parts: Sequence[Part]
) -> Part:
    _check_operands(parts)
    position = parts[0].position
    return _of(kind(tuple(part.node for part in parts)), parts, position)


def comparison(left: Part, operator: str, right: Part) -> Part:
    _check_operands((left, right))
    node = Comparison(operator, left.node, right.node)
    return _of(node, (left, right), left.position)


def negation(condition: Part) -> Part:
    _check_operands((condition,))
    return _of(Negation(condition.node), (condition,), condition.position)


def whole(part: Part) -> Node:
    """Check what may stand inside a function only."""
    if isinstance(part.node, Word) and part.node.name in ARGUMENT_WORDS:
        raise _misplaced_word(part)
    return part.node


def _check_operands(parts: Sequence[Part]) -> None:
    for part in parts:
        whole(part)
        if part.outermost:
            raise _nested_outermost(part.outermost)
        if part.signal:
            raise _nested_signal(part.signal)


def _of(node: Node, parts: Sequence[Part], position: int, weight: int = 0) -> Part:
    """Make a part of its parts; `weight` is that of the node itself."""
    weight += sum(part.weight for part in parts)
    if weight > MAX_PROGRAMS:
        raise Problem(
            "pattern",
            f"The patterns of the expression are too large together (more than {MAX_PROGRAMS})",
            position,
            "Divide the expression, or repeat classes such as \\w less often.",
        )
    return Part(node, position, _depth(parts, position), weight)


def _depth(parts: Sequence[Part], position: int) -> int:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise Problem(
            "tooDeep",
            f"The expression is nested more than {MAX_DEPTH} deep",
            position,
            "Use Switch, AND and OR instead of IIF inside IIF.",
        )
    return depth
