"""The trace tells how a value came about, step by step, and keeps to itself what is redacted."""

import json

import pytest

from sync_core.domain.expressions import Context, EvaluationError, evaluate_with_trace, parse
from sync_core.domain.expressions.trace import MAX_TRACE
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


DEEP: object = "x"
for _ in range(300):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["abcd"] * 10_000, id="many texts"),
        pytest.param(["x" * 100_000] * 10, id="long texts"),
        pytest.param([["a"] * 1000] * 1000, id="lists of lists"),
        pytest.param({f"name{number}": "value" for number in range(10_000)}, id="many fields"),
        pytest.param({"a": {"b": ["x" * 100_000]}}, id="a long text deep inside"),
        pytest.param([2**900] * 1000, id="large numbers"),
        pytest.param(DEEP, id="deep"),
    ],
)
def test_of_a_large_value_the_beginning_is_shown(value: object) -> None:
    _, trace = evaluate_with_trace(parse("[a]"), {"a": value}, CONTEXT)

    assert len(json.dumps(trace)) < 2_000
    assert "..." in json.dumps(trace)


def test_a_trace_has_a_budget_whatever_is_traced() -> None:
    """Before: 1,200 times one list of 0.8 MB were a trace of 966 MB."""
    text = f"Coalesce({', '.join(['IIF(IsNull([a]), [a], [b])'] * 300)})"

    _, trace = evaluate_with_trace(parse(text), {"a": ["abcd"] * 5_000, "b": None}, CONTEXT)

    assert len(json.dumps(trace)) < 2 * MAX_TRACE
    assert trace["parts"][0]["parts"][0]["expression"] == "IsNull([a])"
    assert trace["parts"][-1]["expression"] == "..."


def test_what_is_redacted_is_hidden_beyond_the_budget_as_well() -> None:
    text = f'Join("", {", ".join(["Left([a], 0)"] * 500)}, Redact([b]))'

    _, trace = evaluate_with_trace(parse(text), {"a": "x" * 500, "b": "secret"}, CONTEXT)

    assert trace["parts"][-1] == {"expression": "...", "value": "[Redact]"}
    assert "secret" not in json.dumps(trace)


def test_a_trace_goes_on_only_while_there_is_time() -> None:
    def over() -> None:
        raise EvaluationError("evaluation.outOfTime", "It takes too long")

    with pytest.raises(EvaluationError, match="too long"):
        evaluate_with_trace(parse("ToUpper([a])"), {}, Context(now=NOW, in_time=over))


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
        pytest.param("[object]", {"b": [1, {"c": True}], "a": None}, id="object"),
        pytest.param(
            "&HFFFFFFFFFFFFFFFFFF", "a number of 72 bits", id="a number no JSON reader knows"
        ),
    ],
)
def test_value_in_the_trace(text: str, value: object) -> None:
    person: dict[str, object] = {
        "list": ["a", "b"],
        "long": "x" * 501,
        "object": {"b": [1, {"c": True}], "a": None},
    }
    trace = trace_of(text, person)

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
