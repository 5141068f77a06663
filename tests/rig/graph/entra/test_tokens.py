"""The token endpoint refuses as Entra does, and says why."""

import base64
import datetime as dt
import json
import time
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.sample import (
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_DOMAIN,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
)
from tests.rig.graph.conftest import Application, error_code

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


# Certificates and federated credentials


class Signer:
    """A key with a self-signed certificate, and the assertions made with it."""

    def __init__(self, *, ends_in_days: int = 30) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sync")])
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=60))
            .not_valid_after(now + dt.timedelta(days=ends_in_days))
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def public_key(self) -> str:
        return (
            self.key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def assertion(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": SAMPLE_CLIENT_ID,
            "sub": SAMPLE_CLIENT_ID,
            "aud": f"https://login.microsoftonline.com/{SAMPLE_TENANT_ID}/oauth2/v2.0/token",
            "nbf": now,
            "exp": now + 600,
            "jti": "1",
            **changes,
        }
        thumbprint = self.certificate.fingerprint(hashes.SHA256())
        header = {"x5t#S256": base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()}
        return jwt.encode(claims, self.key, "RS256", headers=header)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def sign_in_with(application: Application, assertion: str) -> tuple[int, list[int]]:
    answer = application.sign_in(
        client_secret=None,
        client_assertion=assertion,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )
    return answer.status_code, answer.json().get("error_codes", [])


def test_a_registered_certificate_signs_in(application: Application, signer: Signer) -> None:
    application.emulator.control.add_certificate(signer.pem)

    assert sign_in_with(application, signer.assertion()) == (200, [])


def test_a_certificate_that_nobody_registered_is_refused(
    application: Application, signer: Signer
) -> None:
    assert sign_in_with(application, signer.assertion()) == (401, [700027])


def test_an_expired_certificate_is_refused(application: Application) -> None:
    old = Signer(ends_in_days=-1)
    application.emulator.control.add_certificate(old.pem)

    assert sign_in_with(application, old.assertion()) == (401, [392204])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"exp": int(time.time()) - 3600}, 700024, id="expired"),
        pytest.param({"nbf": int(time.time()) + 3600}, 700024, id="not yet valid"),
        pytest.param({"sub": UNKNOWN}, 700021, id="another app"),
        pytest.param({"aud": "https://login.example/token"}, 700023, id="another audience"),
    ],
)
def test_a_bad_assertion_says_what_is_wrong(
    application: Application, signer: Signer, changes: dict[str, Any], code: int
) -> None:
    application.emulator.control.add_certificate(signer.pem)

    assert sign_in_with(application, signer.assertion(**changes)) == (401, [code])


def test_text_that_is_no_assertion_is_malformed(application: Application) -> None:
    assert sign_in_with(application, "not.a.jwt") == (400, [50027])


def test_an_assertion_signed_with_another_key_is_refused(
    application: Application, signer: Signer
) -> None:
    """The thumbprint of the registered certificate, the signature of somebody else."""
    application.emulator.control.add_certificate(signer.pem)
    forged = Signer()
    forged.certificate = signer.certificate

    assert sign_in_with(application, forged.assertion()) == (401, [700027])


FEDERATED = {
    "iss": "https://issuer.example/tenant/v2.0",
    "sub": "the-managed-identity",
    "aud": "api://AzureADTokenExchange",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (200, []), id="exact match"),
        pytest.param({"iss": FEDERATED["iss"] + "/"}, (401, [700211]), id="issuer with a slash"),
        pytest.param({"sub": "The-Managed-Identity"}, (401, [700213]), id="subject in capitals"),
        pytest.param({"aud": "api://AzureADTokenExchangeUSGov"}, (401, [700212]), id="audience"),
        pytest.param({"exp": int(time.time()) - 3600}, (401, [700024]), id="expired"),
    ],
)
def test_a_federated_credential_must_match_to_the_letter(
    application: Application,
    signer: Signer,
    changes: dict[str, Any],
    expected: tuple[int, list[int]],
) -> None:
    application.emulator.control.add_federated_credential(
        issuer=FEDERATED["iss"],
        subject=FEDERATED["sub"],
        audience=FEDERATED["aud"],
        public_key=signer.public_key,
    )

    assert sign_in_with(application, signer.assertion(**(FEDERATED | changes))) == expected


# What Graph makes of tokens


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
