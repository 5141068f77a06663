"""Who calls and what they may do: a bearer token in, a caller with application permissions out.

Permissions are those of GRAPH's reference pages; the wider ones that include them count as well.
"""

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import jwt

from local.graph.http.errors import GraphError, denied

_DIRECTORY = frozenset(("Directory.Read.All", "Directory.ReadWrite.All"))
READ_USERS = _DIRECTORY | {"User.Read.All", "User.ReadWrite.All"}
READ_GROUPS = _DIRECTORY | {
    "GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All",
}  # fmt: skip
READ_MEMBERS = READ_GROUPS | {"GroupMember.ReadBasic.All"}
# learn.microsoft.com/graph/api/subscription-post-subscriptions: no GroupMember.* here.
SUBSCRIBE_GROUPS = frozenset(("Group.Read.All",))
SUBSCRIBE_USERS = frozenset(("User.Read.All",))
READ_HIDDEN = frozenset(("Member.Read.Hidden",))
READ_APPS = _DIRECTORY | {"Application.Read.All", "Application.ReadWrite.All"}
READ_OWN_APPS = frozenset(("Application.ReadWrite.OwnedBy",))
READ_ORGANIZATION = _DIRECTORY | {"Organization.Read.All", "Organization.ReadWrite.All"}
READ_ANY_OBJECT = _DIRECTORY
READ_AUDIT_LOG = frozenset(("AuditLog.Read.All",))
# Null for everybody else, without an error (learn.microsoft.com/graph/api/resources/user; that it is
# null and not refused is told by those who tried, and by the answers of the Entra command line tool).
READ_LEAVE_DATES = frozenset(("User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All"))

GRAPH_RESOURCES = frozenset(
    (
        "https://graph.microsoft.com",
        "00000003-0000-0000-c000-000000000000",
    )
)
TOKEN_LIFE_S = 3599
TOKEN_OVER = "Lifetime validation failed, the token is expired."


@dataclass(frozen=True, slots=True)
class Caller:
    app_id: str
    tenant_id: str
    roles: frozenset[str]
    account: str | None = None
    """The sign-in name of the person for whom the application asks; None where it asks for itself."""
    scopes: frozenset[str] = frozenset()

    def may(self, permissions: frozenset[str]) -> bool:
        return not self.roles.isdisjoint(permissions)

    def need(self, permissions: frozenset[str]) -> None:
        if not self.may(permissions):
            raise denied()


@dataclass(slots=True)
class TokenMint:
    """Signs access tokens with a key of this process, and reads them back."""

    own_resources: set[str]
    """Addresses of this Graph itself; a token for one of them is as good as one for the cloud's."""
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    identity_keys: list[str] = field(default_factory=list)
    """PEM of managed identities whose own tokens for Graph are as good as those signed here."""
    is_opaque: bool = False
    """Issue tokens that tell their bearer nothing, as Microsoft reserves the right to do."""
    over: set[str] = field(default_factory=set)
    """What was sent as authorization and is not taken any more, although its time has not come."""
    _opaque: dict[str, dict[str, Any]] = field(default_factory=dict)
    _read: dict[str, dict[str, Any]] = field(default_factory=dict)

    def knows_resource(self, resource: str) -> bool:
        return resource.rstrip("/") in GRAPH_RESOURCES | self.own_resources

    def issue_for(
        self, account: str, *, tenant_id: str, app_id: str, resource: str, scopes: list[str]
    ) -> str:
        """Sign a token of a person, as a program gets it that acts for who has signed in."""
        claims = self._claims_of(tenant_id, app_id, resource)
        del claims["idtyp"]
        return jwt.encode(
            {**claims, "upn": account, "scp": " ".join(scopes)}, self.key, algorithm="HS256"
        )

    def issue(self, *, tenant_id: str, app_id: str, resource: str, roles: list[str]) -> str:
        claims = self._claims_of(tenant_id, app_id, resource)
        if roles:
            claims["roles"] = roles
        if self.is_opaque:
            token = f"EwBwA8l6{secrets.token_urlsafe(48)}"
            self._opaque[token] = claims
            return token
        return jwt.encode(claims, self.key, algorithm="HS256")

    def _claims_of(self, tenant_id: str, app_id: str, resource: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_LIFE_S,
            "app_displayname": "emulated",
            "appid": app_id,
            "appidacr": "1",
            "idtyp": "app",
            "tid": tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }

    def caller(self, authorization: str | None) -> Caller:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Access token is empty.")
        claims = self._claims(token)
        if claims["exp"] <= time.time() or authorization in self.over:
            raise unauthenticated(TOKEN_OVER)
        if not self.knows_resource(str(claims["aud"])):
            raise unauthenticated("Access token validation failure. Invalid audience.")
        return Caller(
            claims["appid"],
            claims["tid"],
            frozenset(claims.get("roles", ())),
            claims.get("upn"),
            frozenset(claims.get("scp", "").split()),
        )

    def _claims(self, token: str) -> dict[str, Any]:
        """Verified once, then remembered: a benchmark sends one token a thousand times."""
        claims = self._opaque.get(token) or self._read.get(token)
        if claims is None:
            claims = self._verified(token)
            if claims is None:
                raise unauthenticated("Access token validation failure. Invalid signature.")
            if len(self._read) > 1000:
                self._read.clear()
            self._read[token] = claims
        return claims

    def _verified(self, token: str) -> dict[str, Any] | None:
        keys = [(self.key, "HS256"), *((pem, "RS256") for pem in self.identity_keys)]
        for key, algorithm in keys:
            with contextlib.suppress(jwt.InvalidTokenError):
                return jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    options={"verify_aud": False, "verify_exp": False},
                )
        return None


def unauthenticated(message: str) -> GraphError:
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        message,
        {
            "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
        },
    )
