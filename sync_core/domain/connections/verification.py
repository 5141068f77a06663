"""Whether a connection's settings were seen to work: a check's result in, state and next try out. Pure.

Settings that fail their check are kept: of a connection that is not enabled they are simply stored; of
one that runs they wait beside the settings in use (`pending`), which stay as they are. Where nothing
failed but what Entra may not be ready for yet, they are tried again with growing pauses and come into
use by themselves; anything else waits for an administrator.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import orjson
from pydantic import Field, ValidationError

from sync_core.domain.compatibility import kept, read, strange_paths
from sync_core.domain.connections.checks import PROPAGATING, TOKEN, Check, CheckResult
from sync_core.domain.connections.limits import with_new_limits
from sync_core.domain.connections.permissions import needs_of
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection, Credential
from sync_core.domain.errors import NotUnderstood
from sync_core.domain.secret_names import folded

# Entra knows a new secret, consent or permission everywhere within minutes, seldom within hours.
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP = timedelta(days=7)
# A consent may be a matter of days. A secret that Entra refuses is known there in minutes, or wrong.
SECRET_INVALID = "credential.secretInvalid"  # noqa: S105 -- the code of an error
GIVE_UP_SECRET = timedelta(minutes=30)

# What is missing is told at once: there are no more permissions than that, and a few other things.
TOLD = 8

Fields = Mapping[str, Any]


class VerificationStatus(StrEnum):
    """How far the newest settings are; `waiting` ones are tried again by themselves."""

    NOT_CHECKED = "notChecked"
    VERIFIED = "verified"
    WAITING = "waiting"
    NOT_VERIFIED = "notVerified"


class SecretVersion(Document):
    """One version of a secret in Key Vault; never its value."""

    name: str
    version: str


class Verification(Document):
    """What the last check of the newest settings found.

    `pending` holds top-level fields of the connection as they are wanted and not yet in use. It never
    holds a secret: that is in Key Vault, under the version that `pending.credential` names.
    `beside` names what was stored of the same fields when they began to wait: where that has changed, a
    save went past them whose end was not noted (a killed process), and they are out of date. What was
    stored, not what was read of it: another release must come to the same name.
    `unneeded` are versions of secrets that can be disabled once the newest settings have passed.
    `tenant_id` is the tenant's GUID by the last token, for connections that name a domain.
    """

    connection_id: str
    status: VerificationStatus = VerificationStatus.NOT_CHECKED
    checked_at: datetime | None = None
    since: datetime | None = None
    attempts: int = 0
    next_try_at: datetime | None = None
    checks: list[Check] = Field(default_factory=list)
    pending: dict[str, Any] | None = None
    beside: str | None = None
    unneeded: list[SecretVersion] = Field(default_factory=list)
    tenant_id: str | None = None

    def replaced(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)

    @property
    def failing(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    def is_due(self, now: datetime) -> bool:
        """Whether the next try by itself should be made now."""
        return self.next_try_at is not None and self.next_try_at <= now


def concluded(known: Verification, result: CheckResult, now: datetime) -> Verification:
    """Return the state after a check; who waits for Entra is told when the next try is."""
    checked = known.replaced(
        checked_at=now,
        checks=result.checks,
        next_try_at=None,
        tenant_id=result.tenant_id or known.tenant_id,
    )
    if result.ok:
        status = VerificationStatus.VERIFIED
        return checked.replaced(status=status, since=None, attempts=0)
    since = known.since or now
    wrong_secret = any(check.code == SECRET_INVALID for check in result.checks)
    if not result.retryable or now - since > (GIVE_UP_SECRET if wrong_secret else GIVE_UP):
        status = VerificationStatus.NOT_VERIFIED
        return checked.replaced(status=status, since=since, attempts=0)
    attempts = known.attempts + 1
    return checked.replaced(
        status=VerificationStatus.WAITING,
        since=since,
        attempts=attempts,
        next_try_at=now + pause(attempts),
    )


def pause(attempts: int) -> timedelta:
    """Return the wait after this many failed tries, the first being 1: 10 s, 20 s, 40 s ... 1 h."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts - 1, 20)))


def begun_anew(known: Verification) -> Verification:
    """Forget how often the settings were tried: an administrator has just changed them."""
    return known.replaced(attempts=0, since=None, next_try_at=None)


# --- settings that wait -----------------------------------------------------------------------------


def changed_fields(before: Connection, after: Connection) -> dict[str, Any]:
    """Return the top-level fields that differ, as they are afterwards."""
    old, new = before.to_json(), after.to_json()
    return {name: value for name, value in new.items() if old[name] != value}


def with_fields(connection: Connection, fields: Fields) -> Connection:
    """Return the connection as it is once these fields are in use."""
    try:
        return read(Connection, connection.to_json() | dict(fields))
    except ValidationError as error:
        name = connection.id
        raise NotUnderstood(
            "connection.pendingNotUnderstood",
            f"Settings of the connection {name!r} that wait hold values that this release of the app "
            f"does not know ({strange_paths(error)}); another release has stored them.",
            f"Deploy that release again; DELETE /api/connections/{name}/pending forgets them.",
        ) from None


def in_use_of(document: Fields, names: Iterable[str]) -> str:
    """Name what a stored document holds of these fields."""
    used = {name: document.get(name) for name in sorted(names)}
    return hashlib.sha256(orjson.dumps(used, option=orjson.OPT_SORT_KEYS)).hexdigest()


def waiting_fields(document: Fields, known: Verification) -> Fields:
    """Return the fields that wait beside a stored document, unless they are out of date."""
    pending = known.pending or {}
    in_date = known.beside in {None, in_use_of(document, pending)}
    return with_new_limits(pending) if in_date else {}


def newest(connection: Connection, document: Fields, known: Verification) -> Connection:
    """Return the newest settings: those in use, with those that wait unless they are out of date.

    `document` is the connection as it is stored.
    """
    return with_fields(connection, waiting_fields(document, known))


def with_unknown(waiting: Fields, connection: Connection, document: Fields) -> dict[str, Any]:
    """Return a document, or some of its fields, with what another release stored in the waiting ones."""
    understood = with_fields(connection, waiting).to_json()
    known = {name: value for name, value in understood.items() if name in waiting}
    merged: dict[str, Any] = kept(dict(waiting), known, dict(document))
    return merged


def waiting_credential(known: Verification) -> Credential | None:
    """Return the credential among the settings that wait; none where only another release can read it."""
    waiting = (known.pending or {}).get("credential")
    try:
        return read(Credential, waiting) if waiting is not None else None
    except ValidationError:
        return None


def pinned(credential: Credential | None) -> SecretVersion | None:
    """Name the version that a credential pins, which is one that this app stored.

    One that is not pinned belongs to whoever keeps secrets in the vault by other means.
    """
    if credential is None or credential.secret_name is None or credential.secret_version is None:
        return None
    # As Key Vault compares them: a version must not be retired that another spelling still names.
    return SecretVersion(name=folded(credential.secret_name), version=credential.secret_version)


def left_over(
    known: Verification, before: Iterable[Credential | None], after: Iterable[Credential | None]
) -> list[SecretVersion]:
    """Return the versions that were needed and are not any more; each once.

    Of a secret that is used in its current version, whichever that is, none is left over.
    """
    kept = [one for one in after if one is not None and one.secret_name is not None]
    needed = [pinned(one) for one in kept]
    current = {folded(one.secret_name or "") for one in kept if one.secret_version is None}
    noted = [one.model_copy(update={"name": folded(one.name)}) for one in known.unneeded]
    found = [*noted, *filter(None, map(pinned, before))]
    return [
        one
        for number, one in enumerate(found)
        if one not in [*needed, *found[:number]] and one.name not in current
    ]


# --- what stops an enabled connection ---------------------------------------------------------------


def looks_the_same(one: Connection, other: Connection) -> bool:
    """Whether a check would ask the very same of both."""
    return _asked(one) == _asked(other)


def _asked(connection: Connection) -> tuple[object, ...]:
    credential = connection.credential
    return (
        connection.tenant_id,
        connection.client_id,
        connection.cloud,
        folded(credential.secret_name) if credential.secret_name is not None else None,
        credential.secret_version,
        needs_of(connection),
    )


def is_no_worse(new: CheckResult, in_use: CheckResult) -> bool:
    """Whether settings fail nothing that those in use do not fail as well.

    Without a token nothing else can be looked at, so settings that get one are better than such that
    do not, whatever else turns up then: a new secret must not wait for a group that was deleted.
    """
    if _has_token(new) and not _has_token(in_use):
        return True
    return _failing(new) <= _failing(in_use)


def _has_token(result: CheckResult) -> bool:
    return any(check.name == TOKEN and check.ok for check in result.checks)


def _failing(result: CheckResult) -> set[tuple[str, str]]:
    return {(check.name, check.code) for check in result.checks if not check.ok}


# --- words ------------------------------------------------------------------------------------------


def state_words(verification: Verification, now: datetime) -> str:
    """Say in a sentence how far the newest settings are."""
    match verification.status:
        case VerificationStatus.VERIFIED:
            return "The settings were seen to work."
        case VerificationStatus.NOT_CHECKED:
            return "The settings have not been checked yet."
    why = " ".join(f"{one.message} {one.remedy}".strip() for one in verification.failing[:TOLD])
    if verification.next_try_at is None:
        return f"Not verified. {why}"
    return f"Waiting for Entra, next try in {_span(verification.next_try_at - now)}. {why}"


def waiting_remedy(verification: Verification) -> str:
    """Say whether an administrator has something to do while the settings wait; nothing where none waits."""
    if verification.next_try_at is None:
        return ""
    if any(check.code == SECRET_INVALID for check in verification.failing):
        return (
            "If you made the secret a minute ago, wait: what waits comes into use by itself. Otherwise the "
            "secret is wrong: send the right one."
        )
    if any(check.code in PROPAGATING for check in verification.failing):
        return (
            "If what is missing was done in Entra a minute ago, wait: what waits comes into use by itself. "
            "Otherwise it has to be done there."
        )
    return "Nothing to do if it passes: what waits comes into use by itself."


def _span(wait: timedelta) -> str:
    seconds = max(0, round(wait.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"


def verification_document(
    verification: Verification, now: datetime, trouble: str | None = None
) -> dict[str, Any]:
    """Return the state as the API shows it, beside the connection; `trouble` is why runs fail since."""
    shown, message = verification.to_json(), state_words(verification, now)
    if trouble and verification.status is VerificationStatus.VERIFIED:
        message = f"The settings passed their last check, and no longer work. {trouble}"
    return {
        "status": verification.status.value,
        "message": message,
        "checkedAt": shown["checkedAt"],
        "nextTryAt": shown["nextTryAt"],
        "failing": [check.to_json() for check in verification.failing],
        "pending": verification.pending,
    }
