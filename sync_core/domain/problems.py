"""What pydantic found wrong, in the words of an administrator: its errors in, path and message out. Pure.

Paths are those of the JSON that was sent: `scope.filters[0].clauses[1].operator`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sync_core.domain.errors import FieldProblem

WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field; check the spelling",
}


def document_problems(error: ValidationError, document: object) -> list[FieldProblem]:
    """Name each wrong field of a document once, with everything that is wrong with it."""
    found = error.errors(include_url=False, include_input=False)
    return _merged((_path(one, document), _message(one)) for one in found)


def parameter_problems(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """Name each wrong parameter of a request; where it stood (query, path, header) is left out."""
    return _merged((".".join(map(str, one["loc"][1:])), _message(one)) for one in errors)


def _merged(problems: Iterable[tuple[str, str]]) -> list[FieldProblem]:
    # A value that may be of several types is refused once for each of them.
    messages: dict[str, list[str]] = {}
    for path, message in problems:
        known = messages.setdefault(path, [])
        if message not in known:
            known.append(message)
    return [FieldProblem(path, "; or: ".join(known)) for path, known in messages.items()]


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return WORDS.get(error["type"], str(error["msg"]))


def _path(error: ErrorDetails, document: object) -> str:
    """Spell the way to a field; steps that are not in the document are names of pydantic's own."""
    path, here = "", document
    for step in error["loc"]:
        if isinstance(here, dict) and (step in here or error["type"] == "missing"):
            path += f".{step}" if path else str(step)
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int):
            path += f"[{step}]"
            here = here[step] if step < len(here) else None
    return path
