"""The app as the worker of Azure lists it: exactly these functions, with these triggers."""

from typing import Any

import pytest

from tests.loading.conftest import LoadedApp

WANTED: dict[str, dict[str, Any]] = {
    "scheduled_sync": {
        "type": "timerTrigger",
        "schedule": "%SYNC_SCHEDULE%",
        "runOnStartup": False,
        "useMonitor": True,
    },
    "maintenance": {
        "type": "timerTrigger",
        "schedule": "0 17 * * * *",
        "runOnStartup": False,
        "useMonitor": True,
    },
    "run_sync": {
        "type": "queueTrigger",
        "queueName": "sync-requests",
        "connection": "AzureWebJobsStorage",
    },
    "poisoned": {
        "type": "queueTrigger",
        "queueName": "sync-requests-poison",
        "connection": "AzureWebJobsStorage",
    },
    "sync_now": {
        "type": "httpTrigger",
        "route": "sync",
        "methods": ["POST"],
        "authLevel": "FUNCTION",
    },
    "graph_notifications": {
        "type": "httpTrigger",
        "route": "graph/notifications",
        "methods": ["POST"],
        "authLevel": "ANONYMOUS",
    },
    "graph_lifecycle": {
        "type": "httpTrigger",
        "route": "graph/lifecycle",
        "methods": ["POST"],
        "authLevel": "ANONYMOUS",
    },
    "admin": {"type": "httpTrigger", "authLevel": "ANONYMOUS"},
}

# Each of these costs a tenth of a second or more, which Graph's handshake would wait for at a cold start.
HEAVY = {
    "aiohttp",
    "azure.data.tables",
    "azure.identity",
    "azure.keyvault.secrets",
    "azure.storage.queue",
    "cryptography",
    "fastapi",
    "httpx",
    "kiota_abstractions",
    "lark",
    "msal",
    "msgraph",
    "opentelemetry",
    "pydantic",
    "re2",
    "requests",
    "starlette",
    "sync_core",
}


def test_there_are_these_functions_and_no_others(app: LoadedApp) -> None:
    """A fault in the file means "0 functions found" and a deployment that looks well."""
    assert app.loaded.functions.keys() == WANTED.keys()


@pytest.mark.parametrize("name", WANTED)
def test_a_function_starts_by_its_trigger(app: LoadedApp, name: str) -> None:
    trigger = app.loaded.functions[name][0]

    assert {key: trigger.get(key) for key in WANTED[name]} == WANTED[name]


def test_the_api_takes_every_method(app: LoadedApp) -> None:
    trigger = app.loaded.functions["admin"][0]

    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(trigger["methods"])


def test_loading_the_app_imports_nothing_heavy(app: LoadedApp) -> None:
    """Graph waits 10 seconds for its handshake, and a cold start loads the app first."""
    assert app.loaded.modules & HEAVY == set()
