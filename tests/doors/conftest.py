"""The doors to Entra, Graph and Key Vault: real clients, an emulator for each test, certificates."""

from collections.abc import Iterator

import pytest

from local.graph import GraphEmulator
from tests.system import Rig


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=20, groups=4, seed=5, tls=rig.tls) as running:
        yield running
