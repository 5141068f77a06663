"""Microsoft's own clients against the emulator, unchanged: azure-identity and msgraph-sdk."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential
from azure.identity.aio import ClientSecretCredential
from cryptography.hazmat.primitives import serialization
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph.generated.groups.item.transitive_members.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder,
)
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.users.count.count_request_builder import CountRequestBuilder
from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from local.graph import GraphEmulator
from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
)
from local.tls import TlsFiles
from tests.rig.graph.signer import Signer


@pytest.fixture
async def graph(
    emulator: GraphEmulator, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GraphServiceClient]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.bundle_file))
    async with credential(emulator, SAMPLE_CLIENT_SECRET) as found:
        provider = AzureIdentityAuthenticationProvider(
            found,
            scopes=["https://graph.microsoft.com/.default"],
            allowed_hosts=["localhost"],
        )
        async with httpx.AsyncClient() as http:
            adapter = GraphRequestAdapter(provider, http)
            adapter.base_url = f"{emulator.graph_url}/v1.0"
            yield GraphServiceClient(request_adapter=adapter)
    await let_tls_close()


async def let_tls_close() -> None:
    """Aiohttp returns before its TLS connections are closed: docs.aiohttp.org, "Graceful shutdown"."""
    await asyncio.sleep(0.1)


def credential(emulator: GraphEmulator, secret: str) -> ClientSecretCredential:
    return ClientSecretCredential(
        SAMPLE_TENANT_ID,
        SAMPLE_CLIENT_ID,
        secret,
        authority=emulator.authority_url,
        disable_instance_discovery=True,
    )


async def test_a_wrong_secret_reaches_the_caller_with_its_code(
    emulator: GraphEmulator, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.bundle_file))
    async with credential(emulator, "wrong") as found:
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            await found.get_token("https://graph.microsoft.com/.default")
    await let_tls_close()


def test_a_certificate_credential_signs_in(emulator: GraphEmulator, tls: TlsFiles) -> None:
    signer = Signer()
    emulator.control.add_certificate(signer.pem)
    key = signer.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with CertificateCredential(
        SAMPLE_TENANT_ID,
        SAMPLE_CLIENT_ID,
        certificate_data=key + signer.pem.encode(),
        authority=emulator.authority_url,
        disable_instance_discovery=True,
        connection_verify=str(tls.bundle_file),
    ) as found:
        token = found.get_token("https://graph.microsoft.com/.default")

    assert token.token


async def test_users_are_listed_and_links_followed(graph: GraphServiceClient) -> None:
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=["id"], top=20)
    page = await graph.users.get(RequestConfiguration(query_parameters=query))
    found = []
    while page is not None:
        found += page.value or []
        link = page.odata_next_link
        page = await graph.users.with_url(link).get() if link else None

    assert len(found) == 50


Query = TypeVar("Query")


def eventual(query: Query) -> RequestConfiguration[Query]:
    configuration = RequestConfiguration(query_parameters=query)
    configuration.headers.add("ConsistencyLevel", "eventual")
    return configuration


async def test_the_paths_that_the_sdk_builds_are_known(graph: GraphServiceClient) -> None:
    """`graph.user` and `delta()` are the SDK's spelling."""
    group = graph.groups.by_group_id(SAMPLE_GROUP_ID)
    members = await group.transitive_members.graph_user.get(
        eventual(
            GraphUserRequestBuilder.GraphUserRequestBuilderGetQueryParameters(
                count=True, select=["id"], top=999
            )
        )
    )
    delta = await graph.users.delta.get(
        RequestConfiguration(
            query_parameters=DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
                select=["id"]
            )
        )
    )
    count = await graph.users.count.get(
        eventual(CountRequestBuilder.CountRequestBuilderGetQueryParameters())
    )

    assert members is not None
    assert members.odata_count == len(members.value or [])
    assert delta is not None
    assert delta.odata_delta_link
    assert count == 50


async def test_errors_are_read_as_odata_errors(graph: GraphServiceClient) -> None:
    with pytest.raises(ODataError) as caught:
        await graph.organization.get()

    error = caught.value
    assert error.response_status_code == 403
    assert error.error is not None
    assert error.error.code == "Authorization_RequestDenied"
    with pytest.raises(ODataError) as refused:
        await graph.subscriptions.post(Subscription(resource="me/messages"))
    assert refused.value.response_status_code == 400
