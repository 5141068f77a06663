"""Who is calling and what they may do: request headers in, a `Caller` out, or 401, or 403.

In Azure, App Service authentication has checked the token and tells who signed in by a header; on a
machine without it the same header would be the caller's own invention, so it is read only where the
settings say that App Service authentication is on. It is not read on routes that are open to everybody
either: App Service may be told to leave those out, and then takes the header off nobody's request.
Only Entra may have signed them in, and only the tenants that the deployment names are believed: an app
registration for several tenants lets people in whose own administrators hand out its roles.
The local rig has two fixed tokens beside that.
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from sync_core.api.http.refusals import Forbidden, Unauthenticated
from sync_core.domain.documents.run import Actor
from sync_core.services import Services
from sync_core.settings import Settings

PRINCIPAL = "x-ms-client-principal"
ENTRA = "aad"
# Claims go through a mapping by default, so some have another name than in the token:
# learn.microsoft.com/azure/app-service/configure-authentication-user-identities
# `roles` is not mapped; the `role_typ` of the header names the type of older tokens, and is not used.
# github.com/AzureAD/microsoft-identity-web/pull/2166
APP_ROLES = frozenset({"roles"})
ISSUER = frozenset({"iss"})
OBJECT_ID = frozenset({"oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"})
# What people are called; the first that is there counts.
# learn.microsoft.com/entra/identity-platform/id-token-claims-reference
NAMES = ("name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "preferred_username")
MAX_NAME = 256
RIG_TOKEN = "For the local rig the token is adminToken in its ready file."  # noqa: S105 -- no token
TENANT_ID = frozenset({"tid", "http://schemas.microsoft.com/identity/claims/tenantid"})


class Role(StrEnum):
    """The app roles; an administrator may read, too."""

    READER = "Sync.Reader"
    ADMIN = "Sync.Admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling and what they may do; a stranger's roles are not believed."""

    actor: Actor
    roles: frozenset[Role]
    is_stranger: bool = False

    @property
    def name(self) -> str:
        """What the log calls them: an id, and nothing that belongs to a person."""
        return self.actor.key

    def may(self, role: Role) -> bool:
        return role in self.roles or Role.ADMIN in self.roles


class _Claim(BaseModel):
    model_config = ConfigDict(strict=True)

    typ: str
    val: str


class _Principal(BaseModel):
    """Who signed in, as App Service writes it; what is written otherwise is not from there."""

    model_config = ConfigDict(strict=True)

    auth_typ: str
    claims: list[_Claim]
    name_typ: str | None = None
    role_typ: str | None = None

    def values(self, types: AbstractSet[str]) -> set[str]:
        return {claim.val for claim in self.claims if claim.typ in types}

    @property
    def actor(self) -> Actor:
        """Who signed in; a program has an object id and no name."""
        object_id = min(self.values(OBJECT_ID), default=None)
        named = (min(self.values({claim}), default="")[:MAX_NAME] for claim in NAMES)
        name = next(filter(None, named), object_id or "unknown")
        return Actor(object_id=object_id, name=name)


def identify(headers: Mapping[str, str], settings: Settings) -> Caller | None:
    """Return the caller, or None for somebody who has not shown who they are."""
    by_token = by_local_token(headers, settings)
    if by_token is not None or not settings.principal_is_checked:
        return by_token
    return _signed_in(headers.get(PRINCIPAL), settings.admin_tenant_ids)


def by_local_token(headers: Mapping[str, str], settings: Settings) -> Caller | None:
    """Return who the rig's tokens stand for; there are none in Azure."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    given = token.strip().encode()
    for expected, role in (
        (settings.local_admin_token, Role.ADMIN),
        (settings.local_reader_token, Role.READER),
    ):
        if expected and compare_digest(given, expected.encode()):
            return Caller(Actor(name=f"local {role}"), frozenset({role}))
    return None


def _signed_in(header: str | None, believed: AbstractSet[str]) -> Caller | None:
    """Read the principal that App Service puts into the request.

    learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if not header:
        return None
    try:
        principal = _Principal.model_validate_json(b64decode(header, validate=True))
    except ValueError:  # also of base64 and of pydantic
        return None
    actor = principal.actor
    if not _is_believed(principal, believed):
        return Caller(actor, frozenset(), is_stranger=True)
    named = principal.values(APP_ROLES)
    return Caller(actor, frozenset(role for role in Role if role.value in named))


def _is_believed(principal: _Principal, believed: AbstractSet[str]) -> bool:
    """Whether Entra signed them in, for one tenant that is believed, which the issuer names, too."""
    tenants = {one.lower() for one in principal.values(TENANT_ID)}
    if principal.auth_typ != ENTRA or len(tenants) != 1 or not tenants <= believed:
        return False
    (tenant,) = tenants
    # https://sts.windows.net/{tenant}/ or https://{login host of the cloud}/{tenant}/v2.0
    return all(f"/{tenant}/" in f"{issuer.lower()}/" for issuer in principal.values(ISSUER))


async def services_of(request: Request) -> Services:
    """Return the services of this process, opened at the first request."""
    services: Services = await request.app.state.services()
    return services


ServicesHere = Annotated[Services, Depends(services_of)]


async def local_caller(request: Request, services: ServicesHere) -> Caller | None:
    return by_local_token(request.headers, services.settings)


# For routes that are open to everybody.
LocalCaller = Annotated[Caller | None, Depends(local_caller)]


async def known_caller(request: Request, services: ServicesHere) -> Caller:
    caller = identify(request.headers, services.settings)
    if caller is None:
        raise _unauthenticated(services.settings, shown="authorization" in request.headers)
    return caller


CallerHere = Annotated[Caller, Depends(known_caller)]


def needs(role: Role) -> Callable[[Caller], Awaitable[None]]:
    """Return the check that every route with this role begins with."""

    async def check(caller: CallerHere) -> None:
        if caller.is_stranger:
            raise Forbidden(
                "auth.tenantNotBelieved",
                "The app roles of this account are not believed here.",
                "Sign in with an account of a tenant that the app setting ADMIN_TENANT_IDS names.",
                headers={"WWW-Authenticate": _challenge("insufficient_scope")},
            )
        if not caller.may(role):
            raise Forbidden(
                "auth.roleMissing",
                f"This needs the app role {role}.",
                f"Let an administrator of the Entra tenant assign you the app role {role} "
                "(Enterprise applications, this app, Users and groups), then sign in again.",
                headers={"WWW-Authenticate": _challenge("insufficient_scope")},
            )

    return check


def _unauthenticated(settings: Settings, *, shown: bool) -> Unauthenticated:
    if not settings.somebody_can_sign_in:
        return Unauthenticated(
            "auth.signInOff",
            "App Service authentication is off here, so nobody can show who they are.",
            "Run `python -m deploy entra`, then `python -m deploy up`; docs/deploy.md tells what they make.",
            headers={"WWW-Authenticate": _challenge(None)},
        )
    scope = settings.api_scope
    return Unauthenticated(
        "auth.tokenInvalid" if shown else "auth.tokenMissing",
        "The token is not valid here." if shown else "The request does not say who is calling.",
        "Sign in, or send the header Authorization: Bearer <token>. "
        + (f"A token: az account get-access-token --scope {scope}" if scope else RIG_TOKEN),
        headers={"WWW-Authenticate": _challenge("invalid_token" if shown else None, scope)},
    )


def _challenge(error: str | None, scope: str | None = None) -> str:
    """RFC 6750, section 3: the error is named only where a token was sent."""
    attributes = {"error": error, "scope": scope}
    told = [f'{name}="{value}"' for name, value in attributes.items() if value]
    return ", ".join(['Bearer realm="entra-user-sync"', *told])
