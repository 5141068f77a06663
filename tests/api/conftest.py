"""The API as its callers see it, over the product's own services; one small tenant for all tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from local.graph import GraphEmulator
from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
)
from sync_core.api.app import create_app
from sync_core.connections import verify
from sync_core.connections.impact import SaveGuard
from sync_core.domain.connections.verification import Verification
from sync_core.services import Services
from sync_core.store.tables import CONNECTIONS, LEFTOVERS
from tests.system import Rig, group_scope

ADMIN = {"Authorization": "Bearer admin-token"}
READER = {"Authorization": "Bearer reader-token"}

Json = dict[str, Any]


@pytest.fixture(scope="session")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=40, groups=4, seed=3, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    """Open the services; every test finds the Connections table empty, because each looks at all."""
    async with rig.services(emulator) as opened:
        # Whatever other tests left on this account, rows that this release cannot read included.
        for name in (CONNECTIONS, LEFTOVERS):
            table = await opened.store.tables.table(name)
            async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
        yield opened


_services: ContextVar[Services] = ContextVar("services")


@cache
def the_app() -> FastAPI:
    """Build the app once: the description of its routes takes longer than most of the tests."""

    async def opened() -> Services:
        return _services.get()

    return create_app(opened)


def app_over(services: Services) -> ASGIApp:
    """Return the app with services of its own; several may be called side by side."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _services.set(services)
        await the_app()(scope, receive, send)

    return app


def calling(app: ASGIApp, headers: dict[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:7071", headers=headers)


@pytest.fixture
def app(services: Services) -> ASGIApp:
    return app_over(services)


@pytest.fixture
async def admin(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(app, ADMIN) as client:
        yield client


@pytest.fixture
async def reader(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(app, READER) as client:
        yield client


@pytest.fixture
async def nobody(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(app, {}) as client:
        yield client


def document(connection_id: str, **changes: Any) -> Json:
    """Give a connection as a caller sends it; what matters to a test is in `changes`."""
    return {
        "id": connection_id,
        "displayName": "Contoso",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"clientSecret": SAMPLE_CLIENT_SECRET},
        "scope": scope_of(connection_id),
    } | changes


def scope_of(connection_id: str) -> Json:
    """Choose the people of the sample group, for each connection in other words: none has a double."""
    scope = group_scope(SAMPLE_GROUP_ID)
    nobody = f"nobody@{connection_id}.example"
    clause = {"attribute": "userPrincipalName", "operator": "NOT EQUALS", "value": nobody}
    scope["filters"][0]["clauses"].append(clause)
    return scope


Create = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def create(admin: httpx.AsyncClient, connection_id: str) -> Create:
    """Create the test's connection and give the answer."""

    async def created(**changes: Any) -> httpx.Response:
        answer = await admin.post("/api/connections", json=document(connection_id, **changes))
        assert answer.status_code == 201, answer.text
        return answer

    return created


def paths(answer: httpx.Response) -> list[str]:
    """Give the paths of a 422's errors."""
    return [error["path"] for error in answer.json()["errors"]]


async def retried(services: Services, connection_id: str) -> Verification | None:
    """Try waiting settings once more, as a message of the queue would."""
    return await verify.retry(services, connection_id, SaveGuard(services).check_waiting)


@pytest.fixture
def people(emulator: GraphEmulator) -> list[str]:
    return sorted(emulator.control.create_person()["id"] for _ in range(10))


@pytest.fixture
def wide(emulator: GraphEmulator, people: list[str]) -> Json:
    """A scope of ten people."""
    return group_scope(emulator.control.create_group("Wide", members=people)["id"])


@pytest.fixture
def narrow(emulator: GraphEmulator, people: list[str]) -> Json:
    """A scope of four of the ten."""
    return group_scope(emulator.control.create_group("Narrow", members=people[:4])["id"])
