"""Assertions about the number of people with certain values hold only those who would break them."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.policy import Assertion
from sync_core.domain.model import Action, Change, Reason, Status
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.plan.guard import Verdict, check_rises
from sync_core.domain.plan.headcounts import Where
from sync_core.domain.plan.plan import ALLOWED
from sync_core.domain.plan.values import Rise

ADMIN, USER = {"role": "admin"}, {"role": "user"}
ONE_ADMIN = {"atLeast": 1, "where": ADMIN}
THREE_ADMINS = {"atMost": 3, "where": ADMIN}
ANN, BEN, CAT, DAN, EVE = (f"{letter}0000000-0000-4000-8000-000000000000" for letter in "abcde")
CREATES_HELD = Verdict(hold_removals=False, hold_creates=True, reasons=("too many",))


def change(action: Action, object_id: str, before: str = "", after: str = "") -> Change:
    """Give a change of a person's role."""
    return Change(
        action,
        object_id,
        f"{object_id[0]}@contoso.com",
        reason=Reason.LEFT_SCOPE if action.is_removal else None,
        before={"role": before} if before else {},
        values={"role": after or None},
    )


def falls(object_id: str) -> Change:
    return change(Action.UPDATE, object_id, "admin", "user")


def rises(object_id: str) -> Change:
    return change(Action.UPDATE, object_id, "user", "admin")


def asserting(*assertions: dict[str, Any], admins: int = 0, users: int = 0) -> Assertions:
    """Give assertions beside a table with so many active people of each role, and disabled ones."""
    known = Assertions([Assertion.model_validate(one) for one in assertions])
    for number in range(admins + users):
        role = ADMIN if number < admins else USER
        known.stored(f"f{number}", "f@contoso.com", Status.ACTIVE, role)
    known.stored("f-out", "f@contoso.com", Status.DISABLED, ADMIN)
    return known


def held(verdict: Verdict, changes: Sequence[Change]) -> list[str]:
    return [one.object_id for one in changes if verdict.holds_change(one)]


@pytest.mark.parametrize(
    ("assertion", "admins", "changes", "waiting", "says"),
    [
        pytest.param(ONE_ADMIN, 2, [falls(ANN)], [], None, id="enough are left"),
        pytest.param(
            ONE_ADMIN,
            2,
            [falls(ANN), change(Action.DISABLE, BEN, "admin"), rises(CAT), rises(DAN)],
            [],
            None,
            id="others come in their place",
        ),
        pytest.param(
            ONE_ADMIN,
            1,
            [falls(ANN), change(Action.UPDATE, BEN, "user", "guest")],
            [ANN],
            f"0 active people would have role = admin (1 now); at least 1 are asserted; waiting: {ANN}",
            id="the last one waits, nobody else does",
        ),
        pytest.param(
            {"atLeast": 2, "where": ADMIN},
            4,
            [falls(ANN), change(Action.DELETE, BEN, "admin"), change(Action.DISABLE, CAT, "admin")],
            [ANN, BEN, CAT],
            "1 active person would have role = admin (4 now); at least 2 are asserted; waiting: "
            f"{ANN}, {BEN}, {CAT}",
            id="all whose change takes one away",
        ),
        pytest.param(
            ONE_ADMIN,
            0,
            [change(Action.UPDATE, ANN, "user", "guest")],
            [],
            "0 active people would have role = admin (0 now); at least 1 are asserted",
            id="not true today: told, and nobody waits",
        ),
        pytest.param(
            {"atLeast": 5, "where": ADMIN}, 1, [falls(ANN), rises(BEN)], [ANN],
            f"1 active person would have role = admin (1 now); at least 5 are asserted; waiting: {ANN}",
            id="what makes it better goes on",
        ),
        pytest.param(THREE_ADMINS, 2, [rises(ANN)], [], None, id="as many as are allowed"),
        pytest.param(
            THREE_ADMINS,
            3,
            [rises(ANN), change(Action.CREATE, BEN, "", "admin"), change(Action.CREATE, CAT)],
            [ANN, BEN],
            "5 active people would have role = admin (3 now); at most 3 are asserted; waiting: "
            f"{ANN}, {BEN}",
            id="too many: those who are new to it wait",
        ),
        pytest.param(
            THREE_ADMINS, 2, [rises(ANN), change(Action.REENABLE, BEN, "admin", "admin")],
            [ANN, BEN],
            "4 active people would have role = admin (2 now); at most 3 are asserted; waiting: "
            f"{ANN}, {BEN}",
            id="also who comes back",
        ),
    ],
)  # fmt: skip
def test_who_would_break_it_waits(
    assertion: dict[str, Any],
    admins: int,
    changes: list[Change],
    waiting: list[str],
    says: str | None,
) -> None:
    verdict = asserting(assertion, admins=admins).applied(ALLOWED, 10, changes)

    assert held(verdict, changes) == waiting
    assert verdict.breaches == ((says,) if says else ())
    assert (verdict.broken, verdict.red) == ((), verdict.breaches)
    assert (verdict.hold_removals, verdict.hold_creates, verdict.may_be_confirmed) == (
        False, False, False,
    )  # fmt: skip
    assert verdict.holds is bool(says)


def test_of_many_people_the_first_are_named() -> None:
    changes = [falls(one) for one in (ANN, BEN, CAT, DAN, EVE)]

    [said] = asserting(ONE_ADMIN, admins=5).applied(ALLOWED, 10, changes).breaches

    assert said.endswith(f"waiting: {ANN}, {BEN}, {CAT}...")


def test_a_removal_that_was_not_asked_for_does_not_count() -> None:
    unasked = Change(Action.DISABLE, ANN, before={"role": "admin"})

    assert asserting(ONE_ADMIN, admins=1).applied(ALLOWED, 10, [unasked]) == ALLOWED


def test_all_columns_have_to_hold_their_values() -> None:
    """The one who falls was no administrator of that team."""
    assertion = {"atLeast": 1, "where": {"role": "admin", "team": "north"}}
    known = asserting(assertion)
    known.stored(BEN, "ben@contoso.com", Status.ACTIVE, {"role": "admin", "team": "north"})

    assert known.columns == {"role", "team"}
    assert known.applied(ALLOWED, 10, [falls(ANN)]) == ALLOWED


def test_whoever_waits_for_approval_is_nobody_s_successor() -> None:
    """A rise to a sensitive value waits, so who would make room for it waits as well; approved, both go."""
    changes = [falls(ANN), rises(BEN)]
    sensitive = {"role": frozenset({"admin"})}
    guarded = check_rises(ALLOWED, {Rise("role", "admin"): 1}, sensitive)
    known = asserting(ONE_ADMIN, admins=1)

    waits = known.applied(guarded, 10, changes)

    assert held(waits, changes) == [ANN, BEN]
    assert (waits.may_be_confirmed, len(waits.reasons), len(waits.breaches)) == (True, 1, 1)
    assert held(known.applied(ALLOWED, 10, changes), changes) == []


def test_whoever_waits_for_one_assertion_may_break_another() -> None:
    """Ann stays an administrator, so she is not the user who was to come in Ben's place."""
    changes = [falls(ANN), change(Action.UPDATE, BEN, "user", "guest")]
    known = asserting(ONE_ADMIN, {"atLeast": 1, "where": USER}, admins=1, users=1)

    verdict = known.applied(ALLOWED, 2, changes)

    assert held(verdict, changes) == [ANN, BEN]
    assert len(verdict.breaches) == 2


def test_what_waits_may_make_the_other_assertions_true() -> None:
    """Two would go, of whom one may not: then enough people are left."""
    changes = [change(Action.DISABLE, ANN, "admin"), change(Action.DISABLE, BEN, "user")]
    known = asserting({"atLeast": 9}, ONE_ADMIN, admins=1)

    verdict = known.applied(ALLOWED, 10, changes)

    assert held(verdict, changes) == [ANN]
    assert (verdict.broken, len(verdict.breaches)) == ((), 1)


def test_one_that_lets_nobody_come_or_go_counts_for_the_others() -> None:
    """Nobody comes in, so nobody comes in Ann's place."""
    changes = [falls(ANN), change(Action.CREATE, BEN, "", "admin")]
    known = asserting({"never": "b@*"}, ONE_ADMIN, admins=1)

    verdict = known.applied(ALLOWED, 10, changes)

    assert held(verdict, changes) == [ANN, BEN]
    assert (len(verdict.broken), len(verdict.breaches)) == (1, 1)
    assert not verdict.may_be_confirmed
    assert held(asserting(ONE_ADMIN, admins=1).applied(CREATES_HELD, 10, changes), changes) == [
        ANN,
        BEN,
    ]


@pytest.mark.parametrize(
    ("assertion", "changes", "asked", "waiting"),
    [
        pytest.param(ONE_ADMIN, [falls(ANN)], True, [ANN], id="the last one"),
        pytest.param(ONE_ADMIN, [rises(ANN)], False, [], id="one more does no harm"),
        pytest.param({"atMost": 0, "where": ADMIN}, [rises(ANN)], True, [ANN], id="one too many"),
        pytest.param({"atMost": 0, "where": ADMIN}, [falls(ANN)], False, [], id="one fewer"),
        pytest.param({"atLeast": 9}, [falls(ANN)], False, [], id="how many is not known"),
        pytest.param({"in": ANN}, [falls(ANN)], False, [], id="not about a number"),
        pytest.param(ONE_ADMIN, [], False, [], id="no change"),
    ],
)
def test_of_people_who_were_named_the_number_is_asked_for_only_where_it_matters(
    assertion: dict[str, Any], changes: list[Change], asked: bool, waiting: list[str]
) -> None:
    known = asserting(assertion)

    assert known.needs_people(changes) is asked
    known.people[Where.of(Assertion(at_least=1, where={"role": "admin"}))] = 1
    verdict = known.applied_to_few(ALLOWED, changes)

    assert held(verdict, changes) == waiting
    assert bool(verdict.breaches) is bool(waiting)


def test_without_assertions_nothing_is_looked_through() -> None:
    known = asserting()

    assert known.applied(CREATES_HELD, 0, []) is CREATES_HELD
    assert known.applied_to_few(ALLOWED, []) is ALLOWED
    assert known.broken(ALLOWED, 0, []) == {}


ROLES = st.sampled_from(["", "admin", "user"])
CHANGED = st.builds(
    change, st.sampled_from(Action), st.sampled_from([ANN, BEN, CAT, DAN, EVE]), ROLES, ROLES
)
PLANS = st.lists(CHANGED, max_size=5, unique_by=lambda one: one.object_id)
LIMITED = st.builds(
    lambda name, limit, role: {name: limit, "where": {"role": role}},
    st.sampled_from(["atLeast", "atMost"]),
    st.integers(0, 6),
    st.sampled_from(["admin", "user"]),
)


@given(
    st.lists(LIMITED | st.sampled_from([{"atLeast": 4}, {"never": "b@*"}]), max_size=4),
    PLANS,
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([ALLOWED, CREATES_HELD]),
)
def test_what_is_let_through_breaks_none(
    assertions: list[dict[str, Any]], changes: list[Change], admins: int, users: int, base: Verdict
) -> None:
    """What is not told is true afterwards; of what is told, nothing that is written makes it worse."""
    known = asserting(*assertions, admins=admins, users=users)
    verdict = known.applied(base, admins + users, changes)
    let_through = [one for one in changes if not verdict.holds_change(one)]
    still = known.broken(verdict, admins + users, changes)

    assert len(still) <= len(verdict.red)
    for one in assertions:
        if "where" in one:
            step = -1 if "atLeast" in one else 1
            where = Where(tuple(one["where"].items()))
            number = known.people[where] + sum(where.step(found) for found in let_through)
            true = number >= one["atLeast"] if step == -1 else number <= one["atMost"]
            assert true or all(where.step(found) != step for found in let_through)
