"""Admin consent, clicked through: the API, the emulated Entra, and back again."""

import asyncio
import dataclasses
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient
from fastapi import FastAPI

from local.graph import GraphEmulator
from local.identity import EXCHANGE, IDENTITY_OBJECT_ID, ISSUER
from local.sample import (
    FABRIKAM_DOMAIN,
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_DOMAIN,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
    VENDOR_CLIENT_ID,
    VENDOR_CLIENT_SECRET,
    VENDOR_DOMAIN,
    VENDOR_TENANT_ID,
)
from sync_core.connections import binding, tenants
from sync_core.directory.access import Directory
from sync_core.domain.connections.consent import Outcome
from sync_core.domain.connections.verification import VerificationStatus
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.errors import PreconditionFailed, RetryLater
from sync_core.services import Services, utc_now
from sync_core.settings import DEVELOPMENT_STORAGE
from sync_core.store import consents
from sync_core.store.consents import MAX_OPEN, STATE_LIFE, ConsentStore, PendingConsent
from sync_core.store.tables import CONSENTS, Tables
from sync_core.store.wire import BatchRefused, storage_unavailable
from tests.api.conftest import Create, Json, app_over, calling, document, paths, retried
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.ports import free_port
from tests.system import Rig, connection, run_now, set_clock

ADMINISTRATOR = f"admin@{SAMPLE_DOMAIN}"
EMPLOYEE = f"employee@{SAMPLE_DOMAIN}"
SOMEBODY_ELSE = f"admin@{FABRIKAM_DOMAIN}"
ADMINISTRATORS = {SAMPLE_TENANT_ID: ADMINISTRATOR, FABRIKAM_TENANT_ID: SOMEBODY_ELSE}
NOBODYS_TENANT = "99999999-9999-4999-8999-999999999999"
# What a browser waits for is ten seconds: waits of one, two and four, and no more.
ATTEMPTS = 4
NO_DELAYS = {"consent_delay_requests": 0, "roles_delay_requests": 0}


@pytest.fixture(autouse=True)
def nobody_has_consented(emulator: GraphEmulator) -> Iterator[None]:
    yield
    emulator.control.settings(**NO_DELAYS)
    emulator.control.issue_opaque_tokens(False)
    emulator.control.change_id_tokens()
    emulator.control.set_group_claims("DirectoryRole", app=VENDOR_CLIENT_ID)
    for tenant in (SAMPLE_TENANT_ID, FABRIKAM_TENANT_ID):
        emulator.control.remove_from_tenant(app=VENDOR_CLIENT_ID, tenant=tenant)


@pytest.fixture
async def browser(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(cafile=str(rig.tls.ca_file))
    ) as client:
        yield client


@dataclass(frozen=True)
class Way:
    """The way of one administrator, step by step."""

    admin: httpx.AsyncClient
    nobody: httpx.AsyncClient
    browser: httpx.AsyncClient

    async def start(self, connection_id: str) -> str:
        """Give Entra's address."""
        answer = await self.admin.get("/api/consent/start", params={"connection": connection_id})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    async def decide(
        self, address: str, account: str = ADMINISTRATOR, decision: str = "accept"
    ) -> str:
        """Give the address to which Entra sends the browser back."""
        fields = dict(parse_qsl(urlsplit(address).query)) | {"account": account}
        endpoint = address.partition("?")[0]
        answer = await self.browser.post(endpoint, data={**fields, "decision": decision})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    async def come_back(self, address: str, account: str | None = None, **changes: str) -> str:
        """Give the code of the page on which the browser ends, after a sign-in if it is sent to one."""
        there = await self.return_to_us(address, **changes)
        if "/oauth2/v2.0/authorize?" in there:
            there = await self.return_to_us(await self.sign_in(there, account))
        return outcome_of(there)

    async def return_to_us(self, address: str, **changes: str) -> str:
        """Follow Entra's way back, and give where the browser is sent from there."""
        query = dict(parse_qsl(urlsplit(address).query)) | changes
        answer = await self.nobody.get(f"{urlsplit(address).path}?{urlencode(query)}")
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    async def sign_in(self, address: str, account: str | None = None) -> str:
        """Sign in at Entra, as the tenant's administrator if nobody else is named."""
        tenant = urlsplit(address).path.split("/")[1]
        chosen = urlencode({"account": account or ADMINISTRATORS[tenant]})
        answer = await self.browser.get(f"{address}&{chosen}")
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    async def whole(self, connection_id: str, **changes: str) -> str:
        return await self.come_back(await self.decide(await self.start(connection_id)), **changes)


@pytest.fixture
def way(admin: httpx.AsyncClient, nobody: httpx.AsyncClient, browser: httpx.AsyncClient) -> Way:
    return Way(admin, nobody, browser)


def outcome_of(address: str) -> str:
    """Give the outcome of a result page, which is one of ours."""
    result = urlsplit(address)
    assert (result.scheme, result.netloc, result.path) == ("", "", "/api/consent/result")
    return parse_qs(result.query)["code"][0]


def vendors(**changes: Any) -> Json:
    """Give what makes a connection one of the vendor's app, with a tenant that nobody knows yet."""
    credential = {"clientSecret": VENDOR_CLIENT_SECRET}
    changes = {"tenantId": None, "enabled": False, **changes}
    return {"clientId": VENDOR_CLIENT_ID, "credential": credential} | changes


Tenant = Callable[[], Awaitable[str | None]]


@pytest.fixture
async def unconnected(create: Create, services: Services, connection_id: str) -> Tenant:
    """Create the test's connection without a tenant; gives a way to look at its tenant."""
    await create(**vendors())

    async def tenant() -> str | None:
        return (await services.store.connections.get(connection_id)).connection.tenant_id

    return tenant


async def later(services: Services, by: timedelta) -> None:
    set_clock(services, lambda: utc_now() + by)


async def rows(services: Services, connection_id: str) -> list[dict[str, Any]]:
    table = await services.store.tables.table(CONSENTS)
    return [dict(row) async for row in table.query_entities(f"PartitionKey eq '{connection_id}'")]


async def on_their_way(services: Services, connection_id: str) -> list[dict[str, Any]]:
    """Give what of a consent is not over: all but how the last one was refused."""
    return [row for row in await rows(services, connection_id) if row["RowKey"] != "refused"]


# --- the whole way --------------------------------------------------------------------------------


async def test_a_consent_connects_the_tenant(
    *,
    way: Way,
    admin: httpx.AsyncClient,
    services: Services,
    unconnected: Tenant,
    connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    before = await admin.get(f"/api/connections/{connection_id}")
    address = await way.start(connection_id)
    stored = await rows(services, connection_id)
    code = await way.come_back(await way.decide(address))
    after = await admin.get(f"/api/connections/{connection_id}")
    await retried(services, connection_id)
    verified = await services.store.verifications.read(connection_id)
    enabled = await admin.patch(f"/api/connections/{connection_id}", json={"enabled": True})
    run = await run_now(services, connection_id)

    state = parse_qs(urlsplit(address).query)["state"][0]
    assert urlsplit(address).path == "/organizations/v2.0/adminconsent"
    assert code == "consent.granted"
    assert (verified.status, verified.failing) == ("verified", [])
    assert (before.json()["tenantId"], after.json()["tenantId"]) == (None, SAMPLE_TENANT_ID)
    assert before.headers["ETag"] != after.headers["ETag"]
    assert (enabled.status_code, run.status, run.counts.created > 0) == (200, "succeeded", True)
    # The state is a secret: only a digest is kept, and nothing of it stays.
    # (httpx is the browser of this test.)
    ours = [one.getMessage() for one in caplog.records if one.name != "httpx"]
    assert state.partition(".")[2] not in str(stored) + str(ours)
    assert await rows(services, connection_id) == []
    assert f"consent.started connection={connection_id}" in caplog.text
    assert f"consent.granted connection={connection_id} tenant={SAMPLE_TENANT_ID}" in caplog.text


async def test_a_state_works_once(
    way: Way, unconnected: Tenant, admin: httpx.AsyncClient, connection_id: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    first = await way.come_back(back)
    await admin.patch(f"/api/connections/{connection_id}", json={"tenantId": None})
    second = await way.come_back(back)

    assert (first, second) == ("consent.granted", "consent.stateUnknown")
    assert await unconnected() is None


async def test_of_callbacks_at_the_same_time_one_counts(
    way: Way, unconnected: Tenant, connection_id: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    codes = await asyncio.gather(*(way.come_back(back) for _ in range(5)))

    assert sorted(codes) == ["consent.granted", *["consent.stateUnknown"] * 4]


async def test_a_state_that_somebody_else_deleted_meanwhile_is_used(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own delete would not tell, so two callbacks could both count."""
    now = services.clock()
    await services.store.consents.open(connection_id, "digest", now)
    other = ConsentStore(services.store.tables)
    delete = ConsentStore._delete

    async def slower(store: ConsentStore, *row: str) -> bool:
        if store is services.store.consents:
            assert await other.take(connection_id, "digest") is not None
        return await delete(store, *row)

    monkeypatch.setattr(ConsentStore, "_delete", slower)

    assert await services.store.consents.take(connection_id, "digest") is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(STATE_LIFE - timedelta(minutes=1), "consent.granted", id="in time"),
        pytest.param(STATE_LIFE, "consent.stateExpired", id="too late"),
    ],
)
async def test_a_state_ends_after_half_an_hour(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str,
    age: timedelta, expected: str,
) -> None:  # fmt: skip
    began = utc_now()
    set_clock(services, lambda: began)
    back = await way.decide(await way.start(connection_id))
    set_clock(services, lambda: began + age)
    code = await way.come_back(back)

    assert code == expected
    assert (await unconnected() is None) == (expected != "consent.granted")
    assert await on_their_way(services, connection_id) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": ""}, id="empty"),
        pytest.param({"state": "contoso"}, id="no random part"),
        pytest.param({"state": "contoso." + "x" * 43}, id="made up"),
        pytest.param({"state": "o'r/../#?.%00" + "x" * 43}, id="nonsense"),
    ],
)
async def test_a_state_of_ones_own_is_worth_nothing(
    way: Way, unconnected: Tenant, connection_id: str, changes: dict[str, str]
) -> None:
    back = await way.decide(await way.start(connection_id))

    assert await way.come_back(back, **changes) == "consent.stateUnknown"
    assert await unconnected() is None


async def test_a_state_is_bound_to_its_connection(
    way: Way, admin: httpx.AsyncClient, unconnected: Tenant, connection_id: str
) -> None:
    other = f"{connection_id}-other"
    await admin.post("/api/connections", json=document(other) | vendors())
    back = await way.decide(await way.start(connection_id))
    state = parse_qs(urlsplit(back).query)["state"][0]
    stolen = await way.come_back(back, state=state.replace(connection_id, other))

    assert stolen == "consent.stateUnknown"
    assert (await admin.get(f"/api/connections/{other}")).json()["tenantId"] is None
    assert await way.come_back(back) == "consent.granted"
    assert await unconnected() == SAMPLE_TENANT_ID


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "decision", "expected"),
    [
        pytest.param(ADMINISTRATOR, "cancel", "consent.declined", id="cancelled"),
        pytest.param(EMPLOYEE, "cancel", "consent.adminNeeded", id="no administrator"),
        pytest.param(SOMEBODY_ELSE, "accept", "consent.wrongAccount", id="another tenant"),
    ],
)
async def test_a_refusal_changes_nothing(
    *, way: Way, create: Create, admin: httpx.AsyncClient, connection_id: str,
    account: str, decision: str, expected: str, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    before = await create(**vendors(tenantId=SAMPLE_TENANT_ID))
    back = await way.decide(await way.start(connection_id), account, decision)
    code = await way.come_back(back)
    after = await admin.get(f"/api/connections/{connection_id}")

    assert "admin_consent=True" in back
    assert code == expected
    assert after.headers["ETag"] == before.headers["ETag"]
    assert re.search(
        rf"consent.refused connection={connection_id} code={code} aadsts=\d+", caplog.text
    )
    # A refusal uses the state up as well.
    assert await way.come_back(back) == "consent.stateUnknown"


@pytest.mark.parametrize(
    "tenant",
    [
        pytest.param(NOBODYS_TENANT, id="of nobody"),
        pytest.param(OTHER_CLOUD_TENANT_ID, id="of another cloud"),
        pytest.param(FABRIKAM_TENANT_ID, id="without consent"),
    ],
)
async def test_a_tenant_without_the_application_ends_at_entra(
    way: Way, services: Services, unconnected: Tenant, connection_id: str, tenant: str
) -> None:
    """Nobody can sign in there, so nothing comes back, and nothing is claimed or asked for again."""
    back = await way.decide(await way.start(connection_id))
    there = await way.return_to_us(back, tenant=tenant)
    page = await way.browser.get(f"{there}&account={SOMEBODY_ELSE}")
    await binding.confirm_pending(services)

    assert page.status_code == 400
    assert re.search("AADSTS(90002|90038|700016)", page.text)
    assert await unconnected() is None
    assert (await services.store.tenant_claims.read(tenant)).open == []


# --- whose tenant it is ---------------------------------------------------------------------------


@pytest.fixture
async def consented_once(emulator: GraphEmulator) -> None:
    """Let the vendor's app into Fabrikam, as if it had been there for years."""
    emulator.control.set_roles(SAMPLE_ROLES, app=VENDOR_CLIENT_ID, tenant=FABRIKAM_TENANT_ID)


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        pytest.param(ADMINISTRATOR, "consent.wrongAccount", id="of another tenant"),
        pytest.param(f"employee@{FABRIKAM_DOMAIN}", "consent.adminNeeded", id="no administrator"),
        pytest.param(f"app-admin@{FABRIKAM_DOMAIN}", "consent.adminNeeded", id="of applications"),
    ],
)
async def test_a_forged_consent_binds_no_tenant_of_others(
    *, way: Way, unconnected: Tenant, services: Services, connection_id: str,
    consented_once: None, account: str, expected: str,
) -> None:  # fmt: skip
    """The state of any link, and a tenant that consented once, bound that tenant without a sign-in."""
    address = await way.start(connection_id)
    state = parse_qs(urlsplit(address).query)["state"][0]
    forged = f"/api/consent/callback?admin_consent=True&tenant={FABRIKAM_TENANT_ID}&state={state}"
    there = await way.return_to_us(forged)
    code = await way.come_back(await way.sign_in(there, account))
    await binding.confirm_pending(services)

    assert urlsplit(there).path == f"/{FABRIKAM_TENANT_ID}/oauth2/v2.0/authorize"
    assert code == expected
    assert await unconnected() is None
    assert await on_their_way(services, connection_id) == []


async def test_the_sign_in_asks_for_an_account_and_binds_its_answer_to_this_request(
    way: Way, unconnected: Tenant, connection_id: str
) -> None:
    there = await way.return_to_us(await way.decide(await way.start(connection_id)))
    query = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}

    assert query["response_type"] == "code"
    assert query["prompt"] == "select_account"
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "http://localhost:7071/api/consent/callback"
    assert len(query["nonce"]) == len(query["code_challenge"]) == 43
    again = await way.return_to_us(await way.decide(await way.start(connection_id)))
    assert {"state", "nonce", "code_challenge"}.isdisjoint(
        name for name, value in query.items() if value in again
    )


async def test_an_administrator_is_not_led_through_anothers_sign_in(
    way: Way, app: FastAPI, unconnected: Tenant, connection_id: str, consented_once: None
) -> None:
    """Entra knows the administrator, so an address that is sent to them would be enough."""
    address = await way.start(connection_id)
    state = parse_qs(urlsplit(address).query)["state"][0]
    forged = f"/api/consent/callback?admin_consent=True&tenant={FABRIKAM_TENANT_ID}&state={state}"
    there = await way.return_to_us(forged)
    async with calling(app, {}) as victim:
        led = dataclasses.replace(way, nobody=victim)
        code = await led.come_back(await led.sign_in(there, SOMEBODY_ELSE))

    assert code == "consent.otherBrowser"
    assert await unconnected() is None


async def test_what_a_browser_keeps_is_for_the_callback_only(
    way: Way, nobody: httpx.AsyncClient, unconnected: Tenant, connection_id: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    answer = await nobody.get(f"{urlsplit(back).path}?{urlsplit(back).query}")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"consent-{connection_id}=")
    parts = set(cookie.split("; ")[1:])
    assert parts == {"HttpOnly", "Max-Age=1800", "Path=/api/consent/callback", "SameSite=lax"}


async def test_where_the_app_has_https_a_browser_sends_it_over_https_only(
    way: Way, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    public = dataclasses.replace(services.settings, public_base_url="https://sync.example")
    app = app_over(dataclasses.replace(services, settings=public))
    async with calling(app, {}) as browser:
        back = await way.decide(await way.start(connection_id))
        answer = await browser.get(f"{urlsplit(back).path}?{urlsplit(back).query}")

    assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        pytest.param(f"role-admin@{SAMPLE_DOMAIN}", "consent.granted", id="of privileged roles"),
        pytest.param(f"app-admin@{SAMPLE_DOMAIN}", "consent.adminNeeded", id="of applications"),
        pytest.param(EMPLOYEE, "consent.adminNeeded", id="none"),
    ],
)
async def test_who_signs_in_has_to_be_one_who_may_consent(
    *, way: Way, unconnected: Tenant, connection_id: str, account: str, expected: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    code = await way.come_back(back, account)

    assert code == expected
    assert (await unconnected() == SAMPLE_TENANT_ID) == (expected == "consent.granted")


async def test_without_roles_in_the_token_nobody_is_believed_and_the_setting_is_named(
    *, way: Way, emulator: GraphEmulator, admin: httpx.AsyncClient, nobody: httpx.AsyncClient,
    unconnected: Tenant, connection_id: str,
) -> None:  # fmt: skip
    emulator.control.set_group_claims(None, app=VENDOR_CLIENT_ID)
    code = await way.whole(connection_id)
    page = await nobody.get("/api/consent/result", params={"code": code})
    told = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]

    assert code == "consent.roleUnknown"
    assert await unconnected() is None
    assert "&quot;groupMembershipClaims&quot; to &quot;DirectoryRole&quot;" in page.text
    assert [one["code"] for one in told if one["code"].startswith("consent.")] == [code]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"tid": FABRIKAM_TENANT_ID}, id="another tenant"),
        pytest.param({"iss": "https://login.example/x/v2.0"}, id="another issuer"),
        pytest.param({"aud": SAMPLE_CLIENT_ID}, id="another application"),
        pytest.param({"nonce": "another"}, id="another sign-in"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"unknown_key": True}, id="another key"),
    ],
)
async def test_a_token_that_is_not_right_in_everything_binds_nothing(
    *, way: Way, emulator: GraphEmulator, services: Services, unconnected: Tenant,
    connection_id: str, changes: dict[str, Any],
) -> None:  # fmt: skip
    emulator.control.change_id_tokens(**changes)
    code = await way.whole(connection_id)

    assert code == "consent.signInFailed"
    assert await unconnected() is None
    assert await on_their_way(services, connection_id) == []


async def test_a_sign_in_is_over_when_it_was_used_and_after_half_an_hour(
    way: Way, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    there = await way.return_to_us(await way.decide(await way.start(connection_id)))
    back = await way.sign_in(there)
    late = await way.sign_in(
        await way.return_to_us(await way.decide(await way.start(connection_id)))
    )
    await later(services, STATE_LIFE)
    expired = await way.come_back(late)
    set_clock(services, utc_now)
    browser = outcome_of(await way.return_to_us(back))

    assert expired == "consent.stateExpired"
    # The second sign-in of this browser took the place of the first.
    assert browser == "consent.otherBrowser"
    assert outcome_of(await way.return_to_us(back)) == "consent.stateUnknown"
    assert await unconnected() is None


async def test_an_answer_to_the_one_is_none_to_the_other(
    way: Way, unconnected: Tenant, connection_id: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    state = parse_qs(urlsplit(back).query)["state"][0]
    code_for_a_consent = await way.return_to_us(f"/api/consent/callback?code=1.x&state={state}")
    there = await way.return_to_us(await way.decide(await way.start(connection_id)))
    state = parse_qs(urlsplit(there).query)["state"][0]
    consent_for_a_sign_in = await way.return_to_us(back, state=state)

    assert outcome_of(code_for_a_consent) == "consent.answerInvalid"
    assert outcome_of(consent_for_a_sign_in) == "consent.answerInvalid"
    assert await unconnected() is None


@pytest.mark.parametrize("kind", ["certificate", "federated"])
async def test_every_kind_of_credential_can_confirm_a_sign_in(
    *, way: Way, create: Create, emulator: GraphEmulator, rig: Rig, services: Services,
    connection_id: str, kind: str,
) -> None:  # fmt: skip
    control, credential = emulator.control, {"kind": kind}
    if kind == "certificate":
        key = rsa_key()
        certificate = certificate_pem(key)
        credential["certificate"] = f"{key_pem(key)}\n{certificate}"
        control.add_certificate(certificate, app=VENDOR_CLIENT_ID)
    else:
        control.add_federated_credential(
            issuer=ISSUER,
            subject=IDENTITY_OBJECT_ID,
            audience=EXCHANGE,
            public_key=rig.identity.identity.public_key,
            app=VENDOR_CLIENT_ID,
        )
    await create(**vendors(credential=credential))

    assert await way.whole(connection_id) == "consent.granted"


async def test_a_sign_in_that_cannot_be_confirmed_now_binds_nothing(
    *, way: Way, emulator: GraphEmulator, unconnected: Tenant, connection_id: str
) -> None:
    there = await way.return_to_us(await way.decide(await way.start(connection_id)))
    back = await way.sign_in(there)
    emulator.control.add_fault("outage")
    code = outcome_of(await way.return_to_us(back))
    emulator.control.clear_faults()

    assert code == "consent.entraBusy"
    assert await unconnected() is None


async def test_the_tenant_of_our_own_administrators_is_not_bound_by_a_consent(
    *, way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant,
    connection_id: str,
) -> None:  # fmt: skip
    """Litware runs the app: its administrators set their tenant themselves, if they mean it."""
    back = await way.decide(await way.start(connection_id), f"admin@{VENDOR_DOMAIN}")
    code = outcome_of(await way.return_to_us(back))
    await admin.patch(f"/api/connections/{connection_id}", json={"tenantId": VENDOR_TENANT_ID})
    again = await way.decide(await way.start(connection_id), f"admin@{VENDOR_DOMAIN}")

    assert code == "consent.homeTenant"
    assert await way.come_back(again) == "consent.granted"


# --- one tenant, several connections --------------------------------------------------------------


@pytest.fixture
def other_id(connection_id: str) -> str:
    return f"{connection_id}-other"


@pytest.fixture
async def other(admin: httpx.AsyncClient, other_id: str) -> str:
    """Create a second connection of the vendor's app without a tenant."""
    made = await admin.post("/api/connections", json=document(other_id) | vendors())
    assert made.status_code == 201, made.text
    return other_id


async def consent_warnings(admin: httpx.AsyncClient, connection_id: str) -> list[Json]:
    told = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]
    return [one for one in told if one["code"].startswith("consent.")]


async def test_two_open_claims_of_a_tenant_grant_neither_and_both_are_named(
    *, way: Way, admin: httpx.AsyncClient, emulator: GraphEmulator, services: Services,
    unconnected: Tenant, connection_id: str, other: str, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    emulator.control.settings(consent_delay_requests=ATTEMPTS + 2)
    first = await way.whole(connection_id)
    second = await way.whole(other)
    emulator.control.settings(**NO_DELAYS)
    for _ in range(3):
        await binding.confirm_pending(services)

    assert (first, second) == ("consent.pending", "consent.tenantContested")
    assert await unconnected() is None
    assert (await services.store.connections.get(other)).connection.tenant_id is None
    for one, another in ((connection_id, other), (other, connection_id)):
        told = await consent_warnings(admin, one)
        assert [warning["code"] for warning in told] == ["consent.tenantContested"]
        assert f"The connection {another} claimed it" in told[0]["message"]
        assert re.search(
            rf"consent.refused connection={one} code=consent.tenantContested .*others={another}",
            caplog.text,
        )
    # Whoever is meant starts again, and has it.
    assert await way.whole(connection_id) == "consent.granted"
    assert await consent_warnings(admin, connection_id) == []


async def test_callbacks_at_once_bind_a_tenant_once(
    *, way: Way, app: FastAPI, services: Services, unconnected: Tenant, connection_id: str,
    other: str,
) -> None:  # fmt: skip
    """Both have signed in and both tokens are good; the claim of the tenant lets one through, or none."""
    async with calling(app, {}) as browser:
        ways = [way, dataclasses.replace(way, nobody=browser)]
        backs = []
        for one, who in zip(ways, (connection_id, other), strict=True):
            there = await one.return_to_us(await one.decide(await one.start(who)))
            backs.append(await one.sign_in(there))
        codes = await asyncio.gather(
            *(one.come_back(back) for one, back in zip(ways, backs, strict=True))
        )
    tenants = [
        (await services.store.connections.get(one)).connection.tenant_id
        for one in (connection_id, other)
    ]

    assert codes.count("consent.granted") == tenants.count(SAMPLE_TENANT_ID) <= 1
    assert set(codes) <= {"consent.granted", "consent.tenantTaken", "consent.tenantContested"}


async def test_a_claim_that_is_lost_while_entra_is_asked_binds_nothing(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str, other: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The other one claims between this one's token and the storing of its tenant."""
    token = Directory.token

    async def asked(directory: Directory, asked_with: Connection) -> str:
        told = await token(directory, asked_with)
        await tenants.claim(services, SAMPLE_TENANT_ID, other)
        return told

    monkeypatch.setattr(Directory, "token", asked)

    assert await way.whole(connection_id) == "consent.tenantContested"
    assert await unconnected() is None


async def test_another_customers_tenant_cannot_be_taken_over(
    *, way: Way, admin: httpx.AsyncClient, nobody: httpx.AsyncClient, unconnected: Tenant,
    connection_id: str, other: str,
) -> None:  # fmt: skip
    """Not even by who may consent there; the page tells a customer nothing, the connection tells us."""
    back = await way.decide(await way.start(other), SOMEBODY_ELSE)
    assert await way.come_back(back) == "consent.granted"
    code = await way.whole(connection_id, tenant=FABRIKAM_TENANT_ID)
    page = await nobody.get("/api/consent/result", params={"code": code})
    told = await consent_warnings(admin, connection_id)

    assert code == "consent.tenantTaken"
    assert await unconnected() is None
    assert other not in page.text
    assert [warning["code"] for warning in told] == ["consent.tenantTaken"]
    assert f"The connection {other} has this tenant." in told[0]["message"]
    assert FABRIKAM_TENANT_ID in told[0]["message"]


async def test_a_tenant_named_by_its_domain_is_taken_though_no_token_was_ever_seen(
    *, way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant,
    connection_id: str, other_id: str, consented_once: None,
) -> None:  # fmt: skip
    """Its id is asked of Entra without a credential, and kept."""
    wrong = vendors(tenantId=FABRIKAM_DOMAIN, credential={"clientSecret": "smp8Q~wrong"})
    await admin.post("/api/connections", json=document(other_id) | wrong)
    code = await way.whole(connection_id, tenant=FABRIKAM_TENANT_ID)
    known = await services.store.verifications.read(other_id)

    assert code == "consent.tenantTaken"
    assert await unconnected() is None
    assert known.tenant_id == FABRIKAM_TENANT_ID


async def test_a_tenant_that_cannot_be_looked_up_may_be_this_one(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str, other_id: str,
    emulator: GraphEmulator,
) -> None:  # fmt: skip
    """Then the consent is not granted; started again when Entra answers, it is."""
    by_domain = connection(other_id, tenantId=FABRIKAM_DOMAIN)
    await services.store.connections.create(by_domain)
    emulator.control.add_fault("unavailable", path=f"/{FABRIKAM_DOMAIN}/v2.0/.well-known/*")
    first = await way.whole(connection_id)
    emulator.control.clear_faults()

    assert (first, await unconnected()) == ("consent.appBusy", None)
    assert await way.whole(connection_id) == "consent.granted"


async def test_an_administrator_may_use_a_tenant_twice_and_a_consent_may_not(
    *, way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant,
    connection_id: str, other: str,
) -> None:  # fmt: skip
    assert await way.whole(connection_id) == "consent.granted"
    change = {"tenantId": SAMPLE_TENANT_ID}
    added = await admin.patch(f"/api/connections/{other}", json=change)
    claim = await services.store.tenant_claims.read(SAMPLE_TENANT_ID)
    third = f"{connection_id}-third"
    await admin.post("/api/connections", json=document(third) | vendors())

    assert added.status_code == 200
    assert [one.connection_id for one in claim.holders] == [connection_id, other]
    assert await way.whole(other) == "consent.granted"
    assert await way.whole(third) == "consent.tenantTaken"


async def test_a_tenant_that_was_given_up_can_be_had_by_another(
    *, way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant,
    connection_id: str, other: str,
) -> None:  # fmt: skip
    await way.whole(connection_id)
    await admin.patch(f"/api/connections/{connection_id}", json={"tenantId": None})

    assert await way.whole(other) == "consent.granted"


async def test_what_an_older_release_left_waiting_is_not_believed(
    services: Services, unconnected: Tenant, connection_id: str, consented_once: None
) -> None:
    """It did not ask who had consented."""
    await services.store.consents.wait(connection_id, FABRIKAM_TENANT_ID, utc_now())
    await binding.confirm_pending(services)
    refusal = await services.store.consents.refusal(connection_id, utc_now())

    assert await unconnected() is None
    assert refusal is not None
    assert refusal.outcome is Outcome.ROLE_UNKNOWN
    assert await on_their_way(services, connection_id) == []


@pytest.mark.parametrize("age", [consents.REFUSAL_LIFE, timedelta()])
async def test_a_refusal_is_shown_for_a_month(
    way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant,
    connection_id: str, age: timedelta,
) -> None:  # fmt: skip
    back = await way.decide(await way.start(connection_id), ADMINISTRATOR, "cancel")
    await way.come_back(back)
    await later(services, age)
    told = await consent_warnings(admin, connection_id)

    assert [one["code"] for one in told] == ([] if age else ["consent.declined"])


@pytest.mark.parametrize(
    ("known", "claimed", "expected"),
    [
        pytest.param(SAMPLE_TENANT_ID, SAMPLE_TENANT_ID, "consent.granted", id="the same"),
        pytest.param(SAMPLE_TENANT_ID, FABRIKAM_TENANT_ID, "consent.wrongTenant", id="another"),
        pytest.param(SAMPLE_DOMAIN, SAMPLE_TENANT_ID, "consent.granted", id="its domain"),
        pytest.param(SAMPLE_DOMAIN, FABRIKAM_TENANT_ID, "consent.wrongTenant", id="other domain"),
    ],
)
async def test_a_tenant_that_was_given_stays(
    *, way: Way, create: Create, services: Services, connection_id: str,
    known: str, claimed: str, expected: str,
) -> None:  # fmt: skip
    await create(**vendors(tenantId=known))
    code = await way.whole(connection_id, tenant=claimed)
    stored = await services.store.connections.get(connection_id)

    assert code == expected
    assert stored.connection.tenant_id == known
    assert await on_their_way(services, connection_id) == []


# --- waiting for Entra ----------------------------------------------------------------------------


async def test_settings_that_waited_for_this_consent_are_tried_at_once(
    *, way: Way, create: Create, services: Services, connection_id: str
) -> None:
    """The tenant was known; for weeks nobody consented, and the app had given up."""
    await create(**vendors(tenantId=SAMPLE_TENANT_ID, scope={}))
    await services.store.verifications.change(
        connection_id,
        lambda known: known.replaced(status=VerificationStatus.NOT_VERIFIED, next_try_at=None),
    )
    await way.whole(connection_id)
    known = await services.store.verifications.read(connection_id)

    assert known.is_due(services.clock())


@pytest.mark.parametrize("delay", ["consent_delay_requests", "roles_delay_requests"])
@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param(ATTEMPTS - 1, "consent.granted", id="while the browser waits"),
        pytest.param(ATTEMPTS, "consent.pending", id="longer"),
    ],
)
async def test_entra_may_take_its_time(
    *, way: Way, emulator: GraphEmulator, services: Services, unconnected: Tenant,
    connection_id: str, delay: str, requests: int, expected: str,
) -> None:  # fmt: skip
    """The app unknown at first, or a token without roles: both pass."""
    emulator.control.settings(**{delay: requests})
    code = await way.whole(connection_id)
    before = await unconnected()
    await binding.confirm_pending(services)

    assert code == expected
    assert (before is None) == (expected == "consent.pending")
    assert await unconnected() == SAMPLE_TENANT_ID
    assert await rows(services, connection_id) == []


async def test_a_consent_that_waits_is_asked_for_again_with_growing_pauses_and_can_be_seen(
    *,
    way: Way,
    admin: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    unconnected: Tenant,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By messages of the queue; nobody has to wait for the hourly maintenance."""
    sent: list[tuple[str, int]] = []

    async def send(request: SyncRequest, *, delay_s: int = 0) -> None:
        sent.append((request.purpose, delay_s))

    monkeypatch.setattr(services.queue, "send", send)
    emulator.control.settings(consent_delay_requests=ATTEMPTS + 2)
    await way.whole(connection_id)
    told = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]
    await binding.confirm_again(services, connection_id)
    await later(services, timedelta(minutes=2))
    await binding.confirm_again(services, connection_id)
    await binding.confirm_again(services, connection_id)
    await binding.confirm_again(services, connection_id)

    assert "consent.pending" in [one["code"] for one in told]
    assert [delay for _, delay in sent[:3]] == [15, 15, 120]
    assert {purpose for purpose, _ in sent} == {"verify"}
    assert await unconnected() == SAMPLE_TENANT_ID
    after = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]
    assert "consent.pending" not in [one["code"] for one in after]


async def test_a_consent_waits_for_a_credential_that_works(
    *, way: Way, create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    await create(**vendors(tenantId=SAMPLE_TENANT_ID, credential={"clientSecret": "smp8Q~wrong"}))
    code = await way.whole(connection_id)
    secret = {"credential": {"clientSecret": VENDOR_CLIENT_SECRET}}
    await admin.patch(f"/api/connections/{connection_id}", json=secret)
    await binding.confirm_pending(services)

    assert code == "consent.credentialRefused"
    assert await rows(services, connection_id) == []


async def test_a_sign_in_needs_a_credential_that_works(
    way: Way, create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    """Its code lives for minutes, so nothing waits: the administrator starts again."""
    await create(**vendors(credential={"clientSecret": "smp8Q~wrong"}))
    refused = await way.whole(connection_id)
    left = await on_their_way(services, connection_id)
    secret = {"credential": {"clientSecret": VENDOR_CLIENT_SECRET}}
    await admin.patch(f"/api/connections/{connection_id}", json=secret)

    assert (refused, left) == ("consent.signInFailed", [])
    assert await way.whole(connection_id) == "consent.granted"


async def test_what_entra_never_confirms_is_given_up_and_shown(
    *, way: Way, admin: httpx.AsyncClient, emulator: GraphEmulator, services: Services,
    unconnected: Tenant, connection_id: str, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    emulator.control.settings(consent_delay_requests=1000)
    code = await way.whole(connection_id)
    await later(services, binding.GIVE_UP - timedelta(minutes=1))
    await binding.confirm_pending(services)
    waiting = await on_their_way(services, connection_id)
    await later(services, binding.GIVE_UP + timedelta(minutes=1))
    await binding.confirm_pending(services)
    told = await consent_warnings(admin, connection_id)

    assert (code, len(waiting)) == ("consent.pending", 1)
    assert await on_their_way(services, connection_id) == []
    assert await unconnected() is None
    assert (await services.store.tenant_claims.read(SAMPLE_TENANT_ID)).open == []
    assert [one["code"] for one in told] == ["consent.abandoned"]
    assert f"consent.abandoned connection={connection_id}" in caplog.text


async def test_who_waits_may_start_again(
    way: Way, emulator: GraphEmulator, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    emulator.control.settings(consent_delay_requests=ATTEMPTS)
    first = await way.whole(connection_id)
    second = await way.whole(connection_id)

    assert (first, second) == ("consent.pending", "consent.granted")
    assert await rows(services, connection_id) == []


async def test_a_token_that_does_not_name_its_tenant_proves_nothing(
    way: Way, emulator: GraphEmulator, unconnected: Tenant, connection_id: str
) -> None:
    emulator.control.issue_opaque_tokens(True)
    code = await way.whole(connection_id)

    assert code == "consent.credentialRefused"
    assert await unconnected() is None


async def test_a_newer_consent_takes_the_place_of_one_that_waits(
    services: Services, connection_id: str
) -> None:
    now = utc_now()
    older = await services.store.consents.wait(connection_id, FABRIKAM_TENANT_ID, now)
    newer = await services.store.consents.wait(connection_id, SAMPLE_TENANT_ID, now)
    settled = await services.store.consents.settle(older)
    waiting = [
        one for one in await services.store.consents.waiting() if one.connection_id == connection_id
    ]

    assert not settled
    assert waiting == [newer]
    assert await services.store.consents.settle(newer)


# --- the connection changes meanwhile -------------------------------------------------------------


async def test_what_others_change_meanwhile_is_kept(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Somebody saves the connection while Entra is asked; neither change may be lost."""
    token, saves = Directory.token, [1]

    async def asked(directory: Directory, asked_with: Connection) -> str:
        if saves:
            saves.pop()
            stored = await services.store.connections.get(connection_id)
            renamed = stored.connection.model_copy(update={"display_name": "Renamed"})
            await services.store.connections.replace(renamed, stored)
        return await token(directory, asked_with)

    monkeypatch.setattr(Directory, "token", asked)
    code = await way.whole(connection_id)
    stored = await services.store.connections.get(connection_id)

    assert code == "consent.granted"
    assert stored.connection.display_name == "Renamed"
    assert stored.connection.tenant_id == SAMPLE_TENANT_ID


async def test_a_connection_that_changes_all_the_time_is_left_alone(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def never(*_: object) -> None:
        raise PreconditionFailed("connection.changedMeanwhile", "x")

    monkeypatch.setattr(binding, "_store", never)

    assert await way.whole(connection_id) == "consent.connectionGone"
    assert await unconnected() is None


async def test_a_connection_that_is_gone(
    way: Way, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    back = await way.decide(await way.start(connection_id))
    stored = await services.store.connections.get(connection_id)
    await services.store.connections.delete(connection_id, stored.etag)

    assert await way.come_back(back) == "consent.connectionGone"
    assert await rows(services, connection_id) == []


@pytest.mark.parametrize("users", ["keep", "delete"])
async def test_a_deleted_connection_leaves_no_consent_behind(
    *, way: Way, create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str,
    users: str,
) -> None:  # fmt: skip
    """Else the next connection with the same id would inherit it."""
    await create(**vendors())
    back = await way.decide(await way.start(connection_id))
    await services.store.consents.wait(connection_id, SAMPLE_TENANT_ID, utc_now())
    deleted = await admin.delete(f"/api/connections/{connection_id}?users={users}")
    await create(**vendors())

    assert deleted.status_code == 204
    assert await rows(services, connection_id) == []
    assert await way.come_back(back) == "consent.stateUnknown"


async def test_storage_that_does_not_answer_ends_on_a_page_too(
    *, way: Way, unconnected: Tenant, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await way.decide(await way.start(connection_id))

    async def down(*_: object) -> None:
        raise storage_unavailable(OSError())

    monkeypatch.setattr(ConsentStore, "take", down)

    assert await way.come_back(back) == "consent.appBusy"


async def test_storage_that_is_down_is_named(services: Services, connection_id: str) -> None:
    nowhere = f"TableEndpoint=http://127.0.0.1:{free_port()}/devstoreaccount1;"
    account = re.sub("TableEndpoint=[^;]+;", nowhere, DEVELOPMENT_STORAGE)
    client = TableServiceClient.from_connection_string(account, retry_total=0)
    tables = Tables(client)
    tables._made = True
    store = ConsentStore(tables)
    calls: list[Awaitable[object]] = [
        store.open(connection_id, "digest", utc_now()),
        store.take(connection_id, "digest"),
        store.wait(connection_id, SAMPLE_TENANT_ID, utc_now()),
        store.waiting(),
        store.settle(PendingConsent(connection_id, SAMPLE_TENANT_ID, None, utc_now(), "*")),
    ]
    async with tables:
        for call in calls:
            with pytest.raises(RetryLater) as caught:
                await call

            assert caught.value.code == "storage.unavailable"


async def test_a_busy_table_does_not_make_a_state_a_used_one(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only "not there" and "another version" mean that somebody was faster."""
    await services.store.consents.open(connection_id, "digest", utc_now())

    async def busy(*_: object) -> None:
        raise BatchRefused(503, "ServerBusy", 0)

    monkeypatch.setattr(consents, "submit", busy)
    with pytest.raises(RetryLater) as caught:
        await services.store.consents.take(connection_id, "digest")

    assert caught.value.code == "storage.unavailable"


# --- the start ------------------------------------------------------------------------------------


async def test_only_so_many_consents_are_on_their_way(
    way: Way, admin: httpx.AsyncClient, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    for _ in range(MAX_OPEN):
        await way.start(connection_id)
    refused = await admin.get("/api/consent/start", params={"connection": connection_id})
    await later(services, STATE_LIFE)
    await way.start(connection_id)

    assert refused.status_code == 409
    assert refused.json()["code"] == "consent.tooManyOpen"
    assert len(await rows(services, connection_id)) == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        pytest.param("", 422, "request.invalid", id="none"),
        pytest.param("?connection=", 404, "connection.notFound", id="empty"),
        pytest.param("?connection=nobodys", 404, "connection.notFound", id="unknown"),
        pytest.param("?connection=o'r/%23", 404, "connection.notFound", id="no id"),
    ],
)
async def test_a_start_needs_a_connection(
    admin: httpx.AsyncClient, query: str, status: int, code: str
) -> None:
    answer = await admin.get(f"/api/consent/start{query}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_managed_identity_needs_no_consent(
    admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    await services.store.connections.create(
        connection(connection_id, credential={"kind": "managedIdentity"})
    )
    answer = await admin.get("/api/consent/start", params={"connection": connection_id})

    assert (answer.status_code, answer.json()["code"]) == (409, "consent.notForManagedIdentity")


# --- a connection without a tenant ----------------------------------------------------------------


async def test_a_connection_without_a_tenant_cannot_be_enabled(
    admin: httpx.AsyncClient, unconnected: Tenant, connection_id: str
) -> None:
    answer = await admin.patch(f"/api/connections/{connection_id}", json={"enabled": True})

    assert answer.status_code == 422
    assert paths(answer) == ["tenantId"]


async def test_several_connections_may_wait_for_their_tenants(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    """They are no doubles of each other: nobody knows yet whom they bring in."""
    await create(**vendors(scope={"everyone": True}))
    other = document(f"{connection_id}-2") | vendors(scope={"everyone": True})

    assert (await admin.post("/api/connections", json=other)).status_code == 201


async def test_a_run_without_a_tenant_says_what_to_do(
    services: Services, connection_id: str
) -> None:
    await services.store.connections.create(connection(connection_id, tenantId=None))
    run = await run_now(services, connection_id)

    assert run.status == "failed"
    assert run.error is not None
    assert run.error.code == "connection.noTenant"
    assert f"/api/consent/start?connection={connection_id}" in run.error.remedy


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", Outcome)
async def test_the_page_tells_the_outcome(nobody: httpx.AsyncClient, outcome: Outcome) -> None:
    answer = await nobody.get("/api/consent/result", params={"code": outcome.value})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert f"<code>{outcome.value}</code>" in answer.text
    assert '<html lang="en">' in answer.text
    assert answer.text.count("<h1>") == 1


async def test_the_page_allows_its_own_style_and_nothing_else(nobody: httpx.AsyncClient) -> None:
    answer = await nobody.get("/api/consent/result?code=consent.granted")
    style = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(sha256(style[0].encode()).digest()).decode()

    policy = answer.headers["Content-Security-Policy"]
    assert len(style) == 1
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"<script|<img|<link|style=|https?:|\son\w+=", answer.text)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing"),
        pytest.param("?code=", id="empty"),
        pytest.param("?code=consent.Granted", id="nearly"),
        pytest.param("?code=<script>alert(1)</script>", id="markup"),
        pytest.param("?code=consent.granted&code=xyz123", id="two"),
    ],
)
async def test_the_page_repeats_nothing_of_its_address(
    nobody: httpx.AsyncClient, query: str
) -> None:
    answer = await nobody.get(f"/api/consent/result{query}")

    assert answer.status_code == 200
    assert "There is nothing to see here" in answer.text
    assert "alert" not in answer.text
    assert "xyz123" not in answer.text
