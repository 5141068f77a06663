"""Events with fields, one line each: `run.finished connection=contoso created=3`.

The Functions host forwards only the message of a log record, so the fields stand in the message itself.
Fields are names, numbers and ids; never a secret, a token or a person's attributes.
"""

import logging

logger = logging.getLogger("entra_user_sync")


def log_event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
    logger.log(level, "%s", _line(name, fields))


def _line(name: str, fields: dict[str, object]) -> str:
    parts = [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
    return " ".join([name, *parts])


def _value(value: object) -> str:
    # One line per event: a message with blanks is quoted, line breaks cannot forge a second event.
    text = str(value).replace("\r", " ").replace("\n", " ")
    return f'"{text}"' if " " in text else text
