"""Text to a checked expression, or an error: what is wrong, where, and what to write instead."""

import re

from sync_core.domain.expressions.assembly import Problem
from sync_core.domain.expressions.errors import ExpressionError
from sync_core.domain.expressions.nodes import Node

# learn.microsoft.com/entra/identity/app-provisioning/known-issues
LONGEST = 10_000

# Texts and attributes are skipped, so that the parentheses in them do not count.
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\[\]"]*\]|([()])', re.DOTALL)
# What people write out of habit, and what it is called here.
HABITS = (
    ("==", "One = compares."),
    ("!=", "Write <> for not equal."),
    ("&&", "Write AND."),
    ("||", "Write OR."),
    ("+", "Write & or Join(...) to put texts together."),
    (";", "Arguments are separated by commas."),
    ("'", 'Text stands in double quotes: "text".'),
    ("\N{LEFT DOUBLE QUOTATION MARK}", 'Use straight quotes: "text".'),
    ("\N{RIGHT DOUBLE QUOTATION MARK}", 'Use straight quotes: "text".'),
    ("\N{DOUBLE LOW-9 QUOTATION MARK}", 'Use straight quotes: "text".'),
)
VALUES = frozenset({"NAME", "ATTRIBUTE", "TEXT", "HEXADECIMAL", "DECIMAL"})


def parse_node(text: str) -> Node:
    """Parse an expression; raises `ExpressionError`."""
    if len(text) > LONGEST:
        raise ExpressionError(
            "expression.tooLong",
            f"The expression has {len(text)} characters, more than {LONGEST}",
            text=text,
            position=LONGEST,
        )
    if not text.strip():
        raise ExpressionError("expression.empty", "The expression is empty", text=text, position=0)
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    from sync_core.domain.expressions.grammar import parser

    try:
        node: Node = parser().parse(text)  # type: ignore[assignment]
    except UnexpectedToken as error:
        token = error.token
        position = len(text) if token.type == "$END" else token.start_pos or 0
        problem = _unexpected(text, position, token.type)
    except UnexpectedCharacters as error:
        problem = _unexpected(text, error.pos_in_stream or 0, "")
    except Problem as found:
        problem = found
    else:
        return node
    raise ExpressionError(
        problem.code, problem.message, text=text, position=problem.position, hint=problem.hint
    )


def _unexpected(text: str, position: int, kind: str) -> Problem:
    rest = text[position:]
    if rest.startswith('"') and kind != "TEXT":
        return Problem("unclosedText", "This text is not closed", position, 'Add the second ".')
    if rest.startswith("[") and kind != "ATTRIBUTE":
        return Problem("unclosedBracket", "This [ is not closed", position, "Add the ].")
    around = text[max(0, position - 1) : position + 1]  # the second of == may be the odd one
    for habit, hint in HABITS:
        if rest.startswith(habit) or habit == around:
            return Problem("syntax", f"{habit} is not used here", position, hint)
    if kind == "$END":
        return _unfinished(text)
    if kind == "_CLOSE" and _open_brackets(text[:position]) == []:
        return Problem("unclosedBracket", "This ) closes nothing", position, "Take it out.")
    return Problem("syntax", *_syntax(rest, kind, position))


def _unfinished(text: str) -> Problem:
    still_open = _open_brackets(text)
    if still_open:
        return Problem("unclosedBracket", "This ( is not closed", still_open[-1], "Add the ).")
    return Problem(
        "syntax", "The expression ends too early", len(text), "Something is missing here."
    )


def _syntax(rest: str, kind: str, position: int) -> tuple[str, int, str]:
    word = re.match(r"\w+|.", rest, re.DOTALL)
    shown = word[0] if word else rest
    if shown.upper() in {"AND", "OR", "NOT"}:
        hint = f"Write {shown.upper()}, in capitals, between two conditions."
    elif kind == "COMPARISON":
        hint = "One comparison at a time: join two of them with AND."
    elif kind in VALUES:
        hint = "A comma, an operator or a parenthesis is missing before it."
    else:
        hint = "A value is missing before it."
    return f'"{shown}" is not expected here', position, hint


def _open_brackets(text: str) -> list[int]:
    positions = []
    for found in BRACKET.finditer(text):
        if found[1] == "(":
            positions.append(found.start())
        elif found[1] == ")" and positions:
            positions.pop()
    return positions
