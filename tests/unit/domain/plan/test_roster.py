"""Which managers can be referred to: the same answer in any order, and only people with a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import Action, Change
from sync_core.domain.plan.roster import Doubt, EitherWay, Outcome, Roster

NOBODY: frozenset[str] = frozenset()
COMES = Change(Action.CREATE, "someone")
FAILS = RecordRejected("record.expressionFailed", "no")


def roster(*stored: str, **changes: Any) -> Roster:
    settings: dict[str, Any] = {"may_delete": False, "may_hold": False}
    return Roster(set(stored), **(settings | changes))


def later(
    object_id: str, manager: str, inside: Outcome = COMES, outside: Outcome = COMES
) -> EitherWay:
    return EitherWay(object_id, manager, inside, outside)


# --- who is certain -------------------------------------------------------------------------------


def test_whoever_is_stored_is_certain_as_no_row_is_ever_deleted() -> None:
    assert roster("m").is_certain("m", {"m"})


def test_whoever_may_be_deleted_is_certain_once_found_in_scope() -> None:
    deleting = roster("m", may_delete=True)

    assert not deleting.is_certain("m", {"m"})
    assert deleting.is_certain("m", NOBODY)


def test_a_newcomer_is_certain_once_decided() -> None:
    growing = roster()
    assert not growing.is_certain("new", NOBODY)

    growing.note("new", COMES)

    assert growing.is_certain("new", NOBODY)


def test_a_newcomer_is_not_certain_when_newcomers_may_be_held() -> None:
    growing = roster(may_hold=True)
    growing.note("new", COMES)

    assert not growing.is_certain("new", NOBODY)


@pytest.mark.parametrize("outcome", [None, FAILS], ids=["skipped", "rejected"])
def test_whoever_is_not_created_is_not_referred_to(outcome: Outcome) -> None:
    growing = roster()
    growing.note("new", outcome)

    growing.close()

    assert not growing.has_row("new")


def test_a_rejected_change_takes_no_row_away() -> None:
    kept = roster("m")
    kept.note("m", FAILS)
    kept.note_either_way(later("m", "x", FAILS, FAILS))

    kept.close()

    assert kept.has_row("m")
    assert kept.newcomers == set()


def test_who_is_deleted_or_held_is_not_referred_to() -> None:
    judged = roster("stays", "goes", may_delete=True, may_hold=True)
    judged.note("new", COMES)
    judged.note_either_way(later("newer", "new"))
    judged.note_either_way(later("doubtful", "stays", COMES, FAILS))

    judged.lose({"goes"})
    judged.hold()
    judged.close()

    assert len(judged.newcomers) == 2
    assert [judged.has_row(one) for one in ("stays", "goes", "new", "newer", "doubtful")] == [
        True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("settings", "is_open"), [
    ({}, False), ({"may_delete": True}, True), ({"may_hold": True}, True),
])  # fmt: skip
def test_the_guard_matters_for_deletions_and_held_newcomers(
    settings: dict[str, bool], is_open: bool
) -> None:
    assert roster(**settings).is_open is is_open


# --- chains and circles of people who need, or shun, a manager who is in --------------------------


def settled(stored: Sequence[str], *people: EitherWay) -> Roster:
    closed = roster(*stored)
    for either_way in people:
        closed.note_either_way(either_way)
    closed.close()
    return closed


def needs(object_id: str, manager: str) -> EitherWay:
    return later(object_id, manager, COMES, FAILS)


def shuns(object_id: str, manager: str) -> EitherWay:
    return later(object_id, manager, FAILS, COMES)


def comes(closed: Roster, *people: EitherWay) -> dict[str, bool]:
    return {one.object_id: isinstance(closed.choose(one), Change) for one in people}


@pytest.mark.parametrize(("stored", "come"), [(["chief"], True), ([], False)])
def test_a_chain_follows_its_upper_end(stored: list[str], come: bool) -> None:
    people = [needs("c", "b"), needs("a", "chief"), needs("b", "a")]

    assert comes(settled(stored, *people), *people) == dict.fromkeys("cab", come)


def test_who_shuns_a_manager_comes_with_one_who_stays_out() -> None:
    people = [shuns("b", "a"), needs("a", "nobody"), needs("c", "b")]

    assert comes(settled([], *people), *people) == {"b": True, "a": False, "c": True}


def test_people_who_need_each_other_come_together() -> None:
    people = [needs("a", "b"), needs("b", "c"), needs("c", "a"), needs("below", "c")]

    assert set(comes(settled([], *people), *people).values()) == {True}


def test_of_two_who_shun_each_other_one_comes() -> None:
    people = [shuns("b", "a"), shuns("a", "b")]

    assert comes(settled([], *people), *people) == {"a": True, "b": False}


def test_a_contradiction_stays_out() -> None:
    """Somebody who comes in only if not in: neither answer would be right, so nothing is written."""
    people = [shuns("a", "a"), needs("b", "a"), shuns("c", "a")]

    closed = settled([], *people)

    assert comes(closed, *people) == {"a": False, "b": False, "c": True}
    assert not closed.has_row("a")


def test_a_doubt_says_what_it_depends_on() -> None:
    assert Doubt("m", needs_manager=True).comes(manager_comes=True)
    assert not Doubt("m", needs_manager=True).comes(manager_comes=False)
    assert Doubt("m", needs_manager=False).comes(manager_comes=False)


NAMES = st.sampled_from("abcdefgh")
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from([COMES, FAILS, None])
PEOPLE = st.lists(
    st.builds(EitherWay, NAMES, NAMES, OUTCOMES, OUTCOMES),
    unique_by=lambda one: one.object_id,
    max_size=8,
)


@given(PEOPLE, st.sets(NAMES), st.randoms())
def test_order_does_not_matter_and_references_lead_somewhere(
    people: list[EitherWay], stored: set[str], random: Any
) -> None:
    first, one_answer = run(people, stored)
    random.shuffle(people)
    _, other_answer = run(people, stored)

    assert one_answer == other_answer
    for one in people:
        outcome = one_answer[one.object_id]
        is_new = one.object_id not in stored
        assert first.has_row(one.object_id) is (not is_new or isinstance(outcome, Change))
        if is_new and not isinstance(outcome, Change):
            continue
        expected = one.inside if first.has_row(one.manager) else one.outside
        assert outcome is expected


def run(people: Sequence[EitherWay], stored: set[str]) -> tuple[Roster, Mapping[str, Outcome]]:
    """Decide as a run does: at once where the manager is certain, later where not."""
    judged = roster(*stored)
    outcomes: dict[str, Outcome] = {}
    waiting = []
    for one in people:
        if judged.is_certain(one.manager, NOBODY):
            outcomes[one.object_id] = one.inside
            judged.note(one.object_id, one.inside)
        else:
            judged.note_either_way(one)
            waiting.append(one)
    judged.close()
    return judged, outcomes | {one.object_id: judged.choose(one) for one in waiting}


def test_who_waits_for_a_match_has_no_row() -> None:
    def coming(object_id: str) -> Change:
        return Change(Action.CREATE, object_id)

    roster = Roster(stored={"s"}, may_delete=False, may_hold=True)
    roster.note("waits", coming("waits"))
    roster.note("comes", coming("comes"))
    roster.note_either_way(EitherWay("doubtful", "waits", coming("doubtful"), None))
    roster.keep_out({"waits", "doubtful", "s"})
    roster.close()

    assert roster.newcomers == set()
    assert [roster.has_row(one) for one in ("waits", "doubtful", "comes", "s")] == [
        False,
        False,
        True,
        True,
    ]
