"""A person's sign-in at Entra, the pure part: where a browser is sent, and what comes back as a token.

Every rule of a token is here, and in this order: its header, its signature, for whom it is, who issued
it, its times, whose it is. Nothing that a person can change about themselves is read: names and addresses
in a token decide nothing (learn.microsoft.com/entra/identity-platform/claims-validation).

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow for the request,
/id-token-claims-reference and /access-tokens#validate-tokens for the token (the tenant of `iss` has to be
the one of `tid`, and the key's own issuer has to fit both: one set of keys signs for every tenant).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode

import jwt

from sync_core.domain.documents.base import GUID
from sync_core.domain.errors import SyncError

# A fixed list: a token must not choose how it is verified (RFC 8725, section 3.1).
ALGORITHM = "RS256"
# Roles and groups make a token long; what is longer than this is none.
MAX_TOKEN = 32 * 1024
LEEWAY = timedelta(minutes=1)
TENANT_IN_ISSUER = "{tenantid}"

# Who may consent to application permissions of Microsoft Graph; application administrators may not:
# learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent#prerequisites. The template ids
# are the same in every tenant: .../role-based-access-control/permissions-reference.
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
PRIVILEGED_ROLE_ADMINISTRATOR = "e8611ab8-c189-46e8-94e1-60213ab1f814"
MAY_CONSENT = frozenset({GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR})

Claims = Mapping[str, Any]


class TokenInvalid(SyncError):
    """A token does not say who signed in, or not to us."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, "Sign in again. If it stays so, the log names the reason.")


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in on its way: the tenant that is asked, and what only its answer can fit."""

    tenant_id: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to fit: the applications that it may be for, who issues tokens, and the time."""

    audiences: frozenset[str]
    login_url: str
    now: datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that Entra publishes: its parts, and the issuer for which it signs."""

    id: str
    parts: Mapping[str, Any]
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in. `roles` are directory roles of the tenant; None where the token does not tell them."""

    tenant_id: str
    object_id: str
    roles: frozenset[str] | None

    @property
    def may_consent(self) -> bool:
        return self.roles is not None and not self.roles.isdisjoint(MAY_CONSENT)


# --- on the way there -----------------------------------------------------------------------------


def sign_in_url(
    sign_in: SignIn, *, login_url: str, client_id: str, redirect_uri: str, state: str
) -> str:
    """Return the address where a person signs in, and has to choose an account to do so.

    Without `prompt` a page of somebody else could send an administrator through a sign-in of which they
    see nothing, since Entra knows them already.
    """
    query = {
        "client_id": client_id,
        "response_type": "code",
        "response_mode": "query",
        "redirect_uri": redirect_uri,
        "scope": "openid profile",
        "state": state,
        "nonce": sign_in.nonce,
        "code_challenge": challenge(sign_in.verifier),
        "code_challenge_method": "S256",
        "prompt": "select_account",
    }
    return f"{login_url}/{sign_in.tenant_id}/oauth2/v2.0/authorize?{urlencode(query)}"


def challenge(verifier: str) -> str:
    """Return what may be shown of a PKCE verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


# --- keys -----------------------------------------------------------------------------------------


def read_keys(document: Any) -> dict[str, SigningKey]:
    """Read the keys that Entra publishes, by id; what is no RSA key for signatures is left out."""
    listed = document.get("keys") if isinstance(document, dict) else None
    keys = [_key(parts) for parts in listed or () if isinstance(parts, dict)]
    return {key.id: key for key in keys if key is not None}


def _key(parts: dict[str, Any]) -> SigningKey | None:
    key_id, issuer = parts.get("kid"), parts.get("issuer")
    if parts.get("kty") != "RSA" or parts.get("use", "sig") != "sig" or not isinstance(key_id, str):
        return None
    return SigningKey(key_id, parts, issuer if isinstance(issuer, str) else None)


# --- the token ------------------------------------------------------------------------------------


def key_id_of(token: str) -> str:
    """Return the id of the key that a token says it is signed with; nothing of it is proven by that."""
    if len(token) > MAX_TOKEN or not token.isascii():
        raise TokenInvalid("signIn.tokenInvalid", "What came in place of a token is none.")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise TokenInvalid("signIn.tokenInvalid", "The token cannot be read.") from error
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
        raise TokenInvalid("signIn.tokenInvalid", f"The token is not signed with {ALGORITHM}.")
    return key_id


def read_id_token(token: str, key: SigningKey, expected: Expected, nonce: str) -> Identity:
    """Read who signed in; raise `TokenInvalid` for whatever is not right about the token."""
    claims = read_token(token, key, expected)
    given = claims.get("nonce")
    if not isinstance(given, str) or not compare_digest(given.encode(), nonce.encode()):
        raise TokenInvalid(
            "signIn.nonceMismatch", "The token answers another sign-in than this one."
        )
    return Identity(claims["tid"].lower(), claims["oid"].lower(), _roles(claims))


def read_token(token: str, key: SigningKey, expected: Expected) -> Claims:
    """Check everything that any token of a person has to fit, and return its claims."""
    claims = _signed(token, key)
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience not in expected.audiences:
        raise TokenInvalid("signIn.audienceUnknown", "The token is for another application.")
    _check_issuer(claims, key, expected)
    _check_times(claims, expected.now)
    return claims


def _signed(token: str, key: SigningKey) -> Claims:
    try:
        # Only the signature: the rest is checked here, with a clock and words of ours.
        claims: Claims = jwt.decode(
            token,
            jwt.PyJWK(dict(key.parts), ALGORITHM),
            algorithms=[ALGORITHM],
            options={
                "verify_aud": False,
                "verify_iss": False,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenInvalid("signIn.tokenInvalid", "The token's signature is not right.") from error
    return claims


def _check_issuer(claims: Claims, key: SigningKey, expected: Expected) -> None:
    tenant, person = claims.get("tid"), claims.get("oid")
    if not _is_guid(tenant) or not _is_guid(person):
        raise TokenInvalid("signIn.tokenInvalid", "The token names no tenant or no person.")
    issuer = f"{expected.login_url}/{tenant}/v2.0"
    of_key = (key.issuer or issuer).replace(TENANT_IN_ISSUER, str(tenant))
    if claims.get("ver") != "2.0" or claims.get("iss") != issuer or of_key != issuer:
        raise TokenInvalid(
            "signIn.issuerMismatch", "The token was not issued by this tenant's Entra."
        )


def _is_guid(value: Any) -> bool:
    return isinstance(value, str) and GUID.fullmatch(value) is not None


def _check_times(claims: Claims, now: datetime) -> None:
    ends, begins = claims.get("exp"), claims.get("nbf")
    if not isinstance(ends, int) or not isinstance(begins, int):
        raise TokenInvalid("signIn.tokenInvalid", "The token does not say when it begins and ends.")
    if ends + LEEWAY.total_seconds() <= now.timestamp():
        raise TokenInvalid("signIn.tokenExpired", "The token has expired.")
    if begins - LEEWAY.total_seconds() > now.timestamp():
        raise TokenInvalid("signIn.tokenInvalid", "The token is not valid yet.")


def _roles(claims: Claims) -> frozenset[str] | None:
    """Return the directory roles, by template id.

    `wids` is in a token only where the app registration asks for it (`groupMembershipClaims`
    `DirectoryRole` or `All`): /access-token-claims-reference. It names built-in roles, held now and for the
    whole tenant; roles that a tenant made itself are not in it.
    """
    told = claims.get("wids")
    if not isinstance(told, list):
        return None
    return frozenset(role.lower() for role in told if isinstance(role, str))
