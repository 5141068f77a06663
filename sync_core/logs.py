"""Events with fields, one line each: `run.finished connection=contoso created=3`.

The Functions host forwards only the message of a log record, so the fields stand in the message itself.
Fields are names, numbers and ids; never a secret, a token or a person's attributes. `events.py` has all
of them: queries over the log read what stands there.
"""

import logging
from typing import Any

# Where one of these is in a value, it stands in quotes.
QUOTED = frozenset(' "\\')

logger = logging.getLogger("entra_user_sync")

# Clients of Azure, of Entra and of Graph write every address at INFO, and addresses hold sign-in names
# and what somebody searched for.
FOREIGN = ("azure", "httpcore", "httpx", "msal", "urllib3")


def quiet_clients() -> None:
    """Let the clients of other services say only what is wrong; the root logger is the host's."""
    for name in FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_event(
    name: str,
    *,
    level: int = logging.INFO,
    exc_info: Any = None,
    **fields: object,
) -> None:
    """Write one event of `sync_core/events.py`; fields that are None are left out.

    `exc_info` as of `logging`: the traceback stands in the lines below the event's own.
    """
    logger.log(level, "%s", _line(name, fields), exc_info=exc_info)


def _line(name: str, fields: dict[str, object]) -> str:
    parts = [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
    return " ".join([name, *parts])


def _value(value: object) -> str:
    # One line per event: line breaks cannot forge a second event, nor quotes another field.
    text = str(value)
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    if text and not set(text) & QUOTED:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
