"""`python -m deploy probe --graph CONNECTION`: what we assume of Graph, asked as a connection asks.

The connection and its credential are read where the app reads them, with the account of who runs this; the
report has no name, no id and no address in it, so that it can be sent to us.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from deploy import commands
from deploy.deployment import Deployment
from deploy.errors import DeployError
from deploy.https import Unreachable
from deploy.probe.assumptions import ASSUMPTIONS, Assumption, Seen, Verdict, unknown
from deploy.probe.reading import Tenant
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections.token import read_token
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.services import Services, open_services
from sync_core.settings import Settings

NEEDED = (
    "Who runs this needs Storage Table Data Reader at the account of the tables and Key Vault Secrets User "
    "at the vault (and `az login`). The identity of the app itself can be used in Azure only: a "
    "connection with a federated credential or a managed identity cannot be probed from here."
)


def run(connection_id: str, known: Deployment, report: Path | None) -> int:
    """Ask every question, print the report; 1 where something differs."""
    try:
        tenant = asyncio.run(_tenant(connection_id, environment(known)))
    except SyncError as error:
        raise DeployError(error.message, f"{error.remedy} {NEEDED}") from error
    counts, lines = dict.fromkeys(Verdict, 0), []
    for number, assumption in enumerate(ASSUMPTIONS, 1):
        seen = _seen(assumption, tenant)
        counts[seen.verdict] += 1
        lines.append(f"{number:2}  {seen.verdict:14}  {assumption.says}: {seen.evidence}")
        print(lines[-1], flush=True)
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    lines.append(f"{told}; {tenant.asked} requests on {datetime.now(UTC):%Y-%m-%d}")
    print(lines[-1])
    if report is not None:
        report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(counts[Verdict.DIFFERS] > 0)


def _seen(assumption: Assumption, tenant: Tenant) -> Seen:
    try:
        return assumption.look(tenant)
    except (Unreachable, KeyError, TypeError, ValueError) as error:
        # An answer of another form than any that is known says nothing of the one that was asked about.
        return unknown(f"not understood: {type(error).__name__}")


def environment(known: Deployment) -> Mapping[str, str]:
    """Return the settings of the app: of this environment where they are set, else of the deployment."""
    if os.environ.get("KEY_VAULT_URL"):
        return os.environ
    vault = commands.ask_json(
        *("az", "keyvault", "show", "--name", known.need("AZURE_KEY_VAULT_NAME")),
        *("--query", "properties.vaultUri", *known.in_subscription),
    )
    settings = {
        "AzureWebJobsStorage__accountName": known.need("AZURE_HOST_STORAGE_ACCOUNT"),
        "SYNC_TABLES__tableServiceUri": known.need("AZURE_TABLES_URL"),
        "KEY_VAULT_URL": str(vault),
        "PUBLIC_BASE_URL": known.url,
    }
    return {**os.environ, **settings}


async def _tenant(connection_id: str, env: Mapping[str, str]) -> Tenant:
    settings = Settings.from_env(env)
    async with open_services(settings) as services:
        connection = (await services.store.connections.get(connection_id)).connection
        token = await services.directory.token(connection)
        facts = read_token(token)
        return Tenant(
            settings.graph_endpoint or CLOUDS[connection.cloud].graph_url,
            token,
            facts.roles if facts else frozenset(),
            _groups(connection),
            await _links(services, connection_id),
        )


async def _links(services: Services, connection_id: str) -> list[tuple[float, str]]:
    checkpoint = (await services.store.checkpoints.load(connection_id)).checkpoint
    if checkpoint is None:
        return []
    links = [*([checkpoint.users] if checkpoint.users else []), *checkpoint.streams]
    now = services.clock()
    return [((now - one.taken_at).total_seconds() / 86_400, one.link) for one in links]


def _groups(connection: Connection) -> list[str]:
    return [
        str(one)
        for filter_ in connection.scope.filters
        for clause in filter_.clauses
        if clause.attribute == "groups" and isinstance(clause.value, list)
        for one in clause.value
    ]
