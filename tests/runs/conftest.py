"""Whole runs: a tenant of its own for every test, and the product's services against the rig."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.graph import GraphEmulator
from sync_core.services import Services
from tests.system import Rig


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=60, groups=12, seed=7, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    async with rig.services(emulator) as opened:
        yield opened
