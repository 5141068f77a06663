"""What a `$batch` answered, item by item: values, nothing, errors to keep, and trouble that passes. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from sync_core.directory.answers import (
    GraphNotFound,
    TokenRefused,
    bad_answer,
    refuse_error_body,
    to_error,
)
from sync_core.domain.errors import FixConnection, RetryLater, SyncError


def sort_items(
    body: Any,
    expected: Sequence[int],
    answers: dict[int, Any],
    needs: Sequence[str],
    *,
    keep_denied: bool,
) -> list[TokenRefused | RetryLater]:
    """Put finished items into `answers`; return the trouble of those that have to be asked again.

    `needs` are the permissions that the items require, by number. Items are judged as plain answers are:
    what passes there passes here.
    """
    responses = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(responses, list):
        return [bad_answer("a batch without its responses")]
    told = {str(one.get("id")): one for one in responses if isinstance(one, dict)}
    waiting: list[TokenRefused | RetryLater] = []
    for number in expected:
        try:
            answers[number] = _value(told.get(str(number)), needs[number])
        except GraphNotFound:
            answers[number] = None
        except (TokenRefused, RetryLater) as error:
            waiting.append(error)
        except FixConnection as error:
            if not keep_denied:
                raise
            answers[number] = error
    return waiting


def _value(response: dict[str, Any] | None, needs: str) -> Any:
    if response is None:
        raise bad_answer("a batch that does not answer all of its items")
    status, body = response.get("status"), response.get("body")
    if not isinstance(status, int):
        raise bad_answer("a batch item without a status")
    if not 200 <= status < 300:
        headers = response.get("headers")
        raise from_body(status, body, headers if isinstance(headers, dict) else {}, needs)
    refuse_error_body(body)
    if not isinstance(body, dict):
        raise bad_answer("a batch item without a body")
    return body


def from_body(status: int, body: Any, headers: Mapping[str, str], needs: str) -> SyncError:
    """Return what an error answer means, by its body."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    return to_error(
        status, str(error.get("code", "")), str(error.get("message", "")), headers, needs
    )
