"""What the code needs of Azure, read from the code: tables, queues, connections, paths without a sign-in."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any

import function_app
from sync_core.api.app import ROUTES
from sync_core.store.tables import TABLES
from tests.infra.sources import ROOT, shipped

POISON = "-poison"
# Its path may cover what lies below it, and `/api/health/details` believes the principal's header.
NEVER_EXCLUDED = {"/api/health"}


def tables() -> list[str]:
    return sorted(TABLES)


def queues() -> list[str]:
    """Return every queue that the code reads or sends to, and where the host puts what fails too often.

    A queue of poison has none of its own: QueueListenerFactory.CreatePoisonQueueReference in
    github.com/Azure/azure-sdk-for-net.
    """
    named = {trigger["queue_name"] for trigger in triggers("queue_trigger")} | set(_sent_to())
    failing = {name + POISON for name in named if not name.endswith(POISON)}
    return sorted(named | failing)


def connections() -> set[str]:
    """Return the prefixes of the settings by which triggers reach their services."""
    return {one["connection"] for one in triggers() if "connection" in one}


def excluded_paths() -> list[str]:
    """Return whose callers have no account here: Graph, who holds a function key, who consents."""
    by_function = {f"/api/{one['route']}" for one in triggers("route") if "{" not in one["route"]}
    by_route = {route.path for route in ROUTES if route.role is None}
    return sorted((by_function | by_route) - NEVER_EXCLUDED)


def guarded_paths() -> list[str]:
    return sorted({route.path for route in ROUTES if route.role is not None})


def functions() -> set[str]:
    """Return the names of the functions."""
    return {str(one["name"]) for one in triggers("function_name")}


def triggers(kind: str | None = None) -> list[dict[str, Any]]:
    """Return the arguments of the decorators of function_app.py, or of those of one kind."""
    return [arguments for name, arguments in _decorators() if kind in (None, name)]


@cache
def _decorators() -> list[tuple[str, dict[str, Any]]]:
    tree = ast.parse((ROOT / "function_app.py").read_text("utf-8"))
    calls = (
        decorator
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
    )
    return [(_name(call), _arguments(call)) for call in calls]


def _arguments(call: ast.Call) -> dict[str, Any]:
    given = {one.arg: _value(one.value) for one in call.keywords if one.arg}
    return {"name": _value(call.args[0])} | given if call.args else given


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return getattr(function_app, node.id)
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)


def _sent_to() -> Iterator[str]:
    """Return the names of queues in the modules that know the client of queues."""
    for path in shipped():
        text = path.read_text("utf-8")
        if "from azure.storage.queue" in text:
            yield from _constants(ast.parse(text), "QUEUE")


def _constants(tree: ast.Module, part: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield from (str(node.value.value) for one in node.targets if part in ast.unparse(one))
