"""What a connection uses that no delta tells."""

from typing import Any

import pytest

from sync_core.domain.incremental.untracked import interval_problems, untracked_by
from tests.unit.builders import clause, connection

HIRED = {"target": "hired", "source": "employeeHireDate"}


def test_attributes_of_scope_and_mapping_are_told_apart() -> None:
    made = connection(
        scope={"filters": [{"clauses": [clause("signInActivity", "IS NULL")]}]},
        mapping=[HIRED, {"target": "city", "source": "city"}],
    )

    assert untracked_by(made) == (["signInActivity"], ["employeeHireDate"])


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"schedule": {"fullEveryHours": 48}}, []),
        ({"mapping": [HIRED]}, []),
        ({"mapping": [HIRED], "schedule": {"fullEveryHours": 48}}, ["schedule.fullEveryHours"]),
    ],
)
def test_a_day_is_the_most_between_readings_of_what_is_not_told(
    changes: dict[str, Any], paths: list[str]
) -> None:
    problems = interval_problems(connection(**changes))

    assert [problem.path for problem in problems] == paths
