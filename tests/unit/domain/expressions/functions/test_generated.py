"""Values that look random are the same in every run: a mapping must not change people by itself."""

import re
from collections import Counter

import pytest

from sync_core.domain.expressions import IGNORE_OBJECT, EvaluationError
from sync_core.domain.expressions.functions.generated import CAPITALS, DIGITS, LOWER_CASE, SPECIAL
from tests.unit.domain.expressions.evaluation import evaluate

ANN = {"id": "d05e47b1-3909-445a-ba5e-ca60cbc0e4b4"}
BOB = {"id": "00aa00aa-bb11-cc22-dd33-44ee44ee44ee"}


def kinds(text: str) -> Counter[str]:
    return Counter(
        kind
        for character in text
        for kind, characters in {
            "digit": DIGITS,
            "special": SPECIAL,
            "capital": CAPITALS,
            "lower": LOWER_CASE,
        }.items()
        if character in characters
    )


@pytest.mark.parametrize("expression", ["Guid()", "RandomString(20, 5, 5, 5, 5)"])
def test_same_person_same_value(expression: str) -> None:
    assert evaluate(expression, ANN) == evaluate(expression, ANN)
    assert evaluate(expression, ANN) != evaluate(expression, BOB)
    assert evaluate(expression, ANN) != evaluate(f"Trim({expression})", ANN)


def test_two_calls_in_one_expression_differ() -> None:
    first, second = str(evaluate('Join(" ", Guid(), Guid())', ANN)).split()

    assert first != second


def test_guid_has_the_shape_of_one() -> None:
    value = evaluate("Guid()", ANN)

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(value))


def test_guid_serves_the_guides_expressions() -> None:
    value = evaluate(
        'ToUpper(Replace(ConvertToBase64(Guid()), , "(.*?)(?<id>[a-zA-Z]{4})(.*)", , "D${id}", ,))',
        ANN,
    )

    assert re.fullmatch(r"D[A-Z]{4}", str(value))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("RandomString(6,3,0,0,3)", {"digit": 3, "lower": 3}, id="exactly the minima"),
        pytest.param("RandomString(8,8,0,0,0)", {"digit": 8}, id="one kind"),
        pytest.param("RandomString(0,0,0,0,0)", {}, id="nothing"),
    ],
)
def test_random_string_of_certain_kinds(expression: str, expected: dict[str, int]) -> None:
    assert kinds(str(evaluate(expression, ANN))) == expected


def test_random_string_fills_up_with_the_kinds_it_has() -> None:
    value = str(evaluate('RandomString(10,2,2,2,1,"?,")', ANN))

    assert len(value) == 10
    assert kinds(value) >= Counter(digit=2, special=2, capital=2, lower=1)
    assert not set("?,") & set(value)


def test_random_string_of_any_kind() -> None:
    value = str(evaluate("RandomString(256,0,0,0,0)", ANN))

    assert len(value) == 256
    assert set(kinds(value)) == {"digit", "special", "capital", "lower"}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("257,0,0,0,0", id="too long"),
        pytest.param("3,1,1,1,1", id="less than the minima"),
        pytest.param("5,-1,1,1,1", id="negative minimum"),
        pytest.param("-1,0,0,0,0", id="negative length"),
        pytest.param('5,1,0,0,0,"0123456789"', id="nothing left of a kind"),
    ],
)
def test_random_string_that_cannot_be(arguments: str) -> None:
    with pytest.raises(EvaluationError, match="RandomString") as caught:
        evaluate(f"RandomString({arguments})", ANN)

    assert caught.value.code == "evaluation.outOfBounds"


def test_unique_value_passes_a_signal_on() -> None:
    assert evaluate("SelectUniqueValue(IgnoreObjectFlow, [id])", ANN) is IGNORE_OBJECT


def test_unique_value_skips_rules_without_a_value() -> None:
    assert evaluate('SelectUniqueValue([mail], "", [id])', ANN) == ANN["id"]
