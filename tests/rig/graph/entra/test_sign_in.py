"""The emulated sign-in of a person is as strict as Entra's: code, PKCE, redirect, client, signed ID token."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from local.graph import GraphEmulator
from local.graph.entra.accounts import (
    CLOUD_APPLICATION_ADMINISTRATOR,
    EVERY_USER,
    GLOBAL_ADMINISTRATOR,
    PRIVILEGED_ROLE_ADMINISTRATOR,
)
from local.sample import (
    FABRIKAM_CLIENT_ID,
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_TENANT_ID,
    VENDOR_CLIENT_ID,
)
from tests.rig.graph.conftest import Application

REDIRECT = "http://localhost:7071/api/consent/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")

Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(application: Application) -> Ask:
    """Go to the sign-in page; what matters to a test is in the changes."""

    def asked(tenant: str = SAMPLE_TENANT_ID, **changes: str | None) -> httpx.Response:
        query = {
            "client_id": SAMPLE_CLIENT_ID,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "openid profile",
            "state": "a state&more",
            "nonce": "n-1",
            "code_challenge": CHALLENGE.decode(),
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{application.emulator.authority_url}/{tenant}/oauth2/v2.0/authorize"
        return application.http.get(url, params=given)

    return asked


def told(answer: httpx.Response) -> dict[str, str]:
    """Return the parameters with which the browser is sent back."""
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == REDIRECT
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def code_of(ask: Ask, account: str = "admin@contoso.com", **changes: str | None) -> str:
    return told(ask(account=account, **changes))["code"]


def redeem(
    application: Application, code: str, tenant: str = SAMPLE_TENANT_ID, **changes: Any
) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": SAMPLE_CLIENT_ID,
        "client_secret": SAMPLE_CLIENT_SECRET,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    url = f"{application.emulator.authority_url}/{tenant}/oauth2/v2.0/token"
    given = {name: value for name, value in form.items() if value is not None}
    return application.http.post(url, data=given)


def claims_of(application: Application, answer: httpx.Response) -> dict[str, Any]:
    """Read an ID token with the key that the emulator publishes for it."""
    authority = application.emulator.authority_url
    keys = application.http.get(f"{authority}/common/discovery/v2.0/keys").json()["keys"]
    token = answer.json()["id_token"]
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in keys if key["kid"] == kid)
    assert key["issuer"] == f"{authority}/{{tenantid}}/v2.0"
    decoded: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key, "RS256"), algorithms=["RS256"], audience=SAMPLE_CLIENT_ID
    )
    return decoded


def test_first_an_account_is_chosen(ask: Ask) -> None:
    page = ask(prompt="select_account")

    assert page.status_code == 200
    for name in ("admin", "role-admin", "app-admin", "employee"):
        assert f'value="{name}@contoso.com"' in page.text
    assert 'value="a state&amp;more"' in page.text


@pytest.mark.parametrize(
    ("account", "roles"),
    [
        ("admin", [GLOBAL_ADMINISTRATOR, EVERY_USER]),
        ("role-admin", [PRIVILEGED_ROLE_ADMINISTRATOR, EVERY_USER]),
        ("app-admin", [CLOUD_APPLICATION_ADMINISTRATOR, EVERY_USER]),
        ("employee", [EVERY_USER]),
    ],
)
def test_the_code_becomes_an_id_token_with_directory_roles(
    ask: Ask, application: Application, account: str, roles: list[str]
) -> None:
    back = told(ask(account=f"{account}@contoso.com"))
    answer = redeem(application, back["code"])

    claims = claims_of(application, answer)
    authority = application.emulator.authority_url
    assert back["state"] == "a state&more"
    assert claims["iss"] == f"{authority}/{SAMPLE_TENANT_ID}/v2.0"
    assert (claims["tid"], claims["nonce"], claims["ver"]) == (SAMPLE_TENANT_ID, "n-1", "2.0")
    assert claims["wids"] == roles
    assert {"oid", "sub", "exp", "nbf", "preferred_username"} <= claims.keys()


@pytest.mark.parametrize(
    ("setting", "has_roles"),
    [("All", True), ("DirectoryRole", True), ("SecurityGroup", False), (None, False)],
)
def test_roles_are_told_only_where_the_registration_asks_for_them(
    ask: Ask, application: Application, setting: str | None, has_roles: bool
) -> None:
    application.emulator.control.set_group_claims(setting)
    answer = redeem(application, code_of(ask))

    assert ("wids" in claims_of(application, answer)) == has_roles


@pytest.mark.parametrize(
    ("changes", "status", "number"),
    [
        pytest.param({"code_verifier": "w" * 43}, 400, 501481, id="another verifier"),
        pytest.param({"code_verifier": None}, 400, 501481, id="no verifier"),
        pytest.param({"redirect_uri": f"{REDIRECT}/x"}, 400, 70000, id="another redirect"),
        pytest.param({"redirect_uri": None}, 400, 900144, id="no redirect"),
        pytest.param({"code": "1.made-up"}, 400, 9002313, id="made up"),
        pytest.param({"code": None}, 400, 900144, id="no code"),
        pytest.param({"client_secret": None}, 401, 7000218, id="no client authentication"),
        pytest.param({"client_secret": "no"}, 401, 7000215, id="wrong secret"),
        pytest.param({"client_id": VENDOR_CLIENT_ID}, 400, 700016, id="another application"),
        pytest.param({"grant_type": None}, 400, 900144, id="no grant"),
    ],
)
def test_a_code_is_worth_nothing_without_all_that_belongs_to_it(
    ask: Ask, application: Application, changes: dict[str, Any], status: int, number: int
) -> None:
    code = code_of(ask)
    refused = redeem(application, **{"code": code, **changes})

    assert (refused.status_code, refused.json()["error_codes"]) == (status, [number])
    # A refusal does not use the code up.
    assert redeem(application, code).status_code == 200


def test_a_code_works_once(ask: Ask, application: Application) -> None:
    code = code_of(ask)
    first, second = redeem(application, code), redeem(application, code)

    assert first.status_code == 200
    assert second.json()["error_codes"] == [54005]


def test_a_code_ends_after_ten_minutes(ask: Ask, application: Application) -> None:
    code = code_of(ask)
    application.emulator.control.advance_clock(601)

    assert redeem(application, code).json()["error_codes"] == [70008]


def test_a_code_of_one_tenant_is_worth_nothing_in_another(
    ask: Ask, application: Application
) -> None:
    code = code_of(ask)
    application.emulator.control.set_roles([], tenant=FABRIKAM_TENANT_ID)
    answer = redeem(application, code, tenant=FABRIKAM_TENANT_ID)

    assert answer.json()["error_codes"] == [70000]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        pytest.param({"redirect_uri": "https://evil.example/"}, "AADSTS50011", id="redirect"),
        pytest.param({"redirect_uri": None}, "AADSTS900144", id="no redirect"),
        pytest.param({"client_id": None}, "AADSTS900144", id="no client"),
        pytest.param({"client_id": VENDOR_CLIENT_ID}, "AADSTS700016", id="not consented to"),
        pytest.param({"client_id": FABRIKAM_CLIENT_ID}, "AADSTS700016", id="of another tenant"),
    ],
)
def test_who_cannot_be_sent_back_is_told_on_a_page(
    ask: Ask, changes: dict[str, str | None], number: str
) -> None:
    page = ask(account="admin@contoso.com", **changes)

    assert page.status_code == 400
    assert number in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "id_token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_mode": "fragment"}, "unsupported_response_type", id="fragment"),
        pytest.param({"response_type": None}, "invalid_request", id="no response type"),
        pytest.param({"scope": None}, "invalid_request", id="no scope"),
        pytest.param({"scope": "profile"}, "invalid_request", id="no openid"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain PKCE"),
        pytest.param({"account": "admin@fabrikam.com"}, "access_denied", id="another tenant"),
    ],
)
def test_other_refusals_are_sent_back(ask: Ask, changes: dict[str, str | None], error: str) -> None:
    back = told(ask(**{"account": "admin@contoso.com", **changes}))

    assert (back["error"], back["state"]) == (error, "a state&more")
    assert "code" not in back


def test_keys_can_be_rotated(ask: Ask, application: Application) -> None:
    control = application.emulator.control
    before = redeem(application, code_of(ask))
    control.rotate_signing_keys()
    after = redeem(application, code_of(ask))

    assert claims_of(application, before)["oid"] == claims_of(application, after)["oid"]
    control.rotate_signing_keys(keep_old=False)
    with pytest.raises(StopIteration):
        claims_of(application, before)


def test_tokens_can_be_spoiled(ask: Ask, application: Application) -> None:
    control = application.emulator.control
    control.change_id_tokens(tid=FABRIKAM_TENANT_ID, wids=None)
    claims = claims_of(application, redeem(application, code_of(ask)))
    control.change_id_tokens(unknown_key=True)

    assert claims["tid"] == FABRIKAM_TENANT_ID
    assert "wids" not in claims
    with pytest.raises(jwt.InvalidSignatureError):
        claims_of(application, redeem(application, code_of(ask)))


def test_neither_state_nor_code_is_recorded(ask: Ask, emulator: GraphEmulator) -> None:
    code = code_of(ask)

    recorded = [one for one in emulator.requests if "authorize" in one.path]
    assert [(one.method, one.status) for one in recorded] == [("GET", 302)]
    assert code not in str(recorded)
