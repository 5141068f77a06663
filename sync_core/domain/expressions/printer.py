"""An expression back to text, in one canonical spelling that parses to the same expression."""

from decimal import Decimal

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

# How strongly an operator binds; a part that binds less needs parentheses.
DISJUNCTION, CONJUNCTION, NEGATION, COMPARISON, CONCATENATION, OPERAND = range(6)


def printed(node: Node) -> str:
    """Return the canonical text of a node."""
    return _printed(node)[0]


def _printed(node: Node) -> tuple[str, int]:
    match node:
        case Concatenation(parts=parts):
            return _joined(" & ", parts, CONCATENATION), CONCATENATION
        case Comparison(operator=operator, left=left, right=right):
            return _joined(f" {operator} ", (left, right), COMPARISON), COMPARISON
        case Negation(condition=condition):
            return f"NOT {_inside(condition, NEGATION)}", NEGATION
        case Conjunction(parts=parts):
            return _joined(" AND ", parts, CONJUNCTION), CONJUNCTION
        case Disjunction(parts=parts):
            return _joined(" OR ", parts, DISJUNCTION), DISJUNCTION
        case _:
            return _operand(node), OPERAND


def _operand(node: Text | Number | Word | Attribute | Empty | Call) -> str:
    text = ""
    match node:
        case Text(value=value):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            text = f'"{escaped}"'
        case Number(value=number):
            plain = format(Decimal(repr(number)), "f")
            text = f"&H{number:X}" if node.hexadecimal else plain
        case Word(name=name):
            text = name
        case Attribute(name=name):
            text = f"[{name}]"
        case Call(name=name, arguments=arguments):
            text = f"{name}({', '.join(map(printed, arguments))})"
    return text


def _joined(operator: str, parts: tuple[Node, ...], strength: int) -> str:
    return operator.join(_inside(part, strength) for part in parts)


def _inside(node: Node, strength: int) -> str:
    text, own = _printed(node)
    return text if own > strength else f"({text})"
