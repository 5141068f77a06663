"""docs/emulator.md tells everything that can be switched: what is added here is added there."""

import re
from pathlib import Path

import pytest

from local.graph import GraphEmulator
from local.graph.control.routes import control_routes
from local.graph.faults.kinds import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_fault_is_documented(kind: str) -> None:
    assert f"`{kind}`" in PAGE


def test_every_control_call_is_documented(shared_emulator: GraphEmulator) -> None:
    known = {re.sub(r"\{\w+\}", "{}", path) for path in re.findall(r"/[a-z/{}A-Z]+", PAGE)}
    called = {re.sub(r"\{\w+\}", "{}", r.path) for r in control_routes(shared_emulator.control)}

    # The page writes /certificates and /federated as one entry.
    whole = {path.replace("/apps/{}/federated", "/federated") for path in called}
    assert whole - known == set()


def test_every_setting_is_documented(shared_emulator: GraphEmulator) -> None:
    assert [n for n in shared_emulator.control.settings() if f"`{n}`" not in PAGE] == []
