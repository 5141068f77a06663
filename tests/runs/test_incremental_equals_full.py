"""Whatever happens to a directory, runs by the delta make the table that a full reading would make."""

import itertools
import sys
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.runs.directory_machine import DirectoryMachine
from tests.system import Rig

# A sample of short walks; with the profile "proof" long ones of 100,000 steps in all, which take hours: a
# walk of at most a hundred steps has 82 on average.
SAMPLE = (2, 30)
PROOF = (1_250, 100)
PROOF_EXAMPLES = 5_000


def test_runs_by_the_delta_make_the_table_of_a_full_run(rig: Rig) -> None:
    walked: Counter[str] = Counter()
    numbers = itertools.count(1)

    class Machine(DirectoryMachine):
        def __init__(self) -> None:
            super().__init__(rig, f"machine{next(numbers)}")

        def teardown(self) -> None:
            super().teardown()
            walked.update(
                steps=self.steps,
                runs=self.runs,
                notified=self.notified,
                contradictions=self.contradictions,
            )

    walks, steps = PROOF if settings().max_examples >= PROOF_EXAMPLES else SAMPLE
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=walks,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )
    sys.stdout.write(f"{dict(walked)}\n")
