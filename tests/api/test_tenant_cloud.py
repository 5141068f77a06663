"""A tenant says where it lives; a connection with another cloud is refused before a secret is sent."""

from collections.abc import Iterator

import httpx
import pytest

from local.graph import GraphEmulator
from local.sample import CHINA_TENANT_ID, DOD_TENANT_ID, OTHER_CLOUD_TENANT_ID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection
from sync_core.services import Services
from sync_core.store.vault import SECRET_MISSING
from tests.api.conftest import Create, document, paths
from tests.system import connection

METADATA = "/**/.well-known/openid-configuration"


@pytest.fixture(autouse=True)
def asked_from_here(emulator: GraphEmulator) -> Iterator[None]:
    emulator.control.reset_requests()
    yield
    emulator.control.clear_faults()
    emulator.control.set_tenant(place="global")


def token_requests(emulator: GraphEmulator) -> list[str]:
    return [one.path for one in emulator.requests if one.path.endswith("/token")]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("tenant", "place", "cloud", "right"),
    [
        pytest.param(None, "gcc", "usGov", '"public"', id="GCC"),
        pytest.param(None, "global", "china", '"public"', id="global"),
        pytest.param(OTHER_CLOUD_TENANT_ID, None, "public", '"usGov"', id="GCC High"),
        pytest.param(OTHER_CLOUD_TENANT_ID, None, "usGovDoD", '"usGov"', id="GCC High as DoD"),
        pytest.param(DOD_TENANT_ID, None, "public", '"usGovDoD"', id="DoD"),
        pytest.param(DOD_TENANT_ID, None, "usGov", '"usGovDoD"', id="DoD as GCC High"),
        pytest.param(CHINA_TENANT_ID, None, "public", '"china"', id="China"),
    ],
)
async def test_the_right_cloud_is_named_before_a_secret_is_sent(
    *, admin: httpx.AsyncClient, emulator: GraphEmulator, services: Services, connection_id: str,
    tenant: str | None, place: str | None, cloud: str, right: str, enabled: bool,
) -> None:  # fmt: skip
    if place:
        emulator.control.set_tenant(place=place)
    changes = {"tenantId": tenant} if tenant else {}
    wanted = document(connection_id, cloud=cloud, enabled=enabled, **changes)
    refused = await admin.post("/api/connections", json=wanted)

    assert (refused.status_code, paths(refused)) == (422, ["cloud"])
    assert f'set "cloud" to {right}, with an app' in refused.json()["errors"][0]["message"]
    assert token_requests(emulator) == []
    assert await services.store.connections.find(connection_id) is None
    with pytest.raises(FixConnection) as caught:
        await services.vault.get(f"{connection_id}-client-secret")
    assert caught.value.code == SECRET_MISSING


@pytest.mark.parametrize("place", ["gcc", "untold"])
async def test_what_fits_or_is_not_told_is_not_refused(
    admin: httpx.AsyncClient, emulator: GraphEmulator, connection_id: str, place: str
) -> None:
    emulator.control.set_tenant(place=place)
    made = await admin.post("/api/connections", json=document(connection_id))

    assert made.status_code == 201, made.text


async def test_a_tenant_that_cannot_be_asked_is_not_refused(
    create: Create, emulator: GraphEmulator
) -> None:
    emulator.control.set_tenant(place="gccHigh")
    emulator.control.add_fault("unavailable", path=METADATA)

    assert (await create()).status_code == 201


@pytest.fixture
async def misplaced(services: Services, connection_id: str) -> Connection:
    """Store a connection as an older release did, without asking where its tenant lives."""
    made = connection(connection_id, cloud="usGov", enabled=False)
    await services.store.connections.create(made)
    return made


async def test_one_that_was_stored_before_stays_editable_and_cannot_be_enabled(
    admin: httpx.AsyncClient, misplaced: Connection
) -> None:
    url = f"/api/connections/{misplaced.id}"
    renamed = await admin.patch(url, json={"displayName": "Renamed"})
    enabled = await admin.patch(
        url, json={"enabled": True, "credential": {"clientSecret": "smp8Q~any"}}
    )
    mended = await admin.patch(url, json={"cloud": "public"})

    assert renamed.status_code == 200, renamed.text
    assert (enabled.status_code, paths(enabled)) == (422, ["cloud"])
    assert mended.status_code == 200, mended.text


async def test_its_check_says_so_without_sending_the_secret(
    admin: httpx.AsyncClient, emulator: GraphEmulator, misplaced: Connection
) -> None:
    answer = await admin.post(f"/api/connections/{misplaced.id}/check")

    checks = [(one["name"], one["code"]) for one in answer.json()["checks"]]
    assert checks == [("token", "credential.wrongCloud")]
    assert '"cloud" to "public"' in answer.json()["checks"][0]["remedy"]
    assert token_requests(emulator) == []
