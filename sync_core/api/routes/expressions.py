"""Expressions over HTTP: one tried out on the attributes that the caller sends, and the list of functions.

Nothing of a tenant or of the tables is read, and nothing is written or logged.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import Response
from pydantic import ValidationError

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import ServicesHere
from sync_core.api.http.bodies import Body
from sync_core.api.http.problems import problem
from sync_core.api.shapes import EvaluateBody, ExpressionFunction, FunctionExample, FunctionList
from sync_core.concurrency import TimeLimit
from sync_core.domain.errors import FieldProblem, Invalid, RecordRejected
from sync_core.domain.expressions import (
    FUNCTIONS,
    REFUSED,
    Context,
    EvaluationError,
    Expression,
    ExpressionError,
    evaluate_with_trace,
    parse,
)
from sync_core.domain.expressions.values import Signal
from sync_core.domain.mapping.compile import stored_form
from sync_core.domain.problems import document_problems

# A person waits for the answer; an expression takes microseconds.
LIMIT_S = 2.0
# Graph has some dozens of KB of the largest of people.
MAX_PERSON = 256 * 1024


async def evaluate_expression(services: ServicesHere, body: Body) -> Response:
    """Evaluate an expression for one person's attributes; anybody's, real or made up."""
    # Beside the event loop, as a caller's expression may take its whole time.
    return await asyncio.to_thread(_answer, _asked(body), services.clock())


def _answer(asked: EvaluateBody, now: datetime) -> Response:
    in_time = TimeLimit(LIMIT_S)
    try:
        expression = parse(asked.expression)
    except ExpressionError as error:
        return _wrong_expression(error)
    context = Context(now=_moment(asked.now, now), groups=frozenset(asked.groups), in_time=in_time)
    return _evaluated(expression, asked.attributes, context)


def _evaluated(
    expression: Expression, attributes: Mapping[str, object], context: Context
) -> Response:
    try:
        value, trace = evaluate_with_trace(expression, attributes, context)
    except EvaluationError as error:
        return _failed(error)
    # As the trace shows what is no value.
    if isinstance(value, Signal):
        return json_answer({"value": {"$ignore": value.value}, "trace": trace})
    try:
        stored_form(value)
    except RecordRejected as error:
        return _not_storable(error.message)
    return json_answer({"value": value, "trace": trace})


def _asked(body: dict[str, Any]) -> EvaluateBody:
    try:
        asked = EvaluateBody.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = document_problems(error, body)
        raise _invalid(problems) from None

    size = len(orjson.dumps(asked.attributes))
    if size > MAX_PERSON:
        message = f"has {size} bytes as JSON; a person has at most {MAX_PERSON} here"
        raise _invalid([FieldProblem("attributes", message)])
    return asked


def _invalid(problems: list[FieldProblem]) -> Invalid:
    names = ", ".join(problem.path for problem in problems)
    return Invalid(f"The request is not valid: {names}.", problems)


def _moment(given: datetime | None, now: datetime) -> datetime:
    if given is None:
        return now
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def _wrong_expression(error: ExpressionError) -> Response:
    """Say where the text stops being an expression, for people and for editors that mark the place."""
    return problem(
        422,
        error.code,
        f"{error.message} (line {error.line}, column {error.column}).",
        error.hint
        or "Correct the expression and send it again; docs/expressions.md is its reference.",
        errors=[FieldProblem("expression", str(error))],
        position={"offset": error.position, "line": error.line, "column": error.column},
        hint=error.hint,
    )


def _failed(error: EvaluationError) -> Response:
    return problem(
        422,
        error.code,
        f"The expression is fine, and fails for these attributes: {error}",
        "Correct the attributes, or catch the case in the expression, with IIF(...) or Coalesce(...). "
        "In a run only this person is reported; the others go on.",
        errors=[FieldProblem("attributes", str(error))],
        trace=error.trace,
    )


def _not_storable(message: str) -> Response:
    return problem(
        422,
        "evaluation.notStorable",
        f"The expression is fine, and no column can hold what it gives. {message}",
        "Give it as text, with CStr(...) or Left(...).",
        errors=[FieldProblem("expression", message)],
    )


async def list_functions() -> Response:
    """List every function of the expression language, and those of Entra that are refused here."""
    return json_answer(
        FunctionList(items=[*map(_function, FUNCTIONS), *_refused(REFUSED)], next=None)
    )


def _function(name: str) -> ExpressionFunction:
    function = FUNCTIONS[name]
    example = function.example
    return ExpressionFunction(
        name=name,
        topic=function.topic.value,
        signature=function.signature,
        summary=function.summary,
        examples=[
            FunctionExample(
                expression=example.expression,
                attributes=dict(example.attributes),
                value=example.value,
            )
        ],
        refused=None,
    )


def _refused(reasons: Mapping[str, str]) -> list[ExpressionFunction]:
    return [
        ExpressionFunction(
            name=name,
            topic="Refused",
            signature=f"{name}([appRoleAssignments])",
            summary="A function of Entra's provisioning that is not available here.",
            examples=[],
            refused=reason,
        )
        for name, reason in reasons.items()
    ]
