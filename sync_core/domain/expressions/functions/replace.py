"""Replace, the function with five forms: which arguments are given decides what it does.

learn.microsoft.com/entra/identity/app-provisioning/functions-for-customizing-application-data#replace
"""

from collections.abc import Mapping

from sync_core.domain.expressions import regexes
from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.dialect import PatternProblem
from sync_core.domain.expressions.errors import ArgumentProblem
from sync_core.domain.expressions.functions.function import (
    Arguments,
    Evaluate,
    Example,
    Function,
    Topic,
)
from sync_core.domain.expressions.nodes import Empty, Node, Text
from sync_core.domain.expressions.values import (
    MAX_TEXT,
    is_null_or_empty,
    to_text,
    to_text_or_empty,
    too_long,
    within_limit,
)

SOURCE, OLD, PATTERN, GROUP, NEW, OTHER, TEMPLATE = range(7)
FORMS = (
    "Replace takes, beside the source: oldValue and replacementValue; oldValue and template; "
    "regexPattern and replacementValue; regexPattern, regexGroupName and replacementValue; or "
    "regexPattern, regexGroupName and replacementAttributeName."
)
KNOWN_FORMS = (
    frozenset({OLD, NEW}),
    frozenset({OLD, TEMPLATE}),
    frozenset({PATTERN, NEW}),
    frozenset({PATTERN, GROUP, NEW}),
    frozenset({PATTERN, GROUP, OTHER}),
)

Attributes = Mapping[str, object]


def _given(nodes: tuple[Node, ...]) -> frozenset[int]:
    return frozenset(
        index for index, node in enumerate(nodes) if index and not isinstance(node, Empty)
    )


def check(nodes: tuple[Node, ...]) -> None:
    given = _given(nodes)
    if given not in KNOWN_FORMS:
        raise ArgumentProblem(SOURCE, "This combination of arguments means nothing", FORMS)
    if PATTERN not in given:
        return
    pattern = nodes[PATTERN]
    if not isinstance(pattern, Text):
        raise ArgumentProblem(PATTERN, "The pattern has to be a text in quotes")
    try:
        groups = regexes.compiled(pattern.value).groups
    except PatternProblem as problem:
        raise ArgumentProblem(PATTERN, str(problem), code="expression.pattern") from None
    if GROUP in given:
        group = nodes[GROUP]
        if not isinstance(group, Text) or group.value not in groups:
            names = ", ".join(name for name in groups if not name.isdigit()) or "no named group"
            raise ArgumentProblem(
                GROUP, "The group is not one of the pattern", f"The pattern has {names}."
            )


def weight(nodes: tuple[Node, ...]) -> int:
    """Return the size of the pattern, of arguments that were checked."""
    pattern = nodes[PATTERN] if PATTERN in _given(nodes) else None
    return regexes.compiled(pattern.value).size if isinstance(pattern, Text) else 0


def build(arguments: Arguments) -> Evaluate:
    given = _given(arguments.nodes)
    if PATTERN not in given:
        return _with_template(arguments) if TEMPLATE in given else _plain(arguments)
    pattern = regexes.compiled(_constant(arguments, PATTERN))
    if GROUP not in given:
        return _with_pattern(arguments, pattern)
    if OTHER in given:
        return _from_other(arguments, pattern)
    return _with_group(arguments, pattern)


def _constant(arguments: Arguments, index: int) -> str:
    node = arguments.nodes[index]
    return node.value if isinstance(node, Text) else ""


def _swapped(text: str, old: str, new: str) -> str:
    if not old:
        return text
    # Counted before it is made: a long text may be put into a long text thousands of times.
    if text.count(old) * (len(new) - len(old)) > MAX_TEXT:
        raise too_long()
    return within_limit(text.replace(old, new))


def _plain(arguments: Arguments) -> Evaluate:
    source, old, new = (arguments.evaluate[index] for index in (SOURCE, OLD, NEW))

    def replace(attributes: Attributes, context: Context) -> str | None:
        text = to_text(source(attributes, context))
        if text is None:
            return None
        return _swapped(
            text,
            to_text_or_empty(old(attributes, context)),
            to_text_or_empty(new(attributes, context)),
        )

    return replace


def _with_template(arguments: Arguments) -> Evaluate:
    source, old, template = (arguments.evaluate[index] for index in (SOURCE, OLD, TEMPLATE))

    def replace(attributes: Attributes, context: Context) -> str | None:
        text = to_text(source(attributes, context))
        if text is None:
            return None
        return _swapped(
            to_text_or_empty(template(attributes, context)),
            to_text_or_empty(old(attributes, context)),
            text,
        )

    return replace


def _with_pattern(arguments: Arguments, pattern: regexes.Pattern) -> Evaluate:
    source, new = arguments.evaluate[SOURCE], arguments.evaluate[NEW]
    written = _constant(arguments, PATTERN)
    if pattern.one_class and arguments.nodes[NEW] == Text(""):
        delete = regexes.deleting(pattern)

        def drop(attributes: Attributes, context: Context) -> str | None:
            text = to_text(source(attributes, context))
            return None if text is None else delete(text)

        return drop

    def replace(attributes: Attributes, context: Context) -> str | None:
        text = to_text(source(attributes, context))
        if text is None:
            return None
        pieces = regexes.template(to_text_or_empty(new(attributes, context)), written)
        return within_limit(regexes.replaced(pattern, text, pieces, context.in_time))

    return replace


def _with_group(arguments: Arguments, pattern: regexes.Pattern) -> Evaluate:
    source, new = arguments.evaluate[SOURCE], arguments.evaluate[NEW]
    group = _constant(arguments, GROUP)

    def replace(attributes: Attributes, context: Context) -> str | None:
        text = to_text(source(attributes, context))
        if text is None:
            return None
        value = to_text_or_empty(new(attributes, context))
        return within_limit(
            regexes.with_group_replaced(pattern, text, group, value, context.in_time)
        )

    return replace


def _from_other(arguments: Arguments, pattern: regexes.Pattern) -> Evaluate:
    source, other = arguments.evaluate[SOURCE], arguments.evaluate[OTHER]
    group = _constant(arguments, GROUP)

    def replace(attributes: Attributes, context: Context) -> object:
        value = source(attributes, context)
        if not is_null_or_empty(value):
            return to_text(value)
        text = to_text_or_empty(other(attributes, context))
        return regexes.group_in(pattern, text, group)

    return replace


REPLACE = Function(
    name="Replace",
    topic=Topic.TEXT,
    signature="Replace(source, oldValue, regexPattern, regexGroupName, replacementValue, "
    "replacementAttributeName, template)",
    summary="Replaces text, case-sensitive, in one of five ways; arguments that a way does not use "
    "are left empty between their commas.",
    example=Example(
        r'Replace([mobilePhone], , "[()\\s-]+", , "", , )',
        {"mobilePhone": "+1 (999) 888-7777"},
        "+19998887777",
    ),
    least=3,
    most=7,
    build=build,
    check=check,
    weight=weight,
)
