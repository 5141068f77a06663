"""What Graph makes of the token of a call."""

import pytest

from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
)
from tests.rig.graph.conftest import Application, error_code


def test_without_a_token_graph_answers_401(reader: Application) -> None:
    reader.token = ""
    answer = reader.ask("/users")

    assert (answer.status_code, error_code(answer)) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_was_tampered_with_is_refused(reader: Application) -> None:
    head, body, signature = reader.token.split(".")
    reader.token = ".".join((head, body, signature[::-1]))

    assert reader.ask("/users").status_code == 401


def test_a_token_for_another_audience_is_refused(reader: Application) -> None:
    reader.token = reader.emulator.service.mint.issue(
        tenant_id=SAMPLE_TENANT_ID,
        app_id=SAMPLE_CLIENT_ID,
        resource="https://vault.azure.net",
        roles=SAMPLE_ROLES,
    )

    assert reader.ask("/users").status_code == 401


def test_an_expired_token_is_refused(reader: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.graph.http.access.TOKEN_LIFE_S", -1)
    reader.sign_in()

    answer = reader.ask("/users")

    assert "expired" in answer.json()["error"]["message"]


def test_granted_roles_are_fixed_when_the_token_is_issued(application: Application) -> None:
    """An administrator's consent helps only with the next token."""
    application.emulator.control.set_roles([])
    before = application.ask("/users?$top=1")
    application.sign_in()
    after = application.ask("/users?$top=1")

    assert (before.status_code, after.status_code) == (200, 403)
    assert error_code(after) == "Authorization_RequestDenied"
