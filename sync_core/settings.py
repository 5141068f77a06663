"""Environment in, one frozen `Settings` out: every problem is named at once, nothing else reads it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sync_core.domain.documents.base import GUID
from sync_core.domain.errors import FixSettings

# The emulator's well-known account, public by design:
# learn.microsoft.com/azure/storage/common/storage-connect-azurite
DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
# What the platform sets on its instances, and nobody's own container: App Service and Premium, Flex
# Consumption, every plan, Container Apps. github.com/Azure/azure-functions-host, EnvironmentExtensions.cs
SET_IN_AZURE = (
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_POD_NAME",
    "WEBSITE_SITE_NAME",
    "MANAGED_ENVIRONMENT",
)
# Where the storage of a cloud is, by where its vaults are: a vault's address is always there, and says which
# cloud this is. learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure and
# learn.microsoft.com/azure/china/resources-developer-guide
STORAGE_OF_CLOUD = {
    "vault.azure.net": "core.windows.net",
    "vault.usgovcloudapi.net": "core.usgovcloudapi.net",
    "vault.azure.cn": "core.chinacloudapi.cn",
}
# A scope without a character that would end the header that tells it: RFC 6750, section 3.
SCOPE = re.compile(r"[!#-\[\]-~]+")
DEFAULT_HISTORY_DAYS = 400
# The guard counts up to a week, by marks that are kept as long as histories.
LEAST_HISTORY_DAYS = 8
DAYS = re.compile(r"[0-9]{1,5}")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccess:
    """How to reach one storage service: a connection string, or a URL and the app's identity."""

    connection_string: str | None = field(default=None, repr=False)
    service_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the deployment tells us; secrets are not printed."""

    queues: StorageAccess
    tables: StorageAccess
    key_vault_url: str
    public_base_url: str
    graph_endpoint: str | None = None
    authority_host: str | None = None
    identity_client_id: str | None = None
    has_managed_identity: bool = False
    has_app_service_auth: bool = False
    has_local_sign_in: bool = False
    admin_tenant_ids: frozenset[str] = frozenset()
    api_scope: str | None = None
    history_days: int = DEFAULT_HISTORY_DAYS
    warnings: tuple[str, ...] = ()
    local_admin_token: str | None = field(default=None, repr=False)
    local_reader_token: str | None = field(default=None, repr=False)

    @property
    def principal_is_checked(self) -> bool:
        """Whether a request's principal was put there by who signs people in, and by nobody else."""
        return self.has_app_service_auth or self.has_local_sign_in

    @property
    def somebody_can_sign_in(self) -> bool:
        """Whether there is any way to show who is calling."""
        tokens = (self.local_admin_token, self.local_reader_token)
        return self.principal_is_checked or any(tokens)

    @property
    def vault_is_local(self) -> bool:
        """An emulated vault cannot be checked against the cloud's vault domains."""
        return urlsplit(self.key_vault_url).hostname in LOOPBACK

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read every setting, then raise `FixSettings` with all problems together."""
        return _Reader(env).settings()


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._problems: list[str] = []
        self._warnings: list[str] = []

    def settings(self) -> Settings:
        queues, tables = self._storages()
        settings = Settings(
            queues=queues or StorageAccess(),
            tables=tables or StorageAccess(),
            key_vault_url=self._url("KEY_VAULT_URL", required=True) or "",
            public_base_url=self._public_base_url(),
            graph_endpoint=self._graph_endpoint(),
            authority_host=self._url("AZURE_AUTHORITY_HOST"),
            identity_client_id=self._text("AZURE_CLIENT_ID")
            or self._text("AzureWebJobsStorage__clientId"),
            has_managed_identity=self._text("IDENTITY_ENDPOINT") is not None,
            has_app_service_auth=self._app_service_auth(),
            has_local_sign_in=_is_true(self._local_only("SYNC_LOCAL_SIGN_IN")),
            admin_tenant_ids=self._admin_tenants(),
            api_scope=self._api_scope(),
            history_days=self._history_days(),
            warnings=tuple(self._warnings),
            local_admin_token=self._local_only("SYNC_LOCAL_ADMIN_TOKEN"),
            local_reader_token=self._local_only("SYNC_LOCAL_READER_TOKEN"),
        )
        if self._problems:
            raise FixSettings(self._problems)
        return settings

    def _text(self, name: str) -> str | None:
        return (self._env.get(name) or "").strip() or None

    def _url(self, name: str, *, required: bool = False) -> str | None:
        value = self._text(name)
        if value is None:
            if required:
                self._problems.append(f"{name} is missing")
            return None
        if "://" not in value and name == "AZURE_AUTHORITY_HOST":
            value = f"https://{value}"
        if not _is_address(value):
            # The value itself is not repeated: it may be a connection string in the wrong place.
            self._problems.append(f"{name} must be an https address")
        return value.rstrip("/")

    def _graph_endpoint(self) -> str | None:
        endpoint = self._url("GRAPH_ENDPOINT")
        return endpoint.removesuffix("/v1.0") if endpoint else None

    def _public_base_url(self) -> str:
        value = self._text("PUBLIC_BASE_URL")
        if value is None:
            host = self._text("WEBSITE_HOSTNAME")
            if host is None:
                self._problems.append("PUBLIC_BASE_URL is missing (and so is WEBSITE_HOSTNAME)")
                return ""
            return f"https://{host}"
        if not _is_address(value, http_on_loopback=True):
            self._problems.append(
                "PUBLIC_BASE_URL must be an https address (http only on loopback)"
            )
        return value.rstrip("/")

    def _storages(self) -> tuple[StorageAccess | None, StorageAccess | None]:
        """Return the access to queues and to tables, which share the host's storage unless told."""
        queues = self._storage("AzureWebJobsStorage", "queue")
        tables = self._storage("SYNC_TABLES", "table")
        if queues is None:
            self._problems.append(
                "AzureWebJobsStorage is missing (or AzureWebJobsStorage__accountName)"
            )
        elif tables is None and queues.connection_string:
            tables = queues
        elif tables is None:
            tables = self._storage("AzureWebJobsStorage", "table")
            if tables is None:
                self._problems.append("SYNC_TABLES is missing (or SYNC_TABLES__tableServiceUri)")
        return queues, tables

    def _storage(self, name: str, service: str) -> StorageAccess | None:
        """Return the access by identity, which wins, or by connection string.

        Where a deployment goes over to identities, the string is easily left behind, and its key is
        mostly switched off at the account: every call with it would be refused with 403.
        """
        text = self._text(name)
        url = self._url(f"{name}__{service}ServiceUri")
        account = self._text(f"{name}__accountName")
        if url or account:
            if text:
                self._warn_of_string(name)
            return StorageAccess(service_url=url or self._address(name, account or "", service))
        return self._connection_string(name, text) if text else None

    def _address(self, name: str, account: str, service: str) -> str:
        """Return the address of an account that is known by its name only."""
        vault = _host(self._text("KEY_VAULT_URL"))
        # What is wrong with the vault's address is a problem of its own.
        suffix = STORAGE_OF_CLOUD["vault.azure.net"]
        if vault and vault not in LOOPBACK:
            suffix = STORAGE_OF_CLOUD.get(vault.partition(".")[2], "")
        if not suffix:
            self._problems.append(
                f"{name}__accountName is not enough in a cloud with the vault {vault}; "
                f"set {name}__{service}ServiceUri"
            )
        return f"https://{account}.{service}.{suffix}"

    def _warn_of_string(self, name: str) -> None:
        warning = f"{name} is set beside settings of an identity ({name}__...) and is not used; remove {name}"
        if warning not in self._warnings:
            self._warnings.append(warning)

    def _connection_string(self, name: str, text: str) -> StorageAccess:
        if text.rstrip(";") == "UseDevelopmentStorage=true":
            text = DEVELOPMENT_STORAGE
        names = {part.partition("=")[0].strip().lower() for part in text.split(";")}
        if names.isdisjoint({"accountkey", "sharedaccesssignature"}):
            self._problems.append(f"{name} is not a connection string of a storage account")
        return StorageAccess(connection_string=text)

    def _app_service_auth(self) -> bool:
        """Whether App Service signs people in and says who they are in a header that it alone can set.

        Elsewhere nobody takes that header off a request, so whoever calls could be an administrator.
        """
        is_on = _is_true(self._text("WEBSITE_AUTH_ENABLED"))
        if is_on and not self._is_azure:
            self._problems.append(
                "WEBSITE_AUTH_ENABLED is set by App Service and must not be set outside of Azure"
            )
        return is_on

    def _admin_tenants(self) -> frozenset[str]:
        """Return the tenants whose app roles are believed; needed where people sign in."""
        text = self._text("ADMIN_TENANT_IDS") or ""
        ids = [part for part in re.split(r"[\s,;]+", text) if part]
        if not all(map(GUID.fullmatch, ids)):
            self._problems.append(
                "ADMIN_TENANT_IDS must hold ids of tenants (GUIDs), with commas between them"
            )
        signs_in = map(self._text, ("WEBSITE_AUTH_ENABLED", "SYNC_LOCAL_SIGN_IN"))
        if not ids and any(map(_is_true, signs_in)):
            self._problems.append(
                "ADMIN_TENANT_IDS is missing: the tenants whose app roles are believed"
            )
        return frozenset(one.lower() for one in ids)

    def _api_scope(self) -> str | None:
        """Return what a token for this API is asked with."""
        scope = self._text("ADMIN_API_SCOPE")
        if scope and not SCOPE.fullmatch(scope):
            self._problems.append(
                "ADMIN_API_SCOPE must be one scope, such as api://<client id>/user_impersonation"
            )
        return scope

    def _history_days(self) -> int:
        """Return for how many days histories, plans and runs are kept."""
        text = self._text("HISTORY_DAYS")
        days = int(text) if text and DAYS.fullmatch(text) else DEFAULT_HISTORY_DAYS
        if (text and not DAYS.fullmatch(text)) or days < LEAST_HISTORY_DAYS:
            self._problems.append(
                f"HISTORY_DAYS must be a number of days, at least {LEAST_HISTORY_DAYS}"
            )
        return days

    @property
    def _is_azure(self) -> bool:
        return any(map(self._text, SET_IN_AZURE))

    def _local_only(self, name: str) -> str | None:
        value = self._text(name)
        # A fixed bearer token in Azure would be a back door, so the app refuses to start with one.
        if value and self._is_azure:
            self._problems.append(f"{name} is for the local rig only and must not be set in Azure")
        return value


def _is_true(value: str | None) -> bool:
    return (value or "").lower() == "true"


def _host(value: str | None) -> str:
    try:
        return urlsplit(value or "").hostname or ""
    except ValueError:
        return ""


def _is_address(value: str, *, http_on_loopback: bool = False) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    local = http_on_loopback and parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or local)
