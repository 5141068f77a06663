"""Errors in, `application/problem+json` out (RFC 9457): what is wrong, and what to do next.

| error | status |
| --- | --- |
| `RequestRefused` | its own (400 to 422) |
| `RetryLater`, `LeaseLost` | 503, with `Retry-After` |
| `FixConnection`, `IncompleteReading` | 502: Entra, Graph or Key Vault refused us |
| `FixSettings` | 500; the list is in the log only, because nobody can sign in without settings |
| anything else | 500 with a correlation id; what happened is in the log only |
"""

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from sync_core.api.http.refusals import HttpRefused
from sync_core.connections.refusals import NotVerified
from sync_core.domain.errors import (
    FieldProblem,
    FixConnection,
    FixSettings,
    IncompleteReading,
    Invalid,
    LeaseLost,
    RequestRefused,
    RetryLater,
    SyncError,
    Throttled,
    Unconfirmed,
)
from sync_core.domain.problems import parameter_problems
from sync_core.logs import log_event

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 10
# A body may be wrong in a hundred thousand places, each named by as long a path as it likes: no answer may
# be many times as large as the question.
MOST_ERRORS = 100
LONGEST_PATH = 300
LONGEST_MESSAGE = 1_000
LONGEST_DETAIL = 2_000
# As RFC 9110 has them; Python's own names for these differ from version to version.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


def problem(
    status: int,
    code: str,
    detail: str,
    remedy: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Build the answer; `more` are members of its own, as the RFC allows."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, HTTPStatus(status).phrase),
        "status": status,
        "detail": _cut(detail, LONGEST_DETAIL),
        "code": code,
        "remedy": remedy,
        **more,
    }
    if errors:
        body["errors"] = [_field_error(one) for one in errors[:MOST_ERRORS]]
    if len(errors) > MOST_ERRORS:
        body["moreErrors"] = len(errors) - MOST_ERRORS
    return Response(orjson.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def _field_error(found: FieldProblem) -> dict[str, str]:
    return {
        "path": _cut(found.path, LONGEST_PATH),
        "message": _cut(found.message, LONGEST_MESSAGE),
    }


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def add_handlers(app: FastAPI) -> None:
    """Answer every kind of error with a problem."""
    # Starlette hands every handler the kind of error that it is registered for, its types do not say so.
    app.add_exception_handler(SyncError, _on_sync_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_wrong_parameters)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_routing)  # type: ignore[arg-type]


async def _on_sync_error(_: Request, error: SyncError) -> Response:
    return from_sync_error(error)


def from_sync_error(error: SyncError) -> Response:
    """Turn an error that was raised on purpose into its answer."""
    if isinstance(error, FixSettings):
        return _settings(error)
    status = _status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_event("api.failed", level=logging.WARNING, code=error.code, status=status)
    return problem(
        status,
        error.code,
        error.message,
        error.remedy,
        errors=error.problems if isinstance(error, Invalid) else (),
        headers=_headers(error),
        **_more(error),
    )


def _status(error: SyncError) -> int:
    match error:
        case RequestRefused():
            return error.status
        case RetryLater() | LeaseLost():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case FixConnection() | IncompleteReading():
            return HTTPStatus.BAD_GATEWAY
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _more(error: SyncError) -> dict[str, Any]:
    if isinstance(error, NotVerified):
        return {"checks": [check.to_json() for check in error.checks]}
    return error.members if isinstance(error, Unconfirmed) else {}


def _headers(error: SyncError) -> dict[str, str]:
    match error:
        case HttpRefused() | NotVerified():
            return error.headers
        case Throttled(retry_after_s=float() as wait_s):
            return {"Retry-After": str(math.ceil(wait_s))}
        case RetryLater() | LeaseLost():
            return {"Retry-After": str(RETRY_AFTER_S)}
    return {}


def _settings(error: FixSettings) -> Response:
    log_event("settings.invalid", level=logging.ERROR, problems="; ".join(error.problems))
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        error.code,
        "The app settings are not usable; the log names each of them (settings.invalid).",
        error.remedy,
    )


async def _on_wrong_parameters(_: Request, error: RequestValidationError) -> Response:
    found = parameter_problems(error.errors())
    names = ", ".join(one.path for one in found)
    return from_sync_error(Invalid(f"The request's parameters are not valid: {names}.", found))


async def _on_routing(request: Request, error: HTTPException) -> Response:
    status = error.status_code
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = allowed_methods(request)
        return problem(
            status,
            "route.methodNotAllowed",
            f"{request.url.path} does not take {request.method}.",
            f"Use one of {allowed}.",
            headers={"Allow": allowed},
        )
    if status == HTTPStatus.NOT_FOUND:
        return problem(
            status,
            "route.notFound",
            f"There is nothing at {request.url.path}.",
            "GET /api/openapi.json lists what there is.",
        )
    return problem(status, "request.refused", HTTPStatus(status).phrase, "Correct the request.")


def allowed_methods(request: Request) -> str:
    """Name the methods of all routes of this path; the router itself knows those of one only."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def unexpected(error: Exception, correlation_id: str) -> Response:
    """Answer an error that nobody foresaw: nothing of it goes out but the id under which it is logged."""
    log_event("api.unexpected", level=logging.ERROR, exc_info=error, correlation_id=correlation_id)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "api.unexpected",
        "The program met an error that it does not know.",
        f"Look for {correlation_id} in the log, and report it.",
        correlationId=correlation_id,
    )
