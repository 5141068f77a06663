"""The trace tells how a value came about, step by step, and keeps to itself what is redacted."""

import json

import pytest

from sync_core.domain.expressions import Context, EvaluationError, evaluate_with_trace, parse
from tests.unit.domain.expressions.evaluation import NOW, evaluate

CONTEXT = Context(now=NOW)


def trace_of(text: str, attributes: dict[str, object]) -> dict[str, object]:
    value, trace = evaluate_with_trace(parse(text), attributes, CONTEXT)

    assert value == evaluate(text, attributes)
    json.dumps(trace)
    return trace


def test_steps_that_were_taken() -> None:
    trace = trace_of(
        'IIF([country] = "USA", ToUpper([city]), [office])', {"country": "USA", "city": "X"}
    )

    assert trace == {
        "expression": 'IIF([country] = "USA", ToUpper([city]), [office])',
        "value": "X",
        "parts": [
            {
                "expression": '[country] = "USA"',
                "value": True,
                "parts": [{"expression": "[country]", "value": "USA"}],
            },
            {
                "expression": "ToUpper([city])",
                "value": "X",
                "parts": [{"expression": "[city]", "value": "X"}],
            },
        ],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("IgnoreAttributeFlow", {"$ignore": "attribute"}, id="attribute"),
        pytest.param("IgnoreObjectFlow", {"$ignore": "object"}, id="person"),
        pytest.param("Now()", "7/2/2021 3:33:38 PM", id="date"),
        pytest.param('"a"', "a", id="constant"),
        pytest.param("[mail]", None, id="null"),
        pytest.param("[list]", ["a", "b"], id="list"),
        pytest.param("[long]", "x" * 500 + "...", id="long text"),
    ],
)
def test_value_in_the_trace(text: str, value: object) -> None:
    trace = trace_of(text, {"list": ["a", "b"], "long": "x" * 501})

    assert trace == {"expression": text, "value": value}


def test_long_expressions_are_shortened() -> None:
    trace = trace_of(f'Append([a], "{"x" * 600}")', {"a": "a"})

    assert len(str(trace["expression"])) == 503


@pytest.mark.parametrize(
    "text", ["Redact([a])", 'Redact([a]) & "b"', 'IIF(Redact([a]) = "s", 1, 2)']
)
def test_redacted_values_are_hidden(text: str) -> None:
    trace = trace_of(text, {"a": "secret"})

    assert trace["value"] == "[Redact]"
    assert "secret" not in json.dumps(trace)


def test_a_failure_ends_the_trace_where_it_happened() -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate_with_trace(parse('Join(",", [a], Item([b], 9))'), {"a": "x", "b": ["y"]}, CONTEXT)

    error = {
        "code": "evaluation.outOfBounds",
        "message": "There is no value number 9 in a list of 1",
    }
    assert caught.value.trace == {
        "expression": 'Join(",", [a], Item([b], 9))',
        "error": error,
        "parts": [
            {"expression": "[a]", "value": "x"},
            {
                "expression": "Item([b], 9)",
                "error": error,
                "parts": [{"expression": "[b]", "value": ["y"]}],
            },
        ],
    }


def test_a_failure_without_a_trace_has_none() -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate("Item([b], 9)", {"b": ["y"]})

    assert caught.value.trace is None


def test_generated_values_are_the_same_in_the_trace() -> None:
    trace = trace_of('Join(" ", Guid(), Guid(), RandomString(8, 1, 1, 1, 1))', {"id": "1"})

    assert len(str(trace["value"]).split()) == 3
