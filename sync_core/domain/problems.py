"""What pydantic found wrong, in the words of an administrator: its errors in, path and message out. Pure.

Paths are those of the JSON that was sent: `scope.filters[0].clauses[1].operator`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sync_core.domain.documents.base import CONNECTION_ID, RUN_ID
from sync_core.domain.documents.connection import SECRET_NAME, SECRET_VERSION
from sync_core.domain.documents.mapping import TARGET
from sync_core.domain.documents.policy import NAME_PATTERN
from sync_core.domain.documents.run import PLAN_HASH
from sync_core.domain.documents.scope import ATTRIBUTE
from sync_core.domain.errors import FieldProblem

DATE = "must be a date like 2027-01-31"
MOMENT = "must be a date and time like 2027-01-31T08:00:00Z"
OBJECT = "must be an object"
WHOLE_NUMBER = "must be a whole number"
NUMBER = "must be a number"
BOOLEAN = "must be true or false"
# By pydantic's types of errors; what is in braces comes with the error.
# docs.pydantic.dev/latest/errors/validation_errors
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field; check the spelling",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_type": "must be text",
    "string_sub_type": "must be text",
    "string_unicode": "must be text that UTF-8 can hold",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "list_type": "must be a list",
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "bool_type": BOOLEAN,
    "bool_parsing": BOOLEAN,
    "int_type": WHOLE_NUMBER,
    "int_parsing": WHOLE_NUMBER,
    "int_parsing_size": WHOLE_NUMBER,
    "int_from_float": WHOLE_NUMBER,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "date_type": DATE,
    "date_parsing": DATE,
    "date_from_datetime_parsing": DATE,
    "date_from_datetime_inexact": DATE,
    "datetime_type": MOMENT,
    "datetime_parsing": MOMENT,
    "datetime_object_invalid": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    "timezone_aware": "must say how far it is from UTC, like 2027-01-31T08:00:00Z",
}
# What a text has to be like where it is not like one of these patterns.
PATTERN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        CONNECTION_ID: "must have 1 to 48 small letters, digits and dashes, with no dash at either end",
        RUN_ID: "must be the id of a run",
        PLAN_HASH: "must be the planHash of an answer",
        ATTRIBUTE: "must be the name of an attribute, such as department or manager.displayName",
        SECRET_NAME: "must have 1 to 127 letters, digits and dashes, as names of secrets in Key Vault",
        SECRET_VERSION: "must be the version of a secret as Key Vault shows it",
        TARGET: "must begin with a small letter and hold up to 64 letters and digits, nothing else "
        "(email, not e-mail)",
        NAME_PATTERN: "must hold more than * and blanks, or it is the name of everybody",
    }
)
UNKNOWN = "is not valid here"


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
    known: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return PATTERN_WORDS.get(known["pattern"], UNKNOWN)
    # Never pydantic's own words: they speak of strings, inputs and regular expressions.
    return WORDS.get(error["type"], UNKNOWN).format_map(known)


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
