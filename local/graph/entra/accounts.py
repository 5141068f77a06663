"""Who can sign in on the pages of the emulator, without a password: one account a kind of administrator."""

import uuid
from dataclasses import dataclass

from local.graph.directory.tenants import Tenant
from local.graph.service import Service

# Template ids of built-in roles, the same in every tenant:
# learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
PRIVILEGED_ROLE_ADMINISTRATOR = "e8611ab8-c189-46e8-94e1-60213ab1f814"
CLOUD_APPLICATION_ADMINISTRATOR = "158c047a-c907-4556-b7ef-446551a6b5f7"
# Every user of a tenant has this one, administrators too; seen by many and listed nowhere, for instance in
# github.com/microsoftgraph/msgraph-sdk-powershell/issues/1782.
EVERY_USER = "b79fbf4d-3ef9-4689-8143-76b194e85509"

_MAY_CONSENT = {GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR}
_KINDS = {
    "admin": ("Global Administrator", GLOBAL_ADMINISTRATOR),
    "role-admin": ("Privileged Role Administrator", PRIVILEGED_ROLE_ADMINISTRATOR),
    "app-admin": ("Cloud Application Administrator", CLOUD_APPLICATION_ADMINISTRATOR),
    "employee": ("No administrator", None),
}


@dataclass(frozen=True, slots=True)
class Account:
    """One who can sign in; `role` is the template id of the account's directory role, if it has one."""

    name: str
    tenant: Tenant
    role_name: str
    role: str | None

    @property
    def may_consent(self) -> bool:
        """Whether the account may grant application permissions of Microsoft Graph.

        Application administrators may not:
        learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent#prerequisites
        """
        return self.role in _MAY_CONSENT

    @property
    def roles(self) -> list[str]:
        return [EVERY_USER] if self.role is None else [self.role, EVERY_USER]

    @property
    def object_id(self) -> str:
        return str(uuid.uuid5(uuid.UUID(self.tenant.id), self.name))


def accounts(service: Service) -> list[Account]:
    return [
        Account(f"{kind}@{tenant.domains[0]}", tenant, role_name, role)
        for tenant in service.registry.tenants.values()
        for kind, (role_name, role) in _KINDS.items()
    ]


def find_account(service: Service, name: str | None) -> Account | None:
    return next((account for account in accounts(service) if account.name == name), None)
