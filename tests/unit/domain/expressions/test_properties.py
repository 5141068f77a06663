"""What holds for every expression and every person, whatever they are.

The expressions are made up from the registry, so a new function is tested the day it is written.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.domain.expressions import (
    FUNCTIONS,
    Context,
    EvaluationError,
    Expression,
    ExpressionError,
    Function,
    evaluate_with_trace,
    parse,
)
from sync_core.domain.expressions.nodes import (
    Attribute,
    Call,
    Comparison,
    Concatenation,
    Conjunction,
    Disjunction,
    Empty,
    Negation,
    Node,
    Number,
    Text,
    Word,
)

LATER = datetime(2030, 1, 1, tzinfo=UTC)
GROUP = "11111111-2222-3333-4444-555555555555"
NAMES = [
    "id",
    "mail",
    "businessPhones",
    "extensionAttribute1",
    "objectId",
    "telephoneNumber",
    "a.b",
]

# Texts that mean something to some function, so that more than refusals is tested.
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "d", "yyyy", "ww", "yyyy-MM-dd", "2020-02-29T23:59:59-07:00", "12", "-1.5"]
    ),
    st.sampled_from(["[a-z]+", "(?<x>.*)@", "x", "${x}$1", "tr-TR", "True", "é", "SGk=", GROUP]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PEOPLE = st.dictionaries(
    st.sampled_from([*NAMES, "onPremisesExtensionAttributes", "a"]), JSON, max_size=8
)
CONTEXTS = st.builds(
    Context,
    now=st.datetimes(timezones=st.just(UTC)) | st.just(datetime(2021, 7, 2, tzinfo=UTC)),
    groups=st.frozensets(st.just(GROUP)),
    taken=st.frozensets(TEXTS),
)
CONSTANTS = st.one_of(
    TEXTS.map(Text),
    st.integers(-(10**18), 10**18).map(Number),
    st.integers(0, 2**64).map(lambda value: Number(value, hexadecimal=True)),
    st.integers(-(10**9), 10**9).map(lambda value: Number(value / 1000)),
    st.sampled_from(["True", "False", "Null"]).map(Word),
)
LEAVES = CONSTANTS | st.sampled_from(NAMES).map(Attribute)


def calls_of(function: Function, inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    argument = st.one_of(
        inner,
        TEXTS.map(Text),
        st.just(Empty()),
        st.sampled_from(["IgnoreAttributeFlow", "UTF8", "vbTextCompare"]).map(Word),
    )
    most = function.least + 4 if function.most is None else function.most
    return (
        st.lists(argument, min_size=function.least, max_size=most)
        .filter(lambda arguments: arguments != [Empty()])  # no text gives that: F() has none
        .map(lambda arguments: Call(function.name, tuple(arguments)))
    )


def composed(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.sampled_from(list(FUNCTIONS.values())).flatmap(lambda one: calls_of(one, inner)),
        parts.map(Concatenation),
        parts.map(Conjunction),
        parts.map(Disjunction),
        inner.map(Negation),
        st.builds(Comparison, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), inner, inner),
    )


def refusal(text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


def checked(node: Node) -> Expression | None:
    """Give the expression if it passes the checks, as one that an administrator has saved."""
    try:
        return parse(Expression(node).print())
    except ExpressionError:
        return None


NODES = st.recursive(LEAVES, composed, max_leaves=10)
EXPRESSIONS = NODES.map(checked).filter(lambda expression: expression is not None)


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


@settings(max_examples=200)
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


@settings(max_examples=200)
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
@settings(max_examples=20)
@given(data=st.data(), context=CONTEXTS)
def test_every_function_takes_any_json(
    function: Function, data: st.DataObject, context: Context
) -> None:
    text = data.draw(st.sampled_from([function.example.expression, *with_attributes(function)]))
    expression = parse(text)
    person = {name: data.draw(JSON, label=name) for name in sorted(expression.attributes)}

    with suppress(EvaluationError):
        expression.compile()(person, context)


OPERATIONS = ["[a] = [b]", "[a] <> [b]", "[a] < [b]", "[a] & [b]", "NOT [a]", "[a] AND [b]"]


@pytest.mark.parametrize(
    "texts",
    [
        *(pytest.param([text], id=text) for text in OPERATIONS),
        *(pytest.param(with_attributes(one), id=one.name) for one in FUNCTIONS.values()),
    ],
)
def test_no_depth_of_a_value_exhausts_the_stack(texts: list[str]) -> None:
    deep: object = "x"
    for _ in range(20_000):
        deep = [deep, "y"]

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
