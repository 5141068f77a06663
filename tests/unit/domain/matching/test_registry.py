"""What stands in the table: which rows are free, whose values count, and what equals what."""

import pytest

from sync_core.domain.matching.registry import Row, comparable, parted
from tests.unit.builders import ANN, stored
from tests.unit.domain.matching.registries import BEN, CAT, FORMER, add, registry


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(" Ann@Contoso.com\t", "ann@contoso.com", id="blanks and case"),
        pytest.param("STRASSE", comparable("straße"), id="sharp s"),
        pytest.param("e\u0301va@x", "\u00e9va@x", id="composed letters"),
        pytest.param("a\u200bnn@x\u00a0", "ann@x", id="what cannot be seen"),
        pytest.param("\u200b", None, id="nothing that can be seen"),
        pytest.param("\u0345", comparable("\u03b9"), id="a letter that folds to another"),
        pytest.param(4711, "4711", id="number"),
        pytest.param(4711.0, "4711", id="number that came as a float"),
        pytest.param(1.5, "1.5", id="float"),
        pytest.param("", None, id="empty"),
        pytest.param(" \n", None, id="blank"),
        pytest.param(None, None, id="null"),
        pytest.param(True, None, id="true"),
        pytest.param(False, None, id="false"),
    ],
)
def test_what_equals_what(value: object, expected: str | None) -> None:
    assert comparable(value) == expected


def test_an_address_is_split_at_the_first_bar() -> None:
    assert parted("contoso-a|app|17") == ("contoso-a", "app|17")
    assert parted("nothing") == ("nothing", "")


def test_columns_are_those_that_are_read() -> None:
    assert registry().columns == (
        "email",
        "employeeId",
        "LinkedObjectId",
        "LinkedBy",
        "NoAutoLink",
        "UserPrincipalName",
    )


def test_a_row_of_the_application_is_found_by_its_values() -> None:
    known = registry()

    assert add(known, "app-17", email="Ann@x", employeeId=7)
    assert known.free_rows(0, "ann@x") == [Row("contoso-a", "app-17")]
    assert known.free_rows(1, "7") == [Row("contoso-a", "app-17")]
    assert known.free_rows(1, "8") == []
    assert known.row("contoso-a|app-17") == Row("contoso-a", "app-17")


def test_a_row_of_another_connection_is_not_free() -> None:
    known = registry()

    assert not add(known, ANN, ConnectionId="fabrikam", email="ann@x")
    assert known.free_rows(0, "ann@x") == known.rows_of(ANN) == []
    assert known.home(ANN) is None


def test_a_row_that_says_nothing_is_not_remembered() -> None:
    known = registry()

    assert add(known, "session-1", email=None)
    assert known.row("contoso-s|session-1") is None


def test_a_row_is_a_persons_by_its_key_in_any_case_or_by_its_mark() -> None:
    known = registry()
    add(known, ANN.upper(), digit="a")
    add(known, "app-1", LinkedObjectId=ANN.upper(), LinkedBy="email", email="ann@x")

    assert known.rows_of(ANN) == [
        Row("contoso-a", ANN.upper()),
        Row("contoso-a", "app-1", ANN, "email"),
    ]
    assert known.home(ANN) is None


def test_a_row_that_is_marked_for_one_person_is_nobody_elses() -> None:
    known = registry()
    add(known, BEN, LinkedObjectId=ANN, email="ben@x")

    assert known.rows_of(BEN) == known.free_rows(0, "ben@x") == []
    assert known.home(BEN) == Row("contoso-b", BEN, ANN)


@pytest.mark.parametrize(
    "columns", [{"email": "root@x"}, {"UserPrincipalName": "ROOT@x "}, {"employeeId": "root@x"}]
)
def test_a_row_is_protected_by_any_of_its_names(columns: dict[str, str]) -> None:
    known = registry(" Root@x")
    add(known, "app-1", None, "a", **({"email": "a@x"} | columns))

    row = known.row("contoso-a|app-1")
    assert row is not None
    assert row.is_protected


def test_a_row_is_protected_by_its_key_and_remembers_a_broken_link() -> None:
    known = registry("APP-1")
    add(known, "app-1", email="a@x", NoAutoLink=True)

    assert known.row("contoso-a|app-1") == Row(
        "contoso-a", "app-1", is_protected=True, is_unlinked=True
    )


def test_stored_people_own_their_values_former_ones_too() -> None:
    known = registry()
    add(known, ANN, stored(), email="x@x", employeeId=None)
    add(known, BEN, FORMER, email="X@x")

    assert known.owners(0, "x@x") == [ANN, BEN]
    assert (known.is_former(ANN), known.is_former(BEN)) == (False, True)
    assert known.row(f"contoso-b|{BEN}") == Row("contoso-b", BEN, is_former=True)
    assert known.row(f"contoso-a|{ANN}") is None
    assert known.row(f"contoso-c|{BEN}") is None


def test_a_former_person_who_was_replaced_owns_nothing_any_more() -> None:
    known = registry()
    add(known, BEN, FORMER, email="x@x", LinkedObjectId=CAT, LinkedBy="decision")

    assert known.owners(0, "x@x") == []
    assert known.rows_of(CAT) == [Row("contoso-b", BEN, CAT, "decision", is_former=True)]


def test_a_replaced_person_who_is_back_owns_the_values_again() -> None:
    known = registry()
    add(known, BEN, stored(), email="x@x", LinkedObjectId=CAT)

    assert known.owners(0, "x@x") == [BEN]
    assert known.rows_of(CAT) == []


def test_of_people_whom_the_run_changes_the_new_values_count() -> None:
    known = registry()
    add(known, ANN, stored(), email="old@x", employeeId="7")
    add(known, BEN, FORMER, email="back@x")
    known.move(ANN, {"email": "new@x"})
    known.move(BEN, {"email": None})

    assert known.owners(0, "old@x") == known.owners(0, "back@x") == []
    assert known.owners(0, "new@x") == [ANN]
    assert known.owners(1, "7") == [ANN]
    assert not known.is_former(BEN)


def test_somebody_who_leaves_is_a_former_person() -> None:
    known = registry()
    add(known, ANN, stored(), email="x@x")
    known.leave(ANN)

    assert known.owners(0, "x@x") == [ANN]
    assert known.row(f"contoso-a|{ANN}") == Row("contoso-a", ANN, is_former=True)
