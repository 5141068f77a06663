"""Who may do what: every route is tried by nobody and by the wrong role."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from sync_core.services import Services
from tests.api.conftest import ADMIN, app_over, calling
from tests.api.description import OPEN, ROUTES, Call

# Who follows the first begins a consent; a plan was tried with properties that no connection copies.
NOT_FOR_READERS = {
    ("GET", "/api/consent/start"),
    ("GET", "/api/connections/{id}/plans/{planHash}"),
}
# Sends what it works on, so it is no GET; it reads and writes nothing of anybody's.
HARMLESS = {("POST", "/api/expressions/evaluate")}
READ_ONLY_METHODS = {"GET", "HEAD", "OPTIONS"}
VALUES = {
    "id": "contoso",
    "runId": "8233998400000-1f2e3d4c",
    "objectId": "6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21",
    "who": "ann@contoso.com",
    "planHash": "1f0c.9a3b",
}


GUARDED = [one for one in ROUTES if one not in OPEN]
WRITES = [one for one in GUARDED if one[0] not in READ_ONLY_METHODS and one not in HARMLESS]


def test_there_are_routes_to_try() -> None:
    assert len(WRITES) >= 5
    assert len(GUARDED) == len(ROUTES) - len(OPEN)


async def tried(client: httpx.AsyncClient, routes: list[Call]) -> dict[Call, httpx.Response]:
    """Call every one of the routes."""
    return {
        (method, path): await client.request(method, path.format(**VALUES))
        for method, path in routes
    }


async def test_nobody_gets_in(nobody: httpx.AsyncClient) -> None:
    for call, answer in (await tried(nobody, GUARDED)).items():
        assert answer.status_code == 401, call
        assert answer.headers["WWW-Authenticate"].startswith("Bearer "), call
        assert answer.json()["code"] == "auth.tokenMissing", call


async def test_a_reader_changes_nothing(reader: httpx.AsyncClient) -> None:
    for call, answer in (await tried(reader, [*WRITES, *NOT_FOR_READERS])).items():
        assert answer.status_code == 403, call
        assert answer.json()["code"] == "auth.roleMissing", call


async def test_a_reader_may_read(reader: httpx.AsyncClient) -> None:
    reads = [one for one in GUARDED if one not in WRITES and one not in NOT_FOR_READERS]
    for call, answer in (await tried(reader, reads)).items():
        assert answer.status_code in ({415} if call in HARMLESS else {200, 404}), call


async def test_an_administrator_may_do_everything(admin: httpx.AsyncClient) -> None:
    for call, answer in (await tried(admin, GUARDED)).items():
        assert answer.status_code not in {401, 403}, call


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer wrong-token", id="wrong token"),
        pytest.param("Bearer admin-token-and-more", id="longer"),
        pytest.param("Bearer admin-toke", id="shorter"),
        pytest.param("Bearer ", id="empty"),
        pytest.param("Basic admin-token", id="another scheme"),
        pytest.param("admin-token", id="no scheme"),
        pytest.param("Bearer äöü", id="not ASCII"),
    ],
)
async def test_a_wrong_token_is_called_invalid(nobody: httpx.AsyncClient, header: str) -> None:
    raw = {b"Authorization": header.encode("latin-1")}
    answer = await nobody.get("/api/connections", headers=raw)

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_the_scheme_is_written_in_any_case(nobody: httpx.AsyncClient) -> None:
    answer = await nobody.get("/api/connections", headers={"Authorization": "bearer admin-token"})

    assert answer.status_code == 200


def principal(*roles: str, role_typ: str = "roles", claim: str = "roles") -> dict[str, str]:
    """Give the header that App Service makes of a token."""
    content = {
        "auth_typ": "aad",
        "claims": [
            {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "me"},
            *({"typ": claim, "val": role} for role in roles),
        ],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": role_typ,
    }
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(content).encode()).decode()}


ROLE_URI = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


@pytest.fixture
def azure_app(services: Services) -> ASGIApp:
    """The app as it runs in Azure: App Service authentication in front, no local tokens."""
    changes: dict[str, Any] = {"local_admin_token": None, "local_reader_token": None}
    settings = replace(services.settings, has_app_service_auth=True, **changes)
    return app_over(replace(services, settings=settings))


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        pytest.param(principal("Sync.Admin"), 200, 422, id="administrator"),
        pytest.param(principal("Sync.Reader"), 200, 403, id="reader"),
        pytest.param(principal("Sync.Reader", "Sync.Admin"), 200, 422, id="both"),
        pytest.param(principal(), 403, 403, id="no role"),
        pytest.param(principal("sync.admin"), 403, 403, id="another role"),
        pytest.param(
            principal("Sync.Admin", role_typ=ROLE_URI, claim=ROLE_URI), 200, 422, id="long type"
        ),
        pytest.param(principal("Sync.Admin", role_typ=ROLE_URI), 200, 422, id="types differ"),
        pytest.param(principal("Sync.Admin", claim="groups"), 403, 403, id="not a role claim"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "not base64!"}, 401, 401, id="not base64"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "bm90IGpzb24="}, 401, 401, id="not JSON"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "W10="}, 401, 401, id="not an object"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "e30="}, 401, 401, id="no claims"),
        pytest.param({}, 401, 401, id="nobody signed in"),
        pytest.param(ADMIN, 401, 401, id="local token"),
    ],
)
async def test_app_roles(
    azure_app: ASGIApp, headers: dict[str, str], reads: int, writes: int
) -> None:
    async with calling(azure_app, headers) as client:
        read = await client.get("/api/connections")
        written = await client.post("/api/connections", json={})

    assert (read.status_code, written.status_code) == (reads, writes)


async def test_the_principal_means_nothing_where_app_service_does_not_make_it(
    nobody: httpx.AsyncClient,
) -> None:
    """Without App Service authentication in front anybody could send that header."""
    answer = await nobody.get("/api/connections", headers=principal("Sync.Admin"))

    assert answer.status_code == 401


async def test_without_tokens_and_without_app_service_nobody_gets_in(services: Services) -> None:
    """An empty setting must not match an empty token."""
    changes: dict[str, Any] = {"local_admin_token": None, "local_reader_token": None}
    tokenless = replace(services, settings=replace(services.settings, **changes))
    async with calling(app_over(tokenless), {"Authorization": "Bearer "}) as client:
        answer = await client.get("/api/connections")

    assert answer.status_code == 401
