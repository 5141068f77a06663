"""Why a value came out: an expression evaluated step by step, each step with what it gave.

The trace is JSON: `{"expression", "value", "parts"}`, parts in the order they were evaluated. A
branch that was not taken is not in it, nor are constants; a step that failed has `error` instead of
`value`. Of a value the beginning is shown, and of the last steps of a large expression neither value nor
text: a trace has a budget, whatever the values are.
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
# Bytes, about: beyond it a step is only there. An expression has some thousands of steps at most.
MAX_TRACE = 128 * 1024
STEP = 50
LEVEL = 10
MORE = "..."
INT64 = 2**63


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
        self._room = MAX_TRACE

    @property
    def trace(self) -> dict[str, Any]:
        return self._open[0][0]

    def observe(self, node: Node, evaluate: Evaluate) -> Evaluate:
        if isinstance(node, Text | Number | Word | Empty) and node is not self._root:
            return evaluate
        text = printed(node)
        hides = isinstance(node, Call) and FUNCTIONS[node.name].redacts

        def record(attributes: Mapping[str, object], context: Context) -> object:
            step: dict[str, Any] = {"expression": self._fitting(text)}
            self._open[-1].append(step)
            self._open.append([])
            try:
                context.in_time()
                value = evaluate(attributes, context)
            except EvaluationError as error:
                self._close(step, hides)
                step["error"] = {"code": error.code, "message": error.message}
                raise
            hidden = self._close(step, hides)
            step["value"] = REDACTED if hidden else self._fitting(value)
            return value

        return record

    def _fitting(self, value: object) -> object:
        """Return what of a text or a value is shown, as long as there is room."""
        if self._room <= 0:
            return MORE
        shown = _shown(value, LONGEST_SHOWN)
        self._room -= len(str(shown)) + STEP
        return shown

    def _close(self, step: dict[str, Any], hides: bool) -> bool:
        """Put the finished parts into their step; tell whether its value must not be shown."""
        parts = self._open.pop()
        if parts and not hides:
            step["parts"] = parts
        return hides or any(part.get("value") == REDACTED for part in parts)


def _shown(value: object, room: int) -> object:
    """Return a value as JSON can hold it, and no more of it than there is room for, about."""
    match value:
        case Signal():
            shown: object = {"$ignore": value.value}
        case datetime():
            shown = printed_date(value)
        case str():
            shown = value if len(value) <= room else f"{value[: max(room, 0)]}{MORE}"
        case list():
            shown = _some(value, room)
        case dict():
            names = _some(list(value), room)
            shown = {name: _shown(value.get(name, ""), room // len(names)) for name in names}
        case int() if not -INT64 <= value < INT64:
            shown = f"a number of {value.bit_length()} bits"
        case _:
            shown = value
    return shown


def _some(values: list[Any], room: int) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if room <= 0:
            return [*found, f"{MORE} ({len(values)})"]
        shown = _shown(value, room - LEVEL)
        room -= len(str(shown)) + LEVEL
        found.append(shown)
    return found
