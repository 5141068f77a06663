"""Changing what a tenant is: its licence, what its kind can do, the cloud it lives in, who uses an app."""

from collections.abc import Iterable

from local.graph.control.base import ControlBase, ControlError, Document
from local.graph.control.loop import on_loop
from local.graph.directory.directory import Directory
from local.graph.directory.objects import Assignment, EnterpriseApp
from local.graph.directory.people import timestamp
from local.graph.directory.places import PLACES
from local.graph.directory.tenants import Tenant


class TenantsControl(ControlBase):
    @on_loop
    def tenant(self, *, tenant: str | None = None) -> Document:
        return _tenant(self.tenant_of(tenant))

    @on_loop
    def set_tenant(
        self,
        *,
        premium: bool | None = None,
        advanced_queries: bool | None = None,
        place: str | None = None,
        refused_in_delta: Iterable[str] | None = None,
        tenant: str | None = None,
    ) -> Document:
        """A tenant without ``advanced_queries`` answers as Azure AD B2C does."""
        found = self.tenant_of(tenant)
        if place is not None and place not in PLACES:
            raise ControlError(f"place must be one of {', '.join(PLACES)}, not {place!r}")
        if premium is not None:
            found.premium = premium
        if advanced_queries is not None:
            found.advanced_queries = advanced_queries
        if refused_in_delta is not None:
            found.refused_in_delta = frozenset(refused_in_delta)
        if place is not None:
            found.place = PLACES[place]
        return _tenant(found)

    @on_loop
    def enterprise_apps(self, *, tenant: str | None = None) -> list[Document]:
        return [_app(app) for app in self.directory(tenant).enterprise_apps.values()]

    @on_loop
    def create_enterprise_app(
        self, name: str, app_id: str, *, tenant: str | None = None
    ) -> Document:
        app = EnterpriseApp(app_id.lower(), name)
        self.directory(tenant).enterprise_apps[app.id] = app
        return _app(app)

    @on_loop
    def assign(self, app: str, *principals: str, tenant: str | None = None) -> Document:
        """Let people (id or principal name), groups and other objects use the application."""
        directory = self.directory(tenant)
        found = _enterprise_app(directory, app)
        for principal in principals:
            kind, object_id = _principal(directory, principal)
            now = timestamp(self.service.clock.now())
            found.assigned.setdefault(object_id, Assignment(object_id, kind, now))
        return _app(found)

    @on_loop
    def unassign(self, app: str, *principals: str, tenant: str | None = None) -> Document:
        directory = self.directory(tenant)
        found = _enterprise_app(directory, app)
        for principal in principals:
            found.assigned.pop(_principal(directory, principal)[1], None)
        return _app(found)


def _enterprise_app(directory: Directory, key: str) -> EnterpriseApp:
    found = directory.enterprise_apps.get(key.lower())
    if found is None:
        raise ControlError(f"no enterprise application {key}")
    return found


def _principal(directory: Directory, key: str) -> tuple[str, str]:
    number = directory.find(key)
    if number is not None:
        return "User", directory.object_id(number)
    lower = key.lower()
    if lower in directory.groups:
        return "Group", lower
    if lower in directory.others:
        return "ServicePrincipal", lower
    raise ControlError(f"no person, group or other object {key}")


def _tenant(tenant: Tenant) -> Document:
    place = next(name for name, place in PLACES.items() if place == tenant.place)
    return {
        "id": tenant.id,
        "displayName": tenant.name,
        "domains": tenant.domains,
        "premium": tenant.premium,
        "advancedQueries": tenant.advanced_queries,
        "refusedInDelta": sorted(tenant.refused_in_delta),
        "place": place,
    }


def _app(app: EnterpriseApp) -> Document:
    return {
        "id": app.id,
        "appId": app.app_id,
        "displayName": app.name,
        "assigned": [{"id": a.principal_id, "type": a.kind} for a in app.assigned.values()],
    }
