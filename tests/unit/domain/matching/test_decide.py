"""Who takes over which row, and who waits: one case a rule, and the promises as properties."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.compatibility import word
from sync_core.domain.matching.decide import (
    NAMED,
    Decision,
    DecisionKind,
    Ignored,
    Newcomer,
    Outcome,
    Wait,
    Why,
    create_problem,
    decide,
    explain,
    explain_link,
    keeps_out,
    link_problem,
    reason,
)
from sync_core.domain.matching.registry import Registry
from sync_core.domain.model import Link, Status, StoredPerson
from tests.unit.builders import ANN, stored
from tests.unit.domain.matching.registries import BEN, CAT, FORMER, add, registry

IGNORE, CREATE = Decision(DecisionKind.IGNORE), Decision(DecisionKind.CREATE)


def link_to(row: str) -> Decision:
    return Decision(DecisionKind.LINK, row)


def decided(
    known: Registry,
    *people: tuple[str, str | None, str | None] | tuple[str, str | None],
    decisions: Mapping[str, Decision] | None = None,
    complete: bool = True,
) -> dict[str, Outcome]:
    """Decide about newcomers, each an object id with e-mail and, if it matters, employee id."""
    newcomers = [
        Newcomer(
            one[0],
            known.values(dict(zip(("email", "employeeId"), (*one[1:], None), strict=False))),
        )
        for one in people
    ]
    return decide(newcomers, known, decisions or {}, complete=complete)


def waits(outcome: Outcome | None, why: Why) -> Wait:
    assert isinstance(outcome, Wait)
    assert outcome.why is why
    return outcome


# --- linked without asking ------------------------------------------------------------------------


def test_nobody_and_nothing_matches() -> None:
    known = registry()
    add(known, "app-1", email="other@x")

    assert decided(known, (ANN, "ann@x"), (BEN, None)) == {}


def test_one_row_and_one_person_are_linked_by_the_first_key_that_finds_anything() -> None:
    known = registry()
    add(known, "app-1", email="ann@x", employeeId="8")
    add(known, "app-2", email="else@x", employeeId="7")
    add(known, "app-3", email="else@x", employeeId="9")

    assert decided(known, (ANN, "Ann@x", "7"), (BEN, "ben@x", "9")) == {
        ANN: Link("contoso-a", "app-1", "email"),
        BEN: Link("contoso-a", "app-3", "employeeId"),
    }


def test_a_value_of_somebody_who_is_linked_by_another_key_is_contested() -> None:
    known = registry()
    add(known, "app-1", email="ann@x")
    add(known, "app-2", employeeId="7")

    outcomes = decided(known, (ANN, "ann@x", "7"), (BEN, "ben@x", "7"))
    assert outcomes[ANN] == Link("contoso-a", "app-1", "email")
    assert waits(outcomes[BEN], Why.SEVERAL_PEOPLE).people == (ANN,)


def test_the_row_at_the_persons_own_address_goes_before_all_keys() -> None:
    known = registry()
    add(known, ANN, email="old@x")
    add(known, "app-1", email="ann@x")

    assert decided(known, (ANN, "ann@x")) == {
        ANN: Link("contoso-a", ANN, "objectId", in_place=True)
    }


def test_a_row_that_a_killed_run_marked_is_found_again_with_its_key() -> None:
    known = registry()
    add(known, "app-1", LinkedObjectId=ANN, LinkedBy="email", email="ann@x", NoAutoLink=True)

    assert decided(known, (ANN, "changed@x")) == {ANN: Link("contoso-a", "app-1", "email")}


def test_a_row_whose_key_is_the_object_id_in_capitals_is_not_in_place() -> None:
    known = registry()
    add(known, ANN.upper(), digit="a")

    assert decided(known, (ANN, None)) == {ANN: Link("contoso-a", ANN.upper(), "objectId")}


def test_a_row_that_bears_anothers_object_id_is_not_taken_by_a_key() -> None:
    """Ben is who the row says he is, whatever address was Ann's before."""
    known = registry()
    add(known, BEN, email="ann@x")

    assert decided(known, (ANN, "ann@x"), (BEN, "ben@x")) == {
        BEN: Link("contoso-b", BEN, "objectId", in_place=True)
    }


def test_a_row_that_is_linked_already_finds_nobody_else() -> None:
    """An address that was given to somebody new makes no match with the row of who had it."""
    known = registry()
    add(known, "app-1", LinkedObjectId=BEN, email="ann@x")

    assert decided(known, (ANN, "ann@x")) == {}


# --- contested or ambiguous -----------------------------------------------------------------------


def test_several_rows_with_the_value() -> None:
    known = registry()
    add(known, "app-1", email="ann@x")
    add(known, "app-2", email="ANN@x")

    wait = waits(decided(known, (ANN, "ann@x"))[ANN], Why.SEVERAL_ROWS)
    assert (wait.key, wait.rows) == ("email", ("contoso-a|app-1", "contoso-a|app-2"))


def test_several_rows_with_the_object_id() -> None:
    known = registry()
    add(known, ANN)
    add(known, "app-1", LinkedObjectId=ANN)

    wait = waits(decided(known, (ANN, None))[ANN], Why.SEVERAL_ROWS)
    assert (wait.key, wait.rows) == ("objectId", (f"contoso-a|{ANN}", "contoso-a|app-1"))


@pytest.mark.parametrize("row", [True, False])
def test_two_newcomers_with_the_same_value_both_wait(row: bool) -> None:
    """With a row to win, or without one: which of them the address belongs to, nobody can tell."""
    known = registry()
    if row:
        add(known, "app-1", email="x@x")

    outcomes = decided(known, (ANN, "x@x"), (BEN, "X@x"))
    assert waits(outcomes[ANN], Why.SEVERAL_PEOPLE).people == (BEN,)
    assert waits(outcomes[BEN], Why.SEVERAL_PEOPLE).people == (ANN,)


def test_two_people_who_find_the_same_row_by_different_keys_both_wait() -> None:
    known = registry()
    add(known, "app-1", email="ann@x", employeeId="7")

    outcomes = decided(known, (ANN, "ann@x", None), (BEN, "ben@x", "7"))
    assert waits(outcomes[ANN], Why.SEVERAL_PEOPLE).people == (BEN,)
    assert waits(outcomes[BEN], Why.SEVERAL_PEOPLE).people == (ANN,)


@pytest.mark.parametrize(
    ("owner", "why", "former"),
    [
        pytest.param(stored(), Why.SAME_AS_ACTIVE, (), id="active"),
        pytest.param(FORMER, Why.SAME_AS_FORMER, (BEN,), id="re-hire"),
    ],
)
def test_the_value_of_a_stored_person_is_contested(
    owner: StoredPerson, why: Why, former: tuple[str, ...]
) -> None:
    known = registry()
    add(known, BEN, owner, email="x@x")
    add(known, "app-1", email="x@x")

    wait = waits(decided(known, (ANN, "x@x"))[ANN], why)
    assert (wait.rows, wait.people, wait.former) == (("contoso-a|app-1",), (BEN,), former)


def test_one_active_person_among_former_ones_is_said() -> None:
    known = registry()
    add(known, BEN, FORMER, email="x@x")
    add(known, CAT, stored(), email="x@x")

    wait = waits(decided(known, (ANN, "x@x"))[ANN], Why.SAME_AS_ACTIVE)
    assert (wait.people, wait.former) == ((BEN, CAT), (BEN,))


@pytest.mark.parametrize(("row_key", "email"), [(ANN, None), ("app-1", "root@x")])
def test_a_protected_row_is_never_taken_without_a_decision(row_key: str, email: str | None) -> None:
    known = registry("root@x", ANN)
    add(known, row_key, email=email)

    waits(decided(known, (ANN, "root@x"))[ANN], Why.PROTECTED_ROW)


def test_a_row_whose_link_was_broken_waits() -> None:
    known = registry()
    add(known, "app-1", email="ann@x", NoAutoLink=True)

    waits(decided(known, (ANN, "ann@x"))[ANN], Why.LINK_BROKEN)


def test_a_row_at_the_own_address_that_is_linked_to_another_person() -> None:
    known = registry()
    add(known, ANN, LinkedObjectId=BEN)

    wait = waits(decided(known, (ANN, "ann@x"))[ANN], Why.ROW_TAKEN)
    assert (wait.rows, wait.people) == ((f"contoso-a|{ANN}",), (BEN,))


def test_where_not_everybody_was_read_no_key_links() -> None:
    """Somebody who was not read could claim the same row; an object id leaves no doubt."""
    known = registry()
    add(known, "app-1", email="ann@x")
    add(known, BEN)
    people: Any = [(ANN, "ann@x"), (BEN, None), (CAT, "cat@x")]

    outcomes = decided(known, *people, complete=False)
    waits(outcomes.pop(ANN), Why.READING_INCOMPLETE)
    assert outcomes == {BEN: Link("contoso-b", BEN, "objectId", in_place=True)}


def test_of_very_many_a_few_are_named() -> None:
    known = registry()
    people = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3 * NAMED)]
    for number in range(3 * NAMED):
        add(known, f"app-{number:02}", email="sales")

    outcomes = decided(known, *((one, "sales") for one in people))
    assert len(outcomes) == len(people)
    for object_id in people:
        wait = waits(outcomes[object_id], Why.SEVERAL_PEOPLE)
        assert len(wait.rows) == len(wait.people) == NAMED
        assert object_id not in wait.people


# --- decisions ------------------------------------------------------------------------------------


def test_a_decided_row_is_linked_and_nobody_elses() -> None:
    known = registry()
    add(known, "app-1", email="x@x")

    outcomes = decided(
        known, (ANN, "ann@x"), (BEN, "x@x"), decisions={ANN: link_to("contoso-a|app-1")}
    )
    assert outcomes == {ANN: Link("contoso-a", "app-1", "decision")}


def test_a_former_persons_row_is_linked_by_decision() -> None:
    known = registry()
    add(known, BEN, FORMER, email="x@x")

    outcomes = decided(known, (ANN, "x@x"), decisions={ANN: link_to(f"contoso-b|{BEN}")})
    assert outcomes == {ANN: Link("contoso-b", BEN, "decision", former=True)}


def test_who_is_created_by_decision_takes_nothing_and_keeps_the_value() -> None:
    known = registry()
    add(known, "app-1", email="x@x")

    outcomes = decided(known, (ANN, "x@x"), (BEN, "x@x"), decisions={ANN: CREATE})
    assert waits(outcomes.pop(BEN), Why.SEVERAL_PEOPLE).people == (ANN,)
    assert outcomes == {}


def test_who_is_ignored_stands_in_nobodys_way() -> None:
    known = registry()
    add(known, "app-1", email="x@x")

    outcomes = decided(known, (ANN, "x@x"), (BEN, "x@x"), decisions={BEN: IGNORE})
    assert outcomes == {ANN: Link("contoso-a", "app-1", "email"), BEN: Ignored()}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("contoso-a|gone", "there is no row", id="gone"),
        pytest.param("contoso-a|taken", f"is linked to {CAT}", id="taken"),
        pytest.param(f"contoso-c|{CAT}", "belongs to an active person", id="active"),
        pytest.param(f"contoso-b|{BEN}", "bears the object id of another person", id="another's"),
    ],
)
def test_a_stale_decision_waits_with_what_would_be_found_now(address: str, said: str) -> None:
    known = registry()
    add(known, "taken", digit="a", email="t@x", LinkedObjectId=CAT)
    add(known, CAT, stored())
    add(known, BEN)
    add(known, "app-1", email="ann@x")

    outcomes = decided(known, (ANN, "ann@x"), (BEN, None), decisions={ANN: link_to(address)})
    wait = waits(outcomes[ANN], Why.DECISION_STALE)
    assert said in wait.stale
    assert wait.rows == ("contoso-a|app-1",)


def test_a_stale_decision_waits_with_its_old_reason_or_with_none() -> None:
    known = registry()
    add(known, "app-1", email="ann@x")
    add(known, "app-2", email="ann@x")
    gone = link_to("contoso-a|gone")

    outcomes = decided(known, (ANN, "ann@x"), (BEN, None), decisions={ANN: gone, BEN: gone})
    assert len(waits(outcomes[ANN], Why.DECISION_STALE).rows) == 2
    assert waits(outcomes[BEN], Why.DECISION_STALE).key == "decision"


def test_one_row_for_two_people_is_refused_to_both() -> None:
    known = registry()
    add(known, "app-1", email="z@x")
    both = link_to("contoso-a|app-1")

    outcomes = decided(known, (ANN, "a@x"), (BEN, "b@x"), decisions={ANN: both, BEN: both})
    for object_id in (ANN, BEN):
        assert "given to 2 people" in waits(outcomes[object_id], Why.DECISION_STALE).stale


@pytest.mark.parametrize("decision", [CREATE, link_to("contoso-a|app-1")])
def test_a_row_at_the_own_address_leaves_no_other_choice(decision: Decision) -> None:
    known = registry(ANN)
    add(known, ANN)
    add(known, "app-1", email="ann@x")

    outcomes = decided(known, (ANN, "ann@x"), decisions={ANN: decision})
    assert "own address" in waits(outcomes[ANN], Why.DECISION_STALE).stale
    at_home = decided(known, (ANN, None), decisions={ANN: link_to(f"contoso-a|{ANN}")})
    assert at_home == {ANN: Link("contoso-a", ANN, "decision", in_place=True)}


def test_what_can_be_decided_can_be_asked_before() -> None:
    known = registry()
    add(known, "app-1", email="x@x", LinkedObjectId=ANN)

    assert link_problem(known, ANN, "contoso-a|app-1") is None
    assert link_problem(known, BEN, "contoso-a|app-1") is not None
    assert create_problem(known, ANN) is None


# --- in words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "how", "said"),
    [
        pytest.param(None, "none", "Nothing in the table matched", id="none"),
        pytest.param(Ignored(), "ignored", "leave this person out", id="ignored"),
        pytest.param(Link("p-a", "r", "email"), "key", "by email to the row p-a|r.", id="key"),
        pytest.param(Link("p-a", "r", "objectId"), "objectId", "by the object id", id="object id"),
        pytest.param(
            Link("p-a", "r", "decision", former=True), "decision", "a re-hire", id="re-hire"
        ),
        pytest.param(Wait(Why.SEVERAL_ROWS, "email"), "waiting", "same email", id="wait"),
        pytest.param(
            Wait(Why.ROW_TAKEN, "objectId", ("p-a|r",)), "waiting", "same object id", id="one row"
        ),
        pytest.param(
            Wait(Why.DECISION_STALE, "email", stale="gone"), "waiting", "out: gone", id="stale"
        ),
    ],
)
def test_every_outcome_is_explained(outcome: Outcome | None, how: str, said: str) -> None:
    explanation = explain(outcome)

    assert explanation.how == how
    assert said in explanation.message


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (None, None),
        (Link("p-a", "r", "email"), None),
        (Ignored(), "a decision leaves the person out"),
        (Wait(Why.SEVERAL_ROWS, "email"), "waits for a decision"),
        (Wait(Why.READING_INCOMPLETE, "email"), "a run that reads everybody"),
    ],
)
def test_what_keeps_somebody_out_is_said(outcome: Outcome | None, said: str | None) -> None:
    found = keeps_out(outcome)
    assert (found is None) if said is None else (found is not None and said in found)


def test_a_stored_link_is_explained_from_its_columns() -> None:
    assert explain_link("p-a|r|1", "email") == explain(Link("p-a", "r|1", "email"))


@pytest.mark.parametrize("why", sorted(set(Why) - {Why.DECISION_STALE}))
def test_every_reason_names_the_key_and_no_value(why: Why) -> None:
    assert "employeeId" in reason(Wait(why, "employeeId", ("contoso-a|app-1",)))


def test_the_reason_of_another_release_is_told_by_its_own_word() -> None:
    wait = Wait(word(Why, "tooYoung"), "objectId")

    assert reason(wait) == "another release of the app found tooYoung at the object id"


# --- promises -------------------------------------------------------------------------------------

IDS = [f"{digit}0000000-0000-4000-8000-000000000000" for digit in "abcd"]
SOME = st.sampled_from([None, "", "x", "X ", "y"])
KEYED = {"email": SOME, "employeeId": SOME}
FREE = st.fixed_dictionaries(
    {
        "RowKey": st.sampled_from(["app-1", "app-2", "app-3", *IDS, *(one.upper() for one in IDS)]),
        **KEYED,
        "LinkedObjectId": st.sampled_from(["", "", "", *IDS, ANN]),
        "NoAutoLink": st.sampled_from([None, None, True]),
    }
)
OWNED = st.fixed_dictionaries(
    {
        "RowKey": st.sampled_from([BEN, CAT]),
        **KEYED,
        "LinkedObjectId": st.sampled_from(["", "", *IDS]),
        "ConnectionId": st.just("contoso"),
    }
)
TABLES = st.tuples(
    st.lists(
        st.tuples(st.sampled_from("abcd"), FREE),
        max_size=6,
        unique_by=lambda one: (one[0], one[1]["RowKey"]),
    ),
    st.lists(
        st.tuples(OWNED, st.sampled_from([Status.ACTIVE, Status.DISABLED])),
        max_size=2,
        unique_by=lambda one: one[0]["RowKey"],
    ),
)
PEOPLE = st.lists(
    st.builds(Newcomer, st.sampled_from(IDS), st.tuples(*[st.sampled_from([None, "x", "y"])] * 2)),
    max_size=4,
    unique_by=lambda one: one.object_id,
)
ROWS = st.sampled_from(
    [f"contoso-{digit}|{key}" for digit in "abcd" for key in ("app-1", "app-2", *IDS, BEN, CAT)]
)
DECISIONS = st.dictionaries(
    st.sampled_from(IDS), st.sampled_from([CREATE, IGNORE]) | st.builds(link_to, ROWS), max_size=3
)
Table = tuple[list[tuple[str, dict[str, Any]]], list[tuple[dict[str, Any], Status]]]


def filled(table: Table, *, backwards: bool = False) -> Registry:
    known = registry("protected")
    rows: list[tuple[str, dict[str, Any], StoredPerson | None]] = [
        (f"contoso-{digit}", row, None) for digit, row in table[0]
    ]
    rows += [(f"contoso-{row['RowKey'][0]}", row, stored(status)) for row, status in table[1]]
    for partition, row, owned in reversed(rows) if backwards else rows:
        known.add(partition, row, owned)
    return known


@given(TABLES, PEOPLE, DECISIONS, st.booleans())
def test_the_order_of_reading_does_not_matter(
    table: Table, people: list[Newcomer], decisions: dict[str, Decision], complete: bool
) -> None:
    one = decide(people, filled(table), decisions, complete=complete)
    other = decide(people[::-1], filled(table, backwards=True), decisions, complete=complete)

    assert one == other


@given(TABLES, PEOPLE, DECISIONS)
def test_no_row_goes_to_two_people_and_none_that_is_somebody_elses(
    table: Table, people: list[Newcomer], decisions: dict[str, Decision]
) -> None:
    outcomes = decide(people, filled(table), decisions, complete=True)

    links = {oid: one for oid, one in outcomes.items() if isinstance(one, Link)}
    assert len({one.address for one in links.values()}) == len(links)
    marks = {f"contoso-{digit}|{row['RowKey']}": row["LinkedObjectId"] for digit, row in table[0]}
    owned = {f"contoso-{row['RowKey'][0]}|{row['RowKey']}": status for row, status in table[1]}
    for object_id, link in links.items():
        assert marks.get(link.address, "") in {"", object_id}
        assert owned.get(link.address) in {None, Status.DISABLED}
        assert link.former == (link.address in owned)


@given(TABLES, PEOPLE, DECISIONS)
def test_nobody_is_written_over_a_row_that_stands_there(
    table: Table, people: list[Newcomer], decisions: dict[str, Decision]
) -> None:
    """Who has a free row at the own address is linked to it, waits, or is left out."""
    known = filled(table)
    outcomes = decide(people, known, decisions, complete=True)

    for one in people:
        if known.home(one.object_id) is not None:
            outcome = outcomes.get(one.object_id)
            assert not isinstance(outcome, Link) or outcome.in_place
            assert outcome is not None


@given(TABLES, PEOPLE)
def test_without_a_decision_a_key_links_only_where_nobody_else_has_the_value(
    table: Table, people: list[Newcomer]
) -> None:
    outcomes = decide(people, filled(table), {}, complete=True)
    known = filled(table)

    for one in people:
        outcome = outcomes.get(one.object_id)
        if isinstance(outcome, Link) and outcome.by in known.keys:
            number = known.keys.index(outcome.by)
            value = one.values[number]
            marked = {row.address for row in known.rows_of(one.object_id)}
            if outcome.address not in marked:
                assert value is not None
                assert known.owners(number, value) == []
                assert [p.object_id for p in people if p.values[number] == value] == [one.object_id]
