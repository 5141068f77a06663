"""What can be wrong with an expression: when it is written, and when it meets one person.

ExpressionError   the text is not an expression; an administrator corrects it before it is saved
EvaluationError   the expression is fine, this person's values do not fit; the other people go on
"""


class ExpressionError(ValueError):
    """A text that is not a usable expression; `position` counts characters from 0, lines from 1."""

    def __init__(
        self, code: str, message: str, *, text: str, position: int, hint: str = ""
    ) -> None:
        self.code = code
        self.message = message
        self.hint = hint
        self.position = position
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        where = f"line {self.line}, column {self.column}"
        super().__init__(" ".join(part for part in (f"{message} ({where}).", hint) if part))


class EvaluationError(ValueError):
    """One person's values do not fit the expression, or the expression itself says Error(...).

    `value` is the start of what did not fit. It stays empty when the expression holds Redact.
    """

    def __init__(self, code: str, message: str, *, value: str = "") -> None:
        super().__init__(f"{message}: {value}" if value else f"{message}.")
        self.code = code
        self.message = message
        self.value = value
        self.trace: dict[str, object] | None = None


class ArgumentProblem(ValueError):
    """A constant argument that can never work; parsing adds where it stands."""

    def __init__(
        self, index: int, message: str, hint: str = "", *, code: str = "expression.argument"
    ) -> None:
        super().__init__(message)
        self.index = index
        self.message = message
        self.hint = hint
        self.code = code
