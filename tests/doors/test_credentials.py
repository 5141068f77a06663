"""Four ways to prove the app, each through azure-identity against the rig."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken

from local.graph import GraphEmulator
from local.identity import EXCHANGE, IDENTITY_CLIENT_ID, IDENTITY_OBJECT_ID, ISSUER
from local.sample import (
    FABRIKAM_CLIENT_ID,
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    sample_group_id,
)
from sync_core.directory.client import GraphClient
from sync_core.directory.credentials import Application, FederatedCredential, GraphCredential
from sync_core.directory.requests import one_group
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection
from sync_core.services import Services
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.system import Rig, connection


class Signing:
    """An identity that gives out these tokens, one after the other, and keeps none."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self.asked: list[str] = []

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        self.asked += scopes
        return AccessToken(self._tokens.pop(0), 0)

    async def close(self) -> None:
        """Nothing is open."""


SCOPE = CLOUDS[CloudName.PUBLIC].graph_scope
TEXT = "text/plain"


def trust_the_identity(rig: Rig, emulator: GraphEmulator, **app: str) -> None:
    """Register the rig's managed identity as an app's federated credential, to the letter."""
    emulator.control.add_federated_credential(
        issuer=ISSUER,
        subject=IDENTITY_OBJECT_ID,
        audience=EXCHANGE,
        public_key=rig.identity.identity.public_key,
        **app,
    )


def federated(connection_id: str, **changes: object) -> Connection:
    return connection(connection_id, credential={"kind": "federated"}, **changes)


def by_identity(connection_id: str, **changes: object) -> Connection:
    return connection(
        connection_id,
        credential={"kind": "managedIdentity"},
        **({"clientId": IDENTITY_CLIENT_ID} | changes),
    )


@contextmanager
def only_roles(rig: Rig, *roles: str) -> Iterator[None]:
    """Let the rig's identity have these permissions for a while."""
    before = rig.identity.identity.graph_roles
    rig.identity.identity.graph_roles = list(roles)
    yield
    rig.identity.identity.graph_roles = before


async def group_name(client: GraphClient, group_id: str = SAMPLE_GROUP_ID) -> str:
    answer = await client.get(one_group(client.sdk, group_id), needs="Group.Read.All")
    return str(answer["displayName"])


def token_requests(emulator: GraphEmulator) -> int:
    return sum(request.path.endswith("/token") for request in emulator.requests)


# --- client secret ----------------------------------------------------------------------------------


async def test_a_client_secret_opens_the_directory(services: Services, connection_id: str) -> None:
    await services.vault.set(
        f"{connection_id}-client-secret", SAMPLE_CLIENT_SECRET, content_type=TEXT
    )

    async with services.directory.open(connection(connection_id)) as client:
        assert await group_name(client) == "App users"


async def test_the_pinned_version_is_used_and_not_the_latest(
    services: Services, connection_id: str
) -> None:
    """A secret that was stored for a save which then failed is never picked up."""
    name = f"{connection_id}-client-secret"
    pinned = await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type=TEXT)
    await services.vault.set(name, "a newer one that nobody checked", content_type=TEXT)
    credential = {"secretName": name, "secretVersion": pinned}

    async with services.directory.open(connection(connection_id, credential=credential)) as client:
        assert await group_name(client) == "App users"


async def test_a_line_break_after_the_secret_does_no_harm(
    services: Services, connection_id: str
) -> None:
    """`az keyvault secret set --file` stores what an editor put at the end of the file."""
    await services.vault.set(
        f"{connection_id}-client-secret", f"{SAMPLE_CLIENT_SECRET}\n", content_type=TEXT
    )

    async with services.directory.open(connection(connection_id)) as client:
        assert await group_name(client) == "App users"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(" ", "credential.empty", id="empty"),
        pytest.param(None, "vault.secretMissing", id="missing"),
    ],
)
async def test_without_a_secret_nothing_is_asked(
    services: Services, emulator: GraphEmulator, connection_id: str, value: str | None, code: str
) -> None:
    if value is not None:
        await services.vault.set(f"{connection_id}-client-secret", value, content_type=TEXT)

    with pytest.raises(FixConnection) as refused:
        async with services.directory.open(connection(connection_id)):
            pass

    assert refused.value.code == code
    assert emulator.requests == []


# --- certificate ------------------------------------------------------------------------------------


async def test_a_certificate_from_key_vault_opens_the_directory(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    key = rsa_key()
    certificate = certificate_pem(key)
    emulator.control.add_certificate(certificate)
    await services.vault.set("app-certificate", key_pem(key) + certificate, content_type=TEXT)
    credential = {"kind": "certificate", "secretName": "app-certificate"}

    async with services.directory.open(connection(connection_id, credential=credential)) as client:
        assert await group_name(client) == "App users"


async def test_a_chain_before_the_certificate_does_no_harm(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """azure-identity would take the first certificate of the text for the key's own."""
    key = rsa_key()
    certificate, issuer = certificate_pem(key), certificate_pem(rsa_key(), name="issuer")
    emulator.control.add_certificate(certificate)
    pem = issuer + certificate + key_pem(key)
    await services.vault.set("app-chain", pem, content_type=TEXT)
    credential = {"kind": "certificate", "secretName": "app-chain"}

    async with services.directory.open(connection(connection_id, credential=credential)) as client:
        assert await group_name(client) == "App users"


async def test_an_unusable_certificate_is_refused_before_entra_is_asked(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    await services.vault.set("no-key", certificate_pem(rsa_key()), content_type=TEXT)
    credential = {"kind": "certificate", "secretName": "no-key"}

    with pytest.raises(FixConnection) as refused:
        async with services.directory.open(connection(connection_id, credential=credential)):
            pass

    assert refused.value.code == "certificate.noKey"
    assert emulator.requests == []


# --- federated: the app's identity signs for the customer's app -------------------------------------


async def test_the_identity_signs_for_the_app_registration(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """No secret anywhere: not in Key Vault, not in the connection."""
    trust_the_identity(rig, emulator)

    async with services.directory.open(federated(connection_id)) as client:
        assert await group_name(client) == "App users"


async def test_the_identity_signs_for_an_app_in_another_tenant(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    trust_the_identity(rig, emulator, app=FABRIKAM_CLIENT_ID)
    abroad = federated(connection_id, tenantId=FABRIKAM_TENANT_ID, clientId=FABRIKAM_CLIENT_ID)

    async with services.directory.open(abroad) as client:
        assert await group_name(client, sample_group_id(0, FABRIKAM_TENANT_ID)) == "App users"


async def test_every_token_is_asked_for_with_a_fresh_assertion(
    rig: Rig, emulator: GraphEmulator
) -> None:
    """An assertion lives for a day; a worker for longer. The first one here has expired."""
    trust_the_identity(rig, emulator)
    expired = rig.identity.identity.token(EXCHANGE, lifetime_s=-3600)
    identity = Signing([expired, rig.identity.identity.token(EXCHANGE)])
    options = {"authority": emulator.authority_url, "disable_instance_discovery": True}
    app = Application(SAMPLE_TENANT_ID, SAMPLE_CLIENT_ID, options)
    credential = GraphCredential(lambda: FederatedCredential(identity, EXCHANGE, app))

    with pytest.raises(FixConnection) as refused:
        await credential.get_token(SCOPE)
    token = await credential.get_token(SCOPE)
    await credential.close()

    assert refused.value.code == "credential.clockWrong"
    assert token.token
    assert identity.asked == [f"{EXCHANGE}/.default"] * 2


# --- managed identity -------------------------------------------------------------------------------


async def test_the_identity_reads_its_own_tenant(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.trust_identity(rig.identity.identity.public_key)

    async with services.directory.open(by_identity(connection_id)) as client:
        assert await group_name(client) == "App users"
        assert token_requests(emulator) == 0


async def test_graph_refuses_an_identity_without_permission(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.trust_identity(rig.identity.identity.public_key)

    with only_roles(rig):
        async with services.directory.open(by_identity(connection_id)) as client:
            with pytest.raises(FixConnection) as refused:
                await group_name(client)

    assert refused.value.code == "graph.permissionMissing"


async def test_an_identity_that_the_app_does_not_have_is_named(
    services: Services, connection_id: str
) -> None:
    stranger = "99999999-9999-4999-8999-999999999999"

    async with services.directory.open(by_identity(connection_id, clientId=stranger)) as client:
        with pytest.raises(FixConnection) as refused:
            await group_name(client)

    assert refused.value.code == "credential.identityUnavailable"
    assert stranger in refused.value.message


@pytest.mark.parametrize("kind", ["federated", "managedIdentity"])
async def test_without_an_identity_the_setting_is_named(
    services: Services, connection_id: str, kind: str
) -> None:
    settings = replace(services.settings, has_managed_identity=False)
    directory = replace(services.directory, settings=settings)

    with pytest.raises(FixConnection) as refused:
        async with directory.open(connection(connection_id, credential={"kind": kind})):
            pass

    assert refused.value.code == "credential.identityMissing"
    assert "AZURE_CLIENT_ID" in refused.value.remedy


# --- renewing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clientSecret", "certificate", "federated", "managedIdentity"])
async def test_a_renewed_credential_gets_a_new_token(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str, kind: str
) -> None:
    """A cached token outlives a granted or revoked consent; renewing throws it away."""
    chosen = await prepared(rig, services, emulator, connection_id, kind)
    async with services.directory.open(chosen) as client:
        before = await client.credential.get_token(SCOPE)
        cached = await client.credential.get_token(SCOPE)
        await client.credential.renew()
        with only_roles(rig, "User.Read.All"):  # the identity's token differs by these
            after = await client.credential.get_token(SCOPE)

    assert cached.token == before.token
    assert after.token != before.token


async def prepared(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str, kind: str
) -> Connection:
    """Make everything ready for a connection of one kind."""
    if kind == "managedIdentity":
        emulator.control.trust_identity(rig.identity.identity.public_key)
        return by_identity(connection_id)
    if kind == "federated":
        trust_the_identity(rig, emulator)
        return federated(connection_id)
    secret = SAMPLE_CLIENT_SECRET
    if kind == "certificate":
        key = rsa_key()
        certificate = certificate_pem(key)
        emulator.control.add_certificate(certificate)
        secret = key_pem(key) + certificate
    name = f"{connection_id}-{kind}"
    await services.vault.set(name, secret, content_type=TEXT)
    return connection(connection_id, credential={"kind": kind, "secretName": name})


# --- clouds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cloud", "login", "exchange"),
    [
        ("public", "https://login.microsoftonline.com", "api://AzureADTokenExchange"),
        ("usGov", "https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("usGovDoD", "https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("china", "https://login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
    ],
)
async def test_every_cloud_has_its_login_and_its_exchange(
    services: Services, connection_id: str, cloud: str, login: str, exchange: str
) -> None:
    """As the pages of Entra list them; the hosts come from the connection, not from the app."""
    settings = replace(services.settings, authority_host=None)
    directory = replace(services.directory, settings=settings)

    authority = directory._authority(connection(connection_id, cloud=cloud))

    assert authority["authority"] == login
    assert authority["disable_instance_discovery"] is False
    assert CLOUDS[CloudName(cloud)].exchange == exchange
