"""`python -m deploy probe --graph CONNECTION`: what we assume of Graph, asked as a connection asks.

The connection and its credential are read where the app reads them, with the account of who runs this; the
report has no name, no id and no address in it, so that it can be sent to us.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from deploy import commands
from deploy.deployment import Deployment
from deploy.errors import DeployError
from deploy.https import Unreachable
from deploy.probe.assumptions import ASSUMPTIONS, Seen, Verdict, unknown
from deploy.probe.reading import Tenant
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections.token import read_token
from sync_core.domain.documents import Connection
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
    lines, differs = [], 0
    for line, seen in _asked(tenant):
        print(line, flush=True)
        lines.append(line)
        differs += seen.verdict is Verdict.DIFFERS
    if report is not None:
        report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(differs > 0)


def _asked(tenant: Tenant) -> Iterator[tuple[str, Seen]]:
    counts = dict.fromkeys(Verdict, 0)
    seen = unknown("")
    for number, assumption in enumerate(ASSUMPTIONS, 1):
        try:
            seen = assumption.look(tenant)
        except (Unreachable, KeyError, ValueError) as error:
            seen = unknown(f"not understood: {type(error).__name__}")
        counts[seen.verdict] += 1
        yield f"{number:2}  {seen.verdict:14}  {assumption.says}: {seen.evidence}", seen
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    python = ".".join(map(str, sys.version_info[:2]))
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    yield f"{told}; {tenant.asked} requests, {day}, Python {python}", unknown("")


def environment(known: Deployment) -> Mapping[str, str]:
    """Return the settings of the app: of this environment where they are set, else of the deployment."""
    if os.environ.get("KEY_VAULT_URL"):
        return os.environ
    vault = commands.ask_json(
        *("az", "keyvault", "show", "--name", known.need("AZURE_KEY_VAULT_NAME")),
        *("--query", "properties.vaultUri"),
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
