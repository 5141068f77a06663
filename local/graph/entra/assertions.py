"""Client assertions: a signed JWT in; nothing, or Entra's refusal, out.

Two kinds are told apart by the issuer: the app itself (a certificate), or another identity provider
(a federated credential).
"""

import base64
import time
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from local.graph.directory.clock import Clock
from local.graph.directory.tenants import App
from local.graph.entra.errors import TokenError, invalid_client

_LEEWAY_S = 300
_ALGORITHMS = ["RS256", "PS256"]


def check_assertion(app: App, assertion: str, *, audiences: set[str], clock: Clock) -> None:
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise TokenError(50027, "invalid_request", "JWT token is invalid or malformed.") from error
    issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
    federated_issuers = {credential.issuer for credential in app.federated}
    if issuer in federated_issuers or issuer.startswith("https://"):
        _check_federated(app, assertion, claims)
    else:
        if app.app_id not in (issuer.lower(), subject.lower()) or issuer != subject:
            raise invalid_client(
                700021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            )
        _check_certificate(app, assertion, header, clock)
        _check_audience(claims, audiences)
    _check_times(claims)


def _check_certificate(app: App, assertion: str, header: dict[str, Any], clock: Clock) -> None:
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in app.certificates]
    # Microsoft's client library leaves the padding on.
    shown = str(header.get("x5t#S256") or header.get("x5t") or "").rstrip("=")
    if not shown:
        raise invalid_client(
            700027, "Client assertion contains an invalid signature. [Reason - no x5t header.]"
        )
    algorithm = hashes.SHA256() if "x5t#S256" in header else hashes.SHA1()  # noqa: S303 -- Entra's
    found = next((c for c in certificates if _thumbprint(c, algorithm) == shown), None)
    if found is None:
        raise invalid_client(
            700027,
            "Client assertion failed signature validation. [Reason - The key was not found., "
            f"Thumbprint of key used by client: '{shown}'.]",
        )
    if found.not_valid_after_utc <= clock.now():
        raise invalid_client(392204, "The certificate used to sign the assertion has expired.")
    _verify(assertion, found.public_key())


def _thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    return base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()


def _check_federated(app: App, assertion: str, claims: dict[str, Any]) -> None:
    """Issuer, subject and audience must be the registered ones to the letter."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    audience = claims.get("aud")
    of_issuer = [c for c in app.federated if c.issuer == issuer]
    if not of_issuer:
        raise invalid_client(
            700211,
            f"No matching federated identity record found for presented assertion issuer "
            f"'{issuer}'.",
        )
    of_subject = [c for c in of_issuer if c.subject == subject]
    if not of_subject:
        raise invalid_client(
            700213,
            f"No matching federated identity record found for presented assertion subject "
            f"'{subject}'.",
        )
    found = next((c for c in of_subject if c.audience == audience), None)
    if found is None:
        raise invalid_client(
            700212,
            f"No matching federated identity record found for presented assertion audience "
            f"'{audience}'.",
        )
    _verify(assertion, found.public_key)


def _verify(assertion: str, public_key: Any) -> None:
    try:
        jwt.decode(
            assertion,
            public_key,
            algorithms=_ALGORITHMS,
            options={
                "verify_aud": False,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidTokenError as error:
        raise invalid_client(
            700027,
            "Client assertion failed signature validation. [Reason - The key used is not the "
            "registered one.]",
        ) from error


def _check_audience(claims: dict[str, Any], audiences: set[str]) -> None:
    if claims.get("aud") not in audiences:
        raise invalid_client(700023, "Client assertion audience claim does not match Realm issuer.")


def _check_times(claims: dict[str, Any]) -> None:
    now = time.time()
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    # Microsoft's client library sends fractions of seconds.
    if (
        not isinstance(expires, int | float)
        or expires < now - _LEEWAY_S
        or begins > now + _LEEWAY_S
    ):
        raise invalid_client(700024, "Client assertion is not within its valid time range.")
