"""The check of what a tenant tells of changes."""

from typing import Any

import pytest

from sync_core.domain.connections.changes import changes_check, no_changes_check, refused_by
from sync_core.domain.connections.checks import Severity, passed
from sync_core.domain.errors import RetryLater
from tests.unit.builders import connection

KIND = {"mapping": [{"target": "kind", "source": "employeeType"}]}
HIRED = {"mapping": [{"target": "hired", "source": "employeeHireDate"}]}
RARE = {"schedule": {"fullEveryHours": 48}}


@pytest.mark.parametrize(
    ("settings", "refused", "ok", "code"),
    [
        (KIND, [], True, "ok"),
        (HIRED, [], True, "incremental.untracked"),
        (KIND, ["employeeType"], True, "incremental.untracked"),
        (KIND | RARE, ["employeeType"], False, "incremental.fullTooRare"),
        # What the settings alone show is refused before anything is asked.
        (HIRED | RARE, [], True, "incremental.untracked"),
    ],
)
def test_a_check_names_what_no_delta_tells(
    settings: dict[str, Any], refused: list[str], ok: bool, code: str
) -> None:
    check = changes_check(connection(**settings), refused)

    assert (check.ok, check.code) == (ok, code)
    assert refused_by([passed("token", "Entra issued a token."), check]) == refused


def test_a_tenant_without_delta_queries_stops_nothing() -> None:
    check = no_changes_check(RetryLater("graph.unavailable", "Graph is away.", "Wait."))

    assert (check.ok, check.severity, check.code) == (True, Severity.NOTE, "graph.unavailable")
    assert refused_by([check]) == refused_by([]) == []
