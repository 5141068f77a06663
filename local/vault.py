"""A Key Vault for the rig: the secrets part of its REST API over TLS, in memory or kept in a file.

The real client library works against it unchanged, with ``verify_challenge_resource=False`` because
the host is not a name under vault.azure.net. Bearer tokens are checked for audience and expiry, not
for their signature: whoever can reach loopback may read what lies here.

Faults are switched with ``PUT /_control/faults`` and a body with any of ``{"down": true,
"throttled": true, "forbidden": true, "slowSeconds": 2.5}``; ``DELETE`` ends them all, ``GET`` shows
them.

REST reference: https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
"""

import argparse
import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local import loopback
from local.identity import TENANT_ID
from local.tls import TlsFiles, files_in, write_private

RESOURCE = "https://vault.azure.net"
AUTHORITY = f"https://login.microsoftonline.com/{TENANT_ID}"
"""Named in the challenge. A managed identity does not look at it."""

CHALLENGE = f'Bearer authorization="{AUTHORITY}", resource="{RESOURCE}"'

# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-types
NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
# https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
MAX_VALUE_BYTES = 25 * 1024
MAX_TAGS = 15
PAGE = 25
RETENTION_S = 90 * 24 * 3600

Body = dict[str, Any]
Operation = Callable[[Request], Awaitable[Body | None]]


class VaultError(Exception):
    """An answer that is not 2xx, in Key Vault's shape."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Body = {"error": {"code": code, "message": message}}
        if inner:
            self.body["error"]["innererror"] = {"code": inner}


def _bad_parameter(message: str) -> VaultError:
    return VaultError(400, "BadParameter", message)


def _not_found(name: str) -> VaultError:
    return VaultError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted "
        "this secret you may be able to recover it using the correct recovery command.",
    )


@dataclass(frozen=True)
class Version:
    """One value of a secret. Times are seconds since 1970, as Key Vault writes them."""

    version: str
    value: str
    created: int
    updated: int
    enabled: bool = True
    exp: int | None = None
    nbf: int | None = None
    content_type: str | None = None
    tags: dict[str, str] | None = None


@dataclass(frozen=True)
class Secret:
    """All versions of a secret, oldest first; ``deleted`` is when it was deleted."""

    name: str
    versions: tuple[Version, ...]
    deleted: int | None = None

    @property
    def latest(self) -> Version:
        return self.versions[-1]


@dataclass
class Faults:
    down: bool = False
    throttled: bool = False
    forbidden: bool = False
    slow_seconds: float = 0.0


class Secrets:
    """What lies in the vault. Names are compared without case, as Key Vault does."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._secrets: dict[str, Secret] = {}
        if file and file.exists():
            for kept in json.loads(file.read_text()):
                versions = tuple(Version(**version) for version in kept.pop("versions"))
                self._keep(Secret(**kept, versions=versions))

    def set(self, name: str, body: Body) -> tuple[Secret, Version]:
        value = body.get("value")
        if not isinstance(value, str):
            raise _bad_parameter("The parameter value is required and must be a string.")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise _bad_parameter(f"The value of a secret is limited to {MAX_VALUE_BYTES} bytes.")
        old = self._secrets.get(name.lower())
        if old and old.deleted is not None:
            raise VaultError(
                409,
                "Conflict",
                f"Secret {name} is currently in a deleted but recoverable state, and its name "
                "cannot be reused; in this state, the secret can only be recovered or purged.",
                "ObjectIsDeletedButRecoverable",
            )
        now = int(time.time())
        version = Version(version=uuid.uuid4().hex, value=value, created=now, updated=now)
        version = _with_attributes(version, body)
        secret = Secret(name, (*(old.versions if old else ()), version))
        self._save(secret)
        return secret, version

    def get(self, name: str, version: str = "") -> tuple[Secret, Version]:
        secret = self.living(name)
        found = [v for v in secret.versions if v.version == version] if version else [secret.latest]
        if not found:
            raise _not_found(f"{name}/{version}")
        if not found[0].enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, "SecretDisabled")
        return secret, found[0]

    def update(self, name: str, version: str, body: Body) -> tuple[Secret, Version]:
        secret = self.living(name)
        wanted = version or secret.latest.version
        if wanted not in {v.version for v in secret.versions}:
            raise _not_found(f"{name}/{version}")
        now = int(time.time())
        changed = replace(
            secret,
            versions=tuple(
                _with_attributes(replace(v, updated=now), body) if v.version == wanted else v
                for v in secret.versions
            ),
        )
        self._save(changed)
        return changed, next(v for v in changed.versions if v.version == wanted)

    def delete(self, name: str) -> Secret:
        secret = replace(self.living(name), deleted=int(time.time()))
        self._save(secret)
        return secret

    def recover(self, name: str) -> Secret:
        secret = replace(self.gone(name), deleted=None)
        self._save(secret)
        return secret

    def purge(self, name: str) -> None:
        del self._secrets[self.gone(name).name.lower()]
        self._write()

    def living(self, name: str) -> Secret:
        secret = self._secrets.get(name.lower())
        if secret is None or secret.deleted is not None:
            raise _not_found(name)
        return secret

    def gone(self, name: str) -> Secret:
        secret = self._secrets.get(name.lower())
        if secret is None or secret.deleted is None:
            raise _not_found(name)
        return secret

    def all(self, *, deleted: bool) -> list[Secret]:
        found = [s for s in self._secrets.values() if (s.deleted is not None) is deleted]
        return sorted(found, key=lambda secret: secret.name)

    def _keep(self, secret: Secret) -> None:
        self._secrets[secret.name.lower()] = secret

    def _save(self, secret: Secret) -> None:
        self._keep(secret)
        self._write()

    def _write(self) -> None:
        if self._file:
            kept = [asdict(secret) for secret in self._secrets.values()]
            write_private(self._file, json.dumps(kept, indent=1).encode())


def _with_attributes(version: Version, body: Body) -> Version:
    """What a set or an update may say about a version; what it does not mention stays."""
    attributes = body.get("attributes") or {}
    changes: Body = {key: attributes[key] for key in ("enabled", "exp", "nbf") if key in attributes}
    if body.get("contentType") is not None:
        changes["content_type"] = body["contentType"]
    if body.get("tags") is not None:
        if len(body["tags"]) > MAX_TAGS:
            raise _bad_parameter(f"A secret may have up to {MAX_TAGS} tags.")
        changes["tags"] = body["tags"]
    return replace(version, **changes)


class Vault:
    """The HTTP side: ``app`` is an ASGI application, ``faults`` says how it misbehaves."""

    def __init__(self, url: str, *, file: Path | None = None) -> None:
        self.url = url
        self.secrets = Secrets(file)
        self.faults = Faults()
        operations: list[tuple[str, str, Operation]] = [
            ("GET", "/secrets", self._list),
            ("GET", "/secrets/{name}/versions", self._list_versions),
            ("GET", "/deletedsecrets", self._list_deleted),
            ("GET", "/deletedsecrets/{name}", self._get_deleted),
            ("DELETE", "/deletedsecrets/{name}", self._purge),
            ("POST", "/deletedsecrets/{name}/recover", self._recover),
            # The client writes the latest version as an empty one: /secrets/{name}/
            ("GET", "/secrets/{name}/{version:path}", self._get),
            ("PATCH", "/secrets/{name}/{version:path}", self._update),
            ("GET", "/secrets/{name}", self._get),
            ("PATCH", "/secrets/{name}", self._update),
            ("PUT", "/secrets/{name}", self._set),
            ("DELETE", "/secrets/{name}", self._delete),
        ]
        self.app = Starlette(
            routes=[
                Route("/_control/faults", self._control, methods=["GET", "PUT", "POST", "DELETE"]),
                *(
                    Route(path, self._answering(operation), methods=[method])
                    for method, path, operation in operations
                ),
            ]
        )

    async def _control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults = Faults()
        elif request.method in {"PUT", "POST"}:
            asked = {_snake(key): value for key, value in (await request.json()).items()}
            unknown = asked.keys() - {known.name for known in fields(Faults)}
            if unknown:
                return JSONResponse({"error": f"unknown faults: {sorted(unknown)}"}, 400)
            self.faults = Faults(**asked)
        shown = {_camel(key): value for key, value in asdict(self.faults).items()}
        return JSONResponse(shown)

    def _answering(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """What is the same for every operation: faults, token, version of the API, errors."""

        async def answer(request: Request) -> Response:
            faults = self.faults
            await asyncio.sleep(faults.slow_seconds)
            try:
                _check_availability(faults)
                _check_token(request)
                _check_permission(faults)
                _check_request(request)
                body = await operation(request)
            except VaultError as error:
                headers = {401: {"WWW-Authenticate": CHALLENGE}, 429: {"Retry-After": "1"}}
                return JSONResponse(error.body, error.status, headers.get(error.status))
            return Response(status_code=204) if body is None else JSONResponse(body)

        return answer

    async def _list(self, request: Request) -> Body:
        items = [self._item(s, s.latest) for s in self.secrets.all(deleted=False)]
        return self._page(request, items)

    async def _list_versions(self, request: Request) -> Body:
        secret = self.secrets.living(_name(request))
        items = [self._item(secret, version, versioned=True) for version in secret.versions]
        return self._page(request, items)

    async def _list_deleted(self, request: Request) -> Body:
        return self._page(request, [self._deleted(s) for s in self.secrets.all(deleted=True)])

    async def _get(self, request: Request) -> Body:
        return self._bundle(*self.secrets.get(_name(request), _version(request)))

    async def _set(self, request: Request) -> Body:
        return self._bundle(*self.secrets.set(_name(request), await _json(request)))

    async def _update(self, request: Request) -> Body:
        name, version, body = _name(request), _version(request), await _json(request)
        return self._item(*self.secrets.update(name, version, body), versioned=True)

    async def _delete(self, request: Request) -> Body:
        return self._deleted(self.secrets.delete(_name(request)))

    async def _get_deleted(self, request: Request) -> Body:
        return self._deleted(self.secrets.gone(_name(request)))

    async def _recover(self, request: Request) -> Body:
        secret = self.secrets.recover(_name(request))
        return self._item(secret, secret.latest, versioned=True)

    async def _purge(self, request: Request) -> None:
        self.secrets.purge(_name(request))

    def _item(self, secret: Secret, version: Version, *, versioned: bool = False) -> Body:
        attributes = {
            "enabled": version.enabled,
            "nbf": version.nbf,
            "exp": version.exp,
            "created": version.created,
            "updated": version.updated,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        }
        item: Body = {
            "id": f"{self.url}/secrets/{secret.name}"
            + (f"/{version.version}" if versioned else ""),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
        }
        if version.content_type is not None:
            item["contentType"] = version.content_type
        if version.tags is not None:
            item["tags"] = version.tags
        return item

    def _bundle(self, secret: Secret, version: Version) -> Body:
        return {"value": version.value} | self._item(secret, version, versioned=True)

    def _deleted(self, secret: Secret) -> Body:
        since = secret.deleted or 0
        return self._item(secret, secret.latest, versioned=True) | {
            "recoveryId": f"{self.url}/deletedsecrets/{secret.name}",
            "deletedDate": since,
            "scheduledPurgeDate": since + RETENTION_S,
        }

    def _page(self, request: Request, items: list[Body]) -> Body:
        wanted = request.query_params.get("maxresults", str(PAGE))
        if not (wanted.isdecimal() and 1 <= int(wanted) <= PAGE):
            raise _bad_parameter(f"maxresults must be between 1 and {PAGE}.")
        start, size = int(request.query_params.get("$skiptoken", "0")), int(wanted)
        following: str | None = None
        if start + size < len(items):
            version = request.query_params["api-version"]
            following = (
                f"{self.url}{request.url.path}?api-version={version}&$skiptoken={start + size}"
                f"&maxresults={size}"
            )
        return {"value": items[start : start + size], "nextLink": following}


class VaultInThread:
    """A vault behind ``url`` in this process, with ``faults`` to switch; for tests."""

    def __init__(self, tls: TlsFiles, file: Path | None = None) -> None:
        bound = loopback.listen()
        self.url = loopback.url_of(bound, tls)
        self._vault = Vault(self.url, file=file)
        self._serving = loopback.InThread(self._vault.app, bound, tls)

    @property
    def faults(self) -> Faults:
        return self._vault.faults

    @property
    def secrets(self) -> Secrets:
        return self._vault.secrets

    def stop(self) -> None:
        self._serving.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _version(request: Request) -> str:
    return str(request.path_params.get("version", ""))


async def _json(request: Request) -> Body:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise _bad_parameter("The request body is not JSON.") from error
    if not isinstance(body, dict):
        raise _bad_parameter("The request body is not a JSON object.")
    return body


def _check_availability(faults: Faults) -> None:
    if faults.down:
        raise VaultError(503, "ServiceUnavailable", "The service is unavailable.")
    if faults.throttled:
        raise VaultError(429, "Throttled", "Request was not processed.")


def _check_permission(faults: Faults) -> None:
    if faults.forbidden:
        message = "Caller is not authorized to perform action on resource."
        raise VaultError(403, "Forbidden", message, "ForbiddenByRbac")


def _check_request(request: Request) -> None:
    if not request.query_params.get("api-version"):
        raise _bad_parameter("The request has no api-version.")
    name = request.path_params.get("name")
    if name is not None and not NAME.fullmatch(name):
        raise _bad_parameter(f"The request URI contains an invalid name: {name}")


def _check_token(request: Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
    try:
        claims = jwt.decode(
            token,
            options={"verify_signature": False, "verify_exp": True, "require": ["exp", "aud"]},
        )
    except jwt.InvalidTokenError as error:
        raise VaultError(
            401, "Unauthorized", f"AKV10001: The token is not valid: {error}"
        ) from error
    if claims["aud"] != RESOURCE:
        message = f"AKV10022: Invalid audience. Expected {RESOURCE}, found: {claims['aud']}."
        raise VaultError(401, "Unauthorized", message)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.vault", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", type=Path, required=True, help="folder of the certificates")
    parser.add_argument("--file", type=Path, help="where secrets survive a restart")
    options = parser.parse_args()
    tls = files_in(options.tls)
    bound = loopback.listen(options.port)
    vault = Vault(loopback.url_of(bound, tls), file=options.file)
    print(f"ready at {vault.url}", flush=True)
    loopback.server(vault.app, tls).run(sockets=[bound])


if __name__ == "__main__":
    main()
