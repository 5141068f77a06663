"""An installation as a dump describes it: tables, secrets, directory, and the clock of that day."""

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from local.vault import VaultInThread
from sync_core.services import Services
from tests.api.conftest import ADMIN, app_over, calling
from tests.system import Rig, set_clock
from tests.upgrade.dump import read_tables, write_tables
from tests.upgrade.story import SECRETS, change_directory

DUMPS = sorted((Path(__file__).parent / "dumps").glob("*.json"))
# Soon enough for what ends after a day, and late enough for what was to be tried again in seconds.
LATER = timedelta(minutes=1)

Json = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """The app of today over the tables of an older release."""

    dump: Json
    services: Services
    admin: httpx.AsyncClient
    emulator: GraphEmulator
    storage: str

    async def get(self, path: str) -> Any:
        answer = await self.admin.get(f"/api/{path}")
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    async def listed(self, path: str) -> list[Json]:
        """Return a whole list, page by page."""
        items: list[Json] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await self.get(f"{path}?top=10" + (f"&cursor={cursor}" if cursor else ""))
            items, cursor = items + page["items"], page["next"]
        return items

    def tables(self) -> dict[str, list[Json]]:
        """Return all tables as they stand now."""
        return read_tables(self.storage)


@pytest.fixture(scope="module", params=DUMPS, ids=lambda path: path.stem)
def dump(request: pytest.FixtureRequest) -> Json:
    loaded: Json = json.loads(request.param.read_text(encoding="utf-8"))
    return loaded


@contextmanager
def directory_of(rig: Rig, dump: Json) -> Iterator[GraphEmulator]:
    """Run the directory as it was when the dump was made."""
    tls = ssl.create_default_context(cafile=str(rig.tls.ca_file))
    with GraphEmulator(**dump["directory"], tls=rig.tls) as running:
        with httpx.Client(verify=tls) as http:
            for method, path, body in dump["changes"]:
                change_directory(http, running.graph_url, method, path, body)
        yield running


@contextmanager
def storage_of(rig: Rig, dump: Json, folder: Path) -> Iterator[Rig]:
    """Lend the rig a storage and a vault of its own: other tests find no connections of this one."""
    secrets = folder / "vault.json"
    secrets.write_text(json.dumps(_vault(dump["secrets"])))
    with VaultInThread(rig.tls, file=secrets) as vault:
        own = replace(rig.apart(), vault=vault)
        write_tables(own.azurite.connection_string, dump["tables"])
        yield own


@asynccontextmanager
async def app_of(storage: Rig, directory: GraphEmulator, dump: Json) -> AsyncIterator[Installation]:
    now = datetime.fromisoformat(dump["madeAt"]) + LATER
    async with storage.services(directory) as services:
        set_clock(services, lambda: now)
        async with calling(app_over(services), ADMIN) as admin:
            connection_string = storage.azurite.connection_string
            yield Installation(dump, services, admin, directory, connection_string)


@pytest.fixture(scope="module")
def shared(
    rig: Rig, dump: Json, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rig, GraphEmulator]]:
    folder = tmp_path_factory.mktemp("dump")
    with storage_of(rig, dump, folder) as storage, directory_of(rig, dump) as directory:
        yield storage, directory


@pytest.fixture
async def reading(shared: tuple[Rig, GraphEmulator], dump: Json) -> AsyncIterator[Installation]:
    """An installation for tests that only read: they share it, as starting one takes seconds."""
    async with app_of(*shared, dump) as installation:
        yield installation


@pytest.fixture
async def installed(rig: Rig, dump: Json, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation of its own for a test that changes it."""
    with storage_of(rig, dump, tmp_path) as storage, directory_of(rig, dump) as directory:
        async with app_of(storage, directory, dump) as installation:
            yield installation


def _vault(secrets: list[Json]) -> list[Json]:
    """Lay secrets out as the vault keeps them, with the versions that the dump names."""
    names = dict.fromkeys(secret["name"] for secret in secrets)
    return [
        {
            "name": name,
            "versions": [
                {
                    "version": secret["version"],
                    "value": SECRETS[secret["holds"]],
                    "created": 0,
                    "updated": 0,
                }
                for secret in secrets
                if secret["name"] == name
            ],
        }
        for name in names
    ]
