"""One worker for each interpreter, over storage of its own and a small sample tenant."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from local.graph import GraphEmulator
from sync_core.domain.documents.request import SyncRequest
from sync_core.services import Services
from tests.loading import interpreters
from tests.loading.driver import Loaded, WorkerProcess
from tests.loading.interpreters import Bare
from tests.queue_of_requests import request_in
from tests.system import Rig

QUEUE = "sync-requests"
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
# What Azure runs, where it is on this machine; with LOADING=all (`make proof`) this interpreter as well.
EVERY = list(dict.fromkeys([interpreters.OURS, interpreters.NEWEST]))
NEWEST = EVERY[-1:] if interpreters.find_newest() is not None else EVERY[:1]
VERSIONS = EVERY if os.environ.get("LOADING") == "all" else NEWEST


@dataclass(frozen=True)
class LoadedApp:
    """The app in its worker, and what lies around it."""

    rig: Rig
    emulator: GraphEmulator
    worker: WorkerProcess
    loaded: Loaded

    def requests(self) -> list[SyncRequest]:
        """Take every message off the queue."""
        with (
            QueueClient.from_connection_string(
                self.rig.azurite.connection_string,
                QUEUE,
                message_decode_policy=TextBase64DecodePolicy(),
            ) as queue,
            suppress(ResourceNotFoundError),
        ):
            taken = list(queue.receive_messages(messages_per_page=32))
            for message in taken:
                queue.delete_message(message)
            return list(filter(None, (request_in(one.content) for one in taken)))
        return []


@pytest.fixture(scope="package", params=VERSIONS, ids=[f"python{v}" for v in VERSIONS])
def app(
    request: pytest.FixtureRequest, rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoadedApp]:
    bare = _bare(request.param)
    log = tmp_path_factory.mktemp("worker") / "log.txt"
    with GraphEmulator(people=60, groups=12, seed=7, tls=rig.tls) as emulator:
        own = rig.apart()
        with WorkerProcess(bare, environment(own, emulator), log) as worker:
            yield LoadedApp(own, emulator, worker, worker.load())


@pytest.fixture
async def services(app: LoadedApp) -> AsyncIterator[Services]:
    """The product's own services over the same storage, for setting up and looking; cleared after."""
    async with app.rig.services(app.emulator) as opened:
        yield opened
        for connection in [one async for one in opened.store.connections.all()]:
            stored = await opened.store.connections.get(connection.id)
            await opened.store.connections.delete(connection.id, stored.etag)
    app.requests()


def _bare(version: str) -> Bare:
    if version == interpreters.OURS:
        return interpreters.own()
    newest = interpreters.newest()
    if newest is None:
        pytest.skip(f"no Python {version} on this machine; Azure runs it, so install it to be sure")
    return newest


def environment(rig: Rig, emulator: GraphEmulator) -> dict[str, str]:
    # Only what a program needs to run: a container may set names by which Azure is recognised.
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {
        **inherited,
        **rig.environment(emulator),
        "SYNC_SCHEDULE": "0 */5 * * * *",
        "SSL_CERT_FILE": str(rig.tls.bundle_file),
        "REQUESTS_CA_BUNDLE": str(rig.tls.bundle_file),
    }
