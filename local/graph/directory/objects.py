"""What a directory holds beside people: groups, other members, enterprise applications."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from local.graph.directory.members import PersonSet
from local.graph.directory.people import Value


class NotInDirectory(LookupError):
    """Nobody and nothing has this id."""


@dataclass(slots=True)
class Group:
    id: str
    properties: dict[str, Value]
    people: PersonSet = field(default_factory=PersonSet)
    nested: dict[str, None] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    deleted_at: datetime | None = None
    gone: bool = False
    """Deleted and not to be restored."""

    @property
    def is_kept_when_deleted(self) -> bool:
        """Whether it can be restored for 30 days, with its members.

        Microsoft 365 groups, and since March 2026 security groups of the cloud; not distribution groups
        and not what is synced from Active Directory (learn.microsoft.com/graph/api/group-delete, MC1183299).
        """
        is_distribution = self.properties.get("mailEnabled") and not self.is_microsoft_365
        return not is_distribution and not self.properties.get("onPremisesSyncEnabled")

    @property
    def is_microsoft_365(self) -> bool:
        return "Unified" in self.group_types

    @property
    def group_types(self) -> list[str]:
        types = self.properties.get("groupTypes")
        return types if isinstance(types, list) else []

    @property
    def hides_members(self) -> bool:
        return self.properties.get("visibility") == "HiddenMembership"


@dataclass(frozen=True, slots=True)
class OtherObject:
    """A member that is neither user nor group."""

    id: str
    kind: str
    """device, servicePrincipal or orgContact"""
    display_name: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Somebody, or a group, may use an enterprise application."""

    principal_id: str
    kind: str
    """User, Group or ServicePrincipal"""
    created: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(slots=True)
class EnterpriseApp:
    """A service principal that people and groups are assigned to."""

    app_id: str
    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    assigned: dict[str, Assignment] = field(default_factory=dict)
    """By the id of who is assigned."""
