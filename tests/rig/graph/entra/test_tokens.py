"""The token endpoint refuses as Entra does, and says why."""

import base64
import json
from typing import Any

import pytest

from local.sample import (
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_DOMAIN,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
)
from tests.rig.graph.conftest import Application

UNKNOWN = "99999999-9999-4999-8999-999999999999"


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def test_a_token_tells_tenant_app_audience_and_granted_roles(reader: Application) -> None:
    answer = reader.sign_in().json()

    claims = claims_of(answer["access_token"])
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["tid"] == SAMPLE_TENANT_ID
    assert claims["appid"] == SAMPLE_CLIENT_ID
    assert claims["iss"] == f"https://sts.windows.net/{SAMPLE_TENANT_ID}/"
    assert claims["exp"] - claims["iat"] == 3599
    assert claims["roles"] == SAMPLE_ROLES


def test_without_granted_permissions_there_is_a_token_without_roles(
    application: Application,
) -> None:
    """A missing permission does not fail the token; Graph refuses later."""
    application.emulator.control.set_roles([])

    answer = application.sign_in()

    assert answer.status_code == 200
    assert "roles" not in claims_of(answer.json()["access_token"])


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        pytest.param({"client_secret": "no"}, 401, "invalid_client", 7000215, id="wrong secret"),
        pytest.param({"client_secret": None}, 401, "invalid_client", 7000218, id="no credential"),
        pytest.param({"client_id": UNKNOWN}, 400, "unauthorized_client", 700016, id="unknown app"),
        pytest.param(
            {"tenant": FABRIKAM_TENANT_ID}, 400, "unauthorized_client", 700016, id="other tenant"
        ),
        pytest.param({"tenant": UNKNOWN}, 400, "invalid_tenant", 90002, id="unknown tenant"),
        pytest.param({"tenant": "not~a~tenant"}, 400, "invalid_request", 900023, id="malformed"),
        pytest.param(
            {"tenant": OTHER_CLOUD_TENANT_ID}, 400, "invalid_request", 90038, id="other cloud"
        ),
        pytest.param(
            {"client_id": OTHER_CLOUD_TENANT_ID}, 400, "invalid_request", 900432, id="cross cloud"
        ),
        pytest.param({"grant_type": None}, 400, "invalid_request", 900144, id="no grant type"),
        pytest.param({"client_id": None}, 400, "invalid_request", 900144, id="no client"),
        pytest.param({"scope": None}, 400, "invalid_request", 900144, id="no scope"),
        pytest.param(
            {"grant_type": "password"}, 400, "unsupported_grant_type", 70003, id="password"
        ),
        pytest.param({"scope": "User.Read.All"}, 400, "invalid_scope", 1002012, id="a permission"),
        pytest.param({"scope": "a/.default b"}, 400, "invalid_scope", 70011, id="two scopes"),
        pytest.param(
            {"scope": "https://nobody.example/.default"}, 400, "invalid_resource", 500011,
            id="unknown resource",
        ),
        pytest.param(
            {"client_secret": None, "client_assertion": "x"}, 400, "invalid_request", 900144,
            id="assertion without its type",
        ),
    ],
)  # fmt: skip
def test_a_refusal_carries_entras_code(
    reader: Application, changes: dict[str, str | None], status: int, error: str, code: int
) -> None:
    answer = reader.sign_in(**changes)

    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    for part in ("Trace ID: ", "Correlation ID: ", "Timestamp: "):
        assert part in body["error_description"]
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


def test_a_tenant_answers_to_its_domain_as_well(reader: Application) -> None:
    assert reader.sign_in(tenant=SAMPLE_DOMAIN).status_code == 200


def test_an_expired_secret_is_told_apart_from_a_wrong_one(application: Application) -> None:
    application.emulator.control.expire_secrets()

    answer = application.sign_in()

    assert answer.json()["error_codes"] == [7000222]


def test_an_app_with_two_secrets_takes_the_new_one_while_the_old_is_expired(
    application: Application,
) -> None:
    application.emulator.control.expire_secrets()
    fresh = application.emulator.control.add_secret()

    assert application.sign_in(client_secret=fresh).status_code == 200


def test_a_disabled_app_gets_no_token(application: Application) -> None:
    application.emulator.control.enable_app(False)

    assert application.sign_in().json()["error_codes"] == [7000112]


def test_a_fault_makes_the_endpoint_fail_transiently(application: Application) -> None:
    application.emulator.control.add_fault("unavailable", path="/*/oauth2/v2.0/token", times=1)

    first, second = application.sign_in(), application.sign_in()

    assert (first.status_code, first.json()["error_codes"]) == (503, [90033])
    assert second.status_code == 200


def test_discovery_names_the_endpoints_of_the_tenant(reader: Application) -> None:
    authority = reader.emulator.authority_url
    document = reader.http.get(
        f"{authority}/{SAMPLE_TENANT_ID}/v2.0/.well-known/openid-configuration"
    ).json()
    instance = reader.http.get(f"{authority}/common/discovery/instance").json()

    token_endpoint = f"{authority}/{SAMPLE_TENANT_ID}/oauth2/v2.0/token"
    assert document["token_endpoint"] == token_endpoint
    assert instance["metadata"][0]["aliases"] == [authority.removeprefix("https://")]
