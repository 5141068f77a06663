"""Key Vault: the only place where the secrets of connections are, and the keys of the app itself."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets.aio import SecretClient

from sync_core.domain.errors import FixConnection, RetryLater, SyncError
from sync_core.domain.secret_names import FORMER_NAMES
from sync_core.logs import log_event

T = TypeVar("T")

SECRET_MISSING = "vault.secretMissing"  # noqa: S105 -- a code, not a secret
SECRET_DISABLED = "vault.secretDisabled"  # noqa: S105 -- a code, not a secret


class Vault:
    """Secrets by name and version."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client
        self._own_keys: dict[str, bytes] = {}
        self._one_at_a_time = asyncio.Lock()

    async def get(self, name: str, version: str | None = None) -> str:
        """Read a secret or raise what an administrator, or time, can mend."""
        secret = await _asked(name, partial(self._client.get_secret, name, version))
        return secret.value or ""

    async def find(self, name: str) -> str | None:
        """Read the current version of a secret, or None where there is none."""
        try:
            return await self.get(name)
        except FixConnection as error:
            if error.code == SECRET_MISSING:
                return None
            raise

    async def own_key(self, name: str) -> bytes:
        """Read a key of the app itself, once a process; make it where there is none."""
        if name not in self._own_keys:
            # Of two who find none at the same time, one makes it: else each would sign with its own.
            async with self._one_at_a_time:
                if name not in self._own_keys:
                    self._own_keys[name] = (await self._found_or_made(name)).encode()
        return self._own_keys[name]

    async def _found_or_made(self, name: str) -> str:
        text = await self.find(name)
        if text is None and name in FORMER_NAMES:
            text = await self._moved(FORMER_NAMES[name], name)
        if text is None:
            # Two processes may make one at the same time: the version that is current afterwards wins.
            await self.set(name, secrets.token_urlsafe(32), content_type="text/plain")
            text = await self.get(name)
        return text

    async def _moved(self, former: str, name: str) -> str | None:
        """Return a key its name of today; the former one stays as a disabled version."""
        try:
            secret = await _asked(former, partial(self._client.get_secret, former))
        except FixConnection as error:
            if error.code in {SECRET_MISSING, SECRET_DISABLED}:
                return None
            raise
        text = secret.value or ""
        await self.set(name, text, content_type="text/plain")
        await self.disable(former, secret.properties.version or "")
        log_event("vault.keyMoved", secret=name, former=former)
        return text

    async def set(
        self, name: str, value: str, *, content_type: str, expires_on: datetime | None = None
    ) -> str:
        """Store a new version of a secret and give the version; others stay as they are."""
        secret = await _asked(
            name,
            partial(
                self._client.set_secret,
                name,
                value,
                content_type=content_type,
                expires_on=expires_on,
            ),
        )
        return secret.properties.version or ""

    async def expires_on(self, name: str, version: str | None = None) -> datetime | None:
        """Return when a version ends (the latest one without a version), or None if it never does."""
        secret = await _asked(name, partial(self._client.get_secret, name, version))
        return secret.properties.expires_on

    async def disable(self, name: str, version: str) -> None:
        """Make one version unusable; an administrator can still enable it in Key Vault."""
        await _asked(
            name,
            partial(self._client.update_secret_properties, name, version, enabled=False),
        )

    async def close(self) -> None:
        await self._client.close()


async def _asked(name: str, call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except ResourceNotFoundError as error:
        raise FixConnection(
            SECRET_MISSING,
            f"Key Vault has no secret {name!r}.",
            "Store the credential again through the connection.",
        ) from error
    except AzureError as error:
        raise _explained(name, error) from error


def _explained(name: str, error: AzureError) -> SyncError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status == 403 and _inner_code(error) == "SecretDisabled":
        return FixConnection(
            SECRET_DISABLED,
            f"The secret {name!r} is disabled in Key Vault.",
            "Enable that version in the vault, or store the credential again through the connection.",
        )
    if status == 403 or isinstance(error, ClientAuthenticationError):
        return FixConnection(
            "vault.forbidden",
            f"Key Vault does not let this app read or write the secret {name!r}.",
            "Give the app's identity the role Key Vault Secrets Officer on the vault.",
        )
    if status in {400, 409}:
        # 409: the name belongs to a deleted secret that can still be recovered
        # (learn.microsoft.com/azure/key-vault/general/soft-delete-overview).
        return FixConnection(
            "vault.refused",
            f"Key Vault refuses the secret {name!r}.",
            "If it was deleted, recover or purge it in the vault, or choose another secretName.",
        )
    return RetryLater(
        "vault.unavailable",
        f"Key Vault could not be reached ({type(error).__name__}).",
        "Nothing to do if it passes: try again. Otherwise check KEY_VAULT_URL and the network.",
    )


def _inner_code(error: AzureError) -> str | None:
    """Return the code inside the error, which tells a disabled secret from a missing role."""
    told = error.error if isinstance(error, HttpResponseError) else None
    return (told.innererror or {}).get("code") if told else None
