"""Certificates that prove an app: a PEM text in, facts or all of its problems out. Pure.

The text holds the certificate and its private key, as `openssl` and Key Vault write them. Nothing of
the key ever gets into a message.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from sync_core.domain.errors import FixConnection

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
CERTIFICATE = "CERTIFICATE"
PRIVATE_KEY = "PRIVATE KEY"
ENCRYPTED = ("BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED")
LEAST_BITS = 2048


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What may be shown of a certificate; `thumbprint` is SHA-1 in hex, as the Azure portal shows it."""

    thumbprint: str
    sha256: str
    subject: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class CertificateProblem:
    """One thing that is wrong with a PEM text."""

    code: str
    message: str
    remedy: str


class UnusableCertificate(FixConnection):
    """The text cannot prove an app; `problems` names everything that is wrong with it."""

    def __init__(self, problems: Sequence[CertificateProblem]) -> None:
        first = problems[0]
        super().__init__(
            first.code, " ".join(problem.message for problem in problems), first.remedy
        )
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and the key that fits it, both also as text."""

    certificate: x509.Certificate
    certificate_text: str
    key: RSAPrivateKey
    key_text: str


def read(pem: str, now: datetime) -> CertificateFacts:
    """Check the text and give what it says; raise `UnusableCertificate` with every problem."""
    certificate = _usable(pem, now).certificate
    return CertificateFacts(
        # SHA-1 only names the certificate here, as the portal does.
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
        sha256=certificate.fingerprint(hashes.SHA256()).hex().upper(),
        subject=certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def signing_part(pem: str, now: datetime) -> str:
    """Return the key and its certificate alone; raise `UnusableCertificate` with every problem.

    azure-identity takes the first certificate of a text for the key's own, which it is not where the
    chain comes first.
    """
    pair = _usable(pem, now)
    return f"{pair.key_text}\n{pair.certificate_text}\n"


def _usable(pem: str, now: datetime) -> _Pair:
    blocks = [(match[1], match[0]) for match in BLOCK.finditer(pem)]
    if not blocks:
        raise UnusableCertificate([NOT_PEM])
    keys, key_problems = _keys(blocks)
    certificates, certificate_problems = _certificates(blocks)
    if problems := key_problems + certificate_problems:
        raise UnusableCertificate(problems)
    pair = _matching(keys, certificates)
    if pair is None:
        raise UnusableCertificate([MISMATCH])
    if problems := [*_weakness(pair.key), *_age(pair.certificate, now)]:
        raise UnusableCertificate(problems)
    return pair


Blocks = Sequence[tuple[str, str]]


def _keys(
    blocks: Blocks,
) -> tuple[list[tuple[RSAPrivateKey, str]], list[CertificateProblem]]:
    texts = [text for label, text in blocks if label.endswith(PRIVATE_KEY)]
    if not texts:
        return [], [NO_KEY]
    keys, problems = [], []
    for text in texts:
        if any(mark in text for mark in ENCRYPTED):
            problems.append(KEY_ENCRYPTED)
            continue
        try:
            key = load_pem_private_key(text.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            problems.append(KEY_UNREADABLE)
            continue
        if isinstance(key, RSAPrivateKey):
            keys.append((key, text))
        else:
            problems.append(KEY_NOT_RSA)
    return keys, problems


def _certificates(
    blocks: Blocks,
) -> tuple[list[tuple[x509.Certificate, str]], list[CertificateProblem]]:
    texts = [text for label, text in blocks if label == CERTIFICATE]
    if not texts:
        return [], [NO_CERTIFICATE]
    try:
        return [(x509.load_pem_x509_certificate(text.encode()), text) for text in texts], []
    except ValueError:
        return [], [CERTIFICATE_UNREADABLE]


def _matching(
    keys: Sequence[tuple[RSAPrivateKey, str]],
    certificates: Sequence[tuple[x509.Certificate, str]],
) -> _Pair | None:
    for key, key_text in keys:
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for certificate, text in certificates:
            # As bytes: a chain may hold keys of kinds that are not understood here.
            if public in certificate.tbs_certificate_bytes:
                return _Pair(certificate, text, key, key_text)
    return None


def _weakness(key: RSAPrivateKey) -> list[CertificateProblem]:
    if key.key_size >= LEAST_BITS:
        return []
    return [
        CertificateProblem(
            "certificate.weakKey",
            f"The certificate's key has {key.key_size} bits; at least {LEAST_BITS} are needed.",
            NEW_ONE,
        )
    ]


def _age(certificate: x509.Certificate, now: datetime) -> list[CertificateProblem]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        message = f"The certificate expired on {ends.date()}."
        return [CertificateProblem("certificate.expired", message, NEW_ONE)]
    if begins > now:
        message = f"The certificate is not valid before {begins.date()}."
        remedy = "Wait until then, use another one, or check the clock of this machine."
        return [CertificateProblem("certificate.notYetValid", message, remedy)]
    return []


NEW_ONE = (
    "Make a new certificate with an RSA key of 2048 bits or more, upload its public part to the app "
    "registration, and send certificate and key here."
)
PASTE = (
    "Send the PEM text with both parts, from -----BEGIN to -----END-----: the certificate and its "
    "private key."
)
NOT_PEM = CertificateProblem(
    "certificate.notPem",
    "This is not a certificate in PEM format.",
    f"{PASTE} A PFX file is converted with: openssl pkcs12 -in app.pfx -nodes -out app.pem",
)
NO_KEY = CertificateProblem(
    "certificate.noKey",
    "The text has no private key, and only with its key can a certificate prove anything.",
    PASTE,
)
NO_CERTIFICATE = CertificateProblem(
    "certificate.noCertificate", "The text has a private key but no certificate.", PASTE
)
KEY_ENCRYPTED = CertificateProblem(
    "certificate.keyEncrypted",
    "The private key is encrypted with a password.",
    "Take the password away (openssl pkey -in key.pem -out plain.pem) and send the text with that "
    "key; Key Vault encrypts what it stores.",
)
KEY_UNREADABLE = CertificateProblem(
    "certificate.keyUnreadable", "The private key cannot be read.", PASTE
)
KEY_NOT_RSA = CertificateProblem(
    "certificate.keyNotRsa",
    "The private key is not an RSA key; Entra takes RSA certificates of apps only.",
    NEW_ONE,
)
CERTIFICATE_UNREADABLE = CertificateProblem(
    "certificate.unreadable", "The certificate cannot be read.", PASTE
)
MISMATCH = CertificateProblem(
    "certificate.keyMismatch",
    "The private key does not belong to the certificate.",
    "Send the key with which the certificate was made.",
)
