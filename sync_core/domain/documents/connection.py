"""A connection: one tenant, one app, one scope; exactly as the API and the tables carry it."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from sync_core.domain.clouds import CloudName
from sync_core.domain.documents.base import ConnectionId, Day, Document, Guid, TenantId
from sync_core.domain.documents.mapping import DEFAULT_MAPPING, MappingRule, TargetName
from sync_core.domain.documents.policy import MAX_KEYS, Assertion, Policy, Schedule
from sync_core.domain.documents.scope import Scope
from sync_core.domain.errors import FixConnection

SECRET_NAME = r"^[A-Za-z0-9-]{1,127}$"  # noqa: S105 -- a pattern
SECRET_VERSION = r"^[A-Za-z0-9]{1,64}$"  # noqa: S105 -- a pattern
MAX_RULES = 200


class CredentialKind(StrEnum):
    """How the app proves itself to the tenant."""

    CLIENT_SECRET = "clientSecret"  # noqa: S105 -- the kind, not a secret
    CERTIFICATE = "certificate"
    FEDERATED = "federated"
    MANAGED_IDENTITY = "managedIdentity"


class Credential(Document):
    """Where the credential is; the value itself is in Key Vault only.

    `secret_version` pins what was saved with this document, so a secret that is written for a save
    which then fails is never picked up by a run.
    """

    kind: CredentialKind = CredentialKind.CLIENT_SECRET
    secret_name: Annotated[str, StringConstraints(pattern=SECRET_NAME)] | None = None
    secret_version: str | None = None
    expires_on: Day | None = None


class CredentialInput(Credential):
    """What a caller may send: the write-only secret goes to Key Vault and nowhere else."""

    secret_version: Annotated[str, StringConstraints(pattern=SECRET_VERSION)] | None = None
    client_secret: SecretStr | None = None
    certificate: SecretStr | None = None


class Connection(Document):
    """One Entra tenant and how its people come into the Users table."""

    id: ConnectionId
    display_name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    enabled: bool = True
    cloud: CloudName = CloudName.PUBLIC
    tenant_id: TenantId | None = None
    client_id: Guid
    credential: Credential = Credential()
    scope: Scope = Scope()
    mapping: list[MappingRule] = Field(default=DEFAULT_MAPPING, min_length=1, max_length=MAX_RULES)
    matching: list[TargetName] = Field(default_factory=list, max_length=MAX_KEYS)
    policy: Policy = Policy()
    assertions: list[Assertion] = Field(default_factory=list, max_length=100)
    schedule: Schedule = Schedule()
    realtime: bool = False

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        targets = [rule.target for rule in self.mapping]
        doubled = sorted({target for target in targets if targets.count(target) > 1})
        if doubled:
            msg = f"a target is mapped once; doubled: {', '.join(doubled)}"
            raise ValueError(msg)
        missing = sorted(set(self.matching) - set(targets))
        if missing:
            msg = f"matching names targets that no mapping fills: {', '.join(missing)}"
            raise ValueError(msg)
        same = {rule.target for rule in self.mapping if rule.constant is not None}
        if constant := sorted(same & set(self.matching)):
            msg = f"matching names targets that are the same for everybody: {', '.join(constant)}"
            raise ValueError(msg)
        return self

    def known_tenant(self) -> str:
        """Return the tenant, or raise where it is not known before an administrator has consented."""
        if self.tenant_id is None:
            raise FixConnection(
                "connection.noTenant",
                f"The connection {self.id!r} is not connected to a tenant yet.",
                f"Let an administrator of the tenant consent at /api/consent/start?connection={self.id}, "
                "or set tenantId.",
            )
        return self.tenant_id


class ConnectionInput(Connection):
    """A connection as a caller sends it: the same, with a credential that may carry a secret."""

    credential: CredentialInput = CredentialInput()
