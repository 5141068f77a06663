"""People whose value a clause names in other letters."""

import pytest

from sync_core.domain.documents.scope import Scope
from sync_core.domain.scope.other_letters import other_letters


def scope(attribute: str, operator: str, value: object = None) -> Scope:
    clause = {"attribute": attribute, "operator": operator, "value": value}
    return Scope.model_validate({"filters": [{"clauses": [clause]}]})


@pytest.mark.parametrize(
    ("operator", "value", "people"),
    [
        pytest.param("EQUALS", "sales", 2, id="equals"),
        pytest.param("NOT EQUALS", "sales", 2, id="not equals"),
        pytest.param("IN", ["sales", "legal"], 3, id="one of several"),
        pytest.param("IN", ["Sales", "SALES", "Legal"], 0, id="as it is written"),
        pytest.param("EQUALS", "sale", 0, id="another value"),
        pytest.param("INCLUDES", "ale", 1, id="a part of it"),
        pytest.param("INCLUDES", "leg", 1, id="the beginning of it"),
        pytest.param("INCLUDES", "x", 0, id="no part of it"),
    ],
)
def test_each_is_counted_once(operator: str, value: object, people: int) -> None:
    [found] = other_letters(scope("department", operator, value))
    for person in ("Sales", "SALES", "Legal", "sales ", None, 7, "IT"):
        for _ in range(2):
            found.see({"id": str(person), "department": person})

    assert found.people == people


def test_the_sentence_names_the_clause_and_how_it_is_written() -> None:
    [found] = other_letters(scope("department", "EQUALS", "sales"))
    for number in range(2203):
        found.see({"id": str(number), "department": "Sales"})
    [alone] = other_letters(scope("proxyAddresses", "ARRAYCONTAINS", ["smtp:a@x"]))
    alone.see({"id": "1", "proxyAddresses": ["SMTP:a@x", "smtp:b@x"]})

    assert found.sentence.startswith(
        "2,203 people have the value of scope.filters[0].clauses[0] (department EQUALS) in other "
        "letters: Sales."
    )
    assert alone.sentence.startswith("1 person has the value")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(scope("department", "STARTS WITH", "s"), id="compares in any case"),
        pytest.param(scope("department", "IS NULL"), id="without a value"),
        pytest.param(scope("employeeId", "EQUALS", 7), id="a number"),
        pytest.param(
            scope("groups", "ARRAYCONTAINS", ["9d0c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c90"]), id="groups"
        ),
    ],
)
def test_other_clauses_have_no_letters_to_compare(other: Scope) -> None:
    assert other_letters(other) == []
