"""Shared by all tests: one rig a session, nothing of the machine's own settings."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.graph import GraphEmulator
from sync_core.services import Services
from tests.system import Rig, running_rig

# The same examples every time, and as long as they take: what is red here is red everywhere.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
# Others every time, and many: `make proof`, by hand, after work on what decides.
settings.register_profile(
    "proof", settings.get_profile("steady"), derandomize=False, max_examples=5_000
)
settings.load_profile("steady")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    """Open the product's services over the tenant that the folder of the test has made."""
    async with rig.services(emulator) as opened:
        yield opened


@pytest.fixture
def connection_id() -> str:
    """An id of its own for every test: they share one storage account."""
    return f"contoso{next(_numbers)}"
