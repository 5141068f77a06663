"""Expressions, people and moments of any kind, made up from the registry of functions."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from sync_core.domain.expressions import (
    FUNCTIONS,
    Context,
    Expression,
    ExpressionError,
    Function,
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
    """Return the expression if it passes the checks, as one that an administrator has saved."""
    try:
        return parse(Expression(node).print())
    except ExpressionError:
        return None


NODES = st.recursive(LEAVES, composed, max_leaves=10)
EXPRESSIONS = NODES.map(checked).filter(lambda expression: expression is not None)
