"""Why a value came out: an expression evaluated step by step, each step with what it gave.

The trace is JSON: `{"expression", "value", "parts"}`, parts in the order they were evaluated. A
branch that was not taken is not in it, nor are constants; a step that failed has `error` instead of
`value`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sync_core.domain.expressions.compile import compiled
from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.dates import printed_date
from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.functions.function import Evaluate
from sync_core.domain.expressions.functions.registry import FUNCTIONS
from sync_core.domain.expressions.nodes import Call, Empty, Node, Number, Text, Word
from sync_core.domain.expressions.printer import printed
from sync_core.domain.expressions.values import Signal

REDACTED = "[Redact]"
LONGEST_SHOWN = 500


def traced(
    root: Node, attributes: Mapping[str, object], context: Context
) -> tuple[object, dict[str, Any]]:
    """Evaluate and give value and trace; an `EvaluationError` carries the trace it ended with."""
    recorder = _Recorder(root)
    try:
        value = compiled(root, recorder.observe)(attributes, context)
    except EvaluationError as error:
        error.trace = recorder.trace
        raise
    return value, recorder.trace


class _Recorder:
    """Wraps every step so that it writes down what it gave."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._open: list[list[dict[str, Any]]] = [[]]

    @property
    def trace(self) -> dict[str, Any]:
        return self._open[0][0]

    def observe(self, node: Node, evaluate: Evaluate) -> Evaluate:
        if isinstance(node, Text | Number | Word | Empty) and node is not self._root:
            return evaluate
        text = _shortened(printed(node))
        hides = isinstance(node, Call) and FUNCTIONS[node.name].redacts

        def record(attributes: Mapping[str, object], context: Context) -> object:
            step: dict[str, Any] = {"expression": text}
            self._open[-1].append(step)
            self._open.append([])
            try:
                value = evaluate(attributes, context)
            except EvaluationError as error:
                self._close(step, hides)
                step["error"] = {"code": error.code, "message": error.message}
                raise
            hidden = self._close(step, hides)
            step["value"] = REDACTED if hidden else _shown(value)
            return value

        return record

    def _close(self, step: dict[str, Any], hides: bool) -> bool:
        """Put the finished parts into their step; tell whether its value must not be shown."""
        parts = self._open.pop()
        if parts and not hides:
            step["parts"] = parts
        return hides or any(part.get("value") == REDACTED for part in parts)


def _shown(value: object) -> object:
    if isinstance(value, Signal):
        return {"$ignore": value.value}
    if isinstance(value, datetime):
        return printed_date(value)
    return _shortened(value) if isinstance(value, str) else value


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
