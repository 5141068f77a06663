"""Which application permissions a connection needs, and whether a token's roles have them. Pure."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType

from sync_core.domain.documents.connection import Connection, CredentialKind
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.scope.compile import compile_scope

USERS = "User.Read.All"
MEMBERS = "GroupMember.Read.All"
GROUPS = "Group.Read.All"
HIDDEN = "Member.Read.Hidden"
LIFE_CYCLE = "User-LifeCycleInfo.Read.All"
ACTIVITY = "AuditLog.Read.All"
SECURITY_ATTRIBUTES = "CustomSecAttributeAssignment.Read.All"
APPLICATIONS = "Application.Read.All"

# Wider permissions that include reading, by the "Permissions" tables of
# learn.microsoft.com/graph/api/user-list and group-list-members.
DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})
USERS_WIDER = DIRECTORY | {"User.ReadWrite.All"}
GROUPS_WIDER = DIRECTORY | {"GroupMember.ReadWrite.All", "Group.ReadWrite.All"}
# learn.microsoft.com/graph/api/application-get
READS_OWN_APPLICATION = DIRECTORY | {
    APPLICATIONS,
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
}
WIDER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        USERS: USERS_WIDER,
        MEMBERS: GROUPS_WIDER,
        GROUPS: GROUPS_WIDER,
        LIFE_CYCLE: frozenset({"User-LifeCycleInfo.ReadWrite.All"}),
        SECURITY_ATTRIBUTES: frozenset({"CustomSecAttributeAssignment.ReadWrite.All"}),
        APPLICATIONS: READS_OWN_APPLICATION,
    }
)
# Attributes that need a permission of their own beside User.Read.All, in lower case. For all but the date
# of hire, learn.microsoft.com/graph/api/resources/user says so. The date of leave is null for everybody
# without it, and so was the date of hire for a managed identity: github.com/Azure/LogicAppsUX/issues/4925.
OWN_PERMISSION: Mapping[str, str] = MappingProxyType(
    {
        "employeehiredate": LIFE_CYCLE,
        "employeeleavedatetime": LIFE_CYCLE,
        "signinactivity": ACTIVITY,
        "customsecurityattributes": SECURITY_ATTRIBUTES,
    }
)
# As permissions are written: words with dots between them, the first with an upper-case letter.
NAME = re.compile(r"\b[A-Z][A-Za-z]*(?:-[A-Za-z]+)?(?:\.[A-Z][A-Za-z]*)+")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a connection asks of its tenant; `nested` groups are read, too, and need what they need."""

    kind: CredentialKind
    attributes: frozenset[str]
    groups: frozenset[str]
    realtime: bool
    nested: bool = True
    applications: frozenset[str] = frozenset()

    @property
    def members(self) -> bool:
        """Whether groups are read: those that are named, or those that are assigned to an application."""
        return bool(self.groups or self.applications)

    def own(self, permission: str) -> list[str]:
        """Name the attributes that need this permission."""
        return sorted(a for a in self.attributes if OWN_PERMISSION.get(a.lower()) == permission)


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that is needed: `names` suffice and are asked for, the narrowest first."""

    names: tuple[str, ...]
    wider: frozenset[str]
    purpose: str

    def granted(self, roles: AbstractSet[str]) -> bool:
        return not roles.isdisjoint(self.wider.union(self.names))


def needs_of(connection: Connection) -> Needs:
    """Return what a run of this connection reads."""
    scope, mapping = compile_scope(connection.scope), compile_mapping(connection.mapping)
    return Needs(
        connection.credential.kind,
        scope.attributes | mapping.attributes,
        scope.groups | mapping.groups,
        connection.realtime,
        scope.nested_groups,
        scope.applications,
    )


def notified_by(needs: Needs) -> list[Permission]:
    """Name what `realtime` takes besides; without it the schedule finds the changes.

    The very permission and no wider one: "subscriptions don't support write permissions where read is
    enough", learn.microsoft.com/graph/api/subscription-post-subscriptions.
    """
    if not needs.realtime:
        return []
    needed = [Permission((USERS,), frozenset(), "be told of changes of users")]
    if needs.members:
        needed.append(Permission((GROUPS,), frozenset(), "be told of changes in groups"))
    return needed


def permissions(needs: Needs) -> list[Permission]:
    """Name what runs need, users first."""
    needed = [Permission((USERS,), USERS_WIDER, "read users")]
    if needs.members:
        needed.append(Permission((MEMBERS, GROUPS), GROUPS_WIDER, "read groups and their members"))
    if needs.applications:
        # serviceprincipal-list-approleassignedto
        wider = DIRECTORY | {"Application.ReadWrite.All"}
        needed.append(Permission((APPLICATIONS,), wider, "read who is assigned to an application"))
    return needed + _of_attributes(needs)


def _of_attributes(needs: Needs) -> list[Permission]:
    wanted = [(name, needs.own(name)) for name in (LIFE_CYCLE, ACTIVITY, SECURITY_ATTRIBUTES)]
    return [
        Permission((name,), WIDER.get(name, frozenset()), f"read {', '.join(attributes)}")
        for name, attributes in wanted
        if attributes
    ]


def permission_names(text: str) -> list[str]:
    """Return the permissions that a text names, such as Graph's own sentence about a missing one."""
    return NAME.findall(text)


def has_all(needs: str, roles: AbstractSet[str]) -> bool:
    """Whether a token's roles have what a request needs, as in "A (or B) and C"; wider ones count.

    False where no permission is named: then nothing is known to be granted.
    """
    parts = [permission_names(part) for part in needs.split(" and ")]
    return all(any(_is_granted(name, roles) for name in part) for part in parts)


def _is_granted(name: str, roles: AbstractSet[str]) -> bool:
    return name in roles or not roles.isdisjoint(WIDER.get(name, frozenset()))
