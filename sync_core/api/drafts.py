"""A connection on its way in: a caller's JSON in, a checked connection and its secret out. Pure."""

from dataclasses import dataclass
from typing import Any
from unicodedata import category

from pydantic import SecretStr, ValidationError

from sync_core.api.validation import document_problems
from sync_core.documents import (
    Connection,
    ConnectionInput,
    Credential,
    CredentialInput,
    CredentialKind,
)
from sync_core.errors import FieldProblem, Invalid
from sync_core.mapping import mapping_problems
from sync_core.scope import scope_problems

JsonObject = dict[str, Any]

# Part of every answer, so a client that loads, edits and sends back has them; they are not stored.
READ_ONLY = ("warnings",)
# Entra makes secrets of 40 characters; Key Vault takes 25 KiB.
MAX_SECRET = 1_000
# Deeper than any document of ours; a merge goes down as deep as the patch.
MAX_DEPTH = 20
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A connection that may be saved, and the new secret that has to be stored before."""

    connection: Connection
    secret: SecretStr | None

    @property
    def secret_name(self) -> str:
        return self.connection.credential.secret_name or default_secret_name(self.connection.id)

    def pinned(self, version: str) -> Connection:
        """Give the connection with the version of its secret that was stored for it."""
        changes = {"secret_name": self.secret_name, "secret_version": version}
        credential = self.connection.credential.model_copy(update=changes)
        return self.connection.model_copy(update={"credential": credential})

    def needs_known_secret(self, stored: Connection | None) -> bool:
        """Tell whether the secret has to be looked for: it is relied on, and was not before."""
        if self.secret is not None or not self.connection.enabled:
            return False
        before = stored.credential if stored is not None and stored.enabled else None
        after = self.connection.credential
        return before is None or (before.secret_name, before.secret_version) != (
            after.secret_name,
            after.secret_version,
        )


def default_secret_name(connection_id: str) -> str:
    return f"{connection_id}-client-secret"


def checked(document: JsonObject) -> Draft:
    """Check a whole connection; raise `Invalid` with everything that is wrong with it."""
    wanted = {name: value for name, value in document.items() if name not in READ_ONLY}
    try:
        # Names as on the wire only: a display_name beside displayName would win unseen.
        given = ConnectionInput.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(document_problems(error, wanted)) from None
    problems = [*_problems(given), *scope_problems(given.scope), *mapping_problems(given.mapping)]
    if problems:
        raise _invalid(problems)
    secret = given.credential.client_secret
    credential = Credential.model_validate(
        given.credential.model_dump(exclude={"client_secret", "certificate"})
    )
    plain = {name: getattr(given, name) for name in Connection.model_fields}
    return Draft(Connection.model_validate(plain | {"credential": credential}), secret)


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
    problems = []
    if credential.kind is not CredentialKind.CLIENT_SECRET:
        message = "this version can use clientSecret only"
        problems.append(FieldProblem("credential.kind", message))
    if credential.certificate is not None:
        message = "this version cannot use certificates yet; send a clientSecret"
        problems.append(FieldProblem("credential.certificate", message))
    if problem := _secret_problem(credential):
        problems.append(FieldProblem("credential.clientSecret", problem))
    elif given.enabled and credential.client_secret is None and credential.secret_name is None:
        message = (
            "an enabled connection needs a client secret: send it here, or name one that is in "
            'Key Vault with credential.secretName, or send "enabled": false'
        )
        problems.append(FieldProblem("credential.clientSecret", message))
    return problems


def _secret_problem(credential: CredentialInput) -> str | None:
    """Say what is wrong with a secret; the words never hold any of it."""
    if credential.client_secret is None:
        return None
    value = credential.client_secret.get_secret_value()
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
    """Give the document the id of its address; one that says otherwise is refused."""
    if document.get("id", connection_id) != connection_id:
        message = f"cannot change; the connection's address says {connection_id!r}"
        raise _invalid([FieldProblem("id", message)])
    return document | {"id": connection_id}


def with_kept_secret(document: JsonObject, stored: Connection | None) -> JsonObject:
    """Let a whole new document keep the stored secret, unless it brings or names another one.

    The secret is write-only, so a client that replaces a connection cannot send it again.
    """
    given = document.get("credential", {})
    if stored is None or not isinstance(given, dict):
        return document
    kept = stored.credential.to_json()
    name = given.get("secretName", kept["secretName"])
    credential = {"secretName": name, **given}
    if name == kept["secretName"] and given.get("clientSecret") is None:
        credential = {name: kept[name] for name in ("secretVersion", "expiresOn")} | credential
    return document | {"credential": credential}


def patched(stored: Connection, patch: JsonObject) -> JsonObject:
    """Apply a JSON merge patch to the stored connection.

    What is known of a secret (version, expiry) does not outlive it: a new value or another name takes
    them away unless the patch gives them anew.
    """
    with_id({name: value for name, value in patch.items() if name == "id"}, stored.id)
    document: JsonObject = merged(stored.to_json(), patch)
    asked = patch.get("credential")
    if isinstance(asked, dict) and isinstance(document.get("credential"), dict):
        renamed = asked.get("secretName", stored.credential.secret_name)
        if asked.get("clientSecret") is not None or renamed != stored.credential.secret_name:
            forgotten = {"secretVersion", "expiresOn"} - asked.keys()
            document["credential"] = {
                name: value
                for name, value in document["credential"].items()
                if name not in forgotten
            }
    return document


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
