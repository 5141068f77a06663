"""Which assertions a plan's outcome breaks."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.policy import Assertion
from sync_core.domain.model import Action, Change, Reason, Status
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.plan import ALLOWED

ANN, BEN = "a0000000-0000-4000-8000-00000000000a", "b0000000-0000-4000-8000-00000000000b"
ANN_IN = {"in": "Ann@contoso.com"}
HELD = Verdict(hold_removals=True, hold_creates=True, reasons=("too many",))


def change(action: Action, object_id: str = ANN, name: str = "ann@contoso.com") -> Change:
    reason = Reason.LEFT_SCOPE if action.is_removal else None
    return Change(action, object_id, name, reason=reason)


def asserting(*assertions: dict[str, Any]) -> Assertions:
    return Assertions([Assertion.model_validate(one) for one in assertions])


def broken(
    assertion: dict[str, Any],
    *changes: Change,
    stored: Status | None = None,
    active: int = 10,
    verdict: Verdict = ALLOWED,
) -> tuple[str, ...]:
    known = asserting(assertion)
    if stored is not None:
        known.stored(ANN, "ANN@contoso.com", stored, {})
    return tuple(known.broken(verdict, active, changes).values())


@pytest.mark.parametrize(
    ("stored", "changes", "verdict", "is_broken"),
    [
        pytest.param(Status.ACTIVE, [], ALLOWED, False, id="is in and stays"),
        pytest.param(Status.ACTIVE, [Action.UPDATE], ALLOWED, False, id="is changed"),
        pytest.param(Status.ACTIVE, [Action.DISABLE], ALLOWED, True, id="would go"),
        pytest.param(Status.ACTIVE, [Action.DELETE], ALLOWED, True, id="would be deleted"),
        pytest.param(Status.ACTIVE, [Action.DISABLE], HELD, False, id="waits for approval to go"),
        pytest.param(None, [Action.CREATE], ALLOWED, False, id="comes in"),
        pytest.param(None, [Action.CREATE], HELD, True, id="waits for approval to come in"),
        pytest.param(None, [], ALLOWED, True, id="nobody knows the name"),
        pytest.param(Status.DISABLED, [], ALLOWED, True, id="is disabled"),
        pytest.param(Status.DISABLED, [Action.REENABLE], ALLOWED, False, id="comes back"),
        pytest.param(Status.DISABLED, [Action.REENABLE], HELD, True, id="waits to come back"),
    ],
)
def test_somebody_is_in(
    stored: Status | None, changes: list[Action], verdict: Verdict, is_broken: bool
) -> None:
    found = broken(ANN_IN, *map(change, changes), stored=stored, verdict=verdict)

    assert bool(found) is is_broken


def test_why_somebody_is_not_in_is_told() -> None:
    [gone] = broken(ANN_IN, change(Action.DISABLE), stored=Status.ACTIVE)
    [unknown] = broken(ANN_IN)

    assert gone == "Ann@contoso.com is asserted to be in, and would be removed"
    assert unknown == "Ann@contoso.com is asserted to be in, and is not in"


def test_a_person_can_be_named_by_object_id() -> None:
    assert broken({"in": ANN.upper()}, change(Action.CREATE, ANN, "")) == ()
    assert broken({"in": ANN.upper()}, change(Action.CREATE, BEN, "")) != ()


@pytest.mark.parametrize(
    ("pattern", "name", "is_broken"),
    [
        pytest.param("svc-*", "SVC-backup@contoso.com", True, id="pattern"),
        pytest.param("svc-*", "asvc-backup@contoso.com", False, id="from the beginning"),
        pytest.param("*@fabrikam.com", "x@fabrikam.com", True, id="end"),
        pytest.param("*@fabrikam.com", "x@fabrikam.com.evil", False, id="to the end"),
        pytest.param("a.b@contoso.com", "aXb@contoso.com", False, id="a dot is a dot"),
        pytest.param("*admin**@*", "the.admin.7@contoso.com", True, id="several stars"),
        pytest.param("a*a@contoso.com", "a@contoso.com", False, id="no letter counts twice"),
        pytest.param("*a*b*", "ba@contoso.com", False, id="pieces in their order"),
        pytest.param("*ab*ab@*", "ab.ab@contoso.com", True, id="the last piece is the second"),
    ],
)
def test_a_name_that_is_never_in(pattern: str, name: str, is_broken: bool) -> None:
    found = broken({"never": pattern}, change(Action.CREATE, ANN, name))

    assert bool(found) is is_broken
    assert name not in str(found), "object ids only: it is kept with the run"


@given(st.lists(st.text("ab", max_size=3), min_size=2, max_size=5), st.text("ab", max_size=12))
def test_stars_stand_for_any_letters(pieces: list[str], name: str) -> None:
    pattern = "x" + "*".join(pieces)
    likewise = re.compile(".*".join(map(re.escape, pattern.split("*"))))

    found = broken({"never": pattern}, change(Action.CREATE, ANN, f"x{name}"))

    assert bool(found) is bool(likewise.fullmatch(f"x{name}"))


def test_many_stars_take_no_longer_than_one() -> None:
    """Before: 4 s for a name of 70 letters, and twice as long for every ten more."""
    pattern = "*a" * 7 + "*b"
    name = "a" * 70 + "@contoso.com"

    began = time.process_time()
    found = broken({"never": pattern}, change(Action.CREATE, ANN, name))

    assert (found, time.process_time() - began < 1) == ((), True)


def test_who_is_in_and_never_should_be_is_named_by_id_and_may_leave() -> None:
    test = {"never": "ann@*"}

    assert ANN in broken(test, stored=Status.ACTIVE)[0]
    assert broken(test, change(Action.DISABLE), stored=Status.ACTIVE) == ()
    assert broken(test, stored=Status.DISABLED) == ()
    many = [change(Action.CREATE, f"{n}0000000-0000-4000-8000-000000000000") for n in range(9)]
    assert broken(test, *many)[0].endswith("...)")


@pytest.mark.parametrize(
    ("assertion", "changes", "verdict", "is_broken"),
    [
        pytest.param({"atLeast": 10}, [], ALLOWED, False, id="as many"),
        pytest.param({"atLeast": 11}, [], ALLOWED, True, id="too few"),
        pytest.param({"atLeast": 10}, [Action.DISABLE], ALLOWED, True, id="one would go"),
        pytest.param({"atLeast": 10}, [Action.DISABLE], HELD, False, id="one waits to go"),
        pytest.param({"atLeast": 11}, [Action.REENABLE], ALLOWED, False, id="one comes back"),
        pytest.param({"atLeast": 10}, [Action.UPDATE], ALLOWED, False, id="nobody moves"),
        pytest.param({"atMost": 10}, [], ALLOWED, False, id="not more"),
        pytest.param({"atMost": 10}, [Action.CREATE], ALLOWED, True, id="one too many"),
        pytest.param({"atMost": 10}, [Action.CREATE], HELD, False, id="one waits to come"),
        pytest.param({"atMost": 10}, [Action.CREATE, Action.DELETE], ALLOWED, False, id="one each"),
    ],
)
def test_how_many_are_active(
    assertion: dict[str, int], changes: list[Action], verdict: Verdict, is_broken: bool
) -> None:
    assert bool(broken(assertion, *map(change, changes), verdict=verdict)) is is_broken


def test_a_removal_that_was_not_asked_for_does_not_happen() -> None:
    unasked = Change(Action.DISABLE, ANN, "ann@contoso.com")

    assert broken(ANN_IN, unasked, stored=Status.ACTIVE) == ()
    assert broken({"atLeast": 10}, unasked) == ()


def test_each_plan_is_judged_alone() -> None:
    known = asserting(ANN_IN, {"atLeast": 10})
    known.stored(ANN, "ann@contoso.com", Status.ACTIVE, {})
    first = known.broken(ALLOWED, 10, [change(Action.DISABLE)])

    assert (sorted(first), known.broken(ALLOWED, 10, [])) == ([0, 1], {})


@pytest.mark.parametrize(
    ("assertion", "action", "is_broken"),
    [
        pytest.param(ANN_IN, Action.DISABLE, True, id="asserted in, would go"),
        pytest.param(ANN_IN, Action.UPDATE, False, id="asserted in, stays"),
        pytest.param({"never": "ann@*"}, Action.CREATE, True, id="never in, would come"),
        pytest.param({"never": "ann@*"}, Action.DISABLE, False, id="never in, goes"),
        pytest.param({"in": "ben@contoso.com"}, Action.DISABLE, False, id="somebody else"),
        pytest.param({"atLeast": 10}, Action.DISABLE, False, id="how many is not known"),
    ],
)
def test_a_plan_of_one_person(assertion: dict[str, Any], action: Action, is_broken: bool) -> None:
    verdict = asserting(assertion).applied_to_few(ALLOWED, [change(action)])

    assert bool(verdict.broken) is is_broken
    assert verdict.breaches == ()


def test_a_broken_assertion_holds_everybody() -> None:
    assert ALLOWED.blocked(()) is ALLOWED
    blocked = HELD.blocked(("no",))
    assert (blocked.hold_removals, blocked.hold_creates) == (True, True)
    assert (blocked.reasons, blocked.broken) == (("too many",), ("no",))


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_name_can_be_a_pattern(pattern: str, name: str) -> None:
    """It never raises, and a pattern without a star is just that name."""
    known = Assertions([Assertion.model_construct(never=pattern)])
    found = bool(known.broken(ALLOWED, 0, [Change(Action.CREATE, ANN, name)]))

    if "*" not in pattern:
        assert found is (pattern.casefold() in {name.casefold(), ANN})


@pytest.mark.parametrize(("at_least", "verdict"), [(9, ALLOWED), (10, ALLOWED.blocked(("x",)))])
def test_a_broken_assertion_holds_all_coming_and_going(at_least: int, verdict: Verdict) -> None:
    known = asserting({"atLeast": at_least})

    found = known.applied(ALLOWED, 10, [change(Action.DISABLE)])

    assert [found.waits(action) for action in Action] == [
        verdict.waits(action) for action in Action
    ]


@pytest.mark.parametrize(
    ("stored", "written", "is_broken"),
    [
        (Status.ACTIVE, Action.DISABLE, True),
        (Status.DISABLED, Action.REENABLE, False),
        (None, Action.CREATE, False),
    ],
)
def test_what_was_written_is_known_to_the_next_run(
    stored: Status | None, written: Action, is_broken: bool
) -> None:
    """It is told whom each assertion names, and who of them is active, and reads no table."""
    before = asserting(ANN_IN)
    if stored is not None:
        before.stored(ANN, "ann@contoso.com", stored, {})
    before.written(change(written))
    before.written(change(Action.CREATE, BEN, "ben@contoso.com"))
    after = asserting(ANN_IN)
    after.recall(before.named, before.active)

    assert before.named == {0: [ANN]}
    assert bool(after.broken(ALLOWED, 10, [])) is is_broken


# --- people who were named, and all others known --------------------------------------------------

CREATE = change(Action.CREATE)


@pytest.mark.parametrize(
    ("assertion", "active", "held"),
    [
        pytest.param({"atMost": 10}, 9, False, id="room for one more"),
        pytest.param({"atMost": 10}, 10, True, id="one too many"),
        pytest.param({"atMost": 10}, 12, True, id="too many already, and one more"),
        pytest.param({"atLeast": 50}, 10, False, id="too few, and not by this"),
        pytest.param({"in": "ben@contoso.com"}, 10, False, id="somebody else is not in"),
        pytest.param({"in": "ann@contoso.com"}, 10, False, id="is in by this"),
        pytest.param({"never": "ann@*"}, 10, True, id="never"),
        pytest.param({"never": "ben@*"}, 10, False, id="never somebody else"),
    ],
)
def test_people_who_were_named_wait_for_what_they_would_break(
    assertion: dict[str, Any], active: int, held: bool
) -> None:
    verdict = asserting(assertion).applied_to_named(ALLOWED, active, [CREATE])

    assert verdict.holds_change(CREATE) is held
    assert bool(verdict.red) is held


def test_without_assertions_nobody_who_was_named_waits() -> None:
    assert asserting().applied_to_named(ALLOWED, 10, [CREATE]) is ALLOWED


def test_of_those_who_were_named_only_who_moves_a_number_waits() -> None:
    known = asserting({"atMost": 1, "where": {"role": "admin"}})
    known.stored(BEN, "ben@contoso.com", Status.ACTIVE, {"role": "admin"})
    admin = Change(Action.CREATE, ANN, "ann@contoso.com", values={"role": "admin"})
    other = Change(Action.CREATE, "c" + ANN[1:], "c@contoso.com", values={"role": "user"})
    verdict = known.applied_to_named(ALLOWED, 10, [admin, other])

    assert [verdict.holds_change(one) for one in (admin, other)] == [True, False]
