"""Environment in, one frozen `Settings` out: every problem is named at once, nothing else reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sync_core.errors import FixSettings

# The emulator's well-known account, public by design:
# learn.microsoft.com/azure/storage/common/storage-connect-azurite
DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
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
    local_admin_token: str | None = field(default=None, repr=False)
    local_reader_token: str | None = field(default=None, repr=False)

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

    def settings(self) -> Settings:
        queues = self._storage("AzureWebJobsStorage", "queue")
        settings = Settings(
            queues=queues or StorageAccess(),
            tables=self._tables() or StorageAccess(),
            key_vault_url=self._url("KEY_VAULT_URL", required=True) or "",
            public_base_url=self._public_base_url(),
            graph_endpoint=self._graph_endpoint(),
            authority_host=self._url("AZURE_AUTHORITY_HOST"),
            identity_client_id=self._text("AZURE_CLIENT_ID"),
            has_managed_identity=self._text("IDENTITY_ENDPOINT") is not None,
            has_app_service_auth=(self._text("WEBSITE_AUTH_ENABLED") or "").lower() == "true",
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
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname:
            self._problems.append(f"{name} must be an https address, not {value!r}")
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
        parts = urlsplit(value)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not (parts.scheme == "https" or local) or not parts.hostname:
            self._problems.append(
                f"PUBLIC_BASE_URL must be an https address (http only on loopback), not {value!r}"
            )
        return value.rstrip("/")

    def _tables(self) -> StorageAccess | None:
        if self._text("SYNC_TABLES") or self._text("SYNC_TABLES__tableServiceUri"):
            return self._storage("SYNC_TABLES", "table")
        return self._storage("AzureWebJobsStorage", "table", report=False)

    def _storage(self, name: str, service: str, *, report: bool = True) -> StorageAccess | None:
        text = self._text(name)
        if text:
            if text.rstrip(";") == "UseDevelopmentStorage=true":
                text = DEVELOPMENT_STORAGE
            return StorageAccess(connection_string=text)
        url = self._text(f"{name}__{service}ServiceUri")
        account = self._text(f"{name}__accountName")
        if url or account:
            return StorageAccess(
                service_url=(url or f"https://{account}.{service}.core.windows.net").rstrip("/")
            )
        if report:
            self._problems.append(f"{name} is missing (or {name}__accountName)")
        return None

    def _local_only(self, name: str) -> str | None:
        value = self._text(name)
        # WEBSITE_INSTANCE_ID is set by App Service on every instance: a fixed bearer token there
        # would be a back door, so the app refuses to start with one.
        if value and self._text("WEBSITE_INSTANCE_ID"):
            self._problems.append(f"{name} is for the local rig only and must not be set in Azure")
        return value
