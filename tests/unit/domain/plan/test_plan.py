"""A plan as a value: what is held, what is written, how it is stored."""

import pytest

from sync_core.domain.model import Action, Change, Link, Reason
from sync_core.domain.plan.guard import Verdict, check_guard, tally_of
from sync_core.domain.plan.plan import ALLOWED, FewChanges, Plan
from tests.unit.builders import ANN, change, policy

BEN, CAT, DAN, EVE = (letter + ANN[1:] for letter in "bcde")
CREATED = change(Action.CREATE)
BACK = change(Action.REENABLE, object_id=BEN)
UPDATED = change(Action.UPDATE, object_id=CAT)
LEAVES = change(Action.DISABLE, object_id=DAN, reason=Reason.LEFT_SCOPE)
NOT_ASKED = change(Action.DISABLE, object_id=EVE)
CHANGES = (CREATED, BACK, UPDATED, LEAVES, NOT_ASKED)
TALLY = tally_of(
    10,
    {Action.CREATE: 1, Action.REENABLE: 1, Action.UPDATE: 1, Action.DISABLE: 1, Action.DELETE: 1},
)
REMOVALS_HELD = Verdict(hold_removals=True, hold_creates=False, reasons=("too many",))
CREATES_HELD = Verdict(hold_removals=False, hold_creates=True, reasons=("too many",))
BROKEN = ALLOWED.blocked(("Eve is asserted to be in",))


def plan(verdict: Verdict, *changes: Change, unconfirmed: int = 1) -> Plan:
    return Plan(FewChanges(changes or CHANGES), TALLY, verdict, "a.b", unconfirmed)


@pytest.mark.parametrize(
    ("verdict", "held", "number"),
    [
        pytest.param(ALLOWED, [NOT_ASKED], 1, id="only who was not asked for"),
        pytest.param(REMOVALS_HELD, [LEAVES, NOT_ASKED], 2, id="removals"),
        pytest.param(CREATES_HELD, [CREATED, NOT_ASKED], 2, id="creates"),
        pytest.param(BROKEN, [CREATED, BACK, LEAVES, NOT_ASKED], 4, id="all but updates"),
    ],
)
def test_what_is_held_is_not_written(verdict: Verdict, held: list[Change], number: int) -> None:
    planned = plan(verdict)
    written = [one for digit in "0123456789abcdef" for one in planned.to_write(digit)]

    assert [one for one in CHANGES if planned.is_held(one)] == held
    assert written == [one for one in planned.changes if one not in held]
    assert planned.held == number
    assert [one["held"] for one in planned.documents()] == [one in held for one in CHANGES]


@pytest.mark.parametrize(
    ("verdict", "found", "says"),
    [
        pytest.param(BROKEN, CREATED, "Nothing: an assertion would be broken. Eve", id="broken"),
        pytest.param(BROKEN, UPDATED, None, id="an update goes through"),
        pytest.param(REMOVALS_HELD, LEAVES, None, id="the guard is no assertion"),
        pytest.param(BROKEN, None, None, id="no change"),
    ],
)
def test_an_assertion_that_blocks_a_change_is_named(
    verdict: Verdict, found: Change | None, says: str | None
) -> None:
    blocked = plan(verdict).blocked(found)

    assert (blocked is None) is (says is None)
    assert (blocked or "").startswith(says or "")


def test_a_plan_is_stored_as_documents() -> None:
    link = Link("contoso-a", "app-1", "email")
    created = change(values={"email": "a@x"}, link=link)
    facts = {"found": True}
    leaves = change(Action.DELETE, reason=Reason.LEFT_SCOPE, before={"a": 1}, evidence=facts)

    assert [*plan(ALLOWED, created, leaves).documents()] == [
        {
            "action": "create",
            "objectId": ANN,
            "userPrincipalName": "ann@contoso.com",
            "reason": None,
            "held": False,
            "fields": {"email": [None, "a@x"]},
            "evidence": None,
            "link": {"row": "contoso-a|app-1", "by": "email"},
        },
        {
            "action": "delete",
            "objectId": ANN,
            "userPrincipalName": "ann@contoso.com",
            "reason": "leftScope",
            "held": False,
            "fields": {"a": [1, None]},
            "evidence": facts,
            "link": None,
        },
    ]


def test_the_guard_reads_how_many_come_and_go() -> None:
    assert (TALLY.active, TALLY.creates, TALLY.removals, TALLY.reenables, TALLY.others) == (
        10, 1, 2, 1, 1,
    )  # fmt: skip
    assert TALLY.changes == 5
    assert tally_of(3, {}).changes == 0
    assert check_guard(TALLY, policy(guard={"maxRemovals": 1}).guard).hold_removals
