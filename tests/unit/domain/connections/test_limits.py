"""What was stored before the guard counted over a window takes the new default, once."""

from typing import Any

import pytest

from sync_core.domain.compatibility import read
from sync_core.domain.connections.limits import deletes, has_old_limits, with_new_limits
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import Guard
from tests.unit.builders import connection, policy

OLD = {"maxRemovals": 500, "maxRemovalPercent": 20}


def stored(guard: Any) -> dict[str, Any]:
    document = connection().to_json()
    return document | {"policy": document["policy"] | {"guard": guard}}


@pytest.mark.parametrize(
    ("guard", "max_creates", "is_old"),
    [
        pytest.param(OLD | {"maxCreates": None}, 500, True, id="the old default"),
        pytest.param(OLD, 500, True, id="older still"),
        pytest.param(OLD | {"maxCreates": 7}, 7, True, id="a limit of its own stays"),
        pytest.param(
            Guard(max_creates=None).to_json(), None, False, id="taken away since, on purpose"
        ),
        pytest.param(Guard().to_json(), 500, False, id="new"),
    ],
)
def test_an_old_default_becomes_the_new_one(
    guard: dict[str, Any], max_creates: int | None, *, is_old: bool
) -> None:
    found = read(Connection, with_new_limits(stored(guard)))

    assert found.policy.guard.max_creates == max_creates
    assert has_old_limits(found) is is_old


@pytest.mark.parametrize(
    "document", [{}, {"policy": 1}, {"policy": {}}, {"policy": {"guard": None}}]
)
def test_what_is_not_understood_is_left_as_it_is(document: dict[str, Any]) -> None:
    assert with_new_limits(document) == document


@pytest.mark.parametrize(
    ("action", "goes"), [("delete", True), ("disable", False), ("keep", False)]
)
def test_only_the_policy_delete_takes_the_row_away(action: str, goes: bool) -> None:
    assert deletes(policy(leftScope=action), "left_scope") is goes
