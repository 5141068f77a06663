"""A plan as a value: what is held, what is written, how it is stored."""

from dataclasses import replace
from typing import Any

import pytest

from sync_core.domain.model import Action, Change, Inventory, Link, Reason
from sync_core.domain.plan.guard import Verdict, check_guard, tally_of
from sync_core.domain.plan.headcounts import Shift, Where
from sync_core.domain.plan.plan import ALLOWED, FewChanges, Plan
from sync_core.domain.plan.values import Kind, Loss
from tests.unit.builders import ANN, change, policy

BEN, CAT, DAN = (letter + ANN[1:] for letter in "bcd")
DEE, EVE = f"d1{ANN[2:]}", f"e{ANN[1:]}"
CREATED = change(Action.CREATE)
BACK = change(Action.REENABLE, object_id=BEN)
UPDATED = change(Action.UPDATE, object_id=CAT)
LEAVES = change(Action.DISABLE, object_id=DAN, reason=Reason.LEFT_SCOPE)
NOT_ASKED = change(Action.DISABLE, object_id=EVE)
GONE = change(Action.DELETE, object_id=DEE, reason=Reason.HARD_DELETED)
CHANGES = (CREATED, BACK, UPDATED, LEAVES, GONE, NOT_ASKED)
TALLY = tally_of(
    Inventory(10, {}),
    {Action.CREATE: 1, Action.REENABLE: 1, Action.UPDATE: 1, Action.DISABLE: 2, Action.DELETE: 1},
)
REMOVALS_HELD = Verdict(hold_removals=True, hold_creates=False, reasons=("too many",))
CREATES_HELD = Verdict(hold_removals=False, hold_creates=True, reasons=("too many",))
DELETES_HELD = Verdict(False, False, ("too many",), hold_deletes=True)
BROKEN = ALLOWED.blocked(("Eve is asserted to be in",))
LOSES_EMAIL = change(
    Action.UPDATE, object_id=CAT, values={"email": None}, before={"email": "cat@contoso.com"}
)
LOSES_ROLE = change(Action.UPDATE, object_id=CAT, before={"role": "admin"})
NO_ADMIN = replace(
    ALLOWED,
    hold_shifts=frozenset({Shift(Where((("role", "admin"),)), -1)}),
    breaches=("0 people would have role = admin",),
)


def plan(verdict: Verdict, *changes: Change, unconfirmed: int = 1) -> Plan:
    return Plan(FewChanges(changes or CHANGES), TALLY, verdict, "a.b", unconfirmed)


@pytest.mark.parametrize(
    ("verdict", "held", "number"),
    [
        pytest.param(ALLOWED, [NOT_ASKED], 1, id="only who was not asked for"),
        pytest.param(REMOVALS_HELD, [LEAVES, GONE, NOT_ASKED], 3, id="removals"),
        pytest.param(CREATES_HELD, [CREATED, BACK, NOT_ASKED], 3, id="who comes, and comes back"),
        pytest.param(DELETES_HELD, [GONE, NOT_ASKED], 2, id="deletions"),
        pytest.param(BROKEN, [CREATED, BACK, LEAVES, GONE, NOT_ASKED], 5, id="all but updates"),
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
        pytest.param(
            NO_ADMIN, LOSES_ROLE, "Nothing: an assertion would be broken. 0 people", id="counted"
        ),
        pytest.param(NO_ADMIN, LOSES_EMAIL, None, id="another update"),
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
            "cause": None,
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
            "cause": "leftScope",
            "held": False,
            "fields": {"a": [1, None]},
            "evidence": facts,
            "link": None,
        },
    ]


def test_the_guard_reads_how_many_come_and_go() -> None:
    assert (TALLY.active, TALLY.creates, TALLY.removals, TALLY.reenables, TALLY.others) == (
        10, 1, 3, 1, 1,
    )  # fmt: skip
    assert (TALLY.changes, TALLY.deletes, TALLY.comers) == (6, 1, 2)
    assert tally_of(Inventory(3, {}), {}).changes == 0
    assert check_guard(TALLY, policy(guard={"maxRemovals": 1}).guard).hold_removals


@pytest.mark.parametrize(
    ("changed", "marks"),
    [
        pytest.param({}, ["c", "r", "", "d", "x", "d"], id="decided by the run"),
        pytest.param({"by_name": True}, ["C", "R", "", "D", "X", "D"], id="asked for by name"),
        pytest.param({"approved": REMOVALS_HELD}, ["c", "r", "", "D", "X", "D"], id="approved"),
        pytest.param(
            {"tally": replace(TALLY, first_import=True)},
            ["f", "r", "", "d", "x", "d"],
            id="first import",
        ),
    ],
)
def test_the_window_knows_what_a_run_decided_by_itself(
    changed: dict[str, Any], marks: list[str]
) -> None:
    planned = replace(plan(ALLOWED), **changed)

    assert [planned.mark(one) for one in CHANGES] == marks


EMAIL_LOST = Verdict(False, False, ("email",), hold_values=frozenset({Loss("email", Kind.BLANKED)}))


def test_whoever_would_lose_a_value_that_waits_is_not_updated() -> None:
    found = plan(EMAIL_LOST, LOSES_EMAIL, UPDATED, unconfirmed=0)

    assert [found.is_held(LOSES_EMAIL), found.is_held(UPDATED)] == [True, False]
    assert [found.held, found.held] == [1, 1]


RETURNS = replace(BACK, returns=True)
TWO_BACK = tally_of(Inventory(10, {}), {Action.CREATE: 1, Action.REENABLE: 2}, returns=1)


@pytest.mark.parametrize(
    ("verdict", "held"),
    [
        pytest.param(CREATES_HELD, [CREATED, BACK], id="a limit holds the others"),
        pytest.param(BROKEN, [CREATED, BACK, RETURNS], id="an assertion holds all"),
    ],
)
def test_whose_return_was_confirmed_is_held_by_assertions_only(
    verdict: Verdict, held: list[Change]
) -> None:
    planned = Plan(FewChanges((CREATED, BACK, RETURNS)), TWO_BACK, verdict, "a.b")

    assert [one for one in planned.changes if planned.is_held(one)] == held
    assert planned.held == len(held)


def test_whose_return_was_confirmed_counts_as_active_and_not_as_coming() -> None:
    """Neither in this plan nor in the window of the next ones: the letter says that it was asked for."""
    planned = plan(ALLOWED)

    assert (TWO_BACK.active, TWO_BACK.base, TWO_BACK.comers, TWO_BACK.changes) == (11, 11, 2, 3)
    assert (planned.mark(BACK), planned.mark(RETURNS)) == ("r", "R")
