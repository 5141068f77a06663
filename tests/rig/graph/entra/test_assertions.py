"""Certificates and federated credentials: which assertions sign in, and why others do not."""

import time
from typing import Any

import pytest

from tests.rig.graph.conftest import Application
from tests.rig.graph.signer import Signer

UNKNOWN = "99999999-9999-4999-8999-999999999999"


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
