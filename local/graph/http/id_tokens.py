"""ID tokens: who signed in goes in, a token signed with a published key comes out.

learn.microsoft.com/entra/identity-platform/id-token-claims-reference and
learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens for the keys.
"""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ID_TOKEN_LIFE = timedelta(hours=1)
CODE_LIFE = timedelta(minutes=10)


@dataclass(slots=True)
class Code:
    """A sign-in that waits to be fetched by the application; it can be once."""

    app_id: str
    tenant_id: str
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    account: str
    object_id: str
    roles: list[str]
    ends: datetime
    is_redeemed: bool = False


class _Key:
    def __init__(self) -> None:
        self.kid = secrets.token_urlsafe(20)
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def document(self, issuer: str) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        published = {name: public[name] for name in ("kty", "n", "e")}
        return published | {"use": "sig", "kid": self.kid, "x5t": self.kid, "issuer": issuer}


@dataclass(slots=True)
class IdTokens:
    """Signs with the newest of the keys that are published; made when they are first needed."""

    codes: dict[str, Code] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    """Claims that every token gets in place of the right ones; None leaves one out."""
    unknown_key: bool = False
    """Sign with a key that is not published, under the name of one that is."""
    _keys: list[_Key] = field(default_factory=list)

    def published(self, authority_url: str) -> dict[str, Any]:
        """One set signs for every tenant; `issuer` says so by its placeholder."""
        issuer = f"{authority_url}/{{tenantid}}/v2.0"
        return {"keys": [key.document(issuer) for key in self._all()]}

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on."""
        self._keys = [*(self._all() if keep_old else ()), _Key()]

    def issue(
        self,
        authority_url: str,
        code: Code,
        *,
        roles: list[str] | None,
        now: Callable[[], datetime],
    ) -> str:
        """Sign for whom the code stands; `roles` of None are not in the token at all."""
        begins = int(now().timestamp())
        claims = {
            "aud": code.app_id,
            "iss": f"{authority_url}/{code.tenant_id}/v2.0",
            "iat": begins,
            "nbf": begins,
            "exp": begins + int(ID_TOKEN_LIFE.total_seconds()),
            "name": code.account.partition("@")[0],
            "nonce": code.nonce,
            "oid": code.object_id,
            "preferred_username": code.account,
            # Another one for every application.
            "sub": uuid.uuid5(uuid.UUID(code.app_id), code.object_id).hex,
            "tid": code.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
            "wids": roles,
        }
        told = {name: value for name, value in (claims | self.changes).items() if value is not None}
        key = self._all()[-1]
        signs = _Key() if self.unknown_key else key
        return jwt.encode(told, signs.private, "RS256", headers={"kid": key.kid})

    def _all(self) -> list[_Key]:
        if not self._keys:
            self._keys.append(_Key())
        return self._keys
