"""The vault of the rig, through the client library that the program uses."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceResponseTimeoutError,
)
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.identity import IDENTITY_CLIENT_ID, IdentityInThread
from local.tls import TlsFiles
from local.vault import RESOURCE, VaultInThread

NEXT_YEAR = dt.datetime(2030, 1, 31, tzinfo=dt.UTC)


@pytest.fixture
def vault(tls: TlsFiles) -> Iterator[VaultInThread]:
    with VaultInThread(tls) as vault:
        yield vault


@pytest.fixture
async def client(
    vault: VaultInThread,
    identity: IdentityInThread,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[SecretClient]:
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)
    async with (
        ManagedIdentityCredential(client_id=IDENTITY_CLIENT_ID) as credential,
        SecretClient(
            vault.url, credential, verify_challenge_resource=False, retry_total=0
        ) as client,
    ):
        yield client
    # TLS connections need a moment of the loop to close:
    # https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
    await asyncio.sleep(0.05)


def raw(vault: VaultInThread, tls: TlsFiles) -> httpx.Client:
    """A client that knows nothing of Key Vault, to send what the library would not."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    return httpx.Client(base_url=vault.url, verify=context)


async def test_a_secret_is_read_back_with_what_was_said_about_it(client: SecretClient) -> None:
    await client.set_secret(
        "app-secret", "s3cret", content_type="text/plain", tags={"for": "a"}, expires_on=NEXT_YEAR
    )
    read = await client.get_secret("app-secret")

    assert read.value == "s3cret"
    assert read.properties.content_type == "text/plain"
    assert read.properties.tags == {"for": "a"}
    assert read.properties.expires_on == NEXT_YEAR
    assert read.properties.enabled is True


async def test_every_version_stays_readable(client: SecretClient) -> None:
    """Rotation: a run under way goes on with the version it started with."""
    first = await client.set_secret("rotated", "old")
    await client.set_secret("rotated", "new")
    versions = [p.version async for p in client.list_properties_of_secret_versions("rotated")]

    assert (await client.get_secret("rotated")).value == "new"
    assert (await client.get_secret("rotated", first.properties.version)).value == "old"
    assert len(versions) == 2


async def test_lists_go_on_after_the_first_page(client: SecretClient) -> None:
    names = [f"secret-{number:02}" for number in range(26)]
    for name in names:
        await client.set_secret(name, "x")

    assert [p.name async for p in client.list_properties_of_secrets()] == names


async def test_names_have_no_case(client: SecretClient) -> None:
    await client.set_secret("Mixed-Case", "x")

    assert (await client.get_secret("mixed-case")).value == "x"


async def test_attributes_change_without_a_new_version(client: SecretClient) -> None:
    before = await client.set_secret("kept", "x", tags={"a": "1"})
    after = await client.update_secret_properties("kept", expires_on=NEXT_YEAR)

    assert after.version == before.properties.version
    assert after.expires_on == NEXT_YEAR
    assert after.tags == {"a": "1"}


async def test_a_disabled_secret_cannot_be_read(client: SecretClient) -> None:
    await client.set_secret("off", "x")
    await client.update_secret_properties("off", enabled=False)

    with pytest.raises(HttpResponseError, match="not allowed on a disabled secret") as caught:
        await client.get_secret("off")

    assert caught.value.status_code == 403


async def test_a_deleted_secret_blocks_its_name_until_recovered_or_purged(
    client: SecretClient,
) -> None:
    await client.set_secret("gone", "x")
    await client.delete_secret("gone")

    with pytest.raises(ResourceNotFoundError):
        await client.get_secret("gone")
    with pytest.raises(ResourceExistsError, match="deleted but recoverable"):
        await client.set_secret("gone", "y")

    assert [s.name async for s in client.list_deleted_secrets()] == ["gone"]


async def test_a_recovered_secret_has_its_value_again(client: SecretClient) -> None:
    await client.set_secret("back", "x")
    await client.delete_secret("back")
    await client.recover_deleted_secret("back")

    assert (await client.get_secret("back")).value == "x"


async def test_a_purged_name_is_free(client: SecretClient) -> None:
    await client.set_secret("purged", "x")
    await client.delete_secret("purged")
    await client.purge_deleted_secret("purged")
    await client.set_secret("purged", "y")
    versions = [p.version async for p in client.list_properties_of_secret_versions("purged")]

    assert len(versions) == 1


async def test_a_secret_that_never_was_is_not_found(client: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        await client.get_secret("never")

    assert caught.value.error is not None
    assert caught.value.error.code == "SecretNotFound"


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        pytest.param("a", True, id="one letter"),
        pytest.param("A-0", True, id="letters, digits, dash"),
        pytest.param("n" * 127, True, id="longest"),
        pytest.param("n" * 128, False, id="one too long"),
        pytest.param("under_score", False, id="underscore"),
        pytest.param("do.t", False, id="dot"),
    ],
)
async def test_names(client: SecretClient, name: str, accepted: bool) -> None:
    if accepted:
        assert (await client.set_secret(name, "x")).name == name
    else:
        with pytest.raises(HttpResponseError, match="invalid name") as caught:
            await client.set_secret(name, "x")

        assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("size", "accepted"),
    [pytest.param(25 * 1024, True, id="25 KiB"), pytest.param(25 * 1024 + 1, False, id="one more")],
)
async def test_size_of_a_value(client: SecretClient, size: int, accepted: bool) -> None:
    """A certificate with a long chain has to fit."""
    if accepted:
        assert (await client.set_secret("large", "v" * size)).name == "large"
    else:
        with pytest.raises(HttpResponseError, match="limited to"):
            await client.set_secret("large", "v" * size)


@pytest.mark.parametrize(
    ("audience", "lifetime_s", "message"),
    [
        pytest.param("https://graph.microsoft.com", 60, "AKV10022", id="for another service"),
        pytest.param(RESOURCE, -60, "AKV10001", id="expired"),
    ],
)
def test_tokens_that_do_not_open_it(
    *,
    vault: VaultInThread,
    identity: IdentityInThread,
    tls: TlsFiles,
    audience: str,
    lifetime_s: int,
    message: str,
) -> None:
    token = identity.identity.token(audience, lifetime_s)
    with raw(vault, tls) as http:
        answer = http.get("/secrets?api-version=7.5", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert message in answer.json()["error"]["message"]


def test_without_a_token_it_says_where_to_get_one(vault: VaultInThread, tls: TlsFiles) -> None:
    with raw(vault, tls) as http:
        answer = http.get("/secrets/x?api-version=7.5")

    assert answer.status_code == 401
    assert f'resource="{RESOURCE}"' in answer.headers["WWW-Authenticate"]


def test_the_api_version_is_required(
    vault: VaultInThread, identity: IdentityInThread, tls: TlsFiles
) -> None:
    token = identity.identity.token(RESOURCE)
    with raw(vault, tls) as http:
        answer = http.get("/secrets", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param({"down": True}, 503, id="down"),
        pytest.param({"throttled": True}, 429, id="throttled"),
        pytest.param({"forbidden": True}, 403, id="forbidden"),
    ],
)
async def test_faults_start_and_end_by_the_control_api(
    client: SecretClient,
    vault: VaultInThread,
    tls: TlsFiles,
    fault: dict[str, bool],
    status: int,
) -> None:
    await client.set_secret("wanted", "x")
    with raw(vault, tls) as http:
        http.put("/_control/faults", json=fault).raise_for_status()
        with pytest.raises(HttpResponseError) as caught:
            await client.get_secret("wanted")
        http.delete("/_control/faults").raise_for_status()

    assert caught.value.status_code == status
    assert (await client.get_secret("wanted")).value == "x"


def test_a_fault_nobody_knows_is_refused(vault: VaultInThread, tls: TlsFiles) -> None:
    """A misspelt fault would make a test green that tests nothing."""
    with raw(vault, tls) as http:
        answer = http.put("/_control/faults", json={"dwon": True})

    assert answer.status_code == 400


async def test_a_slow_vault_is_one_that_clients_give_up_on(
    client: SecretClient, vault: VaultInThread
) -> None:
    await client.set_secret("slow", "x")
    vault.faults.slow_seconds = 1

    with pytest.raises(ServiceResponseTimeoutError):
        await client.get_secret("slow", read_timeout=0.2)


def test_secrets_survive_a_restart(tls: TlsFiles, tmp_path: Path) -> None:
    file = tmp_path / "vault.json"
    with VaultInThread(tls, file) as vault:
        vault.secrets.set("kept", {"value": "x", "tags": {"a": "1"}})
        vault.secrets.set("deleted", {"value": "x"})
        vault.secrets.delete("deleted")
    with VaultInThread(tls, file) as vault:
        _, version = vault.secrets.get("kept")

        assert (version.value, version.tags) == ("x", {"a": "1"})
        assert vault.secrets.gone("deleted").latest.value == "x"
    assert file.stat().st_mode & 0o077 == 0


async def test_an_unknown_identity_gets_no_token(
    client: SecretClient, identity: IdentityInThread
) -> None:
    async with ManagedIdentityCredential(client_id="11111111-0000-0000-0000-000000000000") as wrong:
        with pytest.raises(ClientAuthenticationError):
            await wrong.get_token(f"{RESOURCE}/.default")


def test_a_process_without_the_header_gets_no_token(identity: IdentityInThread) -> None:
    url = identity.environment["IDENTITY_ENDPOINT"]
    answer = httpx.get(url, params={"resource": RESOURCE, "api-version": "2019-08-01"})

    assert answer.status_code == 401


def test_others_can_check_a_token_for_the_exchange(identity: IdentityInThread) -> None:
    """A federated credential names issuer and subject; its signature is checked against /keys."""
    url = identity.environment["IDENTITY_ENDPOINT"].replace("/msi/token", "/keys")
    token = identity.identity.token("api://AzureADTokenExchange")
    key = jwt.PyJWK(json.loads(httpx.get(url).text)["keys"][0])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="api://AzureADTokenExchange")

    assert claims["iss"].endswith("/v2.0")
    assert claims["sub"] == claims["oid"]
