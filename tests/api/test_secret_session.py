"""A whole session with every kind of secret, and then a search for them in everything that was left.

Searched are all tables, every message that was sent to the queue, every log record of every library,
and every answer, headers too; first that the search finds what is there, then that no secret is.
"""

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient

from local.graph import GraphEmulator
from local.sample import (
    FABRIKAM_DOMAIN,
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_ROLES,
    VENDOR_CLIENT_ID,
    VENDOR_CLIENT_SECRET,
)
from sync_core.connections import binding
from sync_core.health import journal
from sync_core.services import Services, utc_now
from tests.api.conftest import document, retried
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.system import Rig, run_now, set_clock

KEY = rsa_key()
PEM = key_pem(KEY) + certificate_pem(KEY)
# Any line of a private key gives it away in part.
KEY_LINES = key_pem(KEY).splitlines()[1:-1]
REPLACEMENT = "Zx8~the-replacement-of-the-session"
REFUSED = "Zx8~never-registered-anywhere"
TYPO = "Zx8~typed-with-a-blank "
SECRETS = [
    SAMPLE_CLIENT_SECRET,
    VENDOR_CLIENT_SECRET,
    REPLACEMENT,
    REFUSED,
    TYPO.strip(),
    *KEY_LINES,
]


class Session:
    """One administrator's session, whose answers are kept."""

    def __init__(self, admin: httpx.AsyncClient, connection_id: str) -> None:
        self._admin = admin
        self.connection_id = connection_id
        self.answers: list[str] = []

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._admin.request(method, path, **options)
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    async def patch(self, **credential: str) -> int:
        path = f"/api/connections/{self.connection_id}"
        return (await self.ask("PATCH", path, json={"credential": credential})).status_code

    async def whole(self, services: Services, emulator: GraphEmulator) -> list[int]:
        """Create, rotate in every way, fail in every way, run, export, and look at everything."""
        path = f"/api/connections/{self.connection_id}"
        statuses = [
            (
                await self.ask("POST", "/api/connections", json=document(self.connection_id))
            ).status_code
        ]
        await run_now(services, self.connection_id)
        statuses.append(await self.patch(clientSecret=REFUSED))
        statuses.append(await self.patch(clientSecret=TYPO))
        statuses.append(await self.patch(kind="magic", clientSecret=REFUSED, nonsense=REFUSED))
        emulator.control.add_secret(value=REPLACEMENT)
        statuses.append(await self.patch(clientSecret=REPLACEMENT))
        statuses.append(await self.patch(kind="certificate", certificate=PEM))
        emulator.control.add_certificate(certificate_pem(KEY))
        await self.ask("POST", f"{path}/check")
        emulator.control.set_roles([])
        await run_now(services, self.connection_id)
        emulator.control.set_roles(SAMPLE_ROLES)
        await run_now(services, self.connection_id)
        exported = await self.ask("GET", f"{path}/export", params={"format": "yaml"})
        with_secret = exported.text.replace("kind: ", f"clientSecret: {REFUSED}\n    kind: ", 1)
        yaml = {"Content-Type": "application/yaml"}
        refused = await self.ask("POST", "/api/config/plan", content=with_secret, headers=yaml)
        statuses.append(refused.status_code)
        await self.ask("POST", "/api/config/plan", content=exported.text, headers=yaml)
        for looked in ("", "/runs", "/users"):
            await self.ask("GET", f"{path}{looked}")
        await self.ask("GET", "/api/health")
        return statuses

    async def consent(self, services: Services, browser: httpx.AsyncClient) -> int:
        """Connect a second tenant by consent, with the vendor's app."""
        name = f"{self.connection_id}-vendor"
        changes: dict[str, Any] = {"clientId": VENDOR_CLIENT_ID, "tenantId": None}
        changes |= {"enabled": False, "scope": {"everyone": True}}
        body = document(name, credential={"clientSecret": VENDOR_CLIENT_SECRET}, **changes)
        await self.ask("POST", "/api/connections", json=body)
        begun = await self.ask("GET", "/api/consent/start", params={"connection": name})
        address = begun.headers["Location"]
        fields = dict(parse_qsl(urlsplit(address).query)) | {"account": f"admin@{FABRIKAM_DOMAIN}"}
        decided = await browser.post(
            address.partition("?")[0], data=fields | {"decision": "accept"}
        )
        sent_on = await self.ask("GET", _ours(decided.headers["Location"]))
        account = urlencode({"account": f"admin@{FABRIKAM_DOMAIN}"})
        signed_in = await browser.get(f"{sent_on.headers['Location']}&{account}")
        await self.ask("GET", _ours(signed_in.headers["Location"]))
        await binding.confirm_pending(services)
        set_clock(services, lambda: utc_now() + timedelta(minutes=1))
        await retried(services, name)
        return (
            await self.ask("PATCH", f"/api/connections/{name}", json={"enabled": True})
        ).status_code


def _ours(address: str) -> str:
    back = urlsplit(address)
    return f"{back.path}?{urlencode(parse_qsl(back.query))}"


@pytest.fixture(autouse=True)
def tenant_as_it_was(emulator: GraphEmulator) -> Iterator[None]:
    yield
    emulator.control.set_roles(SAMPLE_ROLES)
    emulator.control.remove_from_tenant(app=VENDOR_CLIENT_ID, tenant=FABRIKAM_TENANT_ID)


@pytest.fixture
async def browser(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    trusted = ssl.create_default_context(cafile=str(rig.tls.ca_file))
    async with httpx.AsyncClient(verify=trusted) as client:
        yield client


async def test_no_secret_is_left_anywhere_but_in_key_vault(
    *,
    admin: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = recorded(services, monkeypatch)
    session = Session(admin, connection_id)
    statuses = await session.whole(services, emulator)
    enabled = await session.consent(services, browser)
    await journal.warn_of_expiry(services)
    logs = [f"{one.getMessage()} {one.exc_text or ''}" for one in caplog.records]
    places = {
        "answers": session.answers,
        "logs": logs,
        "tables": [text async for text in entities(rig)],
        "messages": sent,
    }

    # What happened is what was meant: stored, refused, refused, refused, rotated, refused, refused.
    assert statuses == [201, 422, 422, 422, 200, 422, 422]
    assert enabled == 200, session.answers[-1]
    for place, texts in places.items():
        assert any(connection_id in text for text in texts), f"nothing of the session in {place}"
        found = [secret[:6] for secret in SECRETS for text in texts if secret in text]
        assert found == [], f"secrets in {place}"
    name = f"{connection_id}-client-secret"
    assert await services.vault.find(name) is not None, "Key Vault has them"


async def entities(rig: Rig) -> AsyncIterator[str]:
    async with TableServiceClient.from_connection_string(rig.azurite.connection_string) as service:
        async for table in service.list_tables():
            async for entity in service.get_table_client(table.name).list_entities():
                yield str(dict(entity))


def recorded(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the text of each message; most are not visible in the queue before their time."""
    client, sent = services.queue._client, list[str]()
    send = client.send_message

    async def kept(text: str, **options: Any) -> object:
        sent.append(text)
        return await send(text, **options)

    monkeypatch.setattr(client, "send_message", kept)
    return sent
