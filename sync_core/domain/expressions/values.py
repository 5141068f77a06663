"""The values an expression works with, and how one kind is read as another.

A value is null, text, a number, True or False, a list, an object of Graph, or a date. Dates live
only inside an expression; outside they are text in the form `M/d/yyyy h:mm:ss tt`. An empty list is
null: Graph answers `[]` for a multi-valued property that is not set.
"""

import re
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from sync_core.domain.expressions.dates import printed_date, read_date
from sync_core.domain.expressions.errors import EvaluationError

# A text property of Table Storage holds 64 KiB of UTF-16.
MAX_TEXT = 32_768
# Many times what Graph has of anything for one person.
MAX_LIST = 10_000
SHOWN = 40
NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?")


class Signal(Enum):
    """What an expression says instead of giving a value."""

    ATTRIBUTE = "attribute"
    OBJECT = "object"


# Leave the target as it is stored.
IGNORE_ATTRIBUTE: Final[Literal[Signal.ATTRIBUTE]] = Signal.ATTRIBUTE
# Leave the whole person out.
IGNORE_OBJECT: Final[Literal[Signal.OBJECT]] = Signal.OBJECT


def is_null(value: object) -> bool:
    """Whether there is no value."""
    return value is None or value == []


def is_null_or_empty(value: object) -> bool:
    """Whether there is no value, or a text of no characters."""
    return value is None or value in ("", [])


def unwrapped(value: object) -> object:
    """Return the one value of a list that holds just one, an empty list as null, others as is."""
    if isinstance(value, list) and len(value) < 2:
        return value[0] if value else None
    return value


def to_text(value: object) -> str | None:
    """Return the value as text, null as null."""
    if value is None or isinstance(value, str):
        return value
    value = unwrapped(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int):
        return _printed_number(value)
    if isinstance(value, float):
        return _printed_number(int(value)) if _is_plain(value) else repr(value)
    if isinstance(value, datetime):
        return printed_date(value)
    raise unfit("textExpected", "Text is expected", value)


def to_text_or_empty(value: object) -> str:
    """Return the value as text, null as text of no characters."""
    return to_text(value) or ""


def to_number(value: object) -> int | float | None:
    """Return the value as a number, null as null; text is read, True is 1 and False 0."""
    value = unwrapped(value)
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, int | float):
        return value
    number = _read_number(value) if isinstance(value, str) else None
    if number is None:
        raise unfit("numberExpected", "A number is expected", value)
    return number


def to_whole(value: object) -> int | None:
    """Return the value as a whole number, null as null."""
    number = to_number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise unfit("numberExpected", "A whole number is expected", number)
        return int(number)
    return number


def to_date(value: object) -> datetime | None:
    """Return the value as a date in UTC, null as null."""
    value = unwrapped(value)
    if value is None or isinstance(value, datetime):
        return value
    date = read_date(value) if isinstance(value, str) else None
    if date is None:
        raise unfit("dateExpected", "A date is expected", value)
    return date


def to_list(value: object) -> list[object]:
    """Return the values of a multi-valued attribute; a single value is a list of one."""
    if isinstance(value, list):
        if len(value) > MAX_LIST:
            raise EvaluationError(
                "evaluation.listTooLong", f"A list has at most {MAX_LIST} values here"
            )
        return value
    if value is None:
        return []
    return [printed_date(value) if isinstance(value, datetime) else value]


def to_condition(value: object) -> bool:
    """Read a value as a condition: True, a number that is not 0, or the text "True"."""
    if isinstance(value, bool):
        return value
    if is_null_or_empty(value):
        return False
    value = unwrapped(value)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    number = _number_in(value)
    if number is None:
        raise unfit("conditionExpected", "A condition is expected", value)
    return number != 0


def within_limit(text: str) -> str:
    """Return the text, or refuse it when it is longer than a column can hold."""
    if len(text) > MAX_TEXT:
        raise too_long()
    return text


def too_long() -> EvaluationError:
    """Make the error for a result that no column can hold."""
    return EvaluationError(
        "evaluation.textTooLong", f"The result is longer than {MAX_TEXT} characters"
    )


def equal(left: object, right: object) -> bool:
    """Whether two values are the same; null and text of no characters are."""
    if type(left) is str and type(right) is str:
        return left == right
    left, right = unwrapped(left), unwrapped(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal_items, _in_order(left), _in_order(right)))
    return _equal_items(left, right)


def _in_order(values: list[object]) -> list[object]:
    """Return texts in one order, as Graph promises none for the values of an attribute."""
    texts = [value for value in values if isinstance(value, str)]
    return values if len(texts) < len(values) else [*sorted(texts)]


def _equal_items(left: object, right: object) -> bool:
    if left is None or right is None:
        return is_null_or_empty(left) and is_null_or_empty(right)
    if isinstance(left, bool) and isinstance(right, str):
        return right.lower() == str(left).lower()
    if isinstance(right, bool) and isinstance(left, str):
        return left.lower() == str(right).lower()
    return order(left, right) == 0


def order(left: object, right: object) -> int | None:
    """Return -1, 0 or 1 for less, equal, more; None when the two cannot be compared."""
    left, right = unwrapped(left), unwrapped(right)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, datetime) or isinstance(right, datetime):
        return _date_order(left, right)
    one, other = _number_in(left), _number_in(right)
    if one is None or other is None:
        return None
    if one == other:
        return 0
    return -1 if one < other else 1 if one > other else None


def _date_order(left: object, right: object) -> int | None:
    one = read_date(left) if isinstance(left, str) else left
    other = read_date(right) if isinstance(right, str) else right
    if isinstance(one, datetime) and isinstance(other, datetime):
        return (one > other) - (one < other)
    return None


def _number_in(value: object) -> int | float | None:
    if isinstance(value, int | float):
        return value
    return _read_number(value) if isinstance(value, str) else None


def _read_number(text: str) -> int | float | None:
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def _is_plain(number: float) -> bool:
    return number.is_integer() and abs(number) < 1e15


def _printed_number(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # Python prints whole numbers of up to 4,300 digits
        raise EvaluationError("evaluation.numberTooLarge", "A number has too many digits") from None


def unfit(code: str, message: str, value: object) -> EvaluationError:
    """Make the error for a value of the wrong kind, with the start of it."""
    if isinstance(value, str):
        what = f'"{value[:SHOWN]}"'
    elif isinstance(value, list):
        what = f"a list of {len(value)}"
    elif isinstance(value, dict):
        what = "an object"
    elif isinstance(value, datetime):
        what = printed_date(value)
    else:
        what = repr(value)[:SHOWN] if isinstance(value, float | bool) else "a number"
    return EvaluationError(f"evaluation.{code}", message, value=what)
