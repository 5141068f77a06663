"""Who may do what: every route is tried by nobody and by the wrong role."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from sync_core.api.http.auth import identify
from sync_core.domain.documents.run import Actor
from sync_core.services import Services
from sync_core.settings import Settings, StorageAccess
from tests.api.conftest import ADMIN, app_over, calling
from tests.api.description import OPEN, ROUTES, Call

# Who follows the first begins a consent; a plan was tried with properties that no connection copies; and
# candidates are people who are not in.
NOT_FOR_READERS = {
    ("GET", "/api/consent/start"),
    ("GET", "/api/connections/{id}/plans/{planHash}"),
    ("GET", "/api/connections/{id}/candidates"),
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
    "other": "contoso-old",
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


ROLE_URI = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
TENANT = "11111111-2222-3333-4444-55555555555a"
FOREIGN_TENANT = "99999999-2222-3333-4444-55555555555a"
TENANT_URI = "http://schemas.microsoft.com/identity/claims/tenantid"


ME = {"http://schemas.microsoft.com/identity/claims/objectidentifier": "me"}
BELIEVING = Settings(
    queues=StorageAccess(),
    tables=StorageAccess(),
    key_vault_url="",
    public_base_url="",
    has_app_service_auth=True,
    admin_tenant_ids=frozenset({TENANT}),
)


def encoded(content: Any) -> dict[str, str]:
    """Give the header with any content."""
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(content).encode()).decode()}


def principal(
    *roles: str,
    claim: str = "roles",
    who: dict[str, str] | None = None,
    **changes: Any,
) -> dict[str, str]:
    """Give the header that App Service makes of a token; `tid` and `iss` are claims of it."""
    claims = {
        **(ME if who is None else who),
        TENANT_URI: changes.pop("tid", TENANT),
        "iss": changes.pop("iss", f"https://sts.windows.net/{TENANT}/"),
    }
    content = {
        "auth_typ": "aad",
        "claims": [
            *({"typ": typ, "val": val} for typ, val in claims.items()),
            *({"typ": claim, "val": role} for role in roles),
        ],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": ROLE_URI,
    }
    return encoded(content | changes)


@pytest.fixture
def azure_app(services: Services) -> ASGIApp:
    """The app as it runs in Azure: App Service authentication in front, no local tokens."""
    changes: dict[str, Any] = {"local_admin_token": None, "local_reader_token": None}
    settings = replace(
        services.settings,
        has_app_service_auth=True,
        admin_tenant_ids=frozenset({TENANT}),
        **changes,
    )
    return app_over(replace(services, settings=settings))


async def test_where_sign_in_is_off_the_remedy_names_the_command(services: Services) -> None:
    """A deployment without a registration: every route says so, also to who forges a principal."""
    nobody = replace(services.settings, local_admin_token=None, local_reader_token=None)
    app = app_over(replace(services, settings=nobody))
    async with calling(app, principal("Sync.Admin")) as client:
        for call, answer in (await tried(client, GUARDED)).items():
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.signInOff"), call
            assert "python -m deploy entra" in answer.json()["remedy"], call


async def test_a_401_says_what_a_token_is_asked_for_with(services: Services) -> None:
    """RFC 6750, section 3: `scope` of the challenge."""
    scope = "api://aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/user_impersonation"
    app = app_over(replace(services, settings=replace(services.settings, api_scope=scope)))
    async with calling(app, {}) as client:
        answer = await client.get("/api/connections")

    told = f'Bearer realm="entra-user-sync", scope="{scope}"'
    assert answer.headers["WWW-Authenticate"] == told
    assert f"az account get-access-token --scope {scope}" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        pytest.param(principal("Sync.Admin"), 200, 422, id="administrator"),
        pytest.param(principal("Sync.Reader"), 200, 403, id="reader"),
        pytest.param(principal("Sync.Reader", "Sync.Admin"), 200, 422, id="both"),
        pytest.param(principal(), 403, 403, id="no role"),
        pytest.param(principal("sync.admin"), 403, 403, id="another role"),
        pytest.param(principal("Sync.Admin", role_typ="roles"), 200, 422, id="types agree"),
        pytest.param(
            principal("Sync.Admin", tid=TENANT.upper()), 200, 422, id="tenant in another case"
        ),
        pytest.param(
            principal("Sync.Admin", iss=f"https://login.microsoftonline.us/{TENANT}/v2.0"),
            200,
            422,
            id="version 2 of another cloud",
        ),
        pytest.param(principal("Sync.Admin", claim=ROLE_URI), 403, 403, id="role_typ names it"),
        pytest.param(
            principal("Sync.Admin", claim="groups", role_typ="groups"), 403, 403, id="as it likes"
        ),
        pytest.param(principal("Sync.Admin", claim="groups"), 403, 403, id="not a role claim"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "not base64!"}, 401, 401, id="not base64"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "bm90IGpzb24="}, 401, 401, id="not JSON"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "W10="}, 401, 401, id="not an object"),
        pytest.param({"X-MS-CLIENT-PRINCIPAL": "e30="}, 401, 401, id="no claims"),
        pytest.param(
            principal("Sync.Admin", role_typ=["roles"]), 401, 401, id="a list of role types"
        ),
        pytest.param(principal("Sync.Admin", auth_typ=None), 401, 401, id="no provider"),
        pytest.param(principal(claims=[{"typ": "roles"}]), 401, 401, id="a claim without value"),
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


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(principal("Sync.Admin", tid=FOREIGN_TENANT), id="another tenant"),
        pytest.param(principal("Sync.Admin", tid=""), id="no tenant"),
        pytest.param(principal("Sync.Admin", auth_typ="google"), id="another provider"),
        pytest.param(
            principal("Sync.Admin", iss=f"https://sts.windows.net/{FOREIGN_TENANT}/"),
            id="another issuer",
        ),
        pytest.param(
            encoded(
                {
                    "auth_typ": "aad",
                    "claims": [
                        {"typ": "tid", "val": TENANT},
                        {"typ": TENANT_URI, "val": FOREIGN_TENANT},
                        {"typ": "roles", "val": "Sync.Admin"},
                    ],
                }
            ),
            id="two tenants",
        ),
    ],
)
async def test_the_roles_of_a_stranger_are_not_believed(
    azure_app: ASGIApp, headers: dict[str, str]
) -> None:
    """Whoever runs a tenant hands out any role there; only Entra and only our tenants count."""
    async with calling(azure_app, headers) as client:
        answer = await client.get("/api/connections")

    assert (answer.status_code, answer.json()["code"]) == (403, "auth.tenantNotBelieved")


async def test_the_principal_is_not_read_where_everybody_may_call(azure_app: ASGIApp) -> None:
    """App Service may leave such paths out, and then lets a caller's own header through."""
    async with calling(azure_app, principal("Sync.Admin")) as client:
        answer = await client.get("/api/health")

    assert answer.json() == {"status": "ok"}


async def test_the_rig_takes_who_signed_in_and_its_tokens(services: Services) -> None:
    changes: dict[str, Any] = {"has_local_sign_in": True, "admin_tenant_ids": frozenset({TENANT})}
    app = app_over(replace(services, settings=replace(services.settings, **changes)))
    for headers, status in (
        (principal("Sync.Reader"), 403),
        (principal("Sync.Admin"), 422),
        (ADMIN, 422),
        ({}, 401),
    ):
        async with calling(app, headers) as client:
            assert (await client.post("/api/connections", json={})).status_code == status


NAME_URI = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"


@pytest.mark.parametrize(
    ("who", "object_id", "name"),
    [
        pytest.param(ME | {"name": "Ann", "preferred_username": "ann@x"}, "me", "Ann", id="name"),
        pytest.param(ME | {NAME_URI: "Ann"}, "me", "Ann", id="mapped name"),
        pytest.param(ME | {"preferred_username": "ann@x"}, "me", "ann@x", id="sign-in name"),
        pytest.param(ME, "me", "me", id="a program"),
        pytest.param(ME | {"name": "A" * 1_000}, "me", "A" * 256, id="too long to be kept"),
        pytest.param({}, None, "unknown", id="no object id"),
    ],
)
def test_who_signed_in_is_told_with_a_name_and_logged_without(
    who: dict[str, str], object_id: str | None, name: str
) -> None:
    header = principal("Sync.Admin", who=who)
    caller = identify({name.lower(): value for name, value in header.items()}, BELIEVING)

    assert caller is not None
    assert caller.actor == Actor(object_id=object_id, name=name)
    assert caller.name == (object_id or name)


PIECES = st.sampled_from(["aad", "roles", "tid", "Sync.Admin", TENANT, TENANT_URI, ROLE_URI, ""])
NAMES = st.sampled_from(["auth_typ", "claims", "name_typ", "role_typ", "typ", "val", "other"])
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | PIECES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(ODD | st.dictionaries(NAMES, ODD, max_size=5), st.binary(max_size=60))
def test_any_header_is_a_caller_or_nobody(content: Any, raw: bytes) -> None:
    """Never an error: who sends it is not known yet."""
    for header in (encoded(content), {"x": raw.decode("latin-1")}):
        (value,) = header.values()
        caller = identify({"x-ms-client-principal": value}, BELIEVING)

        assert caller is None or isinstance(content["claims"], list)


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
