"""How the app proves itself to a tenant, through azure-identity: four kinds, one way to use them.

What comes out is a credential that can be renewed and whose refusals are errors of ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity.aio import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)

from sync_core.directory.token_errors import (
    Asked,
    explain_identity_error,
    explain_token_error,
    no_proper_answer,
)

# One place retries, with one budget: the caller's retry budget.
NO_RETRIES = 0
# A token takes a second. azure-core would wait five minutes for one, and a run has 25.
CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0


class AsyncCredential(Protocol):
    """What azure-identity's asynchronous credentials offer and the SDK uses."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken: ...

    async def close(self) -> None: ...


class GraphCredential:
    """A credential that can be thrown away with its cached tokens and made anew.

    Raises `FixConnection` for what an administrator must mend, and `RetryLater` for the rest.
    """

    def __init__(self, make: Callable[[], AsyncCredential], asked: Asked | None = None) -> None:
        self._make = make
        self._asked = asked or Asked()
        self._current = make()
        # Another request may be waiting for its token still: lists are read side by side.
        self._replaced: list[AsyncCredential] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        try:
            return await self._current.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            raise explain_token_error(error, self._asked) from error
        except AzureError as error:
            raise no_proper_answer(error) from error

    async def renew(self) -> None:
        """Forget every cached token."""
        self._replaced.append(self._current)
        self._current = self._make()

    async def close(self) -> None:
        for credential in (*self._replaced, self._current):
            await credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration in a tenant, and how it is signed in there; `options` go to the client."""

    tenant_id: str
    client_id: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def by_secret(self, secret: str) -> AsyncCredential:
        return ClientSecretCredential(
            self.tenant_id, self.client_id, secret, **self.options, **_patience()
        )

    def by_certificate(self, pem: str) -> AsyncCredential:
        """Sign with the first certificate and the first key of the text."""
        return CertificateCredential(
            self.tenant_id,
            self.client_id,
            certificate_data=pem.encode(),
            **self.options,
            **_patience(),
        )

    def by_assertion(self, assertion: Callable[[], str]) -> AsyncCredential:
        return ClientAssertionCredential(
            self.tenant_id, self.client_id, assertion, **self.options, **_patience()
        )

    def by_identity(self, identity_client_id: str | None, exchange: str) -> AsyncCredential:
        return FederatedCredential(OwnIdentity(identity_client_id), exchange, self)


def _patience() -> dict[str, Any]:
    return {
        "retry_total": NO_RETRIES,
        "connection_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
    }


class OwnIdentity:
    """A managed identity of this app."""

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id
        self._identity: AsyncCredential = ManagedIdentityCredential(
            client_id=client_id, **_patience()
        )

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        try:
            return await self._identity.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            raise explain_identity_error(error, self._client_id) from error

    async def close(self) -> None:
        await self._identity.close()


class FederatedCredential:
    """The app's managed identity signs for an app registration, in any tenant: no secret anywhere.

    learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
    """

    def __init__(self, identity: AsyncCredential, exchange: str, application: Application) -> None:
        self._identity = identity
        self._scope = f"{exchange}/.default"
        self._assertion = ""
        self._application = application.by_assertion(lambda: self._assertion)

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        # azure-identity calls back without awaiting, so what it will ask for is fetched before; the
        # identity's own cache renews it in time, so this is seldom a request.
        self._assertion = (await self._identity.get_token(self._scope)).token
        return await self._application.get_token(*scopes, **options)

    async def close(self) -> None:
        await self._identity.close()
        await self._application.close()
