"""Shared by all tests: one rig a session, nothing of the machine's own settings."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.system import Rig, running_rig

# The same examples every time, and as long as they take: what is red here is red everywhere.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


@pytest.fixture
def connection_id() -> str:
    """An id of its own for every test: they share one storage account."""
    return f"contoso{next(_numbers)}"
