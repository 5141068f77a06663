"""docs/resources.md: every resource that the scenarios make, what drives its cost, and who may read it."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.infra.infrastructure import Deployment, Resource, deployment, scenarios
from tests.infra.sources import ROOT

PAGE = ROOT / "docs" / "resources.md"


@dataclass(frozen=True)
class Kind:
    """One kind of resource; `within` is part of another one that is told."""

    called: str = ""
    purpose: str = ""
    cost: str = ""
    readers: str = ""
    within: str = ""


KINDS = {
    "Resources/resourceGroups": Kind(
        "resource group", "holds all of it", "nothing", "who has a role at it"
    ),
    "ManagedIdentity/userAssignedIdentities": Kind(
        "managed identity",
        "who the app is; this app's alone",
        "nothing",
        "nobody: it has no secret. Whoever may assign it to a program can act as the app",
    ),
    "Web/serverfarms": Kind(
        "plan (Flex Consumption)",
        "where the app runs",
        "seconds × memory of running instances, executions; an instance that is always ready "
        "also while it waits",
        "nothing is kept in it",
    ),
    "Web/sites": Kind(
        "function app",
        "the app; its address is public",
        "in the plan",
        "callers with the role `Sync.Reader` or `Sync.Admin`. Contributor of the group may change "
        "the app, and list the keys that ask for runs",
    ),
    "Web/sites/config": Kind(within="function app: its settings, its sign-in"),
    "Web/sites/basicPublishingCredentialsPolicies": Kind(
        within="function app: no publishing with a password"
    ),
    "Storage/storageAccounts": Kind(
        "storage account",
        "",
        "operations of tables and queues, gigabytes kept",
        "the app. Keys are off, and who has no data role reads nothing; but Owner and Contributor "
        "of the group can switch keys on, or deploy code of theirs that reads as the app",
    ),
    "Storage/storageAccounts/blobServices": Kind(within="storage account"),
    "Storage/storageAccounts/blobServices/containers": Kind(within="storage account: the package"),
    "Storage/storageAccounts/queueServices": Kind(within="storage account"),
    "Storage/storageAccounts/queueServices/queues": Kind(
        within="storage account: requests for runs"
    ),
    "Storage/storageAccounts/tableServices": Kind(within="storage account"),
    "Storage/storageAccounts/tableServices/tables": Kind(
        within="storage account: people and settings"
    ),
    "KeyVault/vaults": Kind(
        "key vault",
        "secrets of connections and the app's own keys; what is deleted can be had back for 90 days",
        "operations; each process reads a secret once and keeps it",
        "the app. Owner and User Access Administrator of the group can give themselves a role; "
        "the audit log tells every look",
    ),
    "OperationalInsights/workspaces": Kind(
        "log workspace",
        "logs for 30 days, up to a limit a day",
        "gigabytes of logs: the part that grows",
        "Reader of the group, and who has *Log Analytics Reader*. Logs hold ids and no attributes "
        "of people",
    ),
    "Insights/components": Kind(
        "Application Insights", "sees the app's logs", "in the workspace", "as the workspace"
    ),
    "Insights/actionGroups": Kind(
        "action group", "who is told of alerts", "mails above the free ones", "Reader of the group"
    ),
    "Insights/scheduledQueryRules": Kind(
        "alert over the log",
        "tells what operate.md has a page of",
        "months of each rule; dearer the oftener it looks",
        "Reader of the group",
    ),
    "Insights/metricAlerts": Kind(
        "alert over a metric",
        "tells of failed answers, also where no log arrives",
        "months of it",
        "Reader of the group",
    ),
    "Insights/workbooks": Kind(
        "workbook",
        "one page over the log",
        "nothing",
        "Reader of the group; what it shows is the workspace's",
    ),
    "Insights/diagnosticSettings": Kind(within="key vault: the audit log goes to the workspace"),
    "Authorization/roleAssignments": Kind(within="the table of roles below"),
    "Network/virtualNetworks": Kind(
        "network", "the way from the app to storage and vault", "nothing", "nothing is kept in it"
    ),
    "Network/privateEndpoints": Kind(
        "private endpoint",
        "one service in the network",
        "hours of each, gigabytes",
        "nothing is kept in it",
    ),
    "Network/privateEndpoints/privateDnsZoneGroups": Kind(within="private endpoint: its name"),
    "Network/privateDnsZones": Kind(
        "private DNS zone",
        "names of the endpoints",
        "months of each, queries",
        "nothing is kept in it",
    ),
    "Network/privateDnsZones/virtualNetworkLinks": Kind(within="private DNS zone"),
}
# The role says what it lets do; the templates know its id only.
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": (
        "Storage Blob Data Owner",
        "the host's locks, schedules and keys, and the package",
    ),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": (
        "Storage Queue Data Contributor",
        "take requests, give back what failed, send",
    ),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": (
        "Storage Table Data Contributor",
        "people and settings; in the host's account also the host's own diagnostics",
    ),
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": (
        "Key Vault Secrets Officer",
        "read secrets, and store those that an administrator gives",
    ),
    "3913510d-42f4-4e42-8a64-420c390055eb": (
        "Monitoring Metrics Publisher",
        "write logs; it lets read nothing",
    ),
}
ACCOUNTS = {
    "host": "locks, keys and package of the host, queues",
    "data": "tables: people, settings, runs, audit",
}
HEAD = """# What is made in Azure, what it costs, who may read it

Written by `python -m tests.infra` from the templates in `infra/`, as they are evaluated; do not change it by
hand. [deploy.md](deploy.md#what-you-can-choose) tells what can be chosen. Everything lies in one resource
group, `rg-` and the name of the environment, however many tenants are connected.

| resource | when | what for | what drives its cost | who may read what is in it |
| --- | --- | --- | --- | --- |
"""
MIDDLE = """
## What the app may

Its managed identity has these roles, each at one resource and not at the group, and no others. Nobody else is
given a role: who reads the table `Users` from an application needs *Storage Table Data Reader* at the account
with the tables, from you.

| at | role | for |
| --- | --- | --- |
"""
TAIL = """
Who deploys needs *Owner* of the subscription, or *Contributor* and *User Access Administrator*, because the
deployment gives these roles.
"""


def kind_of(resource: Resource) -> str:
    return str(resource["type"]).removeprefix("Microsoft.")


def page() -> str:
    """Return the page as the kept snapshots have it."""
    told = [name for name, kind in KINDS.items() if kind.called]
    rows = [row for name in told for row in _rows(name)]
    return HEAD + "".join(rows) + MIDDLE + "".join(sorted(_role_rows())) + TAIL


def _rows(name: str) -> Iterable[str]:
    kind = KINDS[name]
    if name == "Storage/storageAccounts":
        for account, purpose in ACCOUNTS.items():
            where = f"{kind.called} ({account})"
            yield _row(where, _when_account(account), purpose, kind.cost, kind.readers)
        return
    count = max(len(deployment(one).of(name)) for one in scenarios())
    called = f"{kind.called}, up to {count}" if count > 1 else kind.called
    yield _row(called, _when(name), kind.purpose, kind.cost, kind.readers)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _when(name: str) -> str:
    return "always" if deployment("plain").of(name) else "private networking"


def _when_account(account: str) -> str:
    shared = "one account is both, unless `USERSYNC_SEPARATE_DATA_ACCOUNT`"
    return "always" if account == "host" else shared


def _role_rows() -> set[str]:
    """Return a row for each role, of the deployment with the accounts apart, where it is seen at which."""
    made = deployment("two-accounts")
    return {
        _row(_place(made, one), *ROLES[one["properties"]["roleDefinitionId"].rpartition("/")[2]])
        for one in made.of("Authorization/roleAssignments")
    }


def _place(made: Deployment, assignment: Resource) -> str:
    at = assignment["id"].partition("/providers/Microsoft.Authorization/")[0]
    (resource,) = [one for one in made.resources if one["id"] == at]
    for account in ACCOUNTS:
        if resource["name"] == made.outputs[f"AZURE_{account.upper()}_STORAGE_ACCOUNT"]:
            return f"storage account ({account})"
    return KINDS[kind_of(resource)].called
