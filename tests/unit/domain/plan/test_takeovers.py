"""What a preview says of rows that a deleted connection has left."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sync_core.domain.matching.takeover import Leftover, Standing
from sync_core.domain.model import Status
from sync_core.domain.plan.takeovers import PreviewTakeover, takeover_of, warning_of
from tests.unit.builders import stored

OLD = Leftover("t1", "old", datetime(2026, 3, 1, tzinfo=UTC))
PEOPLE = {
    "a1": stored(),
    "a2": stored(Status.DISABLED),
    "b1": stored(),
    "b2": stored(),
    "c1": stored(),
    "c2": stored(),
}


def told(leftover: Leftover = OLD, coming: str = "", here: str = "") -> PreviewTakeover:
    names = {"c2": "cat@contoso.com"}
    return takeover_of(
        leftover, "new", PEOPLE, names, coming=set(coming.split()), here=set(here.split())
    )


def test_those_come_first_who_have_two_rows_or_would() -> None:
    found = told(coming="c2 new", here="b2")

    assert (found.people, found.active, found.coming, found.here) == (6, 5, 1, 1)
    assert [one.object_id for one in found.sample] == ["b2", "c2", "a1", "a2", "b1"]
    assert [one.user_principal_name for one in found.sample[:2]] == ["", "cat@contoso.com"]


@pytest.mark.parametrize(
    ("coming", "here", "people", "sentence"),
    [
        ("a1", "", 1, "1 person of this connection stands in the table already"),
        ("a1", "", 1, "; 1 person would get a second row."),
        ("a1 a2", "b1", 3, "; 2 people would get a second row and 1 person has a second row."),
        ("", "a1 a2", 2, "; 2 people have a second row."),
    ],
)
def test_what_is_said_before_it_is_confirmed(
    coming: str, here: str, people: int, sentence: str
) -> None:
    warning = warning_of(told(coming=coming, here=here), "new")

    assert warning is not None
    assert (warning.code, warning.people) == ("people.ofDeletedConnection", people)
    assert sentence in warning.message
    assert "POST /api/connections/new/takeovers/old?reason=" in warning.message


@pytest.mark.parametrize(
    ("people", "sentence"), [(1, "1 row of the deleted"), (1200, "1,200 rows of the deleted")]
)
def test_what_is_said_once_it_is_confirmed(people: int, sentence: str) -> None:
    confirmed = told(replace(OLD, taker="new"))
    warning = warning_of(confirmed.model_copy(update={"people": people}), "new")

    assert confirmed.standing is Standing.CONFIRMED
    assert warning is not None
    assert (warning.code, warning.people) == ("takeover.confirmed", people)
    assert sentence in warning.message


def test_nothing_is_said_where_there_is_nothing_to_decide() -> None:
    assert warning_of(told(), "new") is None
    assert warning_of(told(replace(OLD, taker="third"), coming="a1"), "new") is None
