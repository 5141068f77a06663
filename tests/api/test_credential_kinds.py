"""Every kind of credential over the API: stored, tried, run with, replaced, and never shown."""

from datetime import timedelta

import httpx
import pytest

from local.graph import GraphEmulator
from local.identity import EXCHANGE, IDENTITY_CLIENT_ID, IDENTITY_OBJECT_ID, ISSUER
from local.sample import SAMPLE_CLIENT_SECRET
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.errors import FixConnection
from sync_core.services import Services
from tests.api.conftest import Create, Json, document, paths
from tests.certificates import NOW, certificate_pem, key_pem, rsa_key
from tests.system import Rig, run_now

KEY = rsa_key()
PUBLIC = certificate_pem(KEY)
PEM = key_pem(KEY) + PUBLIC
CERTIFICATE = {"kind": "certificate", "certificate": PEM}
SECRET = {"kind": "clientSecret", "clientSecret": SAMPLE_CLIENT_SECRET}


def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


def trust_identity(rig: Rig, emulator: GraphEmulator) -> None:
    emulator.control.add_federated_credential(
        issuer=ISSUER,
        subject=IDENTITY_OBJECT_ID,
        audience=EXCHANGE,
        public_key=rig.identity.identity.public_key,
    )


async def test_a_certificate_goes_to_key_vault_and_runs(
    create: Create, connection_id: str, services: Services, emulator: GraphEmulator
) -> None:
    emulator.control.add_certificate(PUBLIC)
    created = await create(credential=CERTIFICATE)
    credential = created.json()["credential"]
    ends = await services.vault.expires_on(credential["secretName"], credential["secretVersion"])

    assert credential["secretName"] == f"{connection_id}-certificate"
    assert credential["expiresOn"] == str((NOW + timedelta(days=365)).date())
    assert await services.vault.get(credential["secretName"]) == PEM
    assert ends == NOW + timedelta(days=365)
    assert "PRIVATE" not in created.text
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_certificate_that_entra_does_not_know_yet_waits(
    admin: httpx.AsyncClient, connection_id: str, emulator: GraphEmulator
) -> None:
    other = rsa_key()
    pem = key_pem(other) + certificate_pem(other)
    credential = {"kind": "certificate", "certificate": pem}
    answer = await admin.post(
        "/api/connections", json=document(connection_id, credential=credential)
    )
    emulator.control.add_certificate(certificate_pem(other))
    check = (await admin.post(f"{url(connection_id)}/check")).json()

    told = {check["name"]: check["message"] for check in answer.json()["checks"]}
    assert answer.status_code == 422
    assert "AADSTS700027" in answer.json()["detail"]
    assert "CN=contoso-sync, thumbprint " in told["certificate"]
    assert check["ok"] is False, "the same key in another certificate is another certificate"


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        pytest.param(PUBLIC, "no private key", id="PEM without key"),
        pytest.param(key_pem(KEY), "no certificate", id="key alone"),
        pytest.param(
            key_pem(KEY) + certificate_pem(KEY, ends=NOW - timedelta(minutes=1)),
            "expired on",
            id="expired",
        ),
        pytest.param(
            key_pem(KEY) + certificate_pem(KEY, begins=NOW + timedelta(days=2)),
            "not valid before",
            id="not begun",
        ),
        pytest.param(key_pem(rsa_key()) + PUBLIC, "does not belong", id="another's key"),
        pytest.param(
            key_pem(KEY, password=b"geheim") + PUBLIC, "encrypted with a password", id="encrypted"
        ),
        pytest.param("MIIC...", "not a certificate in PEM format", id="something else"),
    ],
)
async def test_a_certificate_that_cannot_work_is_refused_before_anything_is_stored(
    *, admin: httpx.AsyncClient, connection_id: str, services: Services, pem: str, words: str
) -> None:
    credential = {"kind": "certificate", "certificate": pem}
    answer = await admin.post(
        "/api/connections", json=document(connection_id, credential=credential)
    )
    (error,) = answer.json()["errors"]

    assert (answer.status_code, paths(answer)) == (422, ["credential.certificate"])
    assert words in error["message"]
    assert await services.vault.find(f"{connection_id}-certificate") is None
    assert (await admin.get(url(connection_id))).status_code == 404


async def test_a_certificate_in_key_vault_can_be_named(
    admin: httpx.AsyncClient, connection_id: str, services: Services, emulator: GraphEmulator
) -> None:
    emulator.control.add_certificate(PUBLIC)
    name = f"uploaded-{connection_id}"
    credential = {"kind": "certificate", "secretName": name}
    body = document(connection_id, credential=credential)
    await services.vault.set(name, PUBLIC, content_type="application/x-pem-file")
    without_key = await admin.post("/api/connections", json=body)
    await services.vault.set(name, PEM, content_type="application/x-pem-file")
    created = await admin.post("/api/connections", json=body)

    assert paths(without_key) == ["credential.secretName"]
    assert "no private key" in without_key.json()["errors"][0]["message"]
    assert created.status_code == 201, created.text


async def test_no_secret_at_all_with_a_federated_credential(
    create: Create, connection_id: str, services: Services, emulator: GraphEmulator, rig: Rig
) -> None:
    trust_identity(rig, emulator)
    created = (await create(credential={"kind": "federated"})).json()
    checks = {check["name"]: check for check in created["verification"]["failing"]}

    assert (created["credential"]["secretName"], checks) == (None, {})
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_managed_identity_reads_its_own_tenant(
    create: Create, connection_id: str, services: Services, emulator: GraphEmulator, rig: Rig
) -> None:
    emulator.control.trust_identity(rig.identity.identity.public_key)
    before = rig.identity.identity.graph_roles
    rig.identity.identity.graph_roles = ["User.Read.All", "GroupMember.Read.All"]
    try:
        await create(credential={"kind": "managedIdentity"}, clientId=IDENTITY_CLIENT_ID)
        run = await run_now(services, connection_id)
    finally:
        rig.identity.identity.graph_roles = before

    assert run.status is RunStatus.SUCCEEDED


async def test_from_a_secret_to_none_and_back(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    rig: Rig,
) -> None:
    """Each step is checked before it counts, and what it replaces is disabled in Key Vault."""
    trust_identity(rig, emulator)
    emulator.control.add_certificate(PUBLIC)
    before = (await create(credential=SECRET | {"expiresOn": "2031-01-31"})).json()["credential"]
    steps: list[Json] = []
    for credential in (CERTIFICATE, {"kind": "federated"}, SECRET):
        answer = await admin.patch(url(connection_id), json={"credential": credential})
        assert answer.status_code == 200, answer.text
        steps.append(answer.json()["credential"])

    names = [step["secretName"] for step in steps]
    assert names == [f"{connection_id}-certificate", None, f"{connection_id}-client-secret"]
    assert steps[2]["expiresOn"] is None
    for old in (before, steps[0]):
        with pytest.raises(FixConnection, match="disabled"):
            await services.vault.get(old["secretName"], old["secretVersion"])
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_whole_new_document_keeps_a_certificate(
    admin: httpx.AsyncClient, create: Create, connection_id: str, emulator: GraphEmulator
) -> None:
    emulator.control.add_certificate(PUBLIC)
    before = (await create(credential=CERTIFICATE)).json()["credential"]
    body = document(connection_id)
    del body["credential"]
    kept = await admin.put(url(connection_id), json=body)
    other = await admin.put(url(connection_id), json=document(connection_id))

    assert kept.json()["credential"] == before
    assert other.json()["credential"]["kind"] == "clientSecret"
    assert other.json()["credential"]["secretName"] == f"{connection_id}-client-secret"
