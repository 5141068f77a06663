"""Why there is no token: Entra's refusal in, a sentence with a stable code and a remedy out. Pure.

The numbers choose the advice only, never a decision about people: Entra says that texts and numbers
may change (learn.microsoft.com/entra/identity-platform/reference-error-codes). Entra's own text is
not repeated: it names ids and thumbprints, and it is written for developers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from azure.core.exceptions import ClientAuthenticationError

from sync_core.directory.answers import retry_after_s
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.errors import FixConnection, RetryLater, SyncError, Throttled


@dataclass(frozen=True, slots=True)
class Asked:
    """What the advice depends on; nothing of the credential itself.

    `secret_is_guid`: the stored client secret has the shape of a GUID, as a secret's id has and no
    secret's value.
    """

    cloud: CloudName = CloudName.PUBLIC
    secret_is_guid: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Entra answered in place of a token."""

    text: str
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Advice:
    """What an administrator reads."""

    code: str
    message: str
    remedy: str


class EntraBusy(Throttled):
    """Entra could not issue a token just now, and may have said when to ask again."""

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.code = "credential.entraBusy"
        self.remedy = WAIT


WAIT = "Nothing to do: the next run tries again. See status.microsoft.com if it goes on."
CLOUD_WORDS = {
    CloudName.PUBLIC: "public (the worldwide cloud; GCC too)",
    CloudName.US_GOV: "usGov (US Government L4, GCC High)",
    CloudName.US_GOV_DOD: "usGovDoD (US Government L5, DoD)",
    CloudName.CHINA: "china (21Vianet)",
}
NOT_FOUND = Advice(
    "credential.appNotFound",
    "The app registration is not known in this tenant.",
    "Check client id and tenant id of the connection. If the app is registered in another tenant, an "
    "administrator of this one has to grant consent first. Right after consent, wait a few minutes.",
)
NO_CONSENT = Advice(
    "credential.consentMissing",
    "No administrator of the tenant has consented to the app yet.",
    "Let an administrator of the tenant grant admin consent; right after that, wait a few minutes.",
)
DISABLED = Advice(
    "credential.appDisabled",
    "The app is disabled in this tenant.",
    "In Entra, Enterprise applications, open the app and set Properties, Enabled for users to sign "
    "in, to Yes.",
)
INCOMPLETE = Advice(
    "credential.requestIncomplete",
    "Entra misses a part of the token request.",
    "Store the credential again. If it repeats, look for a proxy between this app and Entra that "
    "changes requests.",
)
BAD_SCOPE = Advice(
    "credential.scopeInvalid",
    "Entra does not accept what the token was asked for.",
    "Check the cloud of the connection and the app setting GRAPH_ENDPOINT; otherwise please report it.",
)
BAD_ASSERTION = Advice(
    "credential.assertionRefused",
    "Entra does not accept what was signed for the app.",
    "Check client id, tenant id and cloud of the connection, and that the certificate or federated "
    "credential belongs to this app registration.",
)
CODE_REFUSED = Advice(
    "signIn.codeRefused",
    "Entra does not take the code of this sign-in, or not any more.",
    "Sign in again.",
)
NOT_FEDERATED = Advice(
    "credential.federationMismatch",
    "The app registration has no federated credential that fits this app's managed identity.",
    "In the app registration, Certificates & secrets, Federated credentials, choose Managed Identity "
    "and pick the identity of this app. Issuer, subject (the identity's object id) and audience have "
    "to match to the letter. Right after adding it, wait a few minutes.",
)
# Entra's number -> advice, as listed in the reference above; where that page is silent:
# 7000229 microsoft.github.io/teams-sdk (app authentication, troubleshooting),
# 900382 github.com/MicrosoftDocs/azure-docs/issues/35616, 900432 .../issues/35243,
# 70021x github.com/Azure/azure-workload-identity/issues/616 and /1200,
# 700222 github.com/MicrosoftDocs/azure-docs/issues/90276,
# 54005 github.com/AzureAD/microsoft-identity-web/issues/2328,
# 501481 github.com/AzureAD/microsoft-authentication-library-for-js/issues/2694.
ADVICE: dict[int, Advice] = {
    7000215: Advice(
        "credential.secretInvalid",
        "Entra refused the client secret.",
        "If you made it a minute ago, wait: Entra needs some minutes to know it everywhere. Otherwise it is "
        "wrong. Store the secret's value, not its id; Entra shows the value only once, so if it is lost, "
        "make a new secret in the app registration.",
    ),
    7000222: Advice(
        "credential.secretExpired",
        "The client secret has expired.",
        "Make a new client secret in the app registration and store its value in the connection.",
    ),
    700016: NOT_FOUND,
    700011: NOT_FOUND,
    7000229: NO_CONSENT,
    65001: NO_CONSENT,
    7000112: DISABLED,
    70001: DISABLED,
    900023: Advice(
        "credential.tenantInvalid",
        "The tenant id is neither a GUID nor a domain of a tenant.",
        "Correct the tenant id of the connection: the GUID on the tenant's overview page in Entra, or "
        "one of its verified domains.",
    ),
    7000218: INCOMPLETE,
    900144: INCOMPLETE,
    70011: BAD_SCOPE,
    1002012: BAD_SCOPE,
    500011: Advice(
        "credential.graphNotInTenant",
        "The tenant does not know the Microsoft Graph of this connection's cloud.",
        "Check the cloud of the connection and the tenant id.",
    ),
    700027: Advice(
        "credential.certificateNotRegistered",
        "Entra does not know the certificate with which the app signed.",
        "Upload the public part of the certificate to the app registration (Certificates & secrets, "
        "Certificates) and compare the thumbprint. Right after uploading it, wait a few minutes.",
    ),
    392204: Advice(
        "credential.certificateExpired",
        "The certificate has expired.",
        "Make a new certificate, upload its public part to the app registration, and store it with "
        "its key in the connection.",
    ),
    700024: Advice(
        "credential.clockWrong",
        "The time at which the app signed is not the time that Entra has.",
        "Check the clock of the machine on which this app runs.",
    ),
    700021: BAD_ASSERTION,
    700023: BAD_ASSERTION,
    50027: BAD_ASSERTION,
    70021: NOT_FEDERATED,
    700211: NOT_FEDERATED,
    700212: NOT_FEDERATED,
    700213: NOT_FEDERATED,
    700222: Advice(
        "credential.federationRefused",
        "Entra does not take tokens of this managed identity in place of a secret.",
        "Use a user-assigned identity that lives in the same tenant as the app registration.",
    ),
    53003: Advice(
        "credential.blockedByPolicy",
        "A Conditional Access policy of the tenant blocks the app.",
        "Let an administrator of the tenant exempt the app, or allow the addresses it calls from.",
    ),
}
# The code of a person's sign-in is used, expired, of another application, or does not fit its verifier.
CODES = (54005, 70000, 70008, 501481, 9002313)
NO_TENANT = 90002
ELSEWHERE = {
    90038: "The tenant or the app does not live in the cloud {cloud}.",
    900382: "The tenant or the app does not live in the cloud {cloud}.",
    900432: "The app and the tenant live in different clouds, and the connection says {cloud}.",
    # The name of 900439 is USGClientNotSupportedOnPublicEndpoint; 900440 is reported as its reverse.
    900439: "The app is registered in the US Government's cloud, and the connection says {cloud}.",
    900440: "The app or the tenant is one of the public cloud, and the connection says {cloud}.",
}
POINTS_TO = {
    900439: [CloudName.US_GOV, CloudName.US_GOV_DOD],
    900440: [CloudName.PUBLIC],
}
TRANSIENT = {90033, 90006, 90012, 90024, 90055, 90090}
NUMBER = re.compile(r"AADSTS(\d+)")
REDIRECTED = re.compile(r"National Cloud '([^']+)'")


def explain_token_error(error: ClientAuthenticationError, asked: Asked) -> SyncError:
    """Turn Entra's refusal into what the administrator, or time, can mend."""
    headers = getattr(error.response, "headers", {})
    refusal = Refusal(str(error.message), error.status_code or 0, headers)
    return explain_refusal(refusal, asked) or no_proper_answer(error)


def explain_refusal(refusal: Refusal, asked: Asked) -> SyncError | None:
    """Turn a refusal into an error; None for what is none of Entra's, since each of those has a number."""
    found = NUMBER.search(refusal.text)
    number = int(found[1]) if found else 0
    if number in TRANSIENT or _is_transient(refusal):
        return _busy(refusal, number)
    if not number:
        return None
    advice = _advice(number, refusal.text, asked)
    return FixConnection(advice.code, f"{advice.message} (AADSTS{number})", advice.remedy)


def no_proper_answer(error: Exception) -> RetryLater:
    """Say that Entra was not reached: no connection, or something else answered in its place."""
    return RetryLater(
        "credential.entraUnreachable",
        f"Entra could not be reached, or something answered in its place ({type(error).__name__}).",
        "Nothing to do if it passes: the next run tries again. Otherwise check the network, and any "
        "proxy, between this app and the login host.",
    )


def explain_identity_error(error: ClientAuthenticationError, client_id: str | None) -> SyncError:
    """Say why the app's managed identity gave no token."""
    headers = getattr(error.response, "headers", {})
    refusal = Refusal("", error.status_code or 0, headers)
    if _is_transient(refusal):
        return _busy(refusal, 0)
    named = f" {client_id}" if client_id else ""
    return FixConnection(
        "credential.identityUnavailable",
        f"The managed identity{named} gave no token.",
        "Check that it is assigned to this app (Function App, Settings, Identity, User assigned) and "
        "that the client id is the identity's own, not its object id.",
    )


def _is_transient(refusal: Refusal) -> bool:
    status = refusal.status
    return status == 429 or status >= 500 or "temporarily_unavailable" in refusal.text


def _busy(refusal: Refusal, number: int) -> RetryLater:
    suffix = f" (AADSTS{number})." if number else "."
    message = f"Entra could not issue a token just now{suffix}"
    wait_s = retry_after_s(refusal.headers)
    if wait_s is None and refusal.status != 429:
        return RetryLater("credential.entraBusy", message, WAIT)
    return EntraBusy(message, retry_after_s=wait_s)


def _advice(number: int, text: str, asked: Asked) -> Advice:
    if number == NO_TENANT:
        return Advice(
            "credential.tenantNotFound",
            f"Entra knows no such tenant in the cloud {asked.cloud}.",
            "Check the tenant id. If it is right, the tenant lives in another cloud: set the "
            f'connection\'s "cloud" to {_words(_others(asked.cloud))}.',
        )
    if number in ELSEWHERE:
        clouds = POINTS_TO.get(number) or _named(text, asked.cloud)
        return Advice(
            "credential.wrongCloud",
            ELSEWHERE[number].format(cloud=asked.cloud),
            f'Set the connection\'s "cloud" to {_words(clouds)}, with an app that '
            "is registered there.",
        )
    if asked.secret_is_guid and number == 7000215:
        return Advice(
            "credential.secretIsId",
            "What is stored as the client secret has the shape of a secret's id (a GUID).",
            "Store the secret's value. Entra shows it only once, beside the id, right after the "
            "secret was made: if it is lost, make a new secret.",
        )
    if number in CODES:
        return CODE_REFUSED
    return ADVICE.get(number) or Advice(
        "credential.refused",
        "Entra did not issue a token.",
        "Look the number up at login.microsoftonline.com/error and correct the app registration "
        "or the connection.",
    )


def _others(cloud: CloudName) -> list[CloudName]:
    return [name for name in CLOUDS if name is not cloud]


def _named(text: str, cloud: CloudName) -> list[CloudName]:
    """Return the clouds that Entra's text points to, like 'MicrosoftOnline.US'; else all the others."""
    told = REDIRECTED.search(text)
    host = told[1].lower() if told else ""
    named = [name for name in _others(cloud) if host in CLOUDS[name].login_url]
    return named or _others(cloud)


def _words(clouds: Iterable[CloudName]) -> str:
    return " or ".join(CLOUD_WORDS[name] for name in clouds)
