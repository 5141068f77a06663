"""Who changes and how, as tables: every case has its row."""

from itertools import product
from typing import Any

import pytest

from sync_core.domain.model import Action, Mapped, Origin, Reason, Status, StoredPerson
from sync_core.domain.plan.decide import (
    is_protected,
    is_turned_away,
    may_delete,
    plan_present,
    plan_removal,
    removal_action,
)
from tests.unit.builders import ANN, change, policy, stored

PERSON = {"id": ANN, "userPrincipalName": "ann@contoso.com"}
MAPPED = Mapped({"email": "ann@contoso.com", "phone": None}, "new")


@pytest.mark.parametrize("returns", [True, False])
def test_whose_return_was_confirmed_is_said_of_the_change(returns: bool) -> None:
    known = stored(Status.DISABLED)._replace(returns=returns)
    planned = plan_present(PERSON, MAPPED, known)

    assert planned is not None
    assert planned.returns is returns


@pytest.mark.parametrize(
    ("known", "action"),
    [
        pytest.param(None, Action.CREATE, id="nobody stored"),
        pytest.param(stored(digest="new"), None, id="active, the same"),
        pytest.param(stored(digest="old"), Action.UPDATE, id="active, changed"),
        pytest.param(stored(digest=""), Action.UPDATE, id="active, no digest"),
        pytest.param(stored(Status.DISABLED, "new"), Action.REENABLE, id="disabled, the same"),
        pytest.param(stored(Status.DISABLED, "old"), Action.REENABLE, id="disabled, changed"),
        pytest.param(stored(digest="new", origin=Origin.MANUAL), None, id="by hand, the same"),
        pytest.param(stored(origin=Origin.MANUAL), Action.UPDATE, id="by hand, changed"),
    ],
)
def test_somebody_in_scope(known: StoredPerson | None, action: Action | None) -> None:
    planned = plan_present(PERSON, MAPPED, known)

    assert (planned.action if planned else None) is action
    if planned:
        assert planned.object_id == ANN
        assert planned.user_principal_name == "ann@contoso.com"
        assert planned.digest == "new"
        assert planned.values == MAPPED.values
        assert planned.reason is None


@pytest.mark.parametrize(
    ("known", "values", "kept"),
    [
        pytest.param(None, {"a": 1, "once": 2}, ("k",), id="created: everything is written"),
        pytest.param(stored(), {"a": 1}, ("k", "once"), id="updated: what was written once stays"),
        pytest.param(
            stored(Status.DISABLED), {"a": 1}, ("k", "once"), id="back again: it stays, too"
        ),
    ],
)
def test_what_is_written_once(
    known: StoredPerson | None, values: dict[str, Any], kept: tuple[str, ...]
) -> None:
    result = Mapped({"a": 1, "once": 2}, "new", frozenset({"k"}), frozenset({"once"}))

    planned = plan_present(PERSON, result, known)

    assert planned is not None
    assert (planned.values, planned.kept) == (values, kept)


def test_a_person_without_a_sign_in_name_is_planned() -> None:
    for person in ({"id": ANN}, {"id": ANN, "userPrincipalName": None}):
        planned = plan_present(person, MAPPED, None)

        assert planned is not None
        assert planned.user_principal_name == ""


@pytest.mark.parametrize(
    ("flag", "action", "turned_away"),
    [
        pytest.param({"accountEnabled": False}, "disable", True, id="blocked, disable"),
        pytest.param({"accountEnabled": False}, "delete", True, id="blocked, delete"),
        pytest.param({"accountEnabled": False}, "keep", False, id="blocked, keep"),
        pytest.param({"accountEnabled": True}, "disable", False, id="enabled"),
        pytest.param({"accountEnabled": None}, "disable", False, id="not said"),
        pytest.param({}, "disable", False, id="not selected"),
        pytest.param({"accountEnabled": "false"}, "disable", False, id="a text is no flag"),
        pytest.param({"accountEnabled": 0}, "delete", False, id="a number is no flag"),
    ],
)
def test_only_an_explicit_false_turns_somebody_away(
    flag: dict[str, Any], action: str, turned_away: bool
) -> None:
    assert is_turned_away(flag, policy(accountDisabled=action)) is turned_away


POLICY_NAMES = {
    Reason.LEFT_SCOPE: "leftScope",
    Reason.ACCOUNT_DISABLED: "accountDisabled",
    Reason.SOFT_DELETED: "softDeleted",
    Reason.HARD_DELETED: "hardDeleted",
}
ACTIONS = {"disable": Action.DISABLE, "delete": Action.DELETE, "keep": None}


@pytest.mark.parametrize(("reason", "wanted"), [*product(POLICY_NAMES, ACTIONS)])
def test_each_cause_has_its_own_action(reason: Reason, wanted: str) -> None:
    """The other causes say the opposite here, so a mix-up shows."""
    opposite = "keep" if wanted != "keep" else "delete"
    rules = policy(
        **dict.fromkeys(POLICY_NAMES.values(), opposite) | {POLICY_NAMES[reason]: wanted}
    )

    planned = plan_removal(ANN, reason, rules)

    assert removal_action(rules, reason) == wanted
    assert (planned.action if planned else None) is ACTIONS[wanted]
    if planned:
        assert (planned.object_id, planned.reason) == (ANN, reason)


def test_a_removal_without_a_reason_yet_is_shown_as_disabled() -> None:
    """Too many to ask for by id: it is held, and the reason comes when it is approved."""
    planned = plan_removal(ANN, None, policy(leftScope="delete"))

    assert planned is not None
    assert (planned.action, planned.reason) == (Action.DISABLE, None)


@pytest.mark.parametrize(
    ("action", "names", "protected"),
    [
        pytest.param(Action.DISABLE, ["ann@contoso.com"], True, id="sign-in name"),
        pytest.param(Action.DELETE, ["ANN@Contoso.com"], True, id="in another case"),
        pytest.param(Action.DISABLE, [ANN.upper()], True, id="object id"),
        pytest.param(Action.DELETE, [f" {ANN} "], True, id="blanks around"),
        pytest.param(Action.DISABLE, ["bob@contoso.com", ANN], True, id="one of several"),
        pytest.param(Action.DISABLE, ["bob@contoso.com"], False, id="somebody else"),
        pytest.param(Action.DISABLE, ["ann"], False, id="a part of the name"),
        pytest.param(Action.DISABLE, [], False, id="nobody"),
        pytest.param(Action.CREATE, [ANN], False, id="created"),
        pytest.param(Action.UPDATE, [ANN], False, id="updated"),
        pytest.param(Action.REENABLE, [ANN], False, id="back again"),
    ],
)
def test_protection_from_removal(action: Action, names: list[str], protected: bool) -> None:
    assert is_protected(change(action), policy(protected=names)) is protected


def test_nobody_is_protected_by_a_name_that_is_missing() -> None:
    nameless = change(Action.DISABLE, user_principal_name="")

    assert not is_protected(nameless, policy(protected=["ann@contoso.com"]))


@pytest.mark.parametrize(
    ("changes", "may"),
    [({}, False), ({"leftScope": "keep"}, False), ({"hardDeleted": "delete"}, True)],
)
def test_whether_rows_are_ever_deleted(changes: dict[str, Any], may: bool) -> None:
    assert may_delete(policy(**changes)) is may
