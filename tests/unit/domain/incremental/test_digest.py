"""What decides about people is in the digest, and nothing else."""

from typing import Any

import pytest

from sync_core.domain.incremental.digest import deciding_digest
from tests.unit.builders import SALES, connection, in_groups


@pytest.mark.parametrize(
    "changes",
    [
        {"mapping": [{"target": "city", "expression": "ToUpper([city])"}]},
        {"scope": {"filters": [{"clauses": [in_groups(SALES)]}]}},
        {"matching": ["email"]},
        {"policy": {"accountDisabled": "keep"}},
        {"policy": {"protected": ["ann@contoso.com"]}},
        {"assertions": [{"atLeast": 1}]},
        {"cloud": "usGov"},
    ],
)
def test_another_decision_is_another_digest(changes: dict[str, Any]) -> None:
    assert deciding_digest(connection(**changes)) != deciding_digest(connection())


@pytest.mark.parametrize(
    "changes",
    [
        {"displayName": "Contoso AG"},
        {"schedule": {"everyMinutes": 5}},
        {"policy": {"guard": {"maxRemovals": 3}, "graceDays": 4}},
        {"realtime": True},
    ],
)
def test_what_decides_about_nobody_is_not_in_it(changes: dict[str, Any]) -> None:
    assert deciding_digest(connection(**changes)) == deciding_digest(connection())
