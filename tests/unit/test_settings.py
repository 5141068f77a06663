"""Environment in, settings out: every name, every problem at once, and no secret in sight."""

import pytest

from sync_core.domain.errors import FixSettings
from sync_core.settings import DEVELOPMENT_STORAGE, Settings, StorageAccess

HOST = "DefaultEndpointsProtocol=https;AccountName=host;AccountKey=hush=="
DATA = "DefaultEndpointsProtocol=https;AccountName=data;AccountKey=hush=="
TENANT = "11111111-2222-3333-4444-55555555555a"
OTHER_TENANT = "99999999-2222-3333-4444-55555555555a"
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
    ("vault", "suffix"),
    [
        pytest.param("https://kv.vault.azure.net", "core.windows.net", id="public"),
        pytest.param("https://kv.vault.usgovcloudapi.net", "core.usgovcloudapi.net", id="US"),
        pytest.param("https://KV.vault.azure.cn/", "core.chinacloudapi.cn", id="China"),
        pytest.param("https://localhost:8443", "core.windows.net", id="an emulated vault"),
    ],
)
def test_an_account_name_is_an_address_of_the_cloud_of_the_vault(vault: str, suffix: str) -> None:
    names = {"AzureWebJobsStorage__accountName": "host", "SYNC_TABLES__accountName": "data"}

    read = settings(AzureWebJobsStorage=None, KEY_VAULT_URL=vault, **names)

    assert read.queues.service_url == f"https://host.queue.{suffix}"
    assert read.tables.service_url == f"https://data.table.{suffix}"


def test_an_account_name_is_not_enough_in_a_cloud_that_nobody_knows() -> None:
    changes = {"AzureWebJobsStorage": None, "KEY_VAULT_URL": "https://kv.vault.example"}
    by_name = {"AzureWebJobsStorage__accountName": "host"}
    by_address = {
        "AzureWebJobsStorage__queueServiceUri": "https://host.queue.example",
        "AzureWebJobsStorage__tableServiceUri": "https://host.table.example",
    }

    name = (
        "AzureWebJobsStorage__accountName is not enough in a cloud with the vault kv.vault.example"
    )
    assert problems(**changes, **by_name) == (
        f"{name}; set AzureWebJobsStorage__queueServiceUri",
        f"{name}; set AzureWebJobsStorage__tableServiceUri",
    )
    assert settings(**changes, **by_address).tables.service_url == "https://host.table.example"


def test_a_vault_without_an_address_is_told_once() -> None:
    """Not as an account without an address, too."""
    by_name = {"AzureWebJobsStorage": None, "AzureWebJobsStorage__accountName": "host"}

    assert problems(**by_name, KEY_VAULT_URL="https://[kv") == (
        "KEY_VAULT_URL must be an https address",
    )


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
    ],
)
def test_storage_by_connection_string(env: dict[str, str], queues: str, tables: str) -> None:
    read = settings(**env)

    assert read.queues == StorageAccess(connection_string=queues)
    assert read.tables == StorageAccess(connection_string=tables)


@pytest.mark.parametrize(
    ("env", "queues", "tables", "unused"),
    [
        pytest.param(
            {"AzureWebJobsStorage__accountName": "host"},
            StorageAccess(service_url="https://host.queue.core.windows.net"),
            StorageAccess(service_url="https://host.table.core.windows.net"),
            ["AzureWebJobsStorage"],
            id="the host's",
        ),
        pytest.param(
            {"SYNC_TABLES": DATA, "SYNC_TABLES__tableServiceUri": "https://t.example"},
            StorageAccess(connection_string=HOST),
            StorageAccess(service_url="https://t.example"),
            ["SYNC_TABLES"],
            id="the tables'",
        ),
        pytest.param(
            {
                "AzureWebJobsStorage__accountName": "host",
                "SYNC_TABLES": DATA,
                "SYNC_TABLES__accountName": "data",
            },
            StorageAccess(service_url="https://host.queue.core.windows.net"),
            StorageAccess(service_url="https://data.table.core.windows.net"),
            ["AzureWebJobsStorage", "SYNC_TABLES"],
            id="both",
        ),
    ],
)
def test_an_identity_goes_before_a_string_that_was_left_behind(
    env: dict[str, str], queues: StorageAccess, tables: StorageAccess, unused: list[str]
) -> None:
    """Shared keys are mostly off where identities are used: every call with one would be a 403."""
    read = settings(**env)

    assert (read.queues, read.tables) == (queues, tables)
    assert [warning.rpartition(" ")[2] for warning in read.warnings] == unused
    assert "hush" not in str(read.warnings)


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
    read = settings(WEBSITE_AUTH_ENABLED=value, WEBSITE_SITE_NAME="x", ADMIN_TENANT_IDS=TENANT)

    assert (read.has_app_service_auth, read.principal_is_checked) == (on, on)


def test_app_service_authentication_is_in_azure_only() -> None:
    """Elsewhere nobody takes a caller's own X-MS-CLIENT-PRINCIPAL away."""
    assert problems(WEBSITE_AUTH_ENABLED="true", ADMIN_TENANT_IDS=TENANT) == (
        "WEBSITE_AUTH_ENABLED is set by App Service and must not be set outside of Azure",
    )


@pytest.mark.parametrize(
    ("env", "somebody"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"WEBSITE_AUTH_ENABLED": "true", "WEBSITE_SITE_NAME": "x"}, True, id="Azure"),
        pytest.param({"SYNC_LOCAL_SIGN_IN": "true"}, True, id="rig"),
        pytest.param({"SYNC_LOCAL_READER_TOKEN": "x"}, True, id="a token"),
    ],
)
def test_whether_anybody_can_sign_in(env: dict[str, str], somebody: bool) -> None:
    assert settings(**env, ADMIN_TENANT_IDS=TENANT).somebody_can_sign_in is somebody


def test_the_scope_of_tokens_is_told_as_it_is() -> None:
    scope = "api://aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/user_impersonation"

    assert settings(ADMIN_API_SCOPE=scope).api_scope == scope
    assert settings(ADMIN_API_SCOPE="").api_scope is None


@pytest.mark.parametrize("value", ["one two", 'a"b', "a\\b", "a\r\nX: y", "ä"])
def test_a_scope_that_would_break_a_header_is_refused(value: str) -> None:
    assert problems(ADMIN_API_SCOPE=value) == (
        "ADMIN_API_SCOPE must be one scope, such as api://<client id>/user_impersonation",
    )


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"WEBSITE_AUTH_ENABLED": "True", "WEBSITE_SITE_NAME": "x"}, id="Azure"),
        pytest.param({"SYNC_LOCAL_SIGN_IN": "true"}, id="rig"),
    ],
)
def test_where_people_sign_in_the_tenants_that_are_believed_are_named(env: dict[str, str]) -> None:
    """Without them an app registration for several tenants would believe any of them."""
    assert problems(**env) == (
        "ADMIN_TENANT_IDS is missing: the tenants whose app roles are believed",
    )
    assert settings(**env, ADMIN_TENANT_IDS=TENANT).principal_is_checked


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        pytest.param(None, set(), id="none"),
        pytest.param(TENANT.upper(), {TENANT}, id="in any case"),
        pytest.param(f" {TENANT}, {OTHER_TENANT} ", {TENANT, OTHER_TENANT}, id="two"),
        pytest.param(f"{TENANT};{OTHER_TENANT}", {TENANT, OTHER_TENANT}, id="semicolon"),
    ],
)
def test_tenants_of_administrators(value: str | None, ids: set[str]) -> None:
    assert settings(ADMIN_TENANT_IDS=value).admin_tenant_ids == ids


@pytest.mark.parametrize("value", ["contoso.com", "*", f"{TENANT},common"])
def test_tenants_of_administrators_are_named_by_id(value: str) -> None:
    assert problems(ADMIN_TENANT_IDS=value) == (
        "ADMIN_TENANT_IDS must hold ids of tenants (GUIDs), with commas between them",
    )


def test_local_tokens() -> None:
    read = settings(SYNC_LOCAL_ADMIN_TOKEN="one", SYNC_LOCAL_READER_TOKEN="two")

    assert (read.local_admin_token, read.local_reader_token) == ("one", "two")


@pytest.mark.parametrize(
    "name", ["SYNC_LOCAL_ADMIN_TOKEN", "SYNC_LOCAL_READER_TOKEN", "SYNC_LOCAL_SIGN_IN"]
)
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


@pytest.mark.parametrize(("text", "days"), [(None, 400), ("", 400), ("8", 8), (" 90 ", 90)])
def test_histories_are_kept_for_so_many_days(text: str | None, days: int) -> None:
    assert settings(HISTORY_DAYS=text).history_days == days


@pytest.mark.parametrize("text", ["7", "0", "-1", "1.5", "for ever", "1000000"])
def test_days_that_are_none_or_too_few_for_the_guard(text: str) -> None:
    """The guard counts what happened within a week."""
    assert problems(HISTORY_DAYS=text) == ("HISTORY_DAYS must be a number of days, at least 8",)
