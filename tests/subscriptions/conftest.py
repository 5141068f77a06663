"""A tenant, the product's services, and our own webhooks at an address that the emulator calls."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from local.graph import GraphEmulator
from local.graph.control.control import Control
from local.graph.http.access import Caller
from local.graph.subscriptions.rules import new_subscription
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID
from sync_core import triggers
from sync_core.connections.realtime import status_of
from sync_core.connections.subscriptions import tend
from sync_core.directory import own_address
from sync_core.domain.documents.connection import Connection
from sync_core.domain.realtime_status import RealtimeStatus
from sync_core.domain.subscriptions import Subscription
from sync_core.runs import notifications
from sync_core.services import Services, process, utc_now
from sync_core.store.tables import CONNECTIONS, SUBSCRIPTIONS
from tests.queue_of_requests import Requests, requests_of
from tests.rig.graph.webhook import Webhook, served
from tests.system import Rig, group_scope, set_clock, stored_connection

Document = dict[str, Any]


@pytest.fixture(scope="package")
def package_emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=12, groups=8, seed=7, tls=rig.tls) as running:
        running.control.settings(delay_s=0.02, first_retry_s=0.02)
        yield running


@pytest.fixture
def emulator(package_emulator: GraphEmulator) -> Iterator[GraphEmulator]:
    """One tenant for all tests: what they break is put back."""
    before = package_emulator.control.settings()
    yield package_emulator
    control = package_emulator.control
    control.clear_faults()
    control.settings(**before)
    control.enable_app(True)
    control.set_tenant(advanced_queries=True)
    control.set_roles(["User.Read.All", "Group.Read.All"])
    for one in control.subscriptions():
        control.drop_subscription(one["id"])
    control.reset_deliveries()
    control.reset_requests()


@pytest.fixture(scope="package")
def package_webhook(rig: Rig) -> Iterator[Webhook]:
    with served(rig.tls, "http") as webhook:
        yield webhook


@pytest.fixture
def webhook(package_webhook: Webhook) -> Webhook:
    """Our own public address; it answers handshakes until a test says otherwise."""
    fresh = Webhook(url=package_webhook.url)
    for name in ("echo", "content_type", "status", "delay_s"):
        setattr(package_webhook, name, getattr(fresh, name))
    for kept in (package_webhook.answers, package_webhook.handshakes, package_webhook.posts):
        kept.clear()
    return package_webhook


@pytest.fixture
async def requests(rig: Rig) -> AsyncIterator[Requests]:
    async with requests_of(rig) as requests:
        yield requests


@dataclass
class App:
    """The app under test: its services, its address, the directory, and a clock that is moved by hand."""

    services: Services
    emulator: GraphEmulator
    webhook: Webhook
    connection_id: str
    offset: timedelta = timedelta()

    @property
    def control(self) -> Control:
        return self.emulator.control

    def now(self) -> datetime:
        return utc_now() + self.offset

    def pass_time(self, **span: float) -> None:
        """Let time pass, here and at Graph."""
        passed = timedelta(**span)
        self.offset += passed
        self.control.advance_clock(passed.total_seconds())

    def group(self, *members: str) -> str:
        return str(self.control.create_group("A group", members=list(members))["id"])

    async def made(self, connection_id: str = "", **changes: Any) -> Connection:
        """Store a connection with `realtime`, to a group of its own unless the test says otherwise."""
        scope = {} if "scope" in changes else {"scope": group_scope(self.group())}
        return await stored_connection(
            self.services, connection_id or self.connection_id, realtime=True, **scope, **changes
        )

    async def change(self, connection_id: str = "", **changes: Any) -> Connection:
        """Change a connection's document as a save would."""
        stored = await self.services.store.connections.get(connection_id or self.connection_id)
        document = stored.connection.to_json() | changes
        connection = Connection.model_validate(document)
        return (await self.services.store.connections.replace(connection, stored)).connection

    async def tend(self, connection_id: str = "") -> list[Subscription]:
        """Look after a connection's subscriptions and return them."""
        await tend.tend_now(self.services, connection_id or self.connection_id)
        return await self.rows(connection_id)

    async def rows(self, connection_id: str = "") -> list[Subscription]:
        rows = await self.services.store.subscriptions.of(connection_id or self.connection_id)
        return sorted(rows, key=lambda row: row.resource, reverse=True)

    async def states(self, connection_id: str = "") -> dict[str, str]:
        """Return the state of each subscription, or why it is not as it should be."""
        return {
            row.slot: row.failure.code if row.failure else row.state.value
            for row in await self.rows(connection_id)
        }

    async def status(self) -> RealtimeStatus:
        stored = await self.services.store.connections.get(self.connection_id)
        found = await status_of(self.services, stored.connection)
        assert found is not None
        return found

    async def deliver(self) -> list[tuple[str, int]]:
        """Hand what Graph has posted to the app, as the host would; return path and status of each."""
        async with asyncio.timeout(10):
            while not self.webhook.posts:  # noqa: ASYNC110 -- the webhook answers in threads
                await asyncio.sleep(0.01)
        answers = []
        while self.webhook.posts:
            path, items = self.webhook.posts.pop(0)
            answers.append((path, await self.post(path, items)))
        return answers

    async def post(self, path: str, items: list[Document]) -> int:
        """Post notifications to one of the webhooks; return the status of the answer."""
        lifecycle = path.endswith("lifecycle")
        take = triggers.lifecycle_notified if lifecycle else triggers.notified
        status, _ = await take(orjson.dumps({"value": items}), "application/json")
        return status

    async def maintain(self) -> None:
        await tend.tend_all(self.services)

    def at_graph(self) -> dict[str, Document]:
        """Return what Graph has, by resource."""
        return {one["resource"]: one for one in self.control.subscriptions()}

    def foreign(self, address: str, resource: str) -> str:
        """Let another installation with the same app registration subscribe; return its id."""
        now = self.control.service.clock.now()
        made = new_subscription(
            {
                "changeType": "updated,deleted",
                "notificationUrl": address,
                "resource": resource,
                "expirationDateTime": (now + timedelta(days=20)).isoformat(),
                "clientState": "theirs",
            },
            caller=Caller(
                SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID, frozenset({"User.Read.All", "Group.Read.All"})
            ),
            directory=self.control.service.registry.tenants[SAMPLE_TENANT_ID].directory,
            now=now,
        )
        self.control.service.notifier.subscriptions[made.id] = made
        return made.id

    def asked(self, method: str) -> int:
        """Return how often Graph was asked about subscriptions in this way."""
        return sum(
            one.method == method and "/subscriptions" in one.path for one in self.emulator.requests
        )


@pytest.fixture
async def app(
    rig: Rig,
    emulator: GraphEmulator,
    webhook: Webhook,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[App]:
    monkeypatch.setattr(own_address, "PAUSE_S", 0.0)
    monkeypatch.setattr(notifications, "DEBOUNCE_S", 0)
    async with app_at(rig, emulator, webhook, connection_id) as app:
        monkeypatch.setattr(process, "_services", app.services)
        monkeypatch.setattr(triggers, "deliveries", type(triggers.deliveries)())
        yield app


@asynccontextmanager
async def app_at(
    rig: Rig, emulator: GraphEmulator, webhook: Webhook, connection_id: str
) -> AsyncIterator[App]:
    async with rig.services(emulator) as opened:
        for name in (CONNECTIONS, SUBSCRIPTIONS):
            table = await opened.store.tables.table(name)
            async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
        settings = replace(opened.settings, public_base_url=webhook.url)
        app = App(replace(opened, settings=settings), emulator, webhook, connection_id)
        app.offset = app.control.service.clock.offset
        set_clock(app.services, app.now)
        yield app
