"""A removal has two witnesses: what the delta told has to agree with the look."""

from typing import Any

import pytest

from sync_core.domain.incremental.hints import Hint
from sync_core.domain.incremental.witness import (
    Above,
    agrees,
    groups_before,
    is_out_by_attributes,
    told_reason,
)
from sync_core.domain.model import Evidence, Reason
from tests.unit.builders import ADMINS, ANN, SALES, clause, compiled, in_groups, not_in_groups

IN_SALES = compiled([in_groups(SALES), clause("department", "EQUALS", "Sales")])
SELLER = {"id": ANN, "department": "Sales"}
COOK = {"id": ANN, "department": "Kitchen"}
TREE = {SALES: frozenset({SALES}), ADMINS: frozenset({ADMINS})}


def seen(reason: Reason, person: dict[str, Any] | None = None, **changes: Any) -> Evidence:
    return Evidence(ANN, reason, {}, person, **changes)


@pytest.mark.parametrize(
    ("hint", "evidence", "agreed"),
    [
        (None, seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(left={SALES}), seen(Reason.LEFT_SCOPE, SELLER, is_unclear=True), False),
        (Hint(removed="deleted"), seen(Reason.HARD_DELETED), True),
        (Hint(removed="changed"), seen(Reason.HARD_DELETED), False),
        (Hint(left={SALES}), seen(Reason.HARD_DELETED), False),
        (Hint(removed="changed"), seen(Reason.SOFT_DELETED), True),
        (Hint(removed="deleted"), seen(Reason.SOFT_DELETED), True),
        (Hint(values={"city": "Bern"}), seen(Reason.SOFT_DELETED), False),
        (Hint(removed="changed"), seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(values={"accountEnabled": False}), seen(Reason.ACCOUNT_DISABLED, SELLER), True),
        (Hint(values={"city": "Bern"}), seen(Reason.ACCOUNT_DISABLED, SELLER), False),
        (Hint(left={SALES}), seen(Reason.ACCOUNT_DISABLED, SELLER), False),
        (Hint(left={SALES}), seen(Reason.LEFT_SCOPE, SELLER), True),
        (Hint(left={ADMINS}), seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(joined={ADMINS}), seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(concerned={SALES}), seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(values={"jobTitle": "Boss"}), seen(Reason.LEFT_SCOPE, SELLER), False),
        (Hint(values={"department": "Kitchen"}), seen(Reason.LEFT_SCOPE, COOK), True),
        (Hint(told_manager=True), seen(Reason.LEFT_SCOPE, COOK), True),
        (Hint(left={SALES}), seen(Reason.LEFT_SCOPE, COOK), False),
    ],
)
def test_the_delta_agrees_with_a_removal(
    hint: Hint | None, evidence: Evidence, agreed: bool
) -> None:
    before = groups_before(hint, evidence.groups, TREE, TREE)

    assert agrees(hint, evidence, IN_SALES, before) is agreed


@pytest.mark.parametrize(
    ("hint", "old", "new", "before"),
    [
        (None, TREE, TREE, {ADMINS}),
        (Hint(left={SALES}), TREE, TREE, {SALES, ADMINS}),
        (Hint(left={"team"}), {"team": frozenset({SALES})}, TREE, {SALES, ADMINS}),
        (Hint(left={"unknown"}, joined={"unknown"}), TREE, TREE, {ADMINS}),
        (Hint(joined={ADMINS}), TREE, TREE, set()),
        (Hint(concerned={ADMINS}), TREE, TREE, {ADMINS}),
        (Hint(concerned={SALES}), TREE, {}, {SALES, ADMINS}),
        (Hint(concerned={ADMINS}), {}, TREE, set()),
    ],
)
def test_what_was_told_says_in_which_groups_a_person_was(
    hint: Hint | None, old: Above, new: Above, before: set[str]
) -> None:
    assert groups_before(hint, frozenset({ADMINS}), old, new) == before


def test_a_person_is_out_by_attributes_when_no_groups_would_let_them_in() -> None:
    either = compiled(
        [in_groups(SALES), not_in_groups(ADMINS)], [clause("department", "EQUALS", "Kitchen")]
    )

    assert not is_out_by_attributes(either, SELLER)
    assert not is_out_by_attributes(either, COOK)
    assert is_out_by_attributes(IN_SALES, COOK)


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (None, None),
        (Hint(left={SALES}), None),
        (Hint(values={"accountEnabled": True}), None),
        (Hint(values={"accountEnabled": False}), Reason.ACCOUNT_DISABLED),
        (Hint(removed="changed", values={"accountEnabled": False}), Reason.SOFT_DELETED),
        (Hint(removed="deleted"), Reason.HARD_DELETED),
    ],
)
def test_the_delta_tells_why_an_account_goes(hint: Hint | None, reason: Reason | None) -> None:
    assert told_reason(hint) is reason
