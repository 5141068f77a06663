"""The product's HTTP functions and no others, for a host of their own.

In Azure every timer and queue function scales on instances of its own, apart from the HTTP functions
(learn.microsoft.com/azure/azure-functions/event-driven-scaling, Flex Consumption); the local
host runs all of them in one process. Copied as `function_app.py` into the folder of such a host.
"""

import importlib.util
from types import ModuleType
from typing import Any

import azure.functions as func

from local.data_folder import REPOSITORY


def load_product() -> ModuleType:
    spec = importlib.util.spec_from_file_location("product", REPOSITORY / "function_app.py")
    if spec is None or spec.loader is None:
        raise ImportError(REPOSITORY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class HttpFunctions(func.FunctionApp):
    """Lists the product's functions that have an HTTP trigger."""

    def get_functions(self) -> list[Any]:
        functions = load_product().app.get_functions()
        return [function for function in functions if function.is_http_function()]


app = HttpFunctions()
