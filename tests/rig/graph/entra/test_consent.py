"""The emulated consent page asks, refuses and answers as Entra's does."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from local.graph import GraphEmulator
from local.sample import (
    FABRIKAM_CLIENT_ID,
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
    VENDOR_APP_NAME,
    VENDOR_CLIENT_ID,
    VENDOR_CLIENT_SECRET,
    VENDOR_TENANT_ID,
)
from tests.rig.graph.conftest import Application

REDIRECT = "http://localhost:7071/api/consent/callback"
ADMINISTRATOR = "admin@contoso.com"

# A consent page that is asked for, or an answer to it; what matters to a test is in the changes.
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(application: Application) -> Ask:
    def asked(method: str = "GET", tenant: str = "organizations", **changes: Any) -> httpx.Response:
        query = {
            "client_id": VENDOR_CLIENT_ID,
            "scope": "https://graph.microsoft.com/.default",
            "redirect_uri": REDIRECT,
            "state": "a state&more",
            **changes,
        }
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{application.emulator.authority_url}/{tenant}/v2.0/adminconsent"
        sent: dict[str, Any] = {"data" if method == "POST" else "params": given}
        return application.http.request(method, url, **sent)

    return asked


def sign_in(application: Application, **changes: str) -> httpx.Response:
    vendor = {"client_id": VENDOR_CLIENT_ID, "client_secret": VENDOR_CLIENT_SECRET}
    return application.sign_in(**vendor, **changes)


def told(answer: httpx.Response) -> list[tuple[str, str]]:
    """Give the parameters with which the browser is sent back, in their order."""
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == REDIRECT
    return parse_qsl(parts.query)


def test_first_an_account_is_chosen(ask: Ask) -> None:
    page = ask()

    assert page.status_code == 200
    assert VENDOR_APP_NAME in page.text
    for account in (ADMINISTRATOR, "admin@fabrikam.com", "employee@contoso.com"):
        assert f'value="{account}"' in page.text
    assert 'value="a state&amp;more"' in page.text


def test_then_the_permissions_are_shown(ask: Ask) -> None:
    page = ask(account=ADMINISTRATOR)

    assert VENDOR_APP_NAME in page.text
    assert ADMINISTRATOR in page.text
    assert all(role in page.text for role in SAMPLE_ROLES)
    assert 'value="accept"' in page.text
    assert 'value="cancel"' in page.text


@pytest.mark.parametrize("tenant", ["organizations", SAMPLE_TENANT_ID, "contoso.com"])
def test_accepting_grants_and_sends_back(ask: Ask, application: Application, tenant: str) -> None:
    before = sign_in(application)
    answer = ask("POST", tenant, account=ADMINISTRATOR, decision="accept")
    after = sign_in(application)
    users = application.ask("/users?$top=1")

    assert told(answer) == [
        ("admin_consent", "True"),
        ("tenant", SAMPLE_TENANT_ID),
        (
            "scope",
            "https://graph.microsoft.com/User.Read.All https://graph.microsoft.com/Group.Read.All",
        ),
        ("state", "a state&more"),
    ]
    assert before.json()["error_codes"] == [700016]
    assert (after.status_code, users.status_code) == (200, 200)
    assert sign_in(application, tenant=FABRIKAM_TENANT_ID).json()["error_codes"] == [700016]


def test_looking_grants_nothing(ask: Ask, application: Application) -> None:
    ask(account=ADMINISTRATOR, decision="accept")

    assert sign_in(application).json()["error_codes"] == [700016]


def test_a_second_consent_keeps_what_was_granted_by_hand(
    ask: Ask, application: Application
) -> None:
    control = application.emulator.control
    control.set_roles(["Member.Read.Hidden"], app=VENDOR_CLIENT_ID)
    ask("POST", account=ADMINISTRATOR, decision="accept")

    vendor = next(app for app in control.apps() if app["appId"] == VENDOR_CLIENT_ID)
    assert vendor["grants"][SAMPLE_TENANT_ID] == ["Member.Read.Hidden", *SAMPLE_ROLES]


@pytest.mark.parametrize(
    ("tenant", "account", "error", "number"),
    [
        pytest.param(
            "organizations", ADMINISTRATOR, "consent_required", "AADSTS65004", id="cancelled"
        ),
        pytest.param(
            "organizations", "employee@contoso.com", "access_denied", "AADSTS90094", id="no admin"
        ),
        pytest.param(
            SAMPLE_TENANT_ID, "admin@fabrikam.com", "access_denied", "AADSTS50020", id="not theirs"
        ),
    ],
)
def test_a_refusal_is_sent_back_with_admin_consent_all_the_same(
    *, ask: Ask, application: Application, tenant: str, account: str, error: str, number: str
) -> None:
    answer = ask("POST", tenant, account=account, decision="cancel")
    names, values = zip(*told(answer), strict=True)

    assert names == ("admin_consent", "error", "error_description", "state")
    assert values[:2] == ("True", error)
    assert values[2].startswith(f"{number}: ")
    assert sign_in(application).json()["error_codes"] == [700016]


def test_without_a_state_none_comes_back(ask: Ask) -> None:
    answer = ask("POST", account=ADMINISTRATOR, decision="accept", state=None)

    assert [name for name, _ in told(answer)] == ["admin_consent", "tenant", "scope"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        pytest.param({"tenant": "common"}, 900023, id="common"),
        pytest.param({"tenant": "no tenant"}, 900023, id="no tenant at all"),
        pytest.param({"tenant": "nobody.example"}, 90002, id="unknown tenant"),
        pytest.param({"tenant": OTHER_CLOUD_TENANT_ID}, 90038, id="another cloud"),
        pytest.param({"client_id": None}, 900144, id="no client"),
        pytest.param({"redirect_uri": None}, 900144, id="no redirect"),
        pytest.param({"scope": ""}, 900144, id="empty scope"),
        pytest.param({"client_id": FABRIKAM_TENANT_ID}, 700016, id="unknown client"),
        pytest.param({"client_id": SAMPLE_CLIENT_ID}, 50194, id="single tenant, anywhere"),
        pytest.param(
            {"client_id": FABRIKAM_CLIENT_ID, "tenant": SAMPLE_TENANT_ID},
            700016,
            id="single tenant, elsewhere",
        ),
        pytest.param({"redirect_uri": "https://evil.example/"}, 50011, id="unknown redirect"),
        pytest.param({"redirect_uri": f"{REDIRECT}/"}, 50011, id="slash more"),
        pytest.param({"redirect_uri": f"{REDIRECT}?a=b"}, 50011, id="query more"),
        pytest.param(
            {"redirect_uri": REDIRECT.replace("http:", "https:")}, 50011, id="other scheme"
        ),
        pytest.param(
            {"redirect_uri": REDIRECT.replace("localhost", "localhost.evil.example")},
            50011,
            id="other host",
        ),
        pytest.param(
            {"redirect_uri": REDIRECT.replace("//", "//evil@")}, 50011, id="with a user name"
        ),
        pytest.param({"scope": "https://graph.microsoft.com/User.Read.All"}, 70011, id="dynamic"),
        pytest.param({"scope": "/.default"}, 70011, id="no resource"),
        pytest.param(
            {"scope": "https://graph.microsoft.com/.default openid"}, 70011, id="two scopes"
        ),
        pytest.param({"scope": "https://vault.azure.net/.default"}, 500011, id="other resource"),
        pytest.param({"scope": "https://graph.microsoft.us/.default"}, 500011, id="other Graph"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_wrong_is_said_on_a_page(
    ask: Ask, method: str, changes: dict[str, Any], number: int
) -> None:
    """Nobody is sent anywhere before the application is known."""
    answer = ask(method, **changes, account=ADMINISTRATOR, decision="accept")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"AADSTS{number}:" in answer.text


def test_a_single_tenant_app_is_consented_to_at_home(ask: Ask, application: Application) -> None:
    application.emulator.control.set_roles([])
    answer = ask(
        "POST",
        SAMPLE_TENANT_ID,
        client_id=SAMPLE_CLIENT_ID,
        account=ADMINISTRATOR,
        decision="accept",
    )
    application.sign_in()

    assert dict(told(answer))["tenant"] == SAMPLE_TENANT_ID
    assert application.ask("/users?$top=1").status_code == 200


def test_the_vendor_is_at_home_in_its_own_tenant(application: Application) -> None:
    assert sign_in(application, tenant=VENDOR_TENANT_ID).status_code == 200
    assert len(application.items("/users?$select=id")) == 10


def test_markup_is_shown_as_text(ask: Ask) -> None:
    page = ask(state='"><script>alert(1)</script>')
    trouble = ask(tenant="<b>x")

    assert "<script" not in page.text
    assert "<b>x" not in trouble.text


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        pytest.param({}, ["roles", "roles", "roles", "roles"], id="at once"),
        pytest.param(
            {"consent_delay_requests": 2}, [700016, 700016, "roles", "roles"], id="app unknown"
        ),
        pytest.param({"roles_delay_requests": 1}, ["none", "roles", "roles", "roles"], id="roles"),
        pytest.param(
            {"consent_delay_requests": 1, "roles_delay_requests": 2},
            [700016, "none", "none", "roles"],
            id="both",
        ),
        pytest.param({"consent_delay_s": 60}, [700016, 700016, 700016, 700016], id="a minute"),
        pytest.param({"roles_delay_s": 60}, ["none", "none", "none", "none"], id="roles later"),
    ],
)
def test_a_consent_may_take_its_time(
    ask: Ask, application: Application, settings: dict[str, int], seen: list[object]
) -> None:
    application.emulator.control.settings(**settings)
    ask("POST", account=ADMINISTRATOR, decision="accept")

    assert [look(application) for _ in range(4)] == seen
    application.emulator.control.advance_clock(60)
    assert look(application) == "roles"


def look(application: Application) -> object:
    """Tell what the token endpoint knows of the consent."""
    answer = sign_in(application)
    if answer.status_code != 200:
        return answer.json()["error_codes"][0]
    return "roles" if application.ask("/users?$top=1").status_code == 200 else "none"


def test_the_state_is_not_recorded(ask: Ask, emulator: GraphEmulator) -> None:
    ask()
    ask("POST", account=ADMINISTRATOR, decision="accept")

    recorded = [one for one in emulator.requests if "adminconsent" in one.path]
    assert [(one.method, one.status) for one in recorded] == [("GET", 200), ("POST", 302)]
    assert "state" not in str(recorded)
