"""Every refusal of a token becomes a sentence with a remedy; the refusals come through azure-identity.

What the emulator has a natural cause for is brought about; the rest it is told to say.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from azure.core.exceptions import ClientAuthenticationError

from local.graph import GraphEmulator
from local.graph.faults.token_errors import WITHOUT_CAUSE
from local.identity import EXCHANGE, IDENTITY_OBJECT_ID, ISSUER
from local.sample import (
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_TENANT_ID,
)
from sync_core.directory.credentials import Application, AsyncCredential, GraphCredential
from sync_core.directory.requests import count_users
from sync_core.directory.token_errors import (
    ADVICE,
    ELSEWHERE,
    NO_TENANT,
    TRANSIENT,
    Asked,
    explain_identity_error,
    explain_token_error,
)
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.errors import FixConnection, RetryLater, SyncError, Throttled
from sync_core.services import Services
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.system import Rig, connection

GRAPH = CLOUDS[CloudName.PUBLIC].graph_scope
UNKNOWN = "99999999-9999-4999-8999-999999999999"
TOKEN_ENDPOINT = "**/token"


@dataclass
class Attempt:
    """One attempt to get a token; a cause changes it, or the emulator, before it is made."""

    emulator: GraphEmulator
    rig: Rig
    tenant_id: str = SAMPLE_TENANT_ID
    client_id: str = SAMPLE_CLIENT_ID
    secret: str = SAMPLE_CLIENT_SECRET
    scopes: tuple[str, ...] = (GRAPH,)
    asked: Asked = field(default_factory=Asked)
    make: Callable[[Application], AsyncCredential] | None = None

    async def refusal(self) -> SyncError:
        """Ask for a token and give the error."""
        options = {"authority": self.emulator.authority_url, "disable_instance_discovery": True}
        app = Application(self.tenant_id, self.client_id, options)
        make = self.make or (lambda app: app.by_secret(self.secret))
        async with GraphCredential(lambda: make(app), self.asked) as credential:
            with pytest.raises(SyncError) as refused:
                await credential.get_token(*self.scopes)
        return refused.value


Cause = Callable[[Attempt], None]


def told(number: int) -> Cause:
    def cause(attempt: Attempt) -> None:
        attempt.emulator.control.add_fault("tokenError", path=TOKEN_ENDPOINT, code=number)

    return cause


def wrong_secret(attempt: Attempt) -> None:
    attempt.secret = "aB3~the-value-of-another-app"


def expired_secret(attempt: Attempt) -> None:
    attempt.emulator.control.expire_secrets()


def no_consent(attempt: Attempt) -> None:
    attempt.emulator.control.remove_from_tenant()


def disabled(attempt: Attempt) -> None:
    attempt.emulator.control.enable_app(False)


def unknown_tenant(attempt: Attempt) -> None:
    attempt.tenant_id = UNKNOWN


def malformed_tenant(attempt: Attempt) -> None:
    attempt.tenant_id = "contoso"


def tenant_in_another_cloud(attempt: Attempt) -> None:
    attempt.tenant_id = OTHER_CLOUD_TENANT_ID


def app_in_another_cloud(attempt: Attempt) -> None:
    attempt.client_id = OTHER_CLOUD_TENANT_ID


def graph_of_another_cloud(attempt: Attempt) -> None:
    attempt.scopes = (CLOUDS[CloudName.CHINA].graph_scope,)


def scope_of_a_person(attempt: Attempt) -> None:
    attempt.scopes = ("https://graph.microsoft.com/User.Read.All",)


def two_scopes(attempt: Attempt) -> None:
    attempt.scopes = (GRAPH, GRAPH)


def unregistered_certificate(attempt: Attempt) -> None:
    key = rsa_key()
    attempt.make = lambda app: app.by_certificate(key_pem(key) + certificate_pem(key))


def expired_certificate(attempt: Attempt) -> None:
    """It is still valid here; a year later by Entra's clock it is not."""
    key = rsa_key()
    certificate = certificate_pem(key)
    attempt.emulator.control.add_certificate(certificate)
    attempt.emulator.control.advance_clock(366 * 86_400)
    attempt.make = lambda app: app.by_certificate(key_pem(key) + certificate)


def expired_assertion(attempt: Attempt) -> None:
    federated(attempt)
    token = attempt.rig.identity.identity.token(EXCHANGE, lifetime_s=-3600)
    attempt.make = lambda app: app.by_assertion(lambda: token)


def federated(attempt: Attempt, **changes: str) -> None:
    """Register the identity as a federated credential, with something wrong in it."""
    right = {"issuer": ISSUER, "subject": IDENTITY_OBJECT_ID, "audience": EXCHANGE}
    attempt.emulator.control.add_federated_credential(
        **(right | changes), public_key=attempt.rig.identity.identity.public_key
    )
    attempt.make = lambda app: app.by_identity(None, EXCHANGE)


def wrong_issuer(attempt: Attempt) -> None:
    federated(attempt, issuer=ISSUER.removesuffix("/v2.0"))


def wrong_audience(attempt: Attempt) -> None:
    federated(attempt, audience=f"{EXCHANGE}USGov")


def wrong_subject(attempt: Attempt) -> None:
    federated(attempt, subject=UNKNOWN)


REFUSALS: list[tuple[int, Cause, str]] = [
    (7000215, wrong_secret, "credential.secretInvalid"),
    (7000222, expired_secret, "credential.secretExpired"),
    (700016, no_consent, "credential.appNotFound"),
    (700011, told(700011), "credential.appNotFound"),
    (7000229, told(7000229), "credential.consentMissing"),
    (65001, told(65001), "credential.consentMissing"),
    (7000112, disabled, "credential.appDisabled"),
    (70001, told(70001), "credential.appDisabled"),
    (90002, unknown_tenant, "credential.tenantNotFound"),
    (900023, malformed_tenant, "credential.tenantInvalid"),
    (90038, tenant_in_another_cloud, "credential.wrongCloud"),
    (900432, app_in_another_cloud, "credential.wrongCloud"),
    (900382, told(900382), "credential.wrongCloud"),
    (900439, told(900439), "credential.wrongCloud"),
    (900440, told(900440), "credential.wrongCloud"),
    (7000218, told(7000218), "credential.requestIncomplete"),
    (900144, told(900144), "credential.requestIncomplete"),
    (70011, two_scopes, "credential.scopeInvalid"),
    (1002012, scope_of_a_person, "credential.scopeInvalid"),
    (500011, graph_of_another_cloud, "credential.graphNotInTenant"),
    (700027, unregistered_certificate, "credential.certificateNotRegistered"),
    (392204, expired_certificate, "credential.certificateExpired"),
    (700024, expired_assertion, "credential.clockWrong"),
    (700021, told(700021), "credential.assertionRefused"),
    (700023, told(700023), "credential.assertionRefused"),
    (50027, told(50027), "credential.assertionRefused"),
    (700211, wrong_issuer, "credential.federationMismatch"),
    (700212, wrong_audience, "credential.federationMismatch"),
    (700213, wrong_subject, "credential.federationMismatch"),
    (70021, told(70021), "credential.federationMismatch"),
    (700222, told(700222), "credential.federationRefused"),
    (53003, told(53003), "credential.blockedByPolicy"),
]


@pytest.fixture
def attempt(emulator: GraphEmulator, rig: Rig) -> Attempt:
    return Attempt(emulator, rig)


@pytest.mark.parametrize(
    ("number", "cause", "code"), REFUSALS, ids=[str(number) for number, _, _ in REFUSALS]
)
async def test_a_refusal_says_what_to_do(
    attempt: Attempt, number: int, cause: Cause, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cause(attempt)

    error = await attempt.refusal()

    assert isinstance(error, FixConnection)
    assert (error.code, f"(AADSTS{number})" in error.message) == (code, True)
    assert error.remedy.endswith(".")
    said = f"{error.message} {error.remedy} {error!r} {caplog.text}"
    assert attempt.secret not in said
    assert "eyJ" not in said  # how every assertion and every token begins


def test_every_number_with_advice_is_seen_above() -> None:
    seen = {number for number, _, _ in REFUSALS}

    assert seen == {*ADVICE, *ELSEWHERE, NO_TENANT}


async def test_an_unheard_of_number_is_passed_on(attempt: Attempt) -> None:
    WITHOUT_CAUSE[999999] = ("invalid_client", 401, "Something new.")
    told(999999)(attempt)

    error = await attempt.refusal()
    del WITHOUT_CAUSE[999999]

    assert isinstance(error, FixConnection)
    assert (error.code, "(AADSTS999999)" in error.message) == ("credential.refused", True)


# --- what passes ------------------------------------------------------------------------------------


def unavailable(attempt: Attempt) -> None:
    attempt.emulator.control.add_fault("unavailable", path=TOKEN_ENDPOINT)


@pytest.mark.parametrize(
    ("number", "cause"),
    [(90033, unavailable), *((number, told(number)) for number in sorted(TRANSIENT - {90033}))],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_a_passing_trouble_of_entra_is_waited_for(
    attempt: Attempt, number: int, cause: Cause
) -> None:
    cause(attempt)

    error = await attempt.refusal()

    assert isinstance(error, RetryLater)
    assert error.code == "credential.entraBusy"
    assert f"AADSTS{number}" in error.message


async def test_entras_wish_how_long_to_wait_is_kept(attempt: Attempt) -> None:
    attempt.emulator.control.add_fault("throttled", path=TOKEN_ENDPOINT, retryAfter=7.5)

    error = await attempt.refusal()

    assert isinstance(error, Throttled)
    assert (error.code, error.retry_after_s) == ("credential.entraBusy", 7.5)


@pytest.mark.parametrize("kind", ["html", "reset", "truncated"])
async def test_an_answer_that_is_not_entras_may_come_right(attempt: Attempt, kind: str) -> None:
    """A proxy with a page of its own, a cut connection."""
    attempt.emulator.control.add_fault(kind, path=TOKEN_ENDPOINT)

    error = await attempt.refusal()

    assert isinstance(error, RetryLater)
    assert error.code == "credential.entraUnreachable"


async def test_one_question_is_one_request(attempt: Attempt) -> None:
    """Retrying is the business of one place, with one budget; azure-identity does not."""
    unavailable(attempt)

    await attempt.refusal()

    assert [request.status for request in attempt.emulator.requests] == [503]


async def test_a_run_goes_on_after_a_passing_trouble(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The token is asked for within a request to Graph, and waited for like that."""
    name = f"{connection_id}-client-secret"
    await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type="text/plain")
    emulator.control.add_fault("unavailable", path=TOKEN_ENDPOINT, times=2)

    async with services.directory.open(connection(connection_id)) as client:
        people = await client.get(count_users(client.sdk), needs="User.Read.All")

    assert (people, client.usage.retried) == (20, 2)


async def test_a_refusal_within_a_request_is_the_same_refusal(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    name = f"{connection_id}-client-secret"
    await services.vault.set(name, "abc8Q~not-this-one", content_type="text/plain")

    async with services.directory.open(connection(connection_id)) as client:
        with pytest.raises(FixConnection) as refused:
            await client.get(count_users(client.sdk), needs="User.Read.All")

    assert refused.value.code == "credential.secretInvalid"
    assert len(emulator.requests) == 1


# --- hints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        pytest.param("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "credential.secretIsId", id="a GUID"),
        pytest.param("aB3~a-value", "credential.secretInvalid", id="a value"),
    ],
)
async def test_a_secret_with_the_shape_of_an_id_is_told_apart(
    services: Services, connection_id: str, secret: str, code: str
) -> None:
    """The portal shows id and value side by side; people copy the wrong one."""
    name = f"{connection_id}-client-secret"
    await services.vault.set(name, secret, content_type="text/plain")

    async with services.directory.open(connection(connection_id)) as client:
        with pytest.raises(FixConnection) as refused:
            await client.credential.get_token(GRAPH)

    assert refused.value.code == code
    assert "value" in refused.value.remedy


@pytest.mark.parametrize(
    ("number", "text", "cloud", "named"),
    [
        pytest.param(
            90038, "the National Cloud 'MicrosoftOnline.US'.", "public", {"usGov", "usGovDoD"}, id="US"
        ),
        pytest.param(
            90038, "the National Cloud 'MicrosoftOnline.US'.", "usGov", {"usGovDoD"}, id="US from L4"
        ),
        pytest.param(
            90038, "the National Cloud 'MicrosoftOnline.COM'.", "china", {"public"}, id="worldwide"
        ),
        pytest.param(
            90038, "the National Cloud 'microsoftonline.cn'.", "public", {"china"}, id="China"
        ),
        pytest.param(
            90038, "the National Cloud 'microsoftonline.de'.", "usGov",
            {"public", "usGovDoD", "china"}, id="one that is closed",
        ),
        pytest.param(
            900382, "Cross Cloud request.", "public", {"usGov", "usGovDoD", "china"}, id="cross cloud"
        ),
        pytest.param(900439, "", "public", {"usGov", "usGovDoD"}, id="US application"),
        pytest.param(900440, "", "usGov", {"public"}, id="public at US"),
        pytest.param(
            90002, "Tenant not found.", "china", {"public", "usGov", "usGovDoD"}, id="no such tenant"
        ),
    ],
)  # fmt: skip
def test_the_cloud_to_try_is_named(number: int, text: str, cloud: str, named: set[str]) -> None:
    refusal = ClientAuthenticationError(message=f"AADSTS{number}: {text}")

    error = explain_token_error(refusal, Asked(CloudName(cloud)))

    words = error.remedy.replace("(", " ").split()
    assert {name for name in CloudName if name in words} == named


async def test_a_managed_identity_that_is_busy_is_waited_for(rig: Rig) -> None:
    refusal = ClientAuthenticationError(message="Unexpected response")
    refusal.status_code = 503

    error = explain_identity_error(refusal, None)

    assert isinstance(error, RetryLater)
