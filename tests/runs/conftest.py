"""Whole runs: a tenant of its own for every test, and the product's services against the rig."""

from collections.abc import Iterator

import pytest

from local.graph import GraphEmulator
from tests.system import Rig


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=60, groups=12, seed=7, tls=rig.tls) as running:
        yield running
