"""Who is calling and what they may do: request headers in, a `Caller` out, or 401, or 403.

In Azure, App Service authentication has checked the token and tells who signed in by a header; on a
machine without it the same header would be the caller's own invention, so it is read only where the
settings say that App Service authentication is on. The local rig has two fixed tokens instead.
"""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request

from sync_core.api.http.refusals import Forbidden, Unauthenticated
from sync_core.services import Services
from sync_core.settings import Settings

PRINCIPAL = "x-ms-client-principal"
# App roles come as claims of this type, while `role_typ` may name the type of older tokens.
# github.com/AzureAD/microsoft-identity-web/pull/2166
APP_ROLES = "roles"
OBJECT_ID = {"oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"}


class Role(StrEnum):
    """The app roles; an administrator may read, too."""

    READER = "Sync.Reader"
    ADMIN = "Sync.Admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: an id for the log, and what they may do."""

    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        return role in self.roles or Role.ADMIN in self.roles


def identify(headers: Mapping[str, str], settings: Settings) -> Caller | None:
    """Give the caller, or None for somebody who has not shown who they are."""
    if settings.has_app_service_auth:
        return _signed_in(headers.get(PRINCIPAL))
    return _by_local_token(headers.get("authorization", ""), settings)


def _by_local_token(header: str, settings: Settings) -> Caller | None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    given = token.strip().encode()
    for expected, role in (
        (settings.local_admin_token, Role.ADMIN),
        (settings.local_reader_token, Role.READER),
    ):
        if expected and compare_digest(given, expected.encode()):
            return Caller(f"local {role}", frozenset({role}))
    return None


def _signed_in(header: str | None) -> Caller | None:
    """Read the principal that App Service puts into the request.

    learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if not header:
        return None
    try:
        principal = orjson.loads(b64decode(header, validate=True))
    except (binascii.Error, ValueError):
        return None
    claims = principal.get("claims") if isinstance(principal, dict) else None
    if not isinstance(claims, list):
        return None
    pairs = [_claim(claim) for claim in claims if isinstance(claim, dict)]
    role_types = {principal.get("role_typ"), APP_ROLES}
    named = {value for kind, value in pairs if kind in role_types}
    name = next((value for kind, value in pairs if kind in OBJECT_ID), "unknown")
    return Caller(name, frozenset(role for role in Role if role.value in named))


def _claim(claim: dict[str, Any]) -> tuple[str, str]:
    return str(claim.get("typ")), str(claim.get("val"))


async def services_of(request: Request) -> Services:
    """Give the services of this process, opened at the first request."""
    services: Services = await request.app.state.services()
    return services


ServicesHere = Annotated[Services, Depends(services_of)]


async def caller_if_any(request: Request, services: ServicesHere) -> Caller | None:
    return identify(request.headers, services.settings)


CallerIfAny = Annotated[Caller | None, Depends(caller_if_any)]


async def known_caller(request: Request, caller: CallerIfAny) -> Caller:
    if caller is None:
        raise _unauthenticated(shown="authorization" in request.headers)
    return caller


CallerHere = Annotated[Caller, Depends(known_caller)]


def needs(role: Role) -> Callable[[Caller], Awaitable[None]]:
    """Give the check that every route with this role begins with."""

    async def check(caller: CallerHere) -> None:
        if not caller.may(role):
            raise Forbidden(
                "auth.roleMissing",
                f"This needs the app role {role}.",
                f"Let an administrator of the Entra tenant assign you the app role {role} "
                "(Enterprise applications, this app, Users and groups), then sign in again.",
                headers={"WWW-Authenticate": _challenge("insufficient_scope")},
            )

    return check


def _unauthenticated(*, shown: bool) -> Unauthenticated:
    return Unauthenticated(
        "auth.tokenInvalid" if shown else "auth.tokenMissing",
        "The token is not valid here." if shown else "The request does not say who is calling.",
        "Sign in, or send the header Authorization: Bearer <token>. For the local rig the token is "
        "adminToken in its ready file.",
        headers={"WWW-Authenticate": _challenge("invalid_token" if shown else None)},
    )


def _challenge(error: str | None) -> str:
    """RFC 6750, section 3: the error is named only where a token was sent."""
    return 'Bearer realm="entra-user-sync"' + (f', error="{error}"' if error else "")
