"""Functions that decide: which value comes out, and whether one does at all.

They evaluate only the arguments they need. Null is handled plainly: no condition fails of it.
"""

import re
from collections.abc import Callable, Mapping

from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.errors import ArgumentProblem, EvaluationError
from sync_core.domain.expressions.functions.function import (
    Arguments,
    Evaluate,
    Example,
    Function,
    Topic,
    constant_text,
)
from sync_core.domain.expressions.nodes import Node, Text
from sync_core.domain.expressions.values import (
    IGNORE_ATTRIBUTE,
    is_null,
    is_null_or_empty,
    to_text_or_empty,
)

GROUP_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Attributes = Mapping[str, object]


def coalesce(arguments: Arguments) -> Evaluate:
    *sources, last = arguments.evaluate

    def first_present(attributes: Attributes, context: Context) -> object:
        for source in sources:
            value = source(attributes, context)
            if value is not None and value != []:
                return value
        return last(attributes, context)

    return first_present


def iif(arguments: Arguments) -> Evaluate:
    condition = arguments.conditions[0]
    _, if_true, if_false = arguments.evaluate

    def decide(attributes: Attributes, context: Context) -> object:
        if condition(attributes, context):
            return if_true(attributes, context)
        return if_false(attributes, context)

    return decide


def switch(arguments: Arguments) -> Evaluate:
    source, default, *rest = arguments.evaluate
    values = rest[1::2]
    keys = [node.value for node in arguments.nodes[2::2] if isinstance(node, Text)]
    if len(keys) < len(values):
        return _switch_on_values(source, default, list(zip(rest[::2], values, strict=True)))
    cases: dict[str, Evaluate] = {}
    for key, value in zip(keys, values, strict=True):
        cases.setdefault(key, value)

    def choose(attributes: Attributes, context: Context) -> object:
        text = to_text_or_empty(source(attributes, context))
        return cases.get(text, default)(attributes, context)

    return choose


def _switch_on_values(
    source: Evaluate, default: Evaluate, cases: list[tuple[Evaluate, Evaluate]]
) -> Evaluate:
    def choose(attributes: Attributes, context: Context) -> object:
        text = to_text_or_empty(source(attributes, context))
        for key, value in cases:
            if to_text_or_empty(key(attributes, context)) == text:
                return value(attributes, context)
        return default(attributes, context)

    return choose


def cbool(arguments: Arguments) -> Evaluate:
    return arguments.conditions[0]


def not_(value: object) -> str:
    return "False" if to_text_or_empty(value).lower() == "true" else "True"


def is_present(value: object) -> bool:
    return not is_null_or_empty(value)


def ignore_if_empty(value: object) -> object:
    return IGNORE_ATTRIBUTE if is_null_or_empty(value) else value


def error(message: object) -> object:
    raise EvaluationError("evaluation.raised", to_text_or_empty(message) or "Error")


def redact(value: object) -> object:
    return value


def check_group(nodes: tuple[Node, ...]) -> None:
    if not GROUP_ID.fullmatch(constant_text(nodes[0]) or ""):
        raise ArgumentProblem(
            0,
            "InGroup takes the object id of a group, in quotes",
            "Copy the group's object id from the Entra admin center.",
        )


def group_of(nodes: tuple[Node, ...]) -> str:
    """Return the id that InGroup asks for, as groups are named everywhere: in lower case."""
    return (constant_text(nodes[0]) or "").lower()


def in_group(arguments: Arguments) -> Evaluate:
    wanted = group_of(arguments.nodes)
    return lambda _attributes, context: wanted in context.groups


GROUP = "11111111-2222-3333-4444-555555555555"


def _every(_index: int) -> bool:
    return True


def _branches(index: int) -> bool:
    return index > 0


def _cases(index: int) -> bool:
    return index % 2 == 1


def _emptiness(
    name: str, summary: str, example: Example, call: Callable[[object], bool]
) -> Function:
    """Return a function that asks of one expression whether it has a value."""
    return Function(
        name=name,
        topic=Topic.DECISIONS,
        signature=f"{name}(expression)",
        summary=summary,
        example=example,
        least=1,
        most=1,
        call=call,
        gives_condition=True,
    )


DECISION_FUNCTIONS = (
    Function(
        name="CBool",
        topic=Topic.DECISIONS,
        signature="CBool(expression)",
        summary="Gives True or False for a condition: a comparison, True or False, a number that "
        "is not 0. Null is False.",
        example=Example(
            "CBool([city] = [officeLocation])", {"city": "Oslo", "officeLocation": "Oslo"}, True
        ),
        least=1,
        most=1,
        build=cbool,
        gives_condition=True,
    ),
    Function(
        name="Coalesce",
        topic=Topic.DECISIONS,
        signature="Coalesce(source1, source2, ...)",
        summary='Gives the first value that is not null. The empty text "" is a value.',
        example=Example(
            "Coalesce([mail], [userPrincipalName])",
            {"mail": None, "userPrincipalName": "John.Doe@contoso.com"},
            "John.Doe@contoso.com",
        ),
        least=1,
        most=None,
        build=coalesce,
        results=_every,
    ),
    Function(
        name="Error",
        topic=Topic.DECISIONS,
        signature="Error(message)",
        summary="Refuses this person with this message; the other people go on.",
        example=Example(
            'IIF(IsPresent([employeeId]), [employeeId], Error("employeeId is required"))',
            {"employeeId": "4711"},
            "4711",
        ),
        least=1,
        most=1,
        call=error,
        pure=False,
    ),
    Function(
        name="IgnoreFlowIfNullOrEmpty",
        topic=Topic.DECISIONS,
        signature="IgnoreFlowIfNullOrEmpty(expression)",
        summary="Gives the value; when it is null or empty, the target keeps what is stored.",
        example=Example("IgnoreFlowIfNullOrEmpty([department])", {"department": "Sales"}, "Sales"),
        least=1,
        most=1,
        call=ignore_if_empty,
        results=_every,
        gives_signal=True,
    ),
    Function(
        name="IIF",
        topic=Topic.DECISIONS,
        signature="IIF(condition, valueIfTrue, valueIfFalse)",
        summary="Gives one of two values.",
        example=Example(
            'IIF([country] = "USA", [country], [department])',
            {"country": "USA", "department": "Sales"},
            "USA",
        ),
        least=3,
        most=3,
        build=iif,
        results=_branches,
    ),
    Function(
        name="InGroup",
        topic=Topic.DECISIONS,
        signature="InGroup(groupId)",
        summary="Tells whether the person is in the group, directly or through nesting. Our "
        "addition.",
        example=Example(f'IIF(InGroup("{GROUP}"), "editor", "reader")', {}, "editor"),
        least=1,
        most=1,
        build=in_group,
        check=check_group,
        pure=False,
        gives_condition=True,
    ),
    _emptiness(
        "IsNull",
        "Tells whether there is no value.",
        Example("IsNull([displayName])", {}, True),
        is_null,
    ),
    _emptiness(
        "IsNullOrEmpty",
        'Tells whether there is no value or the empty text "".',
        Example("IsNullOrEmpty([displayName])", {"displayName": ""}, True),
        is_null_or_empty,
    ),
    _emptiness(
        "IsPresent",
        "The opposite of IsNullOrEmpty.",
        Example("IsPresent([displayName])", {"displayName": ""}, False),
        is_present,
    ),
    Function(
        name="Not",
        topic=Topic.DECISIONS,
        signature="Not(source)",
        summary='Gives the text "False" for True, and "True" for anything else. The operator NOT '
        "is the one for conditions.",
        example=Example('Not("True")', {}, "False"),
        least=1,
        most=1,
        call=not_,
    ),
    Function(
        name="Redact",
        topic=Topic.DECISIONS,
        signature="Redact(value)",
        summary="Gives the value as it is; explanations and error messages show [Redact] in its "
        "place.",
        example=Example("Redact([mobilePhone])", {"mobilePhone": "+1 555 0100"}, "+1 555 0100"),
        least=1,
        most=1,
        call=redact,
        results=_every,
        redacts=True,
    ),
    Function(
        name="Switch",
        topic=Topic.DECISIONS,
        signature="Switch(source, defaultValue, key1, value1, key2, value2, ...)",
        summary="Gives the value of the first key that equals the source, case-sensitive; the "
        'default when none does. The key "" stands for null, too.',
        example=Example(
            'Switch([state], "Sydney", "NSW", "Sydney", "QLD", "Brisbane")',
            {"state": "QLD"},
            "Brisbane",
        ),
        least=4,
        most=None,
        even=True,
        build=switch,
        results=_cases,
    ),
)
