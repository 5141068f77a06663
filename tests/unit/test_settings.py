"""Environment in, settings out: every name, every problem at once, and no secret in sight."""

import pytest

from sync_core.domain.errors import FixSettings
from sync_core.settings import DEVELOPMENT_STORAGE, Settings, StorageAccess

HOST = "DefaultEndpointsProtocol=https;AccountName=host;AccountKey=hush=="
DATA = "DefaultEndpointsProtocol=https;AccountName=data;AccountKey=hush=="
LEAST = {
    "AzureWebJobsStorage": HOST,
    "KEY_VAULT_URL": "https://kv.vault.azure.net/",
    "PUBLIC_BASE_URL": "https://sync.contoso.com/",
}


def settings(**changes: str | None) -> Settings:
    """Read the least that is needed, with some names changed or, if None, taken away."""
    env = LEAST | {name: value for name, value in changes.items() if value is not None}
    return Settings.from_env(
        {
            name: value
            for name, value in env.items()
            if name not in changes or changes[name] is not None
        }
    )


def problems(**changes: str | None) -> tuple[str, ...]:
    with pytest.raises(FixSettings) as caught:
        settings(**changes)
    return caught.value.problems


def test_the_least_that_is_needed() -> None:
    assert settings() == Settings(
        queues=StorageAccess(connection_string=HOST),
        tables=StorageAccess(connection_string=HOST),
        key_vault_url="https://kv.vault.azure.net",
        public_base_url="https://sync.contoso.com",
    )


def test_everything_wrong_is_said_at_once() -> None:
    assert problems(
        AzureWebJobsStorage=None,
        KEY_VAULT_URL=None,
        PUBLIC_BASE_URL=None,
        GRAPH_ENDPOINT="http://graph",
        AZURE_AUTHORITY_HOST="ftp://login",
        SYNC_TABLES="nonsense",
        SYNC_LOCAL_ADMIN_TOKEN="x",
        WEBSITE_INSTANCE_ID="1",
    ) == (
        "SYNC_TABLES is not a connection string of a storage account",
        "AzureWebJobsStorage is missing (or AzureWebJobsStorage__accountName)",
        "KEY_VAULT_URL is missing",
        "PUBLIC_BASE_URL is missing (and so is WEBSITE_HOSTNAME)",
        "GRAPH_ENDPOINT must be an https address",
        "AZURE_AUTHORITY_HOST must be an https address",
        "SYNC_LOCAL_ADMIN_TOKEN is for the local rig only and must not be set in Azure",
    )


def test_an_empty_environment_names_what_is_required() -> None:
    with pytest.raises(FixSettings) as caught:
        Settings.from_env({})

    assert [problem.split()[0] for problem in caught.value.problems] == [
        "AzureWebJobsStorage",
        "KEY_VAULT_URL",
        "PUBLIC_BASE_URL",
    ]


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_setting_is_none(blank: str) -> None:
    """A template that leaves an optional one empty does not break the app."""
    assert settings(SYNC_TABLES=blank, GRAPH_ENDPOINT=blank, AZURE_CLIENT_ID=blank) == settings()
    assert problems(KEY_VAULT_URL=blank) == ("KEY_VAULT_URL is missing",)


# --- storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "queues", "tables"),
    [
        pytest.param(
            {"AzureWebJobsStorage__accountName": "host"},
            "https://host.queue.core.windows.net",
            "https://host.table.core.windows.net",
            id="account name",
        ),
        pytest.param(
            {
                "AzureWebJobsStorage__queueServiceUri": "https://q.example/",
                "AzureWebJobsStorage__tableServiceUri": "https://t.example/",
            },
            "https://q.example",
            "https://t.example",
            id="addresses, for other clouds and own names",
        ),
        pytest.param(
            {
                "AzureWebJobsStorage__accountName": "host",
                "AzureWebJobsStorage__queueServiceUri": "https://q.example",
            },
            "https://q.example",
            "https://host.table.core.windows.net",
            id="an address goes before the name",
        ),
        pytest.param(
            {
                "AzureWebJobsStorage__accountName": "host",
                "SYNC_TABLES__tableServiceUri": "https://data.table.core.windows.net",
            },
            "https://host.queue.core.windows.net",
            "https://data.table.core.windows.net",
            id="tables apart",
        ),
        pytest.param(
            {"AzureWebJobsStorage__accountName": "host", "SYNC_TABLES__accountName": "data"},
            "https://host.queue.core.windows.net",
            "https://data.table.core.windows.net",
            id="tables apart, by account name",
        ),
    ],
)
def test_storage_by_identity(env: dict[str, str], queues: str, tables: str) -> None:
    read = settings(AzureWebJobsStorage=None, **env)

    assert read.queues == StorageAccess(service_url=queues)
    assert read.tables == StorageAccess(service_url=tables)


@pytest.mark.parametrize(
    ("env", "queues", "tables"),
    [
        pytest.param({}, HOST, HOST, id="one for both"),
        pytest.param({"SYNC_TABLES": DATA}, HOST, DATA, id="tables apart"),
        pytest.param(
            {"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
            DEVELOPMENT_STORAGE,
            DEVELOPMENT_STORAGE,
            id="emulator",
        ),
        pytest.param(
            {"AzureWebJobsStorage": "UseDevelopmentStorage=true;", "SYNC_TABLES": DATA},
            DEVELOPMENT_STORAGE,
            DATA,
            id="emulator, with a semicolon",
        ),
        pytest.param(
            {"SYNC_TABLES": "TableEndpoint=https://x;SharedAccessSignature=sv=1"},
            HOST,
            "TableEndpoint=https://x;SharedAccessSignature=sv=1",
            id="shared access signature",
        ),
        pytest.param(
            {"AzureWebJobsStorage__accountName": "other"}, HOST, HOST, id="the string goes first"
        ),
    ],
)
def test_storage_by_connection_string(env: dict[str, str], queues: str, tables: str) -> None:
    read = settings(**env)

    assert read.queues == StorageAccess(connection_string=queues)
    assert read.tables == StorageAccess(connection_string=tables)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        pytest.param(
            {"AzureWebJobsStorage": "hush"},
            "AzureWebJobsStorage is not a connection string of a storage account",
            id="no connection string",
        ),
        pytest.param(
            {"SYNC_TABLES": "AccountName=x"},
            "SYNC_TABLES is not a connection string of a storage account",
            id="no key",
        ),
        pytest.param(
            {
                "AzureWebJobsStorage": None,
                "AzureWebJobsStorage__queueServiceUri": "https://q.example",
            },
            "SYNC_TABLES is missing (or SYNC_TABLES__tableServiceUri)",
            id="queues alone",
        ),
        pytest.param(
            {"SYNC_TABLES__tableServiceUri": "http://t.example"},
            "SYNC_TABLES__tableServiceUri must be an https address",
            id="no TLS",
        ),
        pytest.param(
            {"AzureWebJobsStorage": None, "AzureWebJobsStorage__queueServiceUri": "queue"},
            "AzureWebJobsStorage__queueServiceUri must be an https address",
            id="no address",
        ),
    ],
)
def test_storage_that_cannot_be_reached(env: dict[str, str | None], problem: str) -> None:
    assert problem in problems(**env)


def test_tables_alone_are_not_enough() -> None:
    assert problems(AzureWebJobsStorage=None, SYNC_TABLES=DATA) == (
        "AzureWebJobsStorage is missing (or AzureWebJobsStorage__accountName)",
    )


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["KEY_VAULT_URL", "GRAPH_ENDPOINT", "AZURE_AUTHORITY_HOST"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("http://host.example", id="no TLS"),
        pytest.param("http://localhost:8080", id="no TLS on loopback"),
        pytest.param("ftp://host.example", id="another scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://[::1", id="broken"),
    ],
)
def test_addresses_must_be_https(name: str, value: str) -> None:
    assert problems(**{name: value}) == (f"{name} must be an https address",)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param("https://graph.microsoft.us", "https://graph.microsoft.us", id="host"),
        pytest.param("https://localhost:8443/", "https://localhost:8443", id="emulator"),
        pytest.param("https://graph.microsoft.us/v1.0", "https://graph.microsoft.us", id="version"),
        pytest.param("https://graph.microsoft.us/v1.0/", "https://graph.microsoft.us", id="slash"),
        pytest.param(None, None, id="not set"),
    ],
)
def test_graph_endpoint(value: str | None, read: str | None) -> None:
    assert settings(GRAPH_ENDPOINT=value).graph_endpoint == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param("https://localhost:8444/", "https://localhost:8444", id="address"),
        pytest.param(
            "login.microsoftonline.us",
            "https://login.microsoftonline.us",
            id="host, as azure-identity takes it",
        ),
        pytest.param(None, None, id="not set"),
    ],
)
def test_authority_host(value: str | None, read: str | None) -> None:
    assert settings(AZURE_AUTHORITY_HOST=value).authority_host == read


@pytest.mark.parametrize(
    ("env", "url"),
    [
        pytest.param({}, "https://sync.contoso.com", id="https"),
        pytest.param(
            {"PUBLIC_BASE_URL": "http://localhost:7071"}, "http://localhost:7071", id="localhost"
        ),
        pytest.param(
            {"PUBLIC_BASE_URL": "http://127.0.0.1:7071/"}, "http://127.0.0.1:7071", id="IPv4"
        ),
        pytest.param({"PUBLIC_BASE_URL": "http://[::1]:7071"}, "http://[::1]:7071", id="IPv6"),
        pytest.param(
            {"PUBLIC_BASE_URL": None, "WEBSITE_HOSTNAME": "x.azurewebsites.net"},
            "https://x.azurewebsites.net",
            id="from the host's name",
        ),
        pytest.param(
            {"WEBSITE_HOSTNAME": "x.azurewebsites.net"}, "https://sync.contoso.com", id="both"
        ),
    ],
)
def test_public_address(env: dict[str, str | None], url: str) -> None:
    assert settings(**env).public_base_url == url


@pytest.mark.parametrize("value", ["http://sync.contoso.com", "sync.contoso.com", "https://"])
def test_a_public_address_that_graph_cannot_call(value: str) -> None:
    assert problems(PUBLIC_BASE_URL=value) == (
        "PUBLIC_BASE_URL must be an https address (http only on loopback)",
    )


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("https://kv.vault.azure.net", False),
        ("https://localhost:8445", True),
        ("https://127.0.0.1:8445", True),
        ("https://[::1]:8445", True),
        ("https://localhost.contoso.com", False),
    ],
)
def test_an_emulated_vault_is_known_by_its_host(url: str, local: bool) -> None:
    assert settings(KEY_VAULT_URL=url).vault_is_local is local


# --- identity and tokens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "client_id"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"AZURE_CLIENT_ID": " a "}, "a", id="the app's"),
        pytest.param({"AzureWebJobsStorage__clientId": "b"}, "b", id="the host storage's"),
        pytest.param(
            {"AZURE_CLIENT_ID": "a", "AzureWebJobsStorage__clientId": "b"}, "a", id="both"
        ),
    ],
)
def test_user_assigned_identity(env: dict[str, str], client_id: str | None) -> None:
    assert settings(**env).identity_client_id == client_id


@pytest.mark.parametrize(("value", "there"), [(None, False), ("http://127.0.0.1:41/msi", True)])
def test_managed_identity(value: str | None, there: bool) -> None:
    assert settings(IDENTITY_ENDPOINT=value).has_managed_identity is there


@pytest.mark.parametrize(
    ("value", "on"), [("True", True), ("true", True), ("False", False), (None, False), ("1", False)]
)
def test_app_service_authentication(value: str | None, on: bool) -> None:
    assert settings(WEBSITE_AUTH_ENABLED=value).has_app_service_auth is on


def test_local_tokens() -> None:
    read = settings(SYNC_LOCAL_ADMIN_TOKEN="one", SYNC_LOCAL_READER_TOKEN="two")

    assert (read.local_admin_token, read.local_reader_token) == ("one", "two")


@pytest.mark.parametrize("name", ["SYNC_LOCAL_ADMIN_TOKEN", "SYNC_LOCAL_READER_TOKEN"])
@pytest.mark.parametrize(
    "platform",
    [
        pytest.param("WEBSITE_INSTANCE_ID", id="App Service"),
        pytest.param("WEBSITE_POD_NAME", id="Flex Consumption"),
        pytest.param("WEBSITE_SITE_NAME", id="every plan"),
        pytest.param("MANAGED_ENVIRONMENT", id="Container Apps"),
    ],
)
def test_no_plan_of_azure_starts_with_a_fixed_token(name: str, platform: str) -> None:
    """It would be a back door; not every plan sets the same names."""
    problem = f"{name} is for the local rig only and must not be set in Azure"

    assert problems(**{name: "hush", platform: "x"}) == (problem,)
    assert settings(**{platform: "x"}) == settings()


# --- secrets --------------------------------------------------------------------------------------


def test_secrets_are_not_printed() -> None:
    printed = repr(
        settings(SYNC_TABLES=DATA, SYNC_LOCAL_ADMIN_TOKEN="hush", SYNC_LOCAL_READER_TOKEN="hush")
    )

    assert "hush" not in printed
    assert "https://kv.vault.azure.net" in printed


@pytest.mark.parametrize(
    "name",
    [
        "AzureWebJobsStorage",
        "AzureWebJobsStorage__queueServiceUri",
        "SYNC_TABLES",
        "SYNC_TABLES__tableServiceUri",
        "KEY_VAULT_URL",
        "PUBLIC_BASE_URL",
        "GRAPH_ENDPOINT",
        "AZURE_AUTHORITY_HOST",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(name: str) -> None:
    """People paste connection strings where an address belongs; the problem goes to the log."""
    misplaced = {"AzureWebJobsStorage": None, name: "AccountName=x;Key=hush://hush"}

    assert "hush" not in str(problems(**misplaced))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, set(), id="none"),
        pytest.param("", set(), id="empty"),
        pytest.param(
            "117EA2E0-6B1F-4D5C-9E2A-7C8D9F0A1B04",
            {"117ea2e0-6b1f-4d5c-9e2a-7c8d9f0a1b04"},
            id="one",
        ),
        pytest.param(
            "117ea2e0-6b1f-4d5c-9e2a-7c8d9f0a1b04, fab21ca0-7d42-4c9b-a5e1-3f0b8d2c6e02",
            {"117ea2e0-6b1f-4d5c-9e2a-7c8d9f0a1b04", "fab21ca0-7d42-4c9b-a5e1-3f0b8d2c6e02"},
            id="two",
        ),
    ],
)
def test_the_tenants_of_our_administrators(given: str | None, expected: set[str]) -> None:
    assert settings(ADMIN_TENANT_IDS=given).admin_tenant_ids == expected


def test_the_tenants_of_our_administrators_are_named_by_id() -> None:
    assert problems(ADMIN_TENANT_IDS="contoso.com") == (
        "ADMIN_TENANT_IDS must hold ids of tenants (GUIDs), with commas between them",
    )
