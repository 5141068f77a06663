"""Whatever happens to a directory, runs by the delta make the table that a full reading would make."""

import itertools

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.runs.directory_machine import DirectoryMachine
from tests.system import Rig

# Of a hundred examples of a property elsewhere, this one has four: each is thirty steps, and some ten runs.
SHARE = 0.04
STEPS = 30


def test_runs_by_the_delta_make_the_table_of_a_full_run(rig: Rig) -> None:
    numbers = itertools.count(1)

    class Machine(DirectoryMachine):
        def __init__(self) -> None:
            super().__init__(rig, f"machine{next(numbers)}")

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=max(1, int(settings().max_examples * SHARE)),
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )
