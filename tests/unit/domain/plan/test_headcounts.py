"""By how many people a change moves the number of those whose columns hold certain values."""

from typing import Any

import pytest

from sync_core.domain.documents.policy import Assertion
from sync_core.domain.model import Action, Reason, Value
from sync_core.domain.plan.headcounts import EVERYBODY, Where
from tests.unit.builders import change

ADMIN, USER = {"role": "admin"}, {"role": "user"}


def where(**columns: Value) -> Where:
    return Where.of(Assertion.model_validate({"atLeast": 1, "where": columns}))


@pytest.mark.parametrize(
    ("action", "before", "after", "step", "of_all"),
    [
        pytest.param(Action.CREATE, {}, ADMIN, 1, 1, id="comes in"),
        pytest.param(Action.CREATE, {}, USER, 0, 1, id="comes in with another value"),
        pytest.param(Action.CREATE, ADMIN, ADMIN, 1, 1, id="takes over a row with the value"),
        pytest.param(Action.REENABLE, ADMIN, ADMIN, 1, 1, id="comes back"),
        pytest.param(Action.REENABLE, ADMIN, USER, 0, 1, id="comes back with another value"),
        pytest.param(Action.UPDATE, USER, ADMIN, 1, 0, id="gets the value"),
        pytest.param(Action.UPDATE, ADMIN, USER, -1, 0, id="loses the value"),
        pytest.param(Action.UPDATE, ADMIN, {"role": None}, -1, 0, id="is emptied"),
        pytest.param(Action.UPDATE, ADMIN, ADMIN, 0, 0, id="keeps the value"),
        pytest.param(Action.DISABLE, ADMIN, {}, -1, -1, id="is disabled"),
        pytest.param(Action.DELETE, ADMIN, {}, -1, -1, id="is deleted"),
        pytest.param(Action.DISABLE, USER, {}, 0, -1, id="is disabled, with another value"),
    ],
)
def test_a_change_moves_the_number(
    action: Action, before: dict[str, Value], after: dict[str, Value], step: int, of_all: int
) -> None:
    reason = Reason.LEFT_SCOPE if action.is_removal else None
    found = change(action, before=before, values=after, reason=reason)

    assert where(role="admin").step(found) == step
    assert EVERYBODY.step(found) == of_all


@pytest.mark.parametrize(
    ("action", "before", "step"),
    [
        pytest.param(Action.UPDATE, ADMIN, 0, id="what is kept is what was there"),
        pytest.param(Action.REENABLE, ADMIN, 1, id="also of a person who comes back"),
        pytest.param(Action.CREATE, {}, 0, id="a new person has nothing to keep"),
    ],
)
def test_a_column_that_is_kept_holds_what_it_held(
    action: Action, before: dict[str, Value], step: int
) -> None:
    found = change(action, before=before, values={}, kept=("role",))

    assert where(role="admin").step(found) == step


@pytest.mark.parametrize(
    ("wanted", "found", "fits"),
    [
        pytest.param({"role": "admin"}, {"role": "Admin"}, False, id="case counts"),
        pytest.param({"role": "admin"}, {}, False, id="nothing there"),
        pytest.param({"level": 1}, {"level": 1}, True, id="number"),
        pytest.param({"level": 1}, {"level": 1.0}, True, id="the same number with a fraction"),
        pytest.param({"level": 1}, {"level": "1"}, False, id="a text is no number"),
        pytest.param({"level": 1}, {"level": True}, False, id="true is no number"),
        pytest.param({"synced": True}, {"synced": True}, True, id="true"),
        pytest.param({"synced": True}, {"synced": 1}, False, id="a number is not true"),
        pytest.param({"all": '["a","b"]'}, {"all": '["b","a"]'}, True, id="a list in any order"),
        pytest.param(
            {"role": "admin", "level": 1}, {"role": "admin", "level": 2}, False, id="one of two"
        ),
        pytest.param(
            {"role": "admin", "level": 1}, {"role": "admin", "level": 1}, True, id="both of two"
        ),
    ],
)
def test_every_column_has_to_hold_its_value(
    wanted: dict[str, Any], found: dict[str, Any], fits: bool
) -> None:
    assert where(**wanted).fits(found) is fits


def test_it_is_told_in_words() -> None:
    assert str(where(role="admin", level=1, synced=True)) == (
        "level = 1 and role = admin and synced = true"
    )
