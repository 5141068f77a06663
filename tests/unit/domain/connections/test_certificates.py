"""A certificate is taken only if it can prove an app; everything wrong with it is said at once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from sync_core.domain.connections.certificates import UnusableCertificate, read, signing_part
from tests.certificates import NOW, certificate_pem, key_pem, rsa_key

DAY = timedelta(days=1)
TRADITIONAL = PrivateFormat.TraditionalOpenSSL
KEY = rsa_key()
OTHER_KEY = rsa_key()
CERTIFICATE = certificate_pem(KEY)
GOOD = key_pem(KEY) + CERTIFICATE


def codes(pem: str) -> list[str]:
    with pytest.raises(UnusableCertificate) as refused:
        read(pem, NOW)
    return [problem.code for problem in refused.value.problems]


def test_facts_are_those_of_the_portal() -> None:
    facts = read(GOOD, NOW)

    certificate = x509.load_pem_x509_certificate(CERTIFICATE.encode())
    assert facts.thumbprint == certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303
    assert (len(facts.thumbprint), len(facts.sha256)) == (40, 64)
    assert facts.subject == "CN=contoso-sync"
    assert facts.not_after == certificate.not_valid_after_utc
    assert facts.not_before == certificate.not_valid_before_utc


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(GOOD, id="key first"),
        pytest.param(CERTIFICATE + key_pem(KEY), id="certificate first"),
        pytest.param(key_pem(KEY, form=TRADITIONAL) + CERTIFICATE, id="PKCS#1 key"),
        pytest.param(certificate_pem(OTHER_KEY) + GOOD, id="chain first"),
        pytest.param(key_pem(OTHER_KEY) + GOOD, id="another key beside"),
        pytest.param("Bag Attributes\n  friendlyName: x\n" + GOOD, id="words of openssl"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line ends"),
    ],
)
def test_any_order_and_form_is_read(pem: str) -> None:
    assert read(pem, NOW) == read(GOOD, NOW)


def test_the_signing_part_is_the_key_and_its_own_certificate() -> None:
    """azure-identity takes the first certificate of a text for the key's own."""
    part = signing_part(certificate_pem(OTHER_KEY) + GOOD, NOW)

    assert part.count("BEGIN CERTIFICATE") == part.count("BEGIN PRIVATE KEY") == 1
    assert read(part, NOW) == read(GOOD, NOW)


@pytest.mark.parametrize(
    ("pem", "expected"),
    [
        pytest.param("", ["certificate.notPem"], id="nothing"),
        pytest.param("MIIKcQIBAzCCCi", ["certificate.notPem"], id="PFX in base64"),
        pytest.param(CERTIFICATE, ["certificate.noKey"], id="no key"),
        pytest.param(key_pem(KEY), ["certificate.noCertificate"], id="no certificate"),
        pytest.param(
            key_pem(KEY, password=b"x") + CERTIFICATE, ["certificate.keyEncrypted"], id="encrypted"
        ),
        pytest.param(
            key_pem(KEY, form=TRADITIONAL, password=b"x") + CERTIFICATE,
            ["certificate.keyEncrypted"],
            id="encrypted in the old way",
        ),
        pytest.param(
            key_pem(KEY, password=b"x"),
            ["certificate.keyEncrypted", "certificate.noCertificate"],
            id="two things at once",
        ),
        pytest.param(
            key_pem(OTHER_KEY) + CERTIFICATE, ["certificate.keyMismatch"], id="another key"
        ),
        pytest.param(
            GOOD.replace("BEGIN PRIVATE KEY-----\n", "BEGIN PRIVATE KEY-----\nAAAA"),
            ["certificate.keyUnreadable"],
            id="damaged key",
        ),
        pytest.param(
            GOOD.replace("BEGIN CERTIFICATE-----\n", "BEGIN CERTIFICATE-----\nAAAA"),
            ["certificate.unreadable"],
            id="damaged certificate",
        ),
        pytest.param(
            "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----",
            ["certificate.noKey", "certificate.noCertificate"],
            id="something else in PEM",
        ),
    ],
)
def test_what_cannot_prove_an_app_is_refused(pem: str, expected: list[str]) -> None:
    assert codes(pem) == expected


def elliptic() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key_pem(key) + certificate_pem(key)


def weak() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    return key_pem(key) + certificate_pem(key)


@pytest.mark.parametrize(
    ("make", "expected"),
    [(elliptic, "certificate.keyNotRsa"), (weak, "certificate.weakKey")],
    ids=["elliptic curve", "1024 bits"],
)
def test_keys_that_entra_or_good_sense_refuses(make: Callable[[], str], expected: str) -> None:
    assert codes(make()) == [expected]


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        pytest.param(-DAY, DAY, None, id="valid"),
        pytest.param(timedelta(), DAY, None, id="from this moment"),
        pytest.param(-DAY, timedelta(), "certificate.expired", id="up to this moment"),
        pytest.param(-DAY, timedelta(seconds=1), None, id="one more second"),
        pytest.param(timedelta(seconds=1), DAY, "certificate.notYetValid", id="in a second"),
    ],
)
def test_the_time_of_a_certificate(
    begins: timedelta, ends: timedelta, expected: str | None
) -> None:
    now = NOW.replace(microsecond=0)  # certificates know whole seconds
    pem = key_pem(KEY) + certificate_pem(KEY, begins=now + begins, ends=now + ends)

    if expected is None:
        assert read(pem, now).not_after == now + ends
    else:
        with pytest.raises(UnusableCertificate) as refused:
            read(pem, now)

        assert refused.value.code == expected


def test_no_message_holds_anything_of_the_key() -> None:
    pem = key_pem(OTHER_KEY) + CERTIFICATE
    with pytest.raises(UnusableCertificate) as refused:
        read(pem, NOW)

    said = f"{refused.value} {refused.value.remedy} {refused.value.problems}"
    assert not any(line in said for line in pem.splitlines() if not line.startswith("-----"))
