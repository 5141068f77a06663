"""A connection on its way in: a caller's JSON in, a checked connection and its secret out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unicodedata import category

from pydantic import SecretStr, ValidationError

from sync_core.domain.connections import certificates
from sync_core.domain.connections.certificates import UnusableCertificate
from sync_core.domain.connections.checks import NEVER_EXPIRES
from sync_core.domain.connections.unknown_columns import unknown_columns
from sync_core.domain.documents.connection import (
    Connection,
    ConnectionInput,
    Credential,
    CredentialInput,
    CredentialKind,
)
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.domain.expressions.context import InTime, unlimited
from sync_core.domain.incremental.untracked import interval_problems
from sync_core.domain.mapping.compile import mapping_problems
from sync_core.domain.mapping.rule_tests import mapping_test_problems
from sync_core.domain.problems import document_problems
from sync_core.domain.scope.compile import scope_problems
from sync_core.domain.secret_names import OWN_PREFIX, folded, is_own, is_same

JsonObject = dict[str, Any]

# Part of every answer, so a client that loads, edits and sends back has them; they are not stored.
READ_ONLY = ("warnings", "verification", "bindings", "realtimeStatus")
# Entra makes secrets of 40 characters; Key Vault takes 25 KiB.
MAX_SECRET = 1_000
MAX_CERTIFICATE = 25 * 1024
# The write-only field of each kind that has one, and how Key Vault names what is in it.
SECRET_FIELDS = {
    CredentialKind.CLIENT_SECRET: "clientSecret",
    CredentialKind.CERTIFICATE: "certificate",
}
CONTENT_TYPES = {
    CredentialKind.CLIENT_SECRET: "text/plain",
    CredentialKind.CERTIFICATE: "application/x-pem-file",
}
SECRET_NAME = "credential.secretName"  # noqa: S105 -- a path, not a secret
# What is known of one secret and does not outlive it.
OF_A_SECRET = ("secretVersion", "expiresOn")
# Deeper than any document of ours; a merge goes down as deep as the patch.
MAX_DEPTH = 20
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A connection that may be saved, and the new secret that has to be stored before.

    `secret_ends` is when the secret ends by its own word, which a certificate has.
    """

    connection: Connection
    secret: SecretStr | None
    secret_ends: datetime | None = None

    @property
    def secret_name(self) -> str:
        credential = self.connection.credential
        return credential.secret_name or default_secret_name(self.connection.id, credential.kind)

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.connection.credential.kind]

    def pinned(self, version: str) -> Connection:
        """Return the connection with the version of its secret that was stored for it."""
        changes: dict[str, Any] = {"secret_name": self.secret_name, "secret_version": version}
        if self.secret_ends is not None:
            changes["expires_on"] = self.secret_ends.astimezone(UTC).date()
        credential = self.connection.credential.model_copy(update=changes)
        return self.connection.model_copy(update={"credential": credential})

    def with_waiting(self, credential: Credential, stored: Connection) -> "Draft":
        """Keep the newest credential, which may wait, unless this draft changes the one in use.

        Nobody who does not name it means to take it back.
        """
        if self.secret is not None or self.connection.credential != stored.credential:
            return self
        return replace(
            self, connection=self.connection.model_copy(update={"credential": credential})
        )

    def needs_known_secret(self, stored: Connection | None) -> bool:
        """Whether the secret has to be looked for: it is relied on, and was not before."""
        after = self.connection.credential
        if self.secret is not None or not self.connection.enabled or after.kind in NEVER_EXPIRES:
            return False
        before = stored.credential if stored is not None and stored.enabled else None
        return before is None or _relied_on(before) != _relied_on(after)

    @property
    def named_secret(self) -> str | None:
        """The secret that this draft names or would store; None where it has none (yet)."""
        named = self.connection.credential.secret_name
        return self.secret_name if self.secret is not None else named


def _relied_on(credential: Credential) -> tuple[object, ...]:
    return credential.kind, folded(credential.secret_name or ""), credential.secret_version


def secret_name_problems(
    draft: Draft, stored: Connection | None, credentials: Iterable[tuple[str, Credential]]
) -> list[FieldProblem]:
    """Refuse a name that is not the connection's alone; one that it has already stays.

    `credentials` are those of all connections by their ids. Two connections over one secret would store
    over each other's; one that takes the name of another connection's would get its secret, to be sent
    to a tenant of its own choice.
    """
    name = draft.named_secret
    if name is None:
        return []
    is_kept = stored is not None and is_same(stored.credential.secret_name, name)
    if is_own(name) and not (is_kept and draft.secret is None):
        message = f"names that begin with {OWN_PREFIX} are the app's own; choose another one"
        return [FieldProblem(SECRET_NAME, message)]
    owners = [owner for owner, one in credentials if is_same(one.secret_name, name)]
    others = [owner for owner in owners if owner != draft.connection.id]
    if is_kept or not others:
        return []
    message = (
        f"is the secret of the connection {others[0]!r}; each connection has its own: choose another "
        "name, and send the secret with it"
    )
    return [FieldProblem(SECRET_NAME, message)]


def default_secret_name(connection_id: str, kind: CredentialKind) -> str:
    ending = "certificate" if kind is CredentialKind.CERTIFICATE else "client-secret"
    return f"{connection_id}-{ending}"


def checked(document: JsonObject, now: datetime, in_time: InTime = unlimited) -> Draft:
    """Check a whole connection; raise `Invalid` with everything that is wrong with it.

    `now` judges whether a certificate has begun and not ended, `in_time` whether its tests may go on.
    """
    wanted = {name: value for name, value in document.items() if name not in READ_ONLY}
    try:
        # Names as on the wire only: a display_name beside displayName would win unseen.
        given = ConnectionInput.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(document_problems(error, wanted)) from None
    ends, unusable = _certificate(given.credential, now)
    problems = [
        *_problems(given),
        *unusable,
        *scope_problems(given.scope),
        *mapping_problems(given.mapping),
        *unknown_columns(given),
    ]
    problems = problems or interval_problems(given)
    # What is wrong with a rule is said first: its tests would only say it again.
    problems = problems or mapping_test_problems(given.mapping, in_time)
    if problems:
        raise _invalid(problems)
    credential = Credential.model_validate(
        given.credential.model_dump(exclude={"client_secret", "certificate"})
    )
    plain = {name: getattr(given, name) for name in Connection.model_fields}
    connection = Connection.model_validate(plain | {"credential": credential})
    return Draft(connection, given.credential.client_secret or given.credential.certificate, ends)


def _invalid(problems: list[FieldProblem]) -> Invalid:
    paths = ", ".join(sorted({one.path for one in problems if one.path}))
    return Invalid("The connection is not valid" + (f": {paths}." if paths else "."), problems)


def _problems(given: ConnectionInput) -> list[FieldProblem]:
    return [
        *_name_problems(given),
        *_tenant_problems(given),
        *_credential_problems(given),
        *_unsupported(given),
    ]


def _name_problems(given: ConnectionInput) -> list[FieldProblem]:
    name = given.display_name
    # Not isprintable(): names in some scripts need joiners, which it takes for unprintable.
    if name != name.strip() or any(category(letter) in CONTROLS for letter in name):
        message = "must not begin or end with a blank, nor hold line breaks or control characters"
        return [FieldProblem("displayName", message)]
    return []


def _tenant_problems(given: ConnectionInput) -> list[FieldProblem]:
    if given.tenant_id is not None or not given.enabled:
        return []
    message = (
        "an enabled connection needs a tenant: send its id or one of its verified domains, or send "
        '"enabled": false and let an administrator of the tenant consent at /api/consent/start'
    )
    return [FieldProblem("tenantId", message)]


def _credential_problems(given: ConnectionInput) -> list[FieldProblem]:
    credential = given.credential
    problems = [
        FieldProblem(f"credential.{field}", _misplaced(kind, credential.kind))
        for kind, field in SECRET_FIELDS.items()
        if kind is not credential.kind and _given(credential, field) is not None
    ]
    if credential.kind in NEVER_EXPIRES:
        return problems + _kept_problems(credential)
    if credential.client_secret is not None and (message := _secret_problem(credential)):
        problems.append(FieldProblem("credential.clientSecret", message))
    field = SECRET_FIELDS[credential.kind]
    missing = _given(credential, field) is None and credential.secret_name is None
    if given.enabled and missing:
        problems.append(FieldProblem(f"credential.{field}", _missing(credential.kind)))
    return problems


def _given(credential: CredentialInput, field: str) -> SecretStr | None:
    return credential.client_secret if field == "clientSecret" else credential.certificate


def _misplaced(field_of: CredentialKind, kind: CredentialKind) -> str:
    if kind in NEVER_EXPIRES:
        return f"a credential of kind {kind} has no secret; leave it out"
    return (
        f'belongs to the kind {field_of}, and the kind is {kind}: send "kind": "{field_of}" with it'
    )


def _kept_problems(credential: CredentialInput) -> list[FieldProblem]:
    """Refuse what only a secret has: it would be believed to be in use."""
    named = {
        "secretName": credential.secret_name,
        "secretVersion": credential.secret_version,
        "expiresOn": credential.expires_on,
    }
    message = f"a credential of kind {credential.kind} has no secret in Key Vault; leave it out"
    return [FieldProblem(f"credential.{name}", message) for name, value in named.items() if value]


def _missing(kind: CredentialKind) -> str:
    what = "a certificate" if kind is CredentialKind.CERTIFICATE else "a client secret"
    return (
        f"an enabled connection needs {what}: send it here, or name one that is in Key Vault with "
        'credential.secretName, or send "enabled": false'
    )


def _certificate(
    credential: CredentialInput, now: datetime
) -> tuple[datetime | None, list[FieldProblem]]:
    """Return the end of a certificate that was sent, or say what is wrong with it."""
    if credential.certificate is None or credential.kind is not CredentialKind.CERTIFICATE:
        return None, []
    pem = credential.certificate.get_secret_value()
    if len(pem.encode()) > MAX_CERTIFICATE:
        message = f"is longer than Key Vault takes (at most {MAX_CERTIFICATE} bytes)"
        return None, [FieldProblem("credential.certificate", message)]
    try:
        return certificates.read(pem, now).not_after, []
    except UnusableCertificate as error:
        return None, certificate_problems("credential.certificate", error)


def certificate_problems(path: str, error: UnusableCertificate) -> list[FieldProblem]:
    """Name everything that is wrong with a PEM text, with what to do; nothing of the text itself."""
    return [FieldProblem(path, f"{one.message} {one.remedy}") for one in error.problems]


def _secret_problem(credential: CredentialInput) -> str | None:
    """Say what is wrong with a client secret; the words never hold any of it."""
    value = credential.client_secret.get_secret_value() if credential.client_secret else ""
    if not value:
        return "must not be empty; leave it out to keep the stored one"
    if value != value.strip() or not value.isprintable():
        return "must not begin or end with a blank, nor hold line breaks; copy the value alone"
    if len(value) > MAX_SECRET:
        return f"is longer than any client secret (at most {MAX_SECRET} characters)"
    return None


def _unsupported(given: ConnectionInput) -> list[FieldProblem]:
    """Refuse what this version would ignore: people believe what was accepted."""
    problems = []
    if given.policy.grace_days != 0:
        message = "this version removes without a grace period; only 0 is possible"
        problems.append(FieldProblem("policy.graceDays", message))
    if given.policy.purge_after_days is not None:
        message = "this version does not purge yet; only null is possible"
        problems.append(FieldProblem("policy.purgeAfterDays", message))
    return problems


def with_id(document: JsonObject, connection_id: str) -> JsonObject:
    """Return the document the id of its address; one that says otherwise is refused."""
    if document.get("id", connection_id) != connection_id:
        message = f"cannot change; the connection's address says {connection_id!r}"
        raise _invalid([FieldProblem("id", message)])
    return document | {"id": connection_id}


def with_kept_secret(document: JsonObject, stored: Connection | None) -> JsonObject:
    """Let a whole new document keep the stored secret, unless it brings or names another one.

    The secret is write-only, so a client that replaces a connection cannot send it again. Another
    kind of credential keeps nothing.
    """
    given = document.get("credential", {})
    if stored is None or not isinstance(given, dict):
        return document
    kept = stored.credential.to_json()
    otherwise = CredentialKind.CLIENT_SECRET if given.get("clientSecret") else kept["kind"]
    kind = given.get("kind", otherwise)
    if kind != kept["kind"]:
        return document
    name = given.get("secretName", kept["secretName"])
    credential = {"kind": kind, "secretName": name, **given}
    if _names_same(name, kept["secretName"]) and not _brings_secret(given):
        credential = {name: kept[name] for name in OF_A_SECRET} | credential
    return document | {"credential": credential}


def _names_same(given: object, kept: str | None) -> bool:
    """Whether a caller's secretName, which may be anything, is the stored one."""
    return given == kept or (isinstance(given, str) and is_same(given, kept))


def _brings_secret(credential: Mapping[str, Any]) -> bool:
    return any(credential.get(field) is not None for field in SECRET_FIELDS.values())


def patched(stored: Connection, patch: JsonObject) -> JsonObject:
    """Apply a JSON merge patch to the stored connection.

    What is known of a secret (version, expiry) does not outlive it: a new value, another name or
    another kind takes them away unless the patch gives them anew.
    """
    with_id({name: value for name, value in patch.items() if name == "id"}, stored.id)
    document: JsonObject = merged(stored.to_json(), patch)
    asked = patch.get("credential")
    if not (isinstance(asked, dict) and isinstance(document.get("credential"), dict)):
        return document
    before = stored.credential
    forgotten: set[str] = set()
    if asked.get("kind", before.kind) != before.kind:
        forgotten = {"secretName", *OF_A_SECRET}
    elif _brings_secret(asked) or not _names_same(
        asked.get("secretName", before.secret_name), before.secret_name
    ):
        forgotten = set(OF_A_SECRET)
    credential = {
        name: value
        for name, value in document["credential"].items()
        if name not in forgotten - asked.keys()
    }
    return document | {"credential": credential}


def merged(target: Any, patch: Any, depth: int = 0) -> Any:
    """RFC 7396: objects are merged, null takes away, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    if depth > MAX_DEPTH:
        raise _invalid([FieldProblem("", f"is nested deeper than {MAX_DEPTH} levels")])
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value, depth + 1)
    return result
