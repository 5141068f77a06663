"""``function_app.py`` in, its functions out, as the worker in Azure would find them."""

import importlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from local.host.configuration import ConfigurationError

TRIGGERS = {"httpTrigger", "timerTrigger", "queueTrigger"}
OUTPUTS = {"http", "queue"}
RETURN = "$return"


@dataclass(frozen=True)
class Binding:
    name: str
    type: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class Function:
    name: str
    call: Callable[..., Any]
    trigger: Binding
    outputs: tuple[Binding, ...]
    wants_context: bool
    directory: Path

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)


def load(root: Path) -> list[Function]:
    """Import the app and list its functions, ordered as the real host orders them."""
    if not (root / "function_app.py").exists():
        raise ConfigurationError(f"There is no function_app.py in {root}.")
    sys.path.insert(0, str(root))
    module = importlib.import_module("function_app")
    apps = {id(value): value for value in vars(module).values() if _is_app(value)}
    if len(apps) != 1:
        raise ConfigurationError(
            f"function_app.py must have exactly one FunctionApp; it has {len(apps)}."
        )
    found = [_function(definition, root) for definition in apps.popitem()[1].get_functions()]
    # By name, whatever the order in the file; the routes are tried in this order too:
    # https://github.com/Azure/azure-functions-host/blob/dev/src/WebJobs.Script/Host/FunctionMetadataManager.cs
    return sorted(found, key=lambda function: function.name.lower())


def _is_app(value: object) -> bool:
    return isinstance(value, func.FunctionRegister)


def _function(definition: Any, root: Path) -> Function:
    name = definition.get_function_name()
    bindings = [_binding(json.loads(raw)) for raw in definition.get_raw_bindings()]
    triggers = [binding for binding in bindings if binding.type in TRIGGERS]
    others = [binding for binding in bindings if binding.type not in TRIGGERS]
    if len(triggers) != 1:
        kinds = ", ".join(binding.type for binding in bindings)
        raise ConfigurationError(
            f"The local host cannot run {name}: no trigger it knows in {kinds}."
        )
    for binding in others:
        if binding.type not in OUTPUTS:
            raise ConfigurationError(f"The local host has no {binding.type} binding ({name}).")
    call = definition.get_user_function()
    parameters = set(inspect.signature(call).parameters)
    expected = {binding.name for binding in bindings if binding.name != RETURN}
    if parameters - {"context"} != expected - {"context"}:
        # The worker refuses to load such a function, and the app then has none at all.
        raise ConfigurationError(
            f"{name} has the parameters {sorted(parameters)}, but its bindings are called "
            f"{sorted(expected)}."
        )
    return Function(name, call, triggers[0], tuple(others), "context" in parameters, root)


def _binding(raw: dict[str, Any]) -> Binding:
    return Binding(raw["name"], raw["type"], raw)
