"""What a token for Graph says of itself. Pure."""

import base64
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says of itself; not verified, for display and advice only."""

    tenant_id: str | None
    roles: frozenset[str]


def read_token(token: str) -> TokenFacts | None:
    """Look into a token; None for one that is no JWT, as Microsoft may issue at any time.

    learn.microsoft.com/entra/identity-platform/access-tokens: a client must not rely on the format.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    if not isinstance(claims, dict):
        return None
    tenant, roles = claims.get("tid"), claims.get("roles")
    return TokenFacts(
        tenant.lower() if isinstance(tenant, str) else None,
        frozenset(map(str, roles)) if isinstance(roles, list) else frozenset(),
    )
