"""The grammar of expressions and the parser made from it. Imported with the first expression only.

The parser is LALR(1): it needs no recursion, so no text can exhaust the stack, and it makes the
parts while it reads. What they mean is told in `assembly`.
"""

from functools import cache

from lark import Lark, Token, Transformer

from sync_core.domain.expressions import assembly
from sync_core.domain.expressions.assembly import Part
from sync_core.domain.expressions.nodes import Concatenation, Conjunction, Disjunction, Node

GRAMMAR = r"""
start: expression

?expression: conjunction
    | conjunction (_OR conjunction)+             -> disjunction
?conjunction: negation
    | negation (_AND negation)+                  -> conjunction
?negation: comparison
    | _NOT comparison                            -> negation
?comparison: concatenation
    | concatenation COMPARISON concatenation     -> comparison
?concatenation: operand
    | operand (_JOIN operand)+                   -> concatenation
?operand: NAME _OPEN arguments _CLOSE            -> call
    | NAME                                       -> word
    | ATTRIBUTE                                  -> attribute
    | TEXT                                       -> text
    | HEXADECIMAL                                -> hexadecimal
    | DECIMAL                                    -> decimal
    | _OPEN expression _CLOSE
arguments: [expression] (_COMMA [expression])*

_OR: /OR(?![A-Za-z0-9_])/
_AND: /AND(?![A-Za-z0-9_])/
_NOT.2: /NOT(?![A-Za-z0-9_])/
_JOIN: "&"
_OPEN: "("
_CLOSE: ")"
_COMMA: ","
NAME: /[A-Za-z_][A-Za-z0-9_]*/
ATTRIBUTE: /\[(?:[^\[\]"]|\[[^\[\]"]*\])*\]/
TEXT: /"(?:[^"\\]|\\.)*"/s
HEXADECIMAL: /&H[0-9A-Fa-f]+/
DECIMAL: /-?[0-9]+(?:\.[0-9]+)?/
COMPARISON: "<>" | ">=" | "<=" | "=" | "<" | ">"

%ignore /\s+/
"""


class _Assembling(Transformer[Token, Node]):
    """Hands each rule's tokens and parts to `assembly`."""

    def start(self, parts: list[Part]) -> Node:
        return assembly.whole(parts[0])

    def disjunction(self, parts: list[Part]) -> Part:
        return assembly.joined(Disjunction, parts)

    def conjunction(self, parts: list[Part]) -> Part:
        return assembly.joined(Conjunction, parts)

    def concatenation(self, parts: list[Part]) -> Part:
        return assembly.joined(Concatenation, parts)

    def negation(self, parts: list[Part]) -> Part:
        return assembly.negation(parts[0])

    def comparison(self, parts: tuple[Part, Token, Part]) -> Part:
        left, operator, right = parts
        return assembly.comparison(left, str(operator), right)

    def call(self, parts: tuple[Token, list[Part | None]]) -> Part:
        name, arguments = parts
        return assembly.call(str(name), _position(name), arguments)

    def arguments(self, parts: list[Part | None]) -> list[Part | None]:
        return parts

    def word(self, tokens: list[Token]) -> Part:
        return assembly.word(str(tokens[0]), _position(tokens[0]))

    def attribute(self, tokens: list[Token]) -> Part:
        return assembly.attribute(str(tokens[0]), _position(tokens[0]))

    def text(self, tokens: list[Token]) -> Part:
        return assembly.text(str(tokens[0]), _position(tokens[0]))

    def hexadecimal(self, tokens: list[Token]) -> Part:
        return assembly.hexadecimal(str(tokens[0]), _position(tokens[0]))

    def decimal(self, tokens: list[Token]) -> Part:
        return assembly.decimal(str(tokens[0]), _position(tokens[0]))


def _position(token: Token) -> int:
    return token.start_pos or 0


@cache
def parser() -> Lark:
    """Make the parser; it takes some hundredths of a second, once."""
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=True, transformer=_Assembling())
