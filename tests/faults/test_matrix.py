"""No fault of a request removes anybody or blanks anything, and each says what it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.matrix import Case, cases, sample
from tests.faults.page import sentences_of
from tests.faults.stage import Stage, staged
from tests.faults.strikes import BY_NAME, MODES, Kind
from tests.faults.trial import tried
from tests.system import Rig

# A list that fails ends those that are read beside it, perhaps while they connect; httpcore then leaves the
# socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
# `make proof` runs all of it.
CHOSEN = list(cases() if os.environ.get("FAULTS") == "all" else sample())


@pytest.fixture(scope="module")
def listed(rig: Rig) -> Iterator[Stage]:
    with staged(rig, "faults-of-lists", everyone=True) as stage:
        yield stage


@pytest.fixture(scope="module")
def grouped(rig: Rig) -> Iterator[Stage]:
    with staged(rig, "faults-of-groups", everyone=False) as stage:
        yield stage


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.id)
async def test_a_fault(listed: Stage, grouped: Stage, case: Case) -> None:
    stage = listed if case.kind is Kind.LIST else grouped

    seen = await tried(stage, case)

    assert seen.outcome == case.outcome
    assert seen.sentence is None or seen.sentence in sentences_of(PAGE.read_text(encoding="utf-8"))


def test_the_sample_has_each_fault_and_each_kind_of_request() -> None:
    chosen = list(sample())
    places = {(kind, mode) for kind in Kind for mode in MODES[kind]}

    assert {case.fault.name for case in chosen if not case.passing} == set(BY_NAME)
    assert {case.place for case in chosen if not case.passing} == places
    assert {case.place for case in chosen if case.passing} == places
