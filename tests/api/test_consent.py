"""Admin consent, clicked through: the API, the emulated Entra, and back again."""

import asyncio
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

from local.graph import GraphEmulator
from local.sample import (
    FABRIKAM_DOMAIN,
    FABRIKAM_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_DOMAIN,
    SAMPLE_TENANT_ID,
    VENDOR_CLIENT_ID,
    VENDOR_CLIENT_SECRET,
)
from sync_core.connections import consent
from sync_core.directory.access import Directory
from sync_core.domain.connections.consent import Outcome
from sync_core.domain.connections.verification import VerificationStatus
from sync_core.domain.documents import Connection, SyncRequest
from sync_core.domain.errors import PreconditionFailed, RetryLater
from sync_core.services import Services, utc_now
from sync_core.settings import DEVELOPMENT_STORAGE
from sync_core.store import consents
from sync_core.store.consents import MAX_OPEN, STATE_LIFE, ConsentStore, PendingConsent
from sync_core.store.tables import CONSENTS, Tables
from sync_core.store.wire import BatchRefused, storage_unavailable
from tests.api.conftest import Create, Json, document, paths, retried
from tests.ports import free_port
from tests.system import Rig, connection, run_now, set_clock

ADMINISTRATOR = f"admin@{SAMPLE_DOMAIN}"
EMPLOYEE = f"employee@{SAMPLE_DOMAIN}"
SOMEBODY_ELSE = f"admin@{FABRIKAM_DOMAIN}"
NOBODYS_TENANT = "99999999-9999-4999-8999-999999999999"
NO_DELAYS = {"consent_delay_requests": 0, "roles_delay_requests": 0}


@pytest.fixture(autouse=True)
def nobody_has_consented(emulator: GraphEmulator) -> Iterator[None]:
    yield
    emulator.control.settings(**NO_DELAYS)
    emulator.control.issue_opaque_tokens(False)
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

    async def come_back(self, address: str, **changes: str) -> str:
        """Give the code of the page on which the browser ends."""
        query = dict(parse_qsl(urlsplit(address).query)) | changes
        answer = await self.nobody.get(f"{urlsplit(address).path}?{urlencode(query)}")
        assert answer.status_code == 302, answer.text
        result = urlsplit(answer.headers["Location"])
        assert (result.scheme, result.netloc, result.path) == ("", "", "/api/consent/result")
        return parse_qs(result.query)["code"][0]

    async def whole(self, connection_id: str, **changes: str) -> str:
        return await self.come_back(await self.decide(await self.start(connection_id)), **changes)


@pytest.fixture
def way(admin: httpx.AsyncClient, nobody: httpx.AsyncClient, browser: httpx.AsyncClient) -> Way:
    return Way(admin, nobody, browser)


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
    assert await rows(services, connection_id) == []


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


async def test_a_tenant_that_exists_nowhere_is_not_stored(
    way: Way, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    code = await way.whole(connection_id, tenant=NOBODYS_TENANT)

    assert code == "consent.tenantUnknown"
    assert await unconnected() is None
    assert await rows(services, connection_id) == []


async def test_a_tenant_of_another_cloud_is_not_stored(
    way: Way, unconnected: Tenant, connection_id: str
) -> None:
    assert await way.whole(connection_id, tenant=OTHER_CLOUD_TENANT_ID) == "consent.otherCloud"
    assert await unconnected() is None


async def test_a_tenant_that_did_not_consent_is_never_stored(
    *, way: Way, services: Services, unconnected: Tenant, connection_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Entra does not know yet, or it is a lie: the program cannot tell, so it waits and gives up."""
    caplog.set_level("INFO")
    code = await way.whole(connection_id, tenant=FABRIKAM_TENANT_ID)
    await later(services, consent.GIVE_UP - timedelta(minutes=1))
    await consent.confirm_pending(services)
    waiting = await rows(services, connection_id)
    await later(services, consent.GIVE_UP + timedelta(minutes=1))
    await consent.confirm_pending(services)

    assert code == "consent.pending"
    assert len(waiting) == 1
    assert await rows(services, connection_id) == []
    assert await unconnected() is None
    assert f"consent.abandoned connection={connection_id}" in caplog.text


async def test_a_tenant_connected_by_its_domain_is_taken_as_well(
    way: Way, admin: httpx.AsyncClient, unconnected: Tenant, connection_id: str, services: Services
) -> None:
    victim = f"{connection_id}-victim"
    await admin.post("/api/connections", json=document(victim) | vendors())
    back = await way.decide(await way.start(victim), SOMEBODY_ELSE)
    await way.come_back(back)
    stored = await services.store.connections.get(victim)
    by_domain = stored.connection.model_copy(update={"tenant_id": FABRIKAM_DOMAIN})
    await services.store.connections.replace(by_domain, stored)
    await admin.post(f"/api/connections/{victim}/check")
    code = await way.whole(connection_id, tenant=FABRIKAM_TENANT_ID)

    assert code == "consent.tenantTaken"
    assert await unconnected() is None


async def test_another_customers_tenant_cannot_be_taken_over(
    way: Way, admin: httpx.AsyncClient, unconnected: Tenant, connection_id: str
) -> None:
    """The vendor's app has consent in many tenants, so a token for one proves too little."""
    victim = f"{connection_id}-victim"
    await admin.post("/api/connections", json=document(victim) | vendors())
    back = await way.decide(await way.start(victim), SOMEBODY_ELSE)
    assert await way.come_back(back) == "consent.granted"
    code = await way.whole(connection_id, tenant=FABRIKAM_TENANT_ID)

    assert code == "consent.tenantTaken"
    assert await unconnected() is None


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
    assert await rows(services, connection_id) == []


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
        pytest.param(consent.ATTEMPTS - 1, "consent.granted", id="while the browser waits"),
        pytest.param(consent.ATTEMPTS, "consent.pending", id="longer"),
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
    await consent.confirm_pending(services)

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
    emulator.control.settings(consent_delay_requests=consent.ATTEMPTS + 2)
    await way.whole(connection_id)
    told = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]
    await consent.confirm_again(services, connection_id)
    await later(services, timedelta(minutes=2))
    await consent.confirm_again(services, connection_id)
    await consent.confirm_again(services, connection_id)
    await consent.confirm_again(services, connection_id)

    assert "consent.pending" in [one["code"] for one in told]
    assert [delay for _, delay in sent[:3]] == [15, 15, 120]
    assert {purpose for purpose, _ in sent} == {"verify"}
    assert await unconnected() == SAMPLE_TENANT_ID
    after = (await admin.get(f"/api/connections/{connection_id}")).json()["warnings"]
    assert "consent.pending" not in [one["code"] for one in after]


async def test_a_consent_waits_for_a_credential_that_works(
    *, way: Way, create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    await create(**vendors(credential={"clientSecret": "smp8Q~wrong"}))
    code = await way.whole(connection_id)
    await consent.confirm_pending(services)
    waiting = (await admin.get(f"/api/connections/{connection_id}")).json()["tenantId"]
    secret = {"credential": {"clientSecret": VENDOR_CLIENT_SECRET}}
    await admin.patch(f"/api/connections/{connection_id}", json=secret)
    await consent.confirm_pending(services)

    assert (code, waiting) == ("consent.credentialRefused", None)
    stored = await services.store.connections.get(connection_id)
    assert stored.connection.tenant_id == SAMPLE_TENANT_ID


async def test_who_waits_may_start_again(
    way: Way, emulator: GraphEmulator, services: Services, unconnected: Tenant, connection_id: str
) -> None:
    emulator.control.settings(consent_delay_requests=consent.ATTEMPTS)
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

    monkeypatch.setattr(consent, "_store", never)

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
        store.settle(PendingConsent(connection_id, SAMPLE_TENANT_ID, utc_now(), "*")),
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
