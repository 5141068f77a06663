"""How the app proves itself to a tenant, through azure-identity; token errors become advice.

`error_codes` choose the advice only, never a decision about people: Entra says that texts and numbers
may change (learn.microsoft.com/entra/identity-platform/reference-error-codes).
"""

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from sync_core.errors import FixConnection, RetryLater, SyncError


class AsyncCredential(Protocol):
    """What azure-identity's asynchronous credentials offer and the SDK uses."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken: ...

    async def close(self) -> None: ...


class GraphCredential:
    """A credential that can be thrown away with its cached tokens and made anew."""

    def __init__(self, make: Callable[[], AsyncCredential]) -> None:
        self._make = make
        self._current = make()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return await self._current.get_token(*scopes, **options)

    async def renew(self) -> None:
        """Forget every cached token."""
        await self._current.close()
        self._current = self._make()

    async def close(self) -> None:
        await self._current.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


# Entra's number -> our code, what it means, what the administrator does. Sources:
# learn.microsoft.com/entra/identity-platform/reference-error-codes
ADVICE: dict[int, tuple[str, str, str]] = {
    7000215: (
        "credential.secretInvalid",
        "Entra refused the client secret.",
        "Store the secret's value, not its id; make a new secret if the value is lost.",
    ),
    7000222: (
        "credential.secretExpired",
        "The client secret has expired.",
        "Make a new client secret in the app registration and store its value in the connection.",
    ),
    700016: (
        "credential.appNotFound",
        "The app registration is not known in this tenant.",
        "Check client id and tenant id; if the app is registered elsewhere, grant admin consent.",
    ),
    7000112: (
        "credential.appDisabled",
        "The app registration is disabled.",
        "Enable the enterprise application in the tenant (Properties, Enabled for sign-in).",
    ),
    90002: (
        "credential.tenantNotFound",
        "Entra knows no such tenant in this cloud.",
        "Check the tenant id, and the cloud of the connection.",
    ),
    900023: (
        "credential.tenantInvalid",
        "The tenant id is neither a GUID nor a domain.",
        "Correct the tenant id of the connection.",
    ),
}
TRANSIENT = {90033, 90006, 90012, 90024, 90055, 90090}
NUMBER = re.compile(r"AADSTS(\d+)")


def explain_token_error(error: ClientAuthenticationError) -> SyncError:
    """Turn Entra's refusal into a sentence with a remedy; the token request itself is not repeated."""
    found = NUMBER.search(str(error.message))
    number = int(found[1]) if found else 0
    if number in TRANSIENT:
        return RetryLater(
            "credential.entraBusy",
            f"Entra could not issue a token just now (AADSTS{number}).",
            "Nothing to do: the next run tries again.",
        )
    if number in ADVICE:
        code, message, remedy = ADVICE[number]
        return FixConnection(code, f"{message} (AADSTS{number})", remedy)
    return FixConnection(
        "credential.refused",
        "Entra did not issue a token" + (f" (AADSTS{number})." if number else "."),
        "Look the number up at login.microsoftonline.com/error and correct the app registration "
        "or the connection.",
    )
