"""One run of the product in this process: a task as JSON argument in, its costs as JSON out.

    {"connection": ID, "scope": {...} | null, "mode": "full" | "incremental" | "auto", "hoursAgo": 0}

A `scope` makes the connection first; the clock of the run is so many hours behind. What a process does
once (imports, making tables) is done before the measuring starts, as it is for the other side.
"""

import asyncio
import gc
import json
import os
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Any

# Imported at the first run otherwise; the CPU of that is not the run's.
import anyio._backends._asyncio  # noqa: F401
import httpcore._async.http11  # noqa: F401

import sync_core.directory.client
import sync_core.runs.full  # noqa: F401
from benchmarks.cost import measured
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.runs import worker
from sync_core.services import Services, open_services, utc_now
from sync_core.settings import Settings


async def store_connection(services: Services, connection_id: str, scope: dict[str, Any]) -> None:
    """Make a connection to the sample tenant, with its secret in the vault, as the API would."""
    secret_name = f"{connection_id}-client-secret"
    await services.vault.set(secret_name, SAMPLE_CLIENT_SECRET, content_type="text/plain")
    document = {
        "id": connection_id,
        "displayName": "Benchmark",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"kind": "clientSecret", "secretName": secret_name},
        "scope": scope,
        # A thousand changes are most of a small tenant, and are to be written, not held.
        "policy": {"guard": {"maxRewrittenPercent": None}},
    }
    await services.store.connections.create(Connection.model_validate(document))


async def main(task: dict[str, Any]) -> None:
    behind = timedelta(hours=task["hoursAgo"])
    settings = Settings.from_env(os.environ)
    async with open_services(settings, clock=lambda: utc_now() - behind) as services:
        if task["scope"] is not None:
            await store_connection(services, task["connection"], task["scope"])
        await services.store.connections.get(task["connection"])
        request = SyncRequest.model_validate(
            {"connectionId": task["connection"], "trigger": "manual", "mode": task["mode"]}
        )
        gc.freeze()  # as `Process` does
        with measured() as cost:
            run = await worker.handle(services, request)
        if run is None:
            raise RuntimeError("the run was not made")
        print(json.dumps({"cost": asdict(cost), "run": run.to_json()}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
