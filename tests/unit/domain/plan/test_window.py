"""Marks of earlier runs, of each person newest first, and what the guard counts of them."""

import pytest

from sync_core.domain.model import Window
from sync_core.domain.plan.window import Marks, WindowLog
from tests.unit.builders import NOW


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        pytest.param([], Window(), id="nothing was done"),
        pytest.param(["d1", "x2"], Window(removals=2, deletes=1, gain=-2), id="two left"),
        pytest.param(["c1", "r2"], Window(creates=2, gain=2), id="two came"),
        pytest.param(["D1", "X2", "C3"], Window(), id="approved, or by hand"),
        pytest.param(["r1", "d1"], Window(creates=1), id="left and came back"),
        pytest.param(["R1", "d1"], Window(), id="brought back by hand"),
        pytest.param(["d1", "c1"], Window(removals=1), id="came and left"),
        pytest.param(["d1", "r1", "d1"], Window(removals=1, gain=-1), id="left twice"),
    ],
)
def test_of_each_person_the_latest_mark_counts(newest_first: list[str], expected: Window) -> None:
    log = WindowLog()
    for mark in newest_first:
        log.add(Marks(NOW, "run-1", (mark,)))

    assert log.window(24) == expected


def test_people_of_a_first_import_count_as_having_been_there() -> None:
    log = WindowLog()
    log.add(Marks(NOW, "run-1", (), 49))
    log.add(Marks(NOW, "run-2", ("d1",)))

    assert log.window(12) == Window(hours=12, removals=1, gain=-1)
    assert log.first_runs == {"run-1"}


@pytest.mark.parametrize(("stored", "alone"), [(0, True), (1, True), (2, False)])
def test_people_brought_in_by_hand_make_no_connection_that_has_people(
    stored: int, *, alone: bool
) -> None:
    log = WindowLog()
    log.add(Marks(NOW, "run-1", ("C1",)))

    assert log.holds_all(stored) is alone


def test_a_log_goes_on_from_the_marks_that_another_one_took() -> None:
    before = WindowLog()
    before.add(Marks(NOW, "run-2", ("r1",)))
    before.add(Marks(NOW, "run-1", ("d1", "d2"), 3))

    after = WindowLog.of(before.taken)

    assert after.window(24) == before.window(24) == Window(creates=1, removals=1, gain=-1)
    assert after.first_runs == {"run-1"}
