"""Admin consent without any network: the address there, the answer back, and the words."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.connections.consent import (
    WORDS,
    Callback,
    Consented,
    Declined,
    Outcome,
    Refusal,
    SignedIn,
    Tone,
    consent_url,
    make_state,
    read_callback,
    refusal_words,
    result_address,
    sign_in_objection,
    state_connection,
    state_digest,
)
from sync_core.domain.sign_in import GLOBAL_ADMINISTRATOR, Identity
from tests.unit.builders import GUID, connection

RANDOM = "r" * 43
STATE = f"contoso.{RANDOM}"
# As a real tenant answered: github.com/MicrosoftDocs/azure-docs/issues/114009.
CANCELLED = (
    "AADSTS65004: User declined to consent to access the app.\r\nTrace ID: "
    "7c839d05-4806-48f2-ba40-bf4128382500\r\nTimestamp: 2023-08-28 11:25:19Z"
)


def address(**changes: Any) -> str:
    return consent_url(
        connection(**changes),
        login_url="https://login.example",
        public_url="https://sync.example",
        state=STATE,
    )


def test_the_address_asks_for_all_application_permissions_of_the_registration() -> None:
    parts = urlsplit(address())

    assert (parts.scheme, parts.netloc) == ("https", "login.example")
    assert parts.path == f"/{GUID}/v2.0/adminconsent"
    assert parse_qs(parts.query) == {
        "client_id": [GUID],
        "scope": ["https://graph.microsoft.com/.default"],
        "redirect_uri": ["https://sync.example/api/consent/callback"],
        "state": [STATE],
    }


@pytest.mark.parametrize(
    ("tenant", "segment"),
    [
        pytest.param(None, "organizations", id="not known yet"),
        pytest.param("contoso.com", "contoso.com", id="domain"),
    ],
)
def test_the_tenant_in_the_address(tenant: str | None, segment: str) -> None:
    assert urlsplit(address(tenantId=tenant)).path == f"/{segment}/v2.0/adminconsent"


@pytest.mark.parametrize("cloud", CloudName)
def test_the_permissions_are_those_of_the_cloud(cloud: CloudName) -> None:
    query = parse_qs(urlsplit(address(cloud=cloud.value)).query)

    assert query["scope"] == [CLOUDS[cloud].graph_scope]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(STATE, "contoso", id="as it was made"),
        pytest.param(make_state("a", RANDOM), "a", id="shortest id"),
        pytest.param(make_state("a" * 48, RANDOM), "a" * 48, id="longest id"),
        pytest.param(make_state("a" * 49, RANDOM), None, id="id too long"),
        pytest.param(make_state("-a", RANDOM), None, id="no id"),
        pytest.param(f"Contoso.{RANDOM}", None, id="upper case"),
        pytest.param(f"contoso.{RANDOM[1:]}", None, id="too short"),
        pytest.param(f"contoso.{RANDOM}r", None, id="too long"),
        pytest.param(f"contoso.{RANDOM}\n", None, id="line break"),
        pytest.param(f"con'toso.{RANDOM}", None, id="quote"),
        pytest.param(f"a/b.{RANDOM}", None, id="slash"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="none"),
    ],
)
def test_what_can_be_a_state(state: str | None, expected: str | None) -> None:
    assert state_connection(state) == expected


def test_a_stored_digest_does_not_tell_the_state() -> None:
    digest = state_digest(STATE)

    assert RANDOM not in digest
    assert digest != state_digest(make_state("other", RANDOM))


def returned(query: str) -> Callback:
    return read_callback(parse_qsl(query, keep_blank_values=True))


def test_success_is_admin_consent_and_a_tenant() -> None:
    told = returned(f"admin_consent=True&tenant={GUID.upper()}&scope=x&state={STATE}")

    assert told == Callback(STATE, Consented(GUID))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing"),
        pytest.param("admin_consent=True", id="no tenant"),
        pytest.param("admin_consent=True&tenant=", id="empty tenant"),
        pytest.param("admin_consent=True&tenant=contoso.com", id="a domain"),
        pytest.param(f"admin_consent=True&tenant={GUID}%0A", id="line break"),
        pytest.param(f"admin_consent=True&tenant={GUID}/../common", id="a path"),
        pytest.param(f"tenant={GUID}", id="no admin_consent"),
        pytest.param(f"admin_consent=False&tenant={GUID}", id="admin_consent is false"),
        pytest.param(f"admin_consent=True&tenant={GUID}&tenant={GUID}", id="tenant twice"),
        pytest.param(f"admin_consent=True&admin_consent=False&tenant={GUID}", id="both"),
    ],
)
def test_what_entra_never_sends_is_no_consent(query: str) -> None:
    told = returned(f"{query}&state={STATE}")

    assert told == Callback(STATE, Declined(Outcome.ANSWER_INVALID))


def test_of_two_states_none_counts() -> None:
    told = returned(f"admin_consent=True&tenant={GUID}&state={STATE}&state={STATE}")

    assert told == Callback(None, Declined(Outcome.ANSWER_INVALID))


def test_an_error_wins_over_everything_that_looks_like_success() -> None:
    """The v2 endpoint says admin_consent=True also when nobody consented."""
    told = returned(f"admin_consent=True&error=consent_required&tenant={GUID}&state={STATE}")

    assert told.answer == Declined(Outcome.DECLINED)


@pytest.mark.parametrize(
    ("error", "description", "expected"),
    [
        pytest.param("consent_required", CANCELLED, Outcome.DECLINED, id="as documented"),
        pytest.param("access_denied", CANCELLED, Outcome.DECLINED, id="as seen"),
        pytest.param("permission_denied", "The admin canceled", Outcome.DECLINED, id="v1"),
        pytest.param("access_denied", "", Outcome.DECLINED, id="no number"),
        pytest.param("ACCESS_DENIED", "", Outcome.DECLINED, id="another case"),
        pytest.param("access_denied", "AADSTS90094: x", Outcome.ADMIN_NEEDED, id="90094"),
        pytest.param("access_denied", "AADSTS90093: x", Outcome.ADMIN_NEEDED, id="90093"),
        pytest.param("consent_required", "AADSTS65001: x", Outcome.ADMIN_NEEDED, id="65001"),
        pytest.param("access_denied", "AADSTS50020: x", Outcome.WRONG_ACCOUNT, id="50020"),
        pytest.param("access_denied", "AADSTS53003: x", Outcome.BLOCKED, id="53003"),
        pytest.param("invalid_client", "AADSTS650052: x", Outcome.APP_INCOMPLETE, id="650052"),
        pytest.param("x", "AADSTS650050: x", Outcome.APP_INCOMPLETE, id="first of 6500xx"),
        pytest.param("x", "AADSTS650099: x", Outcome.APP_INCOMPLETE, id="last of 6500xx"),
        pytest.param("x", "AADSTS650100: x", Outcome.REFUSED, id="behind 6500xx"),
        pytest.param("invalid_client", "AADSTS1: x", Outcome.APP_INCOMPLETE, id="short number"),
        pytest.param("x", "AADSTS90038: x", Outcome.OTHER_CLOUD, id="90038"),
        pytest.param("x", "AADSTS90002: x", Outcome.TENANT_UNKNOWN, id="90002"),
        pytest.param("x", "AADSTS90033: x", Outcome.ENTRA_BUSY, id="90033"),
        pytest.param("server_error", "", Outcome.ENTRA_BUSY, id="server error"),
        pytest.param("access_denied", "AADSTS99999: x", Outcome.DECLINED, id="unknown number"),
        pytest.param("gremlins", "AADSTS99999: x", Outcome.REFUSED, id="unknown everything"),
        pytest.param("", "", Outcome.REFUSED, id="empty error"),
    ],
)
def test_every_refusal_is_understood(error: str, description: str, expected: Outcome) -> None:
    pairs = [("admin_consent", "True"), ("error", error), ("error_description", description)]
    answer = read_callback([*pairs, ("state", STATE)]).answer

    assert isinstance(answer, Declined)
    assert answer.outcome is expected


def test_the_number_of_a_refusal_is_kept_for_the_log() -> None:
    answer = read_callback([("error", "access_denied"), ("error_description", CANCELLED)]).answer

    assert answer == Declined(Outcome.DECLINED, 65004)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words_that_say_what_to_do(outcome: Outcome) -> None:
    words = WORDS[outcome]

    for text in (words.happened, words.remedy):
        assert text.endswith(".")
        assert text[0].isupper()
    assert not words.title.endswith(".")
    assert (words.tone is Tone.GOOD) == (outcome is Outcome.GRANTED)
    assert outcome.value.startswith("consent.")


@pytest.mark.parametrize("outcome", Outcome)
def test_the_result_is_on_this_very_host(outcome: Outcome) -> None:
    parts = urlsplit(result_address(outcome))

    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/api/consent/result")
    assert parse_qs(parts.query) == {"code": [outcome.value]}


# --- the sign-in ----------------------------------------------------------------------------------


def test_the_answer_of_a_sign_in_is_a_code() -> None:
    callback = read_callback([("code", "1.x"), ("state", STATE), ("session_state", "y")])

    assert callback == Callback(STATE, SignedIn("1.x"))


def test_a_code_beside_a_consent_is_no_consent() -> None:
    pairs = [("admin_consent", "True"), ("tenant", GUID), ("code", "1.x"), ("state", STATE)]

    assert read_callback(pairs).answer == SignedIn("1.x")


@pytest.mark.parametrize(
    ("tenant", "roles", "expected"),
    [
        pytest.param(GUID, {GLOBAL_ADMINISTRATOR}, None, id="an administrator of it"),
        pytest.param("another", {GLOBAL_ADMINISTRATOR}, Outcome.WRONG_TENANT, id="of another"),
        pytest.param(GUID, None, Outcome.ROLE_UNKNOWN, id="roles not told"),
        pytest.param(GUID, set(), Outcome.ADMIN_NEEDED, id="no role"),
    ],
)
def test_only_an_administrator_of_the_tenant_connects_it(
    tenant: str, roles: set[str] | None, expected: Outcome | None
) -> None:
    known = frozenset(roles) if roles is not None else None

    assert sign_in_objection(Identity(tenant, GUID, known), GUID) is expected


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("tenant", [None, GUID])
def test_a_refusal_says_when_which_tenant_and_what_to_do(
    outcome: Outcome, tenant: str | None
) -> None:
    at = datetime(2026, 11, 29, 9, 5, tzinfo=UTC)
    said = refusal_words(Refusal(outcome, at, tenant, ("fabrikam",)))

    assert said.startswith("A consent ended on 2026-11-29 at 09:05 UTC")
    assert (GUID in said) == (tenant is not None)
    names_others = outcome in {Outcome.TENANT_TAKEN, Outcome.TENANT_CONTESTED}
    assert ("The connection fabrikam" in said) == names_others
    assert said.endswith(".")
