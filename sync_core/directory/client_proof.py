"""How an app with a certificate proves itself where azure-identity does not do it: a signed assertion.

learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = timedelta(minutes=5)


def certificate_assertion(pem: str, client_id: str, endpoint: str, now: datetime) -> str:
    """Sign for an app; `pem` holds one key and its certificate."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    thumbprint = urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=")
    claims = {
        "aud": endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": str(uuid4()),
        "nbf": now,
        "iat": now,
        "exp": now + LIFE,
    }
    return jwt.encode(claims, pem, "PS256", headers={"x5t#S256": thumbprint.decode()})
