"""Tenants and app registrations: what exists in Entra beside people and groups."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.graph.directory.clock import Clock
from local.graph.directory.directory import Directory
from local.graph.directory.people import People
from local.graph.directory.places import CHINA, DOD, GCC_HIGH, GLOBAL, Place
from local.graph.directory.sample_groups import add_sample_groups
from local.sample import (
    CHINA_TENANT_ID,
    COST_CENTER,
    DOD_TENANT_ID,
    FABRIKAM_CLIENT_ID,
    FABRIKAM_CLIENT_SECRET,
    FABRIKAM_DOMAIN,
    FABRIKAM_GROUPS,
    FABRIKAM_INITIAL_DOMAIN,
    FABRIKAM_PEOPLE,
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_DOMAIN,
    SAMPLE_INITIAL_DOMAIN,
    SAMPLE_REDIRECT_URI,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
    VENDOR_APP_NAME,
    VENDOR_CLIENT_ID,
    VENDOR_CLIENT_SECRET,
    VENDOR_DOMAIN,
    VENDOR_GROUPS,
    VENDOR_INITIAL_DOMAIN,
    VENDOR_PEOPLE,
    VENDOR_TENANT_ID,
)

_SECRET_LIFE = timedelta(days=180)


@dataclass(slots=True)
class Secret:
    value: str
    starts: datetime
    ends: datetime
    name: str = "emulator"
    key_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    issuer: str
    subject: str
    audience: str
    public_key: str
    """PEM of the issuer's signing key; a real issuer publishes it under its issuer address."""


@dataclass(slots=True)
class Delay:
    """Not yet: until a moment, and for so many more requests."""

    until: datetime
    requests: int

    def is_over(self, now: datetime) -> bool:
        """Tell whether it has passed; each question counts as a request."""
        if self.requests > 0:
            self.requests -= 1
            return False
        return now >= self.until


@dataclass(slots=True)
class Arrival:
    """How a fresh consent reaches the token endpoint: first the app is known, then its roles are."""

    known: Delay
    roles: Delay


@dataclass(slots=True)
class App:
    app_id: str
    name: str
    home_tenant: str
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    """PEM texts."""
    federated: list[FederatedCredential] = field(default_factory=list)
    grants: dict[str, list[str]] = field(default_factory=dict)
    """Tenant id to application permissions: the service principal exists where there is a key."""
    enabled: bool = True
    is_multi_tenant: bool = False
    required: list[str] = field(default_factory=list)
    """The application permissions that its registration lists; consent grants these."""
    redirect_uris: list[str] = field(default_factory=list)
    group_claims: str | None = None
    """`groupMembershipClaims` of its registration: with "All" or "DirectoryRole", `wids` is in its tokens."""
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    """Tenant id to the consent that is still on its way there."""

    def add_secret(
        self, now: datetime, value: str | None = None, ends: datetime | None = None
    ) -> Secret:
        secret = Secret(value or secrets.token_urlsafe(30), now, ends or now + _SECRET_LIFE)
        self.secrets.append(secret)
        return secret


@dataclass(slots=True)
class Tenant:
    id: str
    name: str
    domains: list[str]
    """The first is the default one, the last the initial one."""
    directory: Directory
    premium: bool = True
    """A licence of Entra ID P1 or P2: without one nobody reads signInActivity."""
    advanced_queries: bool = True
    """Not in tenants of Azure AD B2C: learn.microsoft.com/graph/aad-advanced-queries."""
    refused_in_delta: frozenset[str] = frozenset()
    """Properties that users/delta refuses here, beside those that it refuses everywhere."""
    place: Place = GLOBAL


@dataclass(slots=True)
class Registry:
    """Every tenant and app that the token endpoint knows."""

    clock: Clock
    tenants: dict[str, Tenant] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    other_clouds: dict[str, Place] = field(
        default_factory=lambda: {
            OTHER_CLOUD_TENANT_ID: GCC_HIGH,
            DOD_TENANT_ID: DOD,
            CHINA_TENANT_ID: CHINA,
        }
    )
    """Tenants that are registered in another national cloud, and in which."""

    def tenant(self, id_or_domain: str) -> Tenant | None:
        wanted = id_or_domain.lower()
        found = self.tenants.get(wanted)
        if found is not None:
            return found
        return next((t for t in self.tenants.values() if wanted in t.domains), None)

    def app(self, app_id: str) -> App | None:
        return self.apps.get(app_id.lower())


@dataclass(frozen=True, slots=True)
class _Sample:
    tenant_id: str
    name: str
    domains: tuple[str, str]
    client_id: str
    client_secret: str
    people: int
    groups: int
    app_name: str | None = None
    is_multi_tenant: bool = False


def sample_registry(clock: Clock, *, people: int, groups: int, seed: int) -> Registry:
    """Contoso of the size asked for, and two small ones: Fabrikam, and the vendor of an application."""
    registry = Registry(clock)
    contoso = _Sample(
        SAMPLE_TENANT_ID,
        "Contoso",
        (SAMPLE_DOMAIN, SAMPLE_INITIAL_DOMAIN),
        SAMPLE_CLIENT_ID,
        SAMPLE_CLIENT_SECRET,
        people,
        groups,
    )
    fabrikam = _Sample(
        FABRIKAM_TENANT_ID,
        "Fabrikam",
        (FABRIKAM_DOMAIN, FABRIKAM_INITIAL_DOMAIN),
        FABRIKAM_CLIENT_ID,
        FABRIKAM_CLIENT_SECRET,
        FABRIKAM_PEOPLE,
        FABRIKAM_GROUPS,
    )
    vendor = _Sample(
        VENDOR_TENANT_ID,
        "Litware",
        (VENDOR_DOMAIN, VENDOR_INITIAL_DOMAIN),
        VENDOR_CLIENT_ID,
        VENDOR_CLIENT_SECRET,
        VENDOR_PEOPLE,
        VENDOR_GROUPS,
        VENDOR_APP_NAME,
        is_multi_tenant=True,
    )
    for sample in (contoso, fabrikam, vendor):
        app = App(
            sample.client_id,
            sample.app_name or f"User sync of {sample.name}",
            sample.tenant_id,
            is_multi_tenant=sample.is_multi_tenant,
            required=list(SAMPLE_ROLES),
            redirect_uris=[SAMPLE_REDIRECT_URI],
            group_claims="DirectoryRole",
        )
        app.add_secret(clock.now(), sample.client_secret)
        app.grants[sample.tenant_id] = list(SAMPLE_ROLES)
        registry.apps[app.app_id] = app
        registry.tenants[sample.tenant_id] = Tenant(
            sample.tenant_id, sample.name, list(sample.domains), _directory(clock, sample, seed)
        )
    return registry


def _directory(clock: Clock, sample: _Sample, seed: int) -> Directory:
    """The live accounts and a few soft-deleted ones (2 %, at least 2 and at most 50)."""
    deleted = max(2, min(50, sample.people // 50))
    directory = Directory(
        People(
            count=sample.people + deleted,
            seed=seed,
            domain=sample.domains[0],
            initial_domain=sample.domains[1],
            cost_center=COST_CENTER,
        ),
        clock.now,
    )
    add_sample_groups(directory, tenant_id=sample.tenant_id, count=sample.groups, seed=seed)
    for number in range(sample.people, sample.people + deleted):
        # Deleted in turn over the last twenty days; memberships stay for thirty.
        directory.soft_deleted[number] = clock.now() - timedelta(days=1 + number % 20)
    return directory
