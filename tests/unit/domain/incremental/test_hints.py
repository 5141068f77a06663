"""What delta rounds tell becomes hints, in the order of the rows; a look is compared with them."""

from typing import Any

import pytest

from sync_core.domain.incremental.hints import Hint, Hints, contradicts
from tests.unit.builders import ADMINS, ANN, SALES

BOB = "b0000000-0000-4000-8000-00000000000b"
NESTED = "aaaaaaaa-0000-0000-0000-000000000009"
TRACKED = {SALES, ADMINS}
USER = "#microsoft.graph.user"
GROUP = "#microsoft.graph.group"
GONE = {"@removed": {"reason": "deleted"}}
TOLD = {"accountEnabled": True, "userPrincipalName": "ann@contoso.com"}


def user_row(**values: Any) -> dict[str, Any]:
    return {"id": ANN, **values}


def group_row(*members: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"id": SALES, **({"members@delta": list(members)} if members else {}), **values}


def member(object_id: str, kind: str = USER) -> dict[str, Any]:
    return {"@odata.type": kind, "id": object_id}


def hints_of(*rows: dict[str, Any]) -> Hint:
    hints = Hints()
    for row in rows:
        hints.add_user(row)
    return hints.people[ANN]


def test_of_several_rows_of_one_person_the_last_value_counts() -> None:
    hint = hints_of(user_row(city="Bern", mail="a@b.ch"), user_row(city="Basel"))

    assert hint.values == {"city": "Basel", "mail": "a@b.ch"}


@pytest.mark.parametrize(
    ("rows", "removed"),
    [
        ([user_row(**{"@removed": {"reason": "changed"}})], "changed"),
        ([user_row(**GONE), user_row(city="Bern")], None),
        ([user_row(city="Bern"), user_row(**{"@removed": {}})], ""),
    ],
)
def test_whether_a_person_was_told_to_be_gone_goes_by_the_last_row(
    rows: list[dict[str, Any]], removed: str | None
) -> None:
    assert hints_of(*rows).removed == removed


def test_who_was_soft_deleted_may_return_and_who_is_gone_for_good_may_not() -> None:
    hints = Hints()
    for row in (
        user_row(**{"@removed": {"reason": "changed"}}),
        user_row(**GONE) | {"id": BOB},
        user_row() | {"id": ADMINS},
    ):
        hints.add_user(row)

    assert hints.may_return() == {ANN}


@pytest.mark.parametrize(
    ("listed", "manager"),
    [
        ([member(BOB)], BOB),
        ([member(BOB) | GONE], None),
        ([member(ADMINS) | GONE, member(BOB)], BOB),
    ],
)
def test_a_manager_is_told_as_a_list(listed: list[dict[str, Any]], manager: str | None) -> None:
    hint = hints_of(user_row(**{"manager@delta": listed}))

    assert (hint.told_manager, hint.manager) == (True, manager)


def test_who_came_and_went_is_told_by_group() -> None:
    hints = Hints()
    hints.add_group(group_row(member(ANN), member(BOB)), TRACKED)
    hints.add_group(group_row(member(ANN) | GONE), TRACKED)

    assert (hints.people[ANN].joined, hints.people[ANN].left) == (set(), {SALES})
    assert hints.people[BOB].joined == {SALES}


@pytest.mark.parametrize("kind", [GROUP, ""])
def test_a_group_among_the_members_is_an_edge_of_the_tree(kind: str) -> None:
    hints = Hints()
    hints.add_group(group_row(member(ADMINS, kind)), TRACKED)

    assert hints.groups.edges == {SALES}
    assert hints.groups.nested == {(SALES, ADMINS): True}
    assert hints.people == {}

    hints.add_group(group_row(member(ADMINS, kind) | GONE), TRACKED)
    assert hints.groups.nested == {(SALES, ADMINS): False}


@pytest.mark.parametrize(
    ("kind", "is_person"), [("#microsoft.graph.device", False), ("", True), (USER, True)]
)
def test_a_member_of_no_type_may_be_a_person_and_a_device_is_none(
    kind: str, is_person: bool
) -> None:
    hints = Hints()
    hints.add_group(group_row(member(BOB, kind)), TRACKED)

    assert (BOB in hints.people) is is_person


def test_a_group_is_gone_until_it_is_told_again() -> None:
    hints = Hints()
    hints.add_group(group_row(**GONE), TRACKED)
    assert hints.groups.gone == {SALES}

    hints.add_group(group_row(displayName="Sales"), TRACKED)
    assert hints.groups.gone == set()
    assert hints.groups.told == {SALES}


PERSON = {"id": ANN, "city": "Bern", **TOLD}


@pytest.mark.parametrize(
    ("hint", "person", "memberships", "contradicted"),
    [
        (Hint(removed="changed"), PERSON, None, True),
        (Hint(removed="changed"), None, None, False),
        (Hint(values={"city": "Bern"}), None, None, True),
        (Hint(joined={SALES}), None, None, True),
        (Hint(left={SALES}), None, None, False),
        (Hint(joined={SALES}), PERSON, frozenset({SALES}), False),
        (Hint(joined={SALES}), PERSON, frozenset({ADMINS}), True),
        (Hint(left={SALES}), PERSON, frozenset({SALES}), True),
        (Hint(left={SALES}), PERSON, None, False),
        (Hint(values={"city": "Bern", **TOLD}), PERSON, None, False),
        (Hint(values={"city": "Basel", **TOLD}), PERSON, None, True),
        (Hint(values={"city": "Bern"}), PERSON, None, True),
        (Hint(values={"zip": "3000", **TOLD}), PERSON, None, False),
        (Hint(told_manager=True, manager=BOB), {**PERSON, "manager": {"id": BOB}}, None, False),
        (Hint(told_manager=True, manager=BOB), {**PERSON, "manager": None}, None, True),
        (Hint(told_manager=True, manager=BOB), PERSON, None, False),
    ],
)
def test_a_look_that_differs_from_what_was_told_is_contradicted(
    hint: Hint,
    person: dict[str, Any] | None,
    memberships: frozenset[str] | None,
    contradicted: bool,
) -> None:
    assert contradicts(hint, person, memberships) is contradicted


def test_lists_are_the_same_in_any_order() -> None:
    hint = Hint(values={"otherMails": ["b", "a"], **TOLD})

    assert not contradicts(hint, {**PERSON, "otherMails": ["a", "b"]}, None)
