"""Whether a connection can work: what it needs and what Entra answered in, Check documents out. Pure.

A check that is `ok` and a warning or a note is nothing to stop for; one that is not `ok` is.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any

from pydantic import Field

from sync_core.domain.clouds import CloudName
from sync_core.domain.connections.certificates import CertificateFacts
from sync_core.domain.connections.permissions import (
    ACTIVITY,
    APPLICATIONS,
    GROUPS,
    HIDDEN,
    LIFE_CYCLE,
    MEMBERS,
    SECURITY_ATTRIBUTES,
    USERS,
    Permission,
)
from sync_core.domain.connections.token import TokenFacts
from sync_core.domain.documents.base import GUID, Document
from sync_core.domain.documents.connection import Connection, CredentialKind
from sync_core.domain.errors import RetryLater, SyncError
from sync_core.domain.plan.groups import paused_in_words

TOKEN = "token"  # noqa: S105 -- the name of a check
READ_USER = "read a user"
SCOPE_GROUPS = "scope groups exist"
READ_MEMBERS = "read group members"
READ_ASSIGNED = "read who is assigned"
PAUSED_RULES = "rules of dynamic groups"
LEAST_PRIVILEGE = "least privilege"
NOTIFICATIONS = "notifications"
EXPIRY = "secret expiry"
CERTIFICATE = "certificate"
WHOLE = "the whole check"
PEOPLE = "people"
MOVES = "people who move"

# What this program has a use for; anything else is more than it needs.
USEFUL = frozenset(
    {
        USERS,
        MEMBERS,
        GROUPS,
        HIDDEN,
        LIFE_CYCLE,
        ACTIVITY,
        SECURITY_ATTRIBUTES,
        APPLICATIONS,
        "Application.ReadWrite.OwnedBy",
    }
)
# What may come right by itself in the minutes after something was changed in Entra.
PROPAGATING = frozenset(
    {
        "credential.appNotFound",
        "credential.consentMissing",
        "credential.secretInvalid",
        "credential.certificateNotRegistered",
        "credential.federationMismatch",
        "permission.missing",
        "graph.permissionMissing",
        "graph.limitedInformation",
    }
)
EXPIRES_SOON_DAYS = 60
NEVER_EXPIRES = frozenset({CredentialKind.FEDERATED, CredentialKind.MANAGED_IDENTITY})


class Severity(StrEnum):
    """How much a check matters: an error stops a connection, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Check(Document):
    """One thing that was looked at; `code` is stable, `retryable` means it may come right by itself.

    `attributes` are those that it is about, where it is about some of several.
    """

    name: str
    ok: bool
    code: str
    message: str
    remedy: str = ""
    severity: Severity = Severity.ERROR
    retryable: bool = False
    attributes: list[str] = Field(default_factory=list)


class ExpirySource(StrEnum):
    """Who says when a credential ends."""

    ENTRA = "entra"
    KEY_VAULT = "keyVault"
    CERTIFICATE = "certificate"
    GIVEN = "given"


class Expiry(Document):
    """When a credential ends, and who says so."""

    expires_on: datetime
    source: ExpirySource


class CheckResult(Document):
    """All checks of a connection.

    `retryable`: nothing failed but what Entra may not be ready for yet. `tenantId` is the tenant's
    GUID by the token, which is worth knowing when the connection names a domain. `expiry` is the one
    of `expiries` that counts.
    """

    ok: bool
    retryable: bool
    checks: list[Check]
    tenant_id: str | None = None
    expiry: Expiry | None = None
    expiries: list[Expiry] = Field(default_factory=list)


def passed(name: str, message: str) -> Check:
    return Check(name=name, ok=True, code="ok", message=message, severity=Severity.NOTE)


def failed(name: str, error: SyncError) -> Check:
    """Turn an error into a check, with its code, sentence and remedy."""
    return Check(
        name=name,
        ok=False,
        code=error.code,
        message=error.message,
        remedy=error.remedy,
        retryable=isinstance(error, RetryLater) or error.code in PROPAGATING,
    )


def conclude(
    checks: Sequence[Check], *, tenant_id: str | None, expiries: Sequence[Expiry]
) -> CheckResult:
    failing = [check for check in checks if not check.ok]
    return CheckResult(
        ok=not failing,
        retryable=bool(failing) and all(check.retryable for check in failing),
        checks=list(checks),
        tenant_id=tenant_id,
        expiry=effective_expiry(expiries),
        expiries=list(expiries),
    )


def with_check(result: CheckResult, check: Check) -> CheckResult:
    """Return the same result with one more check."""
    return conclude([*result.checks, check], tenant_id=result.tenant_id, expiries=result.expiries)


def with_failures(result: CheckResult, other: CheckResult) -> CheckResult:
    """Return the same result with what another one found wrong before it, each thing once."""
    known = {(check.name, check.code) for check in result.checks if not check.ok}
    found = [one for one in other.checks if not one.ok and (one.name, one.code) not in known]
    return conclude([*found, *result.checks], tenant_id=result.tenant_id, expiries=result.expiries)


# --- the token --------------------------------------------------------------------------------------


def token_check(connection: Connection, facts: TokenFacts | None) -> Check:
    """Say that there is a token, and refuse one of another tenant than the connection names."""
    tenant = facts.tenant_id if facts else None
    wanted = connection.tenant_id
    if tenant is not None and wanted and GUID.fullmatch(wanted) and tenant != wanted:
        return Check(
            name=TOKEN,
            ok=False,
            code="credential.wrongTenant",
            message=f"The token is for the tenant {tenant}, and the connection names {wanted}.",
            remedy="Correct the tenant id. A managed identity can read its own tenant only; for "
            "another one use an app registration there, with a federated credential.",
        )
    return passed(TOKEN, "Entra issued a token" + (f" for the tenant {tenant}." if tenant else "."))


def cloud_check(connection: Connection, clouds: AbstractSet[CloudName]) -> Check:
    """Say that a tenant's own metadata name another cloud than the connection."""
    right = " or ".join(f'"{cloud}"' for cloud in CloudName if cloud in clouds)
    return Check(
        name=TOKEN,
        ok=False,
        code="credential.wrongCloud",
        message=f"The tenant {connection.tenant_id} does not live in the cloud {connection.cloud}.",
        remedy=f'Set the connection\'s "cloud" to {right}, with an app that is registered there.',
    )


# --- permissions ------------------------------------------------------------------------------------


def permission_check(
    permission: Permission, roles: AbstractSet[str], kind: CredentialKind
) -> Check:
    name = next((one for one in permission.names if one in roles), permission.names[0])
    if permission.granted(roles):
        included = "" if name in roles else " (by a wider one)"
        return passed(name, f"The app may {permission.purpose}: {name} is granted{included}.")
    return Check(
        name=name,
        ok=False,
        code="permission.missing",
        message=f"The app may not {permission.purpose}: the application permission "
        f"{' or '.join(permission.names)} is not granted.",
        remedy=grant_remedy(name, kind),
        retryable=True,
    )


def notification_check(permission: Permission, kind: CredentialKind) -> Check:
    """Warn of a permission without which Graph tells of no changes; nothing stops for it."""
    [name] = permission.names
    return Check(
        name=NOTIFICATIONS,
        ok=True,
        code="realtime.permissionMissing",
        message=f"The app may not {permission.purpose}: the application permission {name} is not granted, "
        "and no wider one counts for that. The schedule finds the changes.",
        remedy=grant_remedy(name, kind),
        severity=Severity.WARNING,
    )


def grant_remedy(name: str, kind: CredentialKind) -> str:
    if kind is CredentialKind.MANAGED_IDENTITY:
        return (
            f"Assign the app role {name} of Microsoft Graph to the managed identity, by PowerShell or "
            "az rest; the portal cannot. Azure may go on giving out the old token for a day."
        )
    return (
        f"In the app registration, API permissions, add {name} of Microsoft Graph as an application "
        "permission (not a delegated one) and grant admin consent. Right after that, wait a few "
        "minutes."
    )


def hidden_check(hidden: Sequence[str], roles: AbstractSet[str], kind: CredentialKind) -> Check:
    """Judge groups that hide their members; learn.microsoft.com/graph/api/group-list-members."""
    named = ", ".join(hidden)
    if HIDDEN in roles:
        return passed(HIDDEN, f"The app may read the members that {named} hides.")
    return Check(
        name=HIDDEN,
        ok=False,
        code="permission.missing",
        message=f"A group of the scope hides its members ({named}), and the application permission "
        f"{HIDDEN} is not granted.",
        remedy=grant_remedy(HIDDEN, kind),
        retryable=True,
    )


def privilege_check(roles: AbstractSet[str]) -> Check:
    """Name what is granted beyond the needed; only ever a note."""
    beyond = sorted(roles - USEFUL)
    if not beyond:
        return passed(LEAST_PRIVILEGE, "The app may do nothing that the connection has no use for.")
    return Check(
        name=LEAST_PRIVILEGE,
        ok=True,
        code="permission.tooMany",
        message=f"The app may do more than the connection has a use for: {', '.join(beyond)}.",
        remedy=f"Remove these permissions, and grant {USERS} and {MEMBERS} in their place where one "
        "is missing then. This app only reads.",
        severity=Severity.NOTE,
    )


# --- the certificate --------------------------------------------------------------------------------


def certificate_check(facts: CertificateFacts) -> Check:
    """Name the certificate in use, so that it can be compared with the one in the app registration."""
    return passed(
        CERTIFICATE,
        f"The app signs with the certificate {facts.subject}, thumbprint {facts.thumbprint}.",
    )


# --- what was read ----------------------------------------------------------------------------------


def groups_check(named: AbstractSet[str], missing: AbstractSet[str]) -> Check:
    if not missing:
        return passed(SCOPE_GROUPS, f"Every group that is named exists ({len(named)}).")
    return Check(
        name=SCOPE_GROUPS,
        ok=False,
        code="scope.groupNotFound",
        message=f"{len(missing)} of {len(named)} groups do not exist in the tenant: "
        f"{', '.join(sorted(missing))}.",
        remedy="Restore them, or take them out of the scope and the mapping. Groups are named by "
        "their object id.",
    )


def paused_check(names: Iterable[str]) -> Check:
    """Name the groups whose rule is paused; a run reads the members that they have."""
    return Check(
        name=PAUSED_RULES,
        ok=True,
        code="scope.rulePaused",
        message=paused_in_words(names),
        remedy="If that is not meant to last, let it go on in Entra (Groups, the group, Dynamic membership "
        "rules). All who changed meanwhile then come and go at once: the guard looks at them.",
        severity=Severity.WARNING,
    )


def unfinished_check(read: int) -> Check:
    return Check(
        name=SCOPE_GROUPS,
        ok=True,
        code="check.groupsUnfinished",
        message=f"There are so many nested groups that the check looked at {read} of them only. A run reads "
        "all.",
        remedy="Nothing to do. If a run is partial, its errors name the groups that it cannot read.",
        severity=Severity.NOTE,
    )


# --- expiry -----------------------------------------------------------------------------------------


def given_expiry(connection: Connection) -> list[Expiry]:
    """Return the date that the administrator wrote down, as the moment at which that day begins."""
    day = connection.credential.expires_on
    if day is None:
        return []
    begins = datetime.combine(day, time(), UTC)
    return [Expiry(expires_on=begins, source=ExpirySource.GIVEN)]


def secret_end(application: Any, secret: str, now: datetime) -> datetime | None:
    """Find the end of our secret among an application's passwordCredentials.

    Entra tells the first three characters of each (`hint`); where several fit, the first that ends.
    learn.microsoft.com/graph/api/resources/passwordcredential
    """
    credentials = application.get("passwordCredentials") if isinstance(application, dict) else None
    ours = [one for one in credentials or () if one.get("hint") == secret[:3]]
    ends = sorted(filter(None, (_moment(one.get("endDateTime")) for one in ours)))
    return next((end for end in ends if end > now), ends[-1] if ends else None)


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def effective_expiry(expiries: Iterable[Expiry]) -> Expiry | None:
    """Choose the earliest that is known; what the administrator wrote counts where nothing else does."""
    known = sorted(expiries, key=lambda one: (one.source is ExpirySource.GIVEN, one.expires_on))
    return known[0] if known else None


def expiry_check(kind: CredentialKind, expiry: Expiry | None, now: datetime) -> Check:
    """Say when the credential ends. A past date is no error: whether Entra takes it, the token tells."""
    if kind in NEVER_EXPIRES:
        return passed(EXPIRY, "There is no secret that could expire.")
    if expiry is None:
        return Check(
            name=EXPIRY,
            ok=True,
            code="credential.expiryUnknown",
            message="Nobody knows when the client secret expires, so nothing can warn in time.",
            remedy="Write the date of the portal into credential.expiresOn.",
            severity=Severity.NOTE,
        )
    what = "certificate" if kind is CredentialKind.CERTIFICATE else "client secret"
    day, source = expiry.expires_on.date(), SOURCE_WORDS[expiry.source]
    days = (expiry.expires_on - now).days
    if days >= EXPIRES_SOON_DAYS:
        return passed(EXPIRY, f"The {what} expires on {day}, by {source}.")
    if expiry.expires_on <= now:
        code, said = "credential.expiryPast", f"The {what} should have expired on {day}"
    else:
        code, said = "credential.expiresSoon", f"The {what} expires in {days} days, on {day}"
    return Check(
        name=EXPIRY,
        ok=True,
        code=code,
        message=f"{said}, by {source}.",
        remedy=f"Make a new {what} in Entra and store it in the connection; the old one stays in use "
        "until the new one works. If this date is wrong, correct credential.expiresOn.",
        severity=Severity.WARNING,
    )


SOURCE_WORDS = {
    ExpirySource.ENTRA: "Entra",
    ExpirySource.KEY_VAULT: "Key Vault",
    ExpirySource.CERTIFICATE: "the certificate itself",
    ExpirySource.GIVEN: "the connection's credential.expiresOn",
}
