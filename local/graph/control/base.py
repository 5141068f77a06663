"""What every part of the control interface stands on: the service, its loop, the tenant meant."""

from typing import Any

from local.graph.control.loop import Home
from local.graph.directory.directory import Directory
from local.graph.directory.tenants import Tenant
from local.graph.service import Service
from local.sample import SAMPLE_TENANT_ID

Document = dict[str, Any]


class ControlError(ValueError):
    """The control call makes no sense; the text says why."""


class ControlBase:
    def __init__(self, service: Service, home: Home) -> None:
        self.service = service
        self.home = home

    def tenant_of(self, tenant: str | None) -> Tenant:
        found = self.service.registry.tenant(tenant or SAMPLE_TENANT_ID)
        if found is None:
            raise ControlError(f"no tenant {tenant}")
        return found

    def directory(self, tenant: str | None) -> Directory:
        return self.tenant_of(tenant).directory
