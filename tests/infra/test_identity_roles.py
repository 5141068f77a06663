"""The app's identity has exactly the roles that its calls and its triggers need, at each resource."""

import ast
import inspect
import json
import re
from functools import cache
from typing import Any

import pytest
from azure.data.tables.aio import TableClient, TableServiceClient
from azure.keyvault.secrets.aio import SecretClient
from azure.storage.queue.aio import QueueClient

from tests.infra import app_lists
from tests.infra.infrastructure import deployment, scenarios
from tests.infra.sources import ROOT, shipped

# learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
# The least role for a call, of the two that a service has for us. The stronger of those that are needed is
# given: where the last call goes that writes, so does the role that lets write.
READ = {
    "tables": "Storage Table Data Reader",
    "queues": "Storage Queue Data Reader",
    "vault": "Key Vault Secrets User",
}
WRITE = {
    "tables": "Storage Table Data Contributor",
    "queues": "Storage Queue Data Contributor",
    "vault": "Key Vault Secrets Officer",
}
CLIENTS = {
    "tables": (TableClient, TableServiceClient),
    "queues": (QueueClient,),
    "vault": (SecretClient,),
}
# What is called on the clients of each service, and whether it changes anything.
CALLS: dict[str, dict[str, bool]] = {
    "tables": {
        "create_entity": True,
        "create_table": True,
        "delete_entity": True,
        "get_entity": False,
        "list_entities": False,
        "list_tables": False,
        "query_entities": False,
        "update_entity": True,
        "upsert_entity": True,
    },
    "queues": {"create_queue": True, "send_message": True},
    "vault": {"get_secret": False, "set_secret": True, "update_secret_properties": True},
}
# Methods of the clients that ask nobody anything, or what is asked elsewhere.
QUIET = {"close", "from_connection_string", "get_table_client", "send_request"}
# Requests of our own over a client's pipeline (`store/wire.py`).
OWN_VERBS = {"GET": False, "POST": True}
# What the host does with the identity for a kind of trigger. A message that failed is given back by an
# update, which neither Reader nor Message Processor allows: github.com/MicrosoftDocs/azure-docs/issues/120932
OF_TRIGGERS = {
    "timer_trigger": {"Storage Blob Data Owner"},  # schedules, and a lock: one instance fires
    "queue_trigger": {"Storage Queue Data Contributor"},
    "route": {"Storage Blob Data Owner"},  # function keys, in the container azure-webjobs-secrets
}
# What the host does whatever the functions are: its package and locks; its diagnostics, in
# AzureFunctionsDiagnosticEvents<month> (DiagnosticEventTableStorageRepository of the host).
OF_THE_HOST = {"Storage Blob Data Owner", "Storage Table Data Contributor"}


def called(service: str) -> frozenset[str]:
    """Return the methods of a service's clients that are named anywhere in what ships."""
    methods = {
        name
        for client in CLIENTS[service]
        for name, _ in inspect.getmembers(client, callable)
        if not name.startswith("_")
    }
    return frozenset(attributes() & methods - QUIET)


@cache
def attributes() -> frozenset[str]:
    nodes = (node for path in shipped() for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute))


def own_verbs() -> set[str]:
    text = (ROOT / "sync_core" / "store" / "wire.py").read_text("utf-8")
    return set(re.findall(r'HttpRequest\("(\w+)"', text))


def needed(service: str) -> str:
    writes = any(CALLS[service][name] for name in called(service))
    return (WRITE if writes else READ)[service]


def roles_at(scenario: str) -> dict[str, set[str]]:
    """Return the names of the identity's roles, by the id of the resource that they are given at."""
    found: dict[str, set[str]] = {}
    for one in deployment(scenario).of("Authorization/roleAssignments"):
        at = one["id"].partition("/providers/Microsoft.Authorization/")[0]
        role = one["properties"]["roleDefinitionId"].rpartition("/")[2]
        found.setdefault(at, set()).add(ROLES[role])
    return found


@pytest.mark.parametrize("service", CALLS)
def test_every_call_is_known_and_every_known_one_is_made(service: str) -> None:
    assert called(service) == {*CALLS[service]}


def test_requests_of_our_own_read_and_write_tables() -> None:
    assert own_verbs() == {*OWN_VERBS}


def test_nothing_else_of_storage_is_called() -> None:
    """Blobs are the host's: the code has no client for them, and would need another role."""
    text = "".join(path.read_text("utf-8") for path in shipped())

    assert set(re.findall(r"from (azure\.(?:storage|data|keyvault)\.\w+)", text)) == {
        "azure.storage.queue",
        "azure.data.tables",
        "azure.keyvault.secrets",
    }


@pytest.mark.parametrize("scenario", scenarios())
def test_the_identity_has_what_is_needed_and_nothing_else(scenario: str) -> None:
    made = deployment(scenario)
    ids = {one["name"]: one["id"] for one in made.resources}
    host = ids[made.outputs["AZURE_HOST_STORAGE_ACCOUNT"]]
    data = ids[made.outputs["AZURE_DATA_STORAGE_ACCOUNT"]]
    of_triggers = {
        role for kind, roles in OF_TRIGGERS.items() if app_lists.triggers(kind) for role in roles
    }
    wanted: dict[str, set[str]] = {host: of_triggers | OF_THE_HOST | {needed("queues")}}
    wanted.setdefault(data, set()).add(needed("tables"))
    wanted[made.one("KeyVault/vaults")["id"]] = {needed("vault")}
    wanted[made.one("Insights/components")["id"]] = {"Monitoring Metrics Publisher"}

    assert roles_at(scenario) == wanted


@pytest.mark.parametrize("scenario", scenarios())
def test_a_role_is_given_to_the_identity_at_one_resource(scenario: str) -> None:
    """Not at the group, where it would reach what comes into it later; and nobody else gets one."""
    assignments = deployment(scenario).of("Authorization/roleAssignments")

    assert {one["properties"]["principalType"] for one in assignments} == {"ServicePrincipal"}
    assert all(one["id"].count("/providers/") == 2 for one in assignments)


def test_what_telemetry_needs_is_set() -> None:
    """The role at Application Insights is needed because the host signs in there, and for no other reason."""
    host: dict[str, Any] = json.loads((ROOT / "host.json").read_text("utf-8"))
    settings = deployment("plain").config("appsettings")

    assert "applicationInsights" in host["logging"]
    assert "APPLICATIONINSIGHTS_AUTHENTICATION_STRING" in settings
