"""The client secret: in over the API, into Key Vault, and never out again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient
from azure.keyvault.secrets.aio import SecretClient

from local.graph import GraphEmulator
from sync_core.services import Services, identity
from sync_core.store.vault import Vault
from tests.api.conftest import ADMIN, Create, app_over, calling, document, paths
from tests.system import Rig

SECRET = "Kq8~the-very-secret-value"
NEXT = "Kq8~the-next-secret-value"


@pytest.fixture(autouse=True)
def known_to_entra(emulator: GraphEmulator) -> None:
    """Register the secrets of these tests: what Entra refuses never comes into use."""
    for value in (SECRET, NEXT, *(f"{NEXT}-{number}" for number in range(3))):
        emulator.control.add_secret(value=value)


def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


async def in_vault(services: Services, answer: httpx.Response) -> str:
    """Give the secret that a run of this connection would use."""
    credential = answer.json()["credential"]
    return await services.vault.get(credential["secretName"], credential["secretVersion"])


async def test_a_secret_goes_to_key_vault_and_its_version_into_the_document(
    create: Create, connection_id: str, services: Services
) -> None:
    created = await create(credential={"clientSecret": SECRET, "expiresOn": "2031-01-31"})

    assert created.json()["credential"]["secretName"] == f"{connection_id}-client-secret"
    assert created.json()["credential"]["expiresOn"] == "2031-01-31"
    assert await in_vault(services, created) == SECRET


async def test_the_name_of_the_secret_can_be_chosen(
    create: Create, connection_id: str, services: Services
) -> None:
    name = f"shared-{connection_id}"
    created = await create(credential={"clientSecret": SECRET, "secretName": name})

    assert created.json()["credential"]["secretName"] == name
    assert await services.vault.get(name) == SECRET


async def test_the_secret_is_nowhere_but_in_key_vault(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [await create(credential={"clientSecret": SECRET})]
    answers.append(await admin.get(url(connection_id)))
    answers.append(await admin.get("/api/connections", params={"top": 999}))
    answers.append(
        await admin.patch(url(connection_id), json={"credential": {"clientSecret": NEXT}})
    )
    refused = {"credential": {"clientSecret": f" {SECRET}", "kind": "magic", "no": SECRET}}
    answers.append(await admin.patch(url(connection_id), json=refused))
    texts = [answer.text + str(answer.headers) for answer in answers]
    texts += [text async for text in every_entity(rig)]
    texts += [record.getMessage() for record in caplog.records if "http" not in record.name]

    assert answers[-1].status_code == 422
    assert len(texts) > 10
    assert [text for text in texts if SECRET in text or NEXT in text] == []


async def every_entity(rig: Rig) -> AsyncIterator[str]:
    async with TableServiceClient.from_connection_string(rig.azurite.connection_string) as service:
        async for table in service.list_tables():
            async for entity in service.get_table_client(table.name).list_entities():
                yield str(dict(entity))


async def test_patching_the_secret_alone_pins_the_new_one(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """The old expiry date was that of the old secret."""
    created = await create(credential={"clientSecret": SECRET, "expiresOn": "2031-01-31"})
    patched = await admin.patch(url(connection_id), json={"credential": {"clientSecret": NEXT}})

    assert patched.status_code == 200
    same = {"credential": None, "verification": None}
    assert await in_vault(services, patched) == NEXT
    assert patched.json()["credential"]["expiresOn"] is None
    assert patched.json() | same == created.json() | same


async def test_a_patch_of_something_else_keeps_the_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    created = await create(credential={"clientSecret": SECRET, "expiresOn": "2031-01-31"})
    patch = {"credential": {"clientSecret": None}, "displayName": "Patched"}
    patched = await admin.patch(url(connection_id), json=patch)

    assert patched.json()["credential"] == created.json()["credential"]


async def test_a_secret_made_elsewhere_is_used_in_its_current_version(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """Whoever rotates secrets in Key Vault names them and pins nothing."""
    await create()
    name = f"rotated-{connection_id}"
    await services.vault.set(name, SECRET, content_type="text/plain")
    patched = await admin.patch(url(connection_id), json={"credential": {"secretName": name}})

    assert patched.status_code == 200
    assert patched.json()["credential"]["secretVersion"] is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, 422, id="enabled"),
        pytest.param({"enabled": False}, 201, id="disabled"),
    ],
)
async def test_a_secret_that_is_not_in_key_vault_is_refused_when_it_is_needed(
    *, admin: httpx.AsyncClient, connection_id: str, changes: dict[str, bool], status: int
) -> None:
    body = document(connection_id, credential={"secretName": f"missing-{connection_id}"})
    answer = await admin.post("/api/connections", json=body | changes)

    assert answer.status_code == status
    if status == 422:
        assert paths(answer) == ["credential.secretName"]


async def test_enabling_looks_for_the_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(enabled=False, credential={"secretName": f"missing-{connection_id}"})
    answer = await admin.patch(url(connection_id), json={"enabled": True})

    assert paths(answer) == ["credential.secretName"]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"credential": None}, id="credential taken away"),
        pytest.param({"credential": {"secretName": None}}, id="name taken away"),
    ],
)
async def test_an_enabled_connection_cannot_lose_its_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str, patch: dict[str, object]
) -> None:
    created = await create()
    answer = await admin.patch(url(connection_id), json=patch)

    assert paths(answer) == ["credential.clientSecret"]
    assert (await admin.get(url(connection_id))).headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param("   ", id="blanks"),
        pytest.param(f" {SECRET}", id="blank before"),
        pytest.param(f"{SECRET}\n", id="line break after"),
        pytest.param("one\ntwo", id="line break inside"),
        pytest.param("x" * 1001, id="too long"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused(
    admin: httpx.AsyncClient, connection_id: str, secret: str, services: Services
) -> None:
    answer = await admin.post(
        "/api/connections", json=document(connection_id, credential={"clientSecret": secret})
    )

    assert answer.status_code == 422
    assert paths(answer) == ["credential.clientSecret"]
    assert await services.vault.find(f"{connection_id}-client-secret") is None


async def test_a_refused_save_stores_no_secret(
    admin: httpx.AsyncClient, connection_id: str, services: Services
) -> None:
    body = document(connection_id, policy={"graceDays": 7})
    answer = await admin.post("/api/connections", json=body)

    assert answer.status_code == 422
    assert await services.vault.find(f"{connection_id}-client-secret") is None


async def test_a_write_that_lost_the_race_leaves_the_pinned_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """The loser's secret is the newest version in Key Vault, and no run uses it."""
    created = await create(credential={"clientSecret": SECRET})
    answers = await asyncio.gather(
        *(
            admin.patch(
                url(connection_id),
                json={"credential": {"clientSecret": f"{NEXT}-{number}"}},
                headers={"If-Match": created.headers["ETag"]},
            )
            for number in range(3)
        )
    )
    winner = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    loaded = await admin.get(url(connection_id))

    assert len(winner) == 1
    assert await in_vault(services, loaded) == f"{NEXT}-{winner[0]}"


@pytest.fixture
async def impatient_vault(services: Services, rig: Rig) -> AsyncIterator[Services]:
    """The same services with a Key Vault client that does not try again."""
    async with (
        identity(services.settings) as own,
        SecretClient(rig.vault.url, own, verify_challenge_resource=False, retry_total=0) as client,
    ):
        vault = Vault(client)
        directory = replace(services.directory, vault=vault)
        yield replace(services, vault=vault, directory=directory)


@pytest.fixture
def vault_fault(rig: Rig, request: pytest.FixtureRequest) -> Iterator[None]:
    setattr(rig.vault.faults, request.param, True)
    yield
    setattr(rig.vault.faults, request.param, False)


@pytest.mark.parametrize(
    ("vault_fault", "status", "code"),
    [
        pytest.param("down", 503, "vault.unavailable", id="down"),
        pytest.param("throttled", 503, "vault.unavailable", id="throttled"),
        pytest.param("forbidden", 502, "vault.forbidden", id="forbidden"),
    ],
    indirect=["vault_fault"],
)
async def test_without_key_vault_nothing_is_saved(
    *,
    impatient_vault: Services,
    connection_id: str,
    vault_fault: None,
    rig: Rig,
    status: int,
    code: str,
) -> None:
    async with calling(app_over(impatient_vault), ADMIN) as admin:
        refused = await admin.post("/api/connections", json=document(connection_id))
        loaded = await admin.get(url(connection_id))

    assert refused.status_code == status
    assert refused.json()["code"] == code
    assert refused.json()["remedy"]
    assert loaded.status_code == 404


async def test_without_key_vault_a_connection_keeps_its_old_secret(
    *, impatient_vault: Services, create: Create, connection_id: str, rig: Rig
) -> None:
    created = await create(credential={"clientSecret": SECRET})
    async with calling(app_over(impatient_vault), ADMIN) as admin:
        rig.vault.faults.down = True
        patch = {"displayName": "Patched", "credential": {"clientSecret": NEXT}}
        refused = await admin.patch(url(connection_id), json=patch)
        rig.vault.faults.down = False
        loaded = await admin.get(url(connection_id))

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert loaded.json() == created.json()
    assert await in_vault(impatient_vault, loaded) == SECRET


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("usersync-client-state-key", id="the webhook's key"),
        pytest.param("UserSync-Alert-Key", id="in any case"),
        pytest.param("graph-client-state-key", id="as it was called before"),
        pytest.param("Graph-Client-State-Key", id="as it was called, in any case"),
    ],
)
async def test_the_keys_of_the_app_are_not_a_connections(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, name: str
) -> None:
    """What a connection stores under such a name would sign the webhook's deliveries from then on."""
    before = await services.vault.find(name)
    await create()
    new = document(f"{connection_id}-b", credential={"clientSecret": SECRET, "secretName": name})
    answers = [
        await admin.post("/api/connections", json=new),
        await admin.patch(url(connection_id), json={"credential": {"secretName": name}}),
    ]

    assert [paths(answer) for answer in answers] == [["credential.secretName"]] * 2
    assert await services.vault.find(name) == before


async def test_an_id_with_the_apps_prefix_needs_another_name_for_its_secret(
    admin: httpx.AsyncClient, connection_id: str, services: Services
) -> None:
    name = f"usersync-{connection_id}"
    refused = await admin.post("/api/connections", json=document(name))
    named = {"clientSecret": SECRET, "secretName": f"{connection_id}-secret"}
    created = await admin.post("/api/connections", json=document(name, credential=named))

    assert paths(refused) == ["credential.secretName"]
    assert created.status_code == 201


async def test_a_secret_is_one_connections_alone(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """Whoever named it would get it sent to a tenant of their own choice, or store over it."""
    await create(credential={"clientSecret": SECRET})
    theirs = f"{connection_id.upper()}-Client-Secret"
    other = f"{connection_id}-b"
    made = await admin.post("/api/connections", json=document(other))
    attempts = [
        await admin.patch(url(other), json={"credential": {"secretName": theirs}}),
        await admin.patch(
            url(other), json={"credential": {"secretName": theirs, "clientSecret": NEXT}}
        ),
        await admin.put(
            url(other), json=document(other, credential={"secretName": theirs.lower()})
        ),
        await admin.post(
            "/api/connections",
            json=document(f"{connection_id}-c", credential={"secretName": theirs}, enabled=False),
        ),
    ]

    assert made.status_code == 201
    assert [paths(answer) for answer in attempts] == [["credential.secretName"]] * 4
    assert await services.vault.get(theirs) == SECRET


async def test_a_secret_that_waits_with_other_settings_is_taken_as_well(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    waiting = {"clientSecret": "unknown to Entra", "secretName": f"{connection_id}-next"}
    await admin.patch(url(connection_id), json={"credential": waiting})
    other = document(
        f"{connection_id}-b",
        credential={"clientSecret": SECRET, "secretName": f"{connection_id}-NEXT"},
    )
    answer = await admin.post("/api/connections", json=other)

    assert paths(answer) == ["credential.secretName"]


async def test_connections_that_share_a_secret_from_before_can_still_be_edited(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    await create(credential={"clientSecret": SECRET})
    stored = (await services.store.connections.get(connection_id)).connection
    shared = stored.model_copy(update={"id": f"{connection_id}-b", "enabled": False})
    await services.store.connections.create(shared)
    answer = await admin.patch(url(shared.id), json={"displayName": "Edited"})

    assert (answer.status_code, answer.json()["displayName"]) == (200, "Edited")


async def test_another_spelling_of_the_name_is_the_same_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """What is known of a secret stays with it, and what is stored over it is still guarded."""
    created = await create(credential={"clientSecret": SECRET, "expiresOn": "2031-01-31"})
    spelt = f"{connection_id}-Client-Secret"
    patched = await admin.patch(url(connection_id), json={"credential": {"secretName": spelt}})
    version = created.json()["credential"]["secretVersion"]
    await admin.patch(url(connection_id), json={"credential": {"secretVersion": None}})
    over = await admin.patch(
        url(connection_id),
        json={"credential": {"secretName": spelt.upper(), "clientSecret": "not tried"}},
    )

    assert patched.json()["credential"]["secretVersion"] == version
    assert patched.json()["credential"]["expiresOn"] == "2031-01-31"
    assert paths(over) == ["credential.secretName"]
    assert await services.vault.get(spelt) == SECRET
