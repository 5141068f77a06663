"""What a connection uses that no delta tells."""

from typing import Any

import pytest

from sync_core.domain.incremental.untracked import Untracked, interval_problems, untracked_by
from tests.unit.builders import clause, connection

HIRED = {"target": "hired", "source": "employeeHireDate"}


def test_attributes_of_scope_and_mapping_are_told_apart() -> None:
    made = connection(
        scope={"filters": [{"clauses": [clause("signInActivity", "IS NULL")]}]},
        mapping=[HIRED, {"target": "city", "source": "city"}],
    )

    untracked = untracked_by(made)

    assert untracked == Untracked(["signInActivity"], ["employeeHireDate"])
    assert untracked.code == "incremental.untrackedScope"
    assert "signInActivity, which the scope" in untracked.message


def test_what_the_tenant_was_seen_to_refuse_is_told_by_no_delta() -> None:
    made = connection(mapping=[{"target": "kind", "source": "employeeType"}])

    assert untracked_by(made).code is None
    assert untracked_by(made, ["employeeType"]).mapping == ["employeeType"]


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
