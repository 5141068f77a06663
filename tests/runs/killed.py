"""A worker that dies: does one request in a process of its own and ends it before its n-th write.

A request with a `person` is for that one now; others are messages of the queue, for a run or for a deletion
that has begun.

The process is a fork of a server that has imported everything and has one thread, so it starts in
milliseconds and dies without any of its clean-up.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Mapping
from typing import Any

import aiohttp

from sync_core.connections import delete
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor
from sync_core.people.sync_now import sync_person
from sync_core.runs import worker
from sync_core.services import open_services
from sync_core.settings import Settings

KILLED = 99
# The last two are what a first run of a process would import.
PRELOAD = ["tests.trust", "tests.runs.killed", "sync_core.runs.full", "httpcore", "lark"]


def run_until_write(environment: Mapping[str, str], request: dict[str, Any], deadly: int) -> int:
    """Run one request; the process ends before write number `deadly`. Gives the exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    child = context.Process(target=_child, args=(dict(environment), request, deadly))
    child.start()
    child.join(60)
    code = child.exitcode
    child.close()
    assert code is not None
    return code


def _child(environment: dict[str, str], request: dict[str, Any], deadly: int) -> None:
    os.environ.update(environment)
    asyncio.run(_run(environment, request, deadly))


async def _run(environment: dict[str, str], request: dict[str, Any], deadly: int) -> None:
    writes = 0
    send = aiohttp.ClientSession._request

    async def counting(self: Any, method: str, url: Any, **options: Any) -> Any:
        nonlocal writes
        # Azurite is plain http here; Key Vault and Entra are TLS and hold no state of a run.
        # To make sure that the tables are there changes nothing: they are.
        address = str(url)
        is_write = method != "GET" and address.startswith("http://")
        if is_write and not address.endswith("/Tables"):
            writes += 1
            if writes == deadly:
                os._exit(KILLED)
        return await send(self, method, url, **options)

    setattr(aiohttp.ClientSession, "_request", counting)  # noqa: B010 -- it is not ours to assign
    async with open_services(Settings.from_env(environment)) as services:
        if "person" in request:
            by = Actor(name="an administrator")
            await sync_person(services, request["connectionId"], request["person"], by)
        elif request.get("purpose") == "delete":
            await delete.go_on(services, request["connectionId"])
        else:
            await worker.handle(services, SyncRequest.model_validate(request))
