"""An application that signs in with a certificate instead of a secret."""

import base64
import datetime as dt
import time
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_TENANT_ID,
)


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
