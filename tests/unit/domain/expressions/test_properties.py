"""What holds for every expression and every person, whatever they are.

The expressions are made up from the registry, so a new function is tested the day it is written.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.expressions import (
    FUNCTIONS,
    Context,
    EvaluationError,
    Expression,
    Function,
    evaluate_with_trace,
    parse,
)
from sync_core.domain.expressions.nodes import Node
from tests.unit.builders import examples
from tests.unit.domain.expressions.strategies import (
    CONTEXTS,
    EXPRESSIONS,
    JSON,
    NODES,
    PEOPLE,
    refusal,
)

LATER = datetime(2030, 1, 1, tzinfo=UTC)


@given(NODES)
def test_printing_and_parsing_is_the_identity(node: Node) -> None:
    expression = Expression(node)
    text = expression.print()

    refused = refusal(text)

    if refused:
        assert refused.code != "expression.syntax"
    else:
        assert parse(text) == expression
        assert parse(text).print() == text


@examples(2)
@given(EXPRESSIONS, PEOPLE, CONTEXTS)
def test_the_canonical_text_gives_the_same_for_everybody(
    expression: Expression, person: dict[str, object], context: Context
) -> None:
    """Whoever loads a mapping in its canonical spelling and saves it has changed nothing."""
    outcomes = []
    for one in (expression, parse(expression.print())):
        try:
            outcomes.append(repr(one.compile()(person, context)))
        except EvaluationError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]


@given(st.text(max_size=60) | st.text('[]()",a=<>&1 ANDORTrim', max_size=60))
def test_any_text_is_an_expression_or_a_refusal_with_a_position(text: str) -> None:
    refused = refusal(text)

    if refused:
        assert 0 <= refused.position <= len(text)
        assert refused.line == text[: refused.position].count("\n") + 1
        assert refused.column >= 1
    else:
        assert parse(parse(text).print()) == parse(text)


@examples(2)
@given(EXPRESSIONS, PEOPLE, CONTEXTS)
def test_evaluation_gives_a_value_or_an_evaluation_error(
    expression: Expression, person: dict[str, object], context: Context
) -> None:
    """Whatever Graph sends: one bad record never stops the others."""
    run = expression.compile()
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(repr(run(person, context)))
        except EvaluationError as error:
            outcomes.append(error.code)

    assert outcomes[0] == outcomes[1]


def with_attributes(function: Function) -> list[str]:
    """Give calls of a function with nothing but attributes, as many as it takes."""
    most = 6 if function.most is None else function.most
    names = [f"[a{number}]" for number in range(most)]
    calls = [f"{function.name}({', '.join(names[:count])})" for count in range(len(names) + 1)]
    return [text for text in calls if not refusal(text)]


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@examples(0.2)
@given(data=st.data(), context=CONTEXTS)
def test_every_function_takes_any_json(
    function: Function, data: st.DataObject, context: Context
) -> None:
    text = data.draw(st.sampled_from([function.example.expression, *with_attributes(function)]))
    expression = parse(text)
    person = {name: data.draw(JSON, label=name) for name in sorted(expression.attributes)}

    with suppress(EvaluationError):
        expression.compile()(person, context)


@cache
def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value, "y"]
    return value


OPERATIONS = ["[a] = [b]", "[a] <> [b]", "[a] < [b]", "[a] & [b]", "NOT [a]", "[a] AND [b]"]


@pytest.mark.parametrize(
    "texts",
    [
        *(pytest.param([text], id=text) for text in OPERATIONS),
        *(pytest.param(with_attributes(one), id=one.name) for one in FUNCTIONS.values()),
    ],
)
def test_no_depth_of_a_value_exhausts_the_stack(texts: list[str]) -> None:
    deep = nested(20_000)
    for text in texts:
        expression = parse(text)
        with suppress(EvaluationError):
            expression.compile()(dict.fromkeys(expression.attributes, deep), Context(LATER))


@given(EXPRESSIONS, PEOPLE, CONTEXTS)
def test_the_trace_ends_as_the_evaluation_does(
    expression: Expression, person: dict[str, object], context: Context
) -> None:
    try:
        expected = repr(expression.compile()(person, context))
    except EvaluationError as error:
        expected = error.code
    try:
        value, trace = evaluate_with_trace(expression, person, context)
        outcome = repr(value)
    except EvaluationError as error:
        outcome = error.code
        trace = error.trace or {}

    assert outcome == expected
    assert json.loads(json.dumps(trace))["expression"]


@given(EXPRESSIONS, PEOPLE, CONTEXTS)
def test_only_the_named_attributes_are_read(
    expression: Expression, person: dict[str, object], context: Context
) -> None:
    """What is not selected is absent, so nothing else may matter."""
    read = set(expression.attributes) | {
        "objectId",
        "telephoneNumber",
        "extensionAttribute1",
        "a.b",
    }
    selected = {name: value for name, value in person.items() if name in read}
    outcomes = []
    for one in (person, selected):
        try:
            outcomes.append(repr(expression.compile()(one, context)))
        except EvaluationError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]


@given(EXPRESSIONS, PEOPLE, CONTEXTS, st.integers(1, 10**6))
def test_only_expressions_that_say_so_depend_on_the_time(
    expression: Expression, person: dict[str, object], context: Context, seconds: int
) -> None:
    if expression.uses_time:
        return
    later = Context(LATER + timedelta(seconds=seconds), context.groups, context.taken)
    outcomes = []
    for one in (context, later):
        try:
            outcomes.append(repr(expression.compile()(person, one)))
        except EvaluationError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]
