"""The values between the stages: what removes, what differs, how long a text is."""

from typing import Any

import pytest

from sync_core.domain.model import (
    BECAME_GUEST,
    BECAME_MEMBER,
    Action,
    Inventory,
    Reason,
    Status,
    utf16_length,
)
from tests.unit.builders import change, stored


def test_an_inventory_counts_the_active_and_the_rows_of_each_partition() -> None:
    people = {"a1": stored(), "a2": stored(Status.DISABLED), "b1": stored()}

    found = Inventory.of(people)

    assert (found.active, dict(found.by_digit)) == (2, {"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("action", "removes"),
    [
        ("create", False),
        ("update", False),
        ("reenable", False),
        ("disable", True),
        ("delete", True),
    ],
)
def test_two_actions_remove(action: str, removes: bool) -> None:
    assert Action(action).is_removal is removes
    assert len(Action) == 5


@pytest.mark.parametrize(
    ("action", "before", "values", "kept", "fields"),
    [
        pytest.param("create", {}, {"a": 1, "b": None}, (), {"a": (None, 1)}, id="created"),
        pytest.param("update", {"a": 1}, {"a": 2}, (), {"a": (1, 2)}, id="changed"),
        pytest.param("update", {"a": 1}, {"a": 1}, (), {}, id="the same"),
        pytest.param("update", {"a": 1}, {"a": None}, (), {"a": (1, None)}, id="cleared"),
        pytest.param(
            "update", {"a": '["x",1]'}, {"a": '[1,"x"]'}, (), {}, id="a list in another order"
        ),
        pytest.param(
            "update", {"a": "[1]"}, {"a": "[1,1]"}, (), {"a": ("[1]", "[1,1]")}, id="a longer list"
        ),
        pytest.param(
            "update",
            {"a": "[1"},
            {"a": "[2]"},
            (),
            {"a": ("[1", "[2]")},
            id="a text with a bracket",
        ),
        pytest.param("update", {"a": 1}, {}, (), {"a": (1, None)}, id="no longer mapped"),
        pytest.param("update", {"a": 1}, {}, ("a",), {}, id="kept"),
        pytest.param("update", {}, {"a": None}, (), {}, id="null before and after"),
        pytest.param("reenable", {"a": 1}, {"a": 2}, (), {"a": (1, 2)}, id="back again"),
        pytest.param("disable", {"a": 1}, {}, (), {}, id="disabled: the values stay"),
        pytest.param("delete", {"a": 1}, {}, (), {"a": (1, None)}, id="deleted: the values go"),
    ],
)
def test_the_targets_that_differ(
    action: str, before: Any, values: Any, kept: tuple[str, ...], fields: Any
) -> None:
    assert change(Action(action), before=before, values=values, kept=kept).fields() == fields


def test_targets_are_shown_in_order() -> None:
    fields = change(values={"b": 1, "c": 1, "a": 1}).fields()

    assert list(fields) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("ann", 3), ("Zoë", 3), ("李", 1), ("😀", 2), ("👩‍💻", 5), ("e\u0301", 2)],
)
def test_texts_are_counted_as_table_storage_does(text: str, length: int) -> None:
    assert utf16_length(text) == length


def test_half_a_letter_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        utf16_length("\ud83d")


@pytest.mark.parametrize(
    ("reason", "evidence", "cause"),
    [
        pytest.param(Reason.LEFT_SCOPE, {BECAME_GUEST: True}, BECAME_GUEST, id="made a guest"),
        pytest.param(Reason.LEFT_SCOPE, {BECAME_MEMBER: True}, BECAME_MEMBER, id="made a member"),
        pytest.param(Reason.LEFT_SCOPE, {"groups": []}, "leftScope", id="left the scope"),
        pytest.param(Reason.SOFT_DELETED, None, "softDeleted", id="without evidence"),
        pytest.param(None, None, None, id="not asked for"),
    ],
)
def test_the_cause_of_a_removal_is_more_exact_than_its_reason(
    reason: Reason | None, evidence: dict[str, Any] | None, cause: str | None
) -> None:
    assert change(Action.DISABLE, reason=reason, evidence=evidence).cause == cause
