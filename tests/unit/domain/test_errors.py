"""Every error carries a stable code, a sentence and what to do about it."""

import pytest

from sync_core.domain.errors import (
    Conflict,
    FieldProblem,
    FixSettings,
    Invalid,
    NotFound,
    PreconditionFailed,
    RequestRefused,
    RetryLater,
    SyncError,
    Throttled,
    Unconfirmed,
)


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = SyncError("a.code", "It broke.", "Mend it.")

    assert (error.code, error.message, error.remedy) == ("a.code", "It broke.", "Mend it.")
    assert str(error) == "It broke."


def test_wrong_settings_are_named_together() -> None:
    error = FixSettings(["A is missing", "B is wrong"])

    assert error.problems == ("A is missing", "B is wrong")
    assert error.message == "The app settings are not usable: A is missing; B is wrong"
    assert error.code == "settings.invalid"


@pytest.mark.parametrize("wish", [None, 0.25])
def test_throttled_is_to_be_tried_later_and_keeps_graphs_own_wish(wish: float | None) -> None:
    error = Throttled("Too many requests.", retry_after_s=wish)

    assert isinstance(error, RetryLater)
    assert error.retry_after_s == wish
    assert error.code == "graph.throttled"


@pytest.mark.parametrize(
    ("kind", "status"),
    [(RequestRefused, 409), (NotFound, 404), (Conflict, 409), (PreconditionFailed, 412)],
)
def test_a_refused_request_has_its_http_status(kind: type[RequestRefused], status: int) -> None:
    assert kind("a.code", "No.").status == status


@pytest.mark.parametrize(
    ("remedy", "said"),
    [("", "Correct the named fields and send it again."), ("Ask Ann.", "Ask Ann.")],
)
def test_invalid_names_each_field(remedy: str, said: str) -> None:
    problem = FieldProblem("tenantId", "is required")
    error = Invalid("The connection is not valid.", [problem], remedy)

    assert error.problems == (problem,)
    assert (error.status, error.remedy) == (422, said)


def test_what_is_not_confirmed_says_who_is_concerned() -> None:
    error = Unconfirmed("release.needsConfirmation", "No.", "Confirm it.", {"planHash": "1f"})

    assert (error.status, error.members) == (409, {"planHash": "1f"})
