"""Admin consent, the pure part: where to send an administrator, what came back, and what to say about it.

learn.microsoft.com/entra/identity-platform/v2-admin-consent tells the parameters. Two traps are in
there: a refusal says `admin_consent=True`, too, and the `tenant` that comes back proves nothing. So a
sign-in follows, whose token says of which tenant the administrator is (domain/sign_in).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

from sync_core.domain.clouds import CLOUDS
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.sign_in import Identity

CALLBACK_PATH = "/api/consent/callback"
RESULT_PATH = "/api/consent/result"
# Not `common`: personal accounts cannot consent for an organization.
ANY_TENANT = "organizations"

# A connection's id and 32 random bytes; the id says where to look, the bytes are the proof.
STATE = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?)\.[A-Za-z0-9_-]{43}")


class Outcome(StrEnum):
    """How a consent ended, or how far it has come; a code of the result page and of the log."""

    GRANTED = "consent.granted"
    PENDING = "consent.pending"
    CREDENTIAL_REFUSED = "consent.credentialRefused"
    ABANDONED = "consent.abandoned"
    STATE_UNKNOWN = "consent.stateUnknown"
    STATE_EXPIRED = "consent.stateExpired"
    CONNECTION_GONE = "consent.connectionGone"
    ANSWER_INVALID = "consent.answerInvalid"
    DECLINED = "consent.declined"
    ADMIN_NEEDED = "consent.adminNeeded"
    WRONG_ACCOUNT = "consent.wrongAccount"
    BLOCKED = "consent.blocked"
    APP_INCOMPLETE = "consent.appIncomplete"
    OTHER_CLOUD = "consent.otherCloud"
    TENANT_UNKNOWN = "consent.tenantUnknown"
    WRONG_TENANT = "consent.wrongTenant"
    TENANT_TAKEN = "consent.tenantTaken"
    TENANT_CONTESTED = "consent.tenantContested"
    HOME_TENANT = "consent.homeTenant"
    ROLE_UNKNOWN = "consent.roleUnknown"
    SIGN_IN_FAILED = "consent.signInFailed"
    OTHER_BROWSER = "consent.otherBrowser"
    ENTRA_BUSY = "consent.entraBusy"
    APP_BUSY = "consent.appBusy"
    REFUSED = "consent.refused"


class Tone(StrEnum):
    """How the result page looks."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Words:
    """What an administrator reads: what happened, and what to do next."""

    tone: Tone
    title: str
    happened: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Consented:
    """Entra says that an administrator agreed; `tenant` is what the address said, and no more."""

    tenant: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Entra says that nobody agreed, or the answer makes no sense; `number` is the AADSTS one."""

    outcome: Outcome
    number: int | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Entra says that somebody signed in; who it was is told only for the code."""

    code: str


Answer = Consented | Declined | SignedIn


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a consent of a connection ended that was not granted; `others` are connections it is about."""

    outcome: Outcome
    at: datetime
    tenant_id: str | None = None
    others: tuple[str, ...] = ()


# --- on the way there -----------------------------------------------------------------------------


def consent_url(connection: Connection, *, login_url: str, public_url: str, state: str) -> str:
    """Return the address where an administrator of the tenant is asked.

    Application permissions are granted with `/.default` only: all that the registration lists.
    """
    query = {
        "client_id": connection.client_id,
        "scope": CLOUDS[connection.cloud].graph_scope,
        "redirect_uri": f"{public_url}{CALLBACK_PATH}",
        "state": state,
    }
    tenant = connection.tenant_id or ANY_TENANT
    return f"{login_url}/{tenant}/v2.0/adminconsent?{urlencode(query)}"


def make_state(connection_id: str, random: str) -> str:
    return f"{connection_id}.{random}"


def state_connection(state: str | None) -> str | None:
    """Return the id of the connection that a state is for, or None for what cannot be a state."""
    found = STATE.fullmatch(state or "")
    return found[1] if found else None


def state_digest(state: str) -> str:
    """Return what is stored of a state: enough to know it again, not enough to use it."""
    return hashlib.sha256(state.encode()).hexdigest()


# --- on the way back ------------------------------------------------------------------------------

KNOWN = ("admin_consent", "tenant", "code", "error", "error_description", "state")
NUMBER = re.compile(r"AADSTS(\d{4,9})\b")
# What Entra's numbers mean for the administrator. Entra may change them, so they choose words and
# nothing else; whatever the number, nobody has consented and the connection stays as it is.
# Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes, and
# learn.microsoft.com/entra/identity/enterprise-apps/application-sign-in-unexpected-user-consent-error.
NUMBERS = {
    **dict.fromkeys((65004,), Outcome.DECLINED),
    **dict.fromkeys((65001, 90093, 90094, 90095), Outcome.ADMIN_NEEDED),
    **dict.fromkeys((50020, 50034), Outcome.WRONG_ACCOUNT),
    **dict.fromkeys((50105, 53000, 53001, 53002, 53003, 53004), Outcome.BLOCKED),
    **dict.fromkeys(
        (50011, 50194, 65002, 65005, 70001, 70011, 500011, 700011, 700016, 7000112),
        Outcome.APP_INCOMPLETE,
    ),
    **dict.fromkeys(range(650_050, 650_100), Outcome.APP_INCOMPLETE),
    **dict.fromkeys((90038, 900382, 900432, 900439, 900440), Outcome.OTHER_CLOUD),
    **dict.fromkeys((90002, 900023), Outcome.TENANT_UNKNOWN),
    **dict.fromkeys((90033, 90006, 90012, 90024, 90055, 90090), Outcome.ENTRA_BUSY),
}
# The OAuth codes, where the number says nothing. A cancelled consent has come as each of the first
# three: v1 and v2 documentation, and github.com/MicrosoftDocs/azure-docs/issues/114009.
ERRORS = {
    **dict.fromkeys(("consent_required", "access_denied", "permission_denied"), Outcome.DECLINED),
    **dict.fromkeys(("temporarily_unavailable", "server_error"), Outcome.ENTRA_BUSY),
    **dict.fromkeys(("invalid_client", "unauthorized_client"), Outcome.APP_INCOMPLETE),
}


@dataclass(frozen=True, slots=True)
class Callback:
    """What a browser brought back from Entra."""

    state: str | None
    answer: Answer


def read_callback(query: Iterable[tuple[str, str]]) -> Callback:
    """Understand the parameters of the callback; none of them is to be believed as it stands."""
    pairs = [(name, value) for name, value in query if name in KNOWN]
    doubled = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    given = {name: value for name, value in pairs if name not in doubled}
    answer = Declined(Outcome.ANSWER_INVALID) if doubled else _answer(given)
    return Callback(given.get("state"), answer)


def _answer(given: dict[str, str]) -> Answer:
    if "error" in given:
        return _declined(given["error"], given.get("error_description", ""))
    if given.get("code"):
        return SignedIn(given["code"])
    if given.get("admin_consent", "").lower() != "true":
        return Declined(Outcome.ANSWER_INVALID)
    tenant = given.get("tenant", "")
    return Consented(tenant.lower()) if GUID.fullmatch(tenant) else Declined(Outcome.ANSWER_INVALID)


def _declined(error: str, description: str) -> Declined:
    found = NUMBER.search(description)
    number = int(found[1]) if found else None
    known = NUMBERS.get(number) if number is not None else None
    return Declined(known or ERRORS.get(error.lower(), Outcome.REFUSED), number)


def sign_in_objection(identity: Identity, tenant_id: str) -> Outcome | None:
    """Say why who signed in cannot connect the tenant, or None.

    The directory roles are read from the token, since asking Graph for them takes a permission that
    nothing else here needs.
    """
    if identity.tenant_id != tenant_id:
        return Outcome.WRONG_TENANT
    if identity.roles is None:
        return Outcome.ROLE_UNKNOWN
    return None if identity.may_consent else Outcome.ADMIN_NEEDED


def result_address(outcome: Outcome) -> str:
    """Return the page that tells of an outcome: a path, so it cannot lead to another host."""
    return f"{RESULT_PATH}?{urlencode({'code': outcome.value})}"


# --- the words ------------------------------------------------------------------------------------

AGAIN = "Start again from the connection."
ASK_THE_APP = "tell the people who run this application: the log names the reason."
ROLE_SETTING = (
    'the app registration has to ask for directory roles: set "groupMembershipClaims" to '
    '"DirectoryRole" in its manifest (Token configuration, Add groups claim, Directory roles)'
)

WORDS = {
    Outcome.GRANTED: Words(
        Tone.GOOD,
        "The tenant is connected",
        "The permissions were granted, and Microsoft Entra has confirmed it.",
        "You can close this page. The connection can now be checked, given a scope and enabled.",
    ),
    Outcome.PENDING: Words(
        Tone.WAITING,
        "Granted; Microsoft Entra needs a moment",
        "The permissions were granted, but they are not known everywhere in Microsoft Entra yet. "
        "That takes a few minutes as a rule.",
        "You can close this page: within the hour this application asks again and completes the "
        "connection by itself. Nobody has to consent a second time.",
    ),
    Outcome.CREDENTIAL_REFUSED: Words(
        Tone.WAITING,
        "Granted, but not connected yet",
        "The permissions were granted, but this application could not sign in to confirm it: the "
        "connection's own credential did not work.",
        "Check the connection's credential. If it works again within three hours, the connection is "
        "completed by itself; later, start again.",
    ),
    Outcome.ABANDONED: Words(
        Tone.BAD,
        "Microsoft Entra never confirmed it",
        "For three hours, Microsoft Entra issued no token with the permissions to this application. "
        "The connection was not changed.",
        "Check the connection's credential, and that the app registration lists application "
        f"permissions. {AGAIN}",
    ),
    Outcome.STATE_UNKNOWN: Words(
        Tone.BAD,
        "This link cannot be used",
        "It was used before, or it does not come from this application. Nothing was changed.",
        "If you have just granted the permissions, look at the connection: it may have its tenant "
        "already. Otherwise, start again from it.",
    ),
    Outcome.STATE_EXPIRED: Words(
        Tone.BAD,
        "That took too long",
        "A consent has to be finished within 30 minutes. Nothing was changed.",
        AGAIN,
    ),
    Outcome.CONNECTION_GONE: Words(
        Tone.BAD,
        "The connection is gone",
        "The connection was deleted, or changed by somebody else at the same moment. Nothing was "
        "changed here.",
        f"Look whether the connection is still there. {AGAIN}",
    ),
    Outcome.ANSWER_INVALID: Words(
        Tone.BAD,
        "The answer could not be understood",
        "What came back from the sign-in is not what Microsoft Entra sends. Nothing was changed.",
        AGAIN,
    ),
    Outcome.DECLINED: Words(
        Tone.BAD,
        "The permissions were not granted",
        "The request was cancelled or declined. Nothing was changed.",
        "If that was a mistake, start again from the connection.",
    ),
    Outcome.ADMIN_NEEDED: Words(
        Tone.BAD,
        "An administrator has to do this",
        "The account that signed in may not grant permissions for the whole organization. The "
        "connection was not changed.",
        "Let somebody sign in who has the role Privileged Role Administrator or Global "
        f"Administrator. {AGAIN}",
    ),
    Outcome.WRONG_ACCOUNT: Words(
        Tone.BAD,
        "That account belongs to another organization",
        "The account that signed in is not one of the tenant that was asked for. Nothing was changed.",
        "Sign out, or use a private window, and sign in with an administrator's account of the "
        f"right tenant. {AGAIN}",
    ),
    Outcome.BLOCKED: Words(
        Tone.BAD,
        "A policy of the organization prevents it",
        "Microsoft Entra did not let this account in, or not from here. Nothing was changed.",
        "Let an administrator of the tenant look at its Conditional Access policies and at the "
        f"sign-in log. {AGAIN}",
    ),
    Outcome.APP_INCOMPLETE: Words(
        Tone.BAD,
        "The application is not set up correctly",
        "Microsoft Entra does not accept the application's registration as it is. Nothing was changed.",
        "Check the registration: it has to allow accounts of any organization, list this "
        "application's redirect address, and list the permissions that it needs. If they are not "
        f"yours to change, {ASK_THE_APP}",
    ),
    Outcome.OTHER_CLOUD: Words(
        Tone.BAD,
        "The tenant is in another cloud",
        "The tenant, or the application, belongs to another national cloud than the connection. "
        "Nothing was changed.",
        f"Set the cloud of the connection, with an application that is registered there. {AGAIN}",
    ),
    Outcome.TENANT_UNKNOWN: Words(
        Tone.BAD,
        "The tenant was not found",
        "Microsoft Entra knows no such tenant in this cloud. Nothing was changed.",
        f"Check the tenant and the cloud of the connection. {AGAIN}",
    ),
    Outcome.WRONG_TENANT: Words(
        Tone.BAD,
        "That was another tenant",
        "The permissions were granted in another tenant than the one of this connection. The "
        "connection was not changed.",
        "Sign in with an administrator's account of the connection's own tenant. In the other "
        "tenant, an administrator can take the application out again under Enterprise applications. "
        f"{AGAIN}",
    ),
    Outcome.TENANT_TAKEN: Words(
        Tone.BAD,
        "The tenant could not be connected here",
        "This connection may not take over that tenant by itself. The connection was not changed.",
        "If you run this application and the tenant is right, set it at the connection yourself, and "
        "start again.",
    ),
    Outcome.TENANT_CONTESTED: Words(
        Tone.BAD,
        "The tenant is being connected elsewhere, too",
        "Two connections claimed this tenant at the same time, so neither of them has it.",
        "Start again from the one connection that is meant. If the other was not begun by you, "
        f"{ASK_THE_APP}",
    ),
    Outcome.HOME_TENANT: Words(
        Tone.BAD,
        "This is the application's own tenant",
        "The tenant of the people who run this application is not connected by a consent. The "
        "connection was not changed.",
        "Sign in with an administrator's account of the tenant whose people shall come in. If it is "
        "this one, set tenantId at the connection.",
    ),
    Outcome.ROLE_UNKNOWN: Words(
        Tone.BAD,
        "Nobody could see that you are an administrator",
        "The permissions were granted, but Microsoft Entra does not tell this application the "
        "directory roles of the account that signed in. The connection was not changed.",
        f"If you run this application: {ROLE_SETTING}, then start again from the connection. "
        f"Otherwise, {ASK_THE_APP}",
    ),
    Outcome.SIGN_IN_FAILED: Words(
        Tone.BAD,
        "The sign-in could not be confirmed",
        "The permissions were granted, but this application could not confirm with Microsoft Entra "
        "who signed in. The connection was not changed.",
        f"Check the connection's credential. {AGAIN} If it happens a second time, {ASK_THE_APP}",
    ),
    Outcome.OTHER_BROWSER: Words(
        Tone.BAD,
        "The sign-in began in another browser",
        "A sign-in has to end in the browser in which it began, with cookies allowed. Nothing was "
        "changed.",
        AGAIN,
    ),
    Outcome.ENTRA_BUSY: Words(
        Tone.BAD,
        "Microsoft Entra is busy",
        "Microsoft Entra could not finish the request just now. The connection was not changed.",
        f"Wait a few minutes. {AGAIN}",
    ),
    Outcome.APP_BUSY: Words(
        Tone.BAD,
        "This application could not finish",
        "Something that this application needs does not answer. What was granted in Microsoft Entra "
        "is kept there.",
        "Wait a few minutes, and look at the connection. If it has no tenant by then, start again.",
    ),
    Outcome.REFUSED: Words(
        Tone.BAD,
        "Microsoft Entra refused",
        "The permissions were not granted, for a reason that this page does not know. Nothing was "
        "changed.",
        f"{AGAIN} If it happens a second time, {ASK_THE_APP}",
    ),
}
NOTHING = Words(
    Tone.BAD,
    "There is nothing to see here",
    "This page tells how a consent ended, and this address names none.",
    AGAIN,
)


def refusal_words(refusal: Refusal) -> str:
    """Say to an administrator of ours how a consent was refused, with the names that no customer reads."""
    words, connections = WORDS[refusal.outcome], ", ".join(refusal.others)
    tenant = f" (tenant {refusal.tenant_id})" if refusal.tenant_id else ""
    ended = f"A consent ended on {refusal.at:%Y-%m-%d at %H:%M} UTC{tenant}: {words.title}."
    match refusal.outcome:
        case Outcome.TENANT_TAKEN:
            return (
                f"{ended} The connection {connections} has this tenant. To use it here, too, set tenantId "
                "at this connection."
            )
        case Outcome.TENANT_CONTESTED:
            return (
                f"{ended} The connection {connections} claimed it at the same time, and neither has it. "
                "Find out who began the other consent, then start again from the right one."
            )
    return f"{ended} {words.happened} {words.remedy}"
