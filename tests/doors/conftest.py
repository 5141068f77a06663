"""The doors to Entra, Graph and Key Vault: real clients, an emulator for each test, certificates."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.graph import GraphEmulator
from sync_core.services import Services
from tests.system import Rig


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=20, groups=4, seed=5, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    async with rig.services(emulator) as opened:
        yield opened
