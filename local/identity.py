"""The managed identity of the rig: App Service's token endpoint on loopback.

A process that has IDENTITY_ENDPOINT and IDENTITY_HEADER in its environment uses it through
``azure.identity`` as it would in Azure. Tokens are signed with a key kept in a file; ``GET /keys``
shows the public half as a JWKS, ``GET /public-key`` as PEM, so that the token emulator can check
what it is given as a federated credential, and Graph the identity's own tokens.

Protocol: https://learn.microsoft.com/azure/app-service/overview-managed-identity
(section "REST endpoint reference").
"""

import argparse
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local import loopback
from local.sample import SAMPLE_ROLES, SAMPLE_TENANT_ID
from local.tls import write_private

API_VERSION = "2019-08-01"
TENANT_ID = SAMPLE_TENANT_ID
"""The tenant that the subscription of the rig would belong to."""

IDENTITY_CLIENT_ID = "4f6d8a2e-1c3b-4e5f-8a9d-7b6c5d4e3f21"
IDENTITY_OBJECT_ID = "c2a9e1d4-7b58-4f36-9e0d-3a1b5c7d9e2f"
"""The user-assigned identity; its object id is the subject of a federated credential."""

ISSUER = f"https://login.microsoftonline.com/{TENANT_ID}/v2.0"
"""The same on every port, so that a federated credential can be written down once."""

# An identity's token for another tenant's app has this audience, and version 2.0.
# https://learn.microsoft.com/entra/workload-id
EXCHANGE = "api://AzureADTokenExchange"
GRAPH = "https://graph.microsoft.com"
LIFETIME_S = 24 * 3600


class Identity:
    """The endpoint: ``app`` is an ASGI application, ``token`` what it gives out."""

    def __init__(self, header: str, key_file: Path | None = None) -> None:
        self._header = header
        self._key = _load_or_make(key_file)
        public: dict[str, Any] = json.loads(
            jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key())
        )
        self._key_id = str(uuid.uuid5(uuid.NAMESPACE_OID, public["n"]))
        self.jwks = {"keys": [public | {"kid": self._key_id, "use": "sig", "alg": "RS256"}]}
        self.graph_roles = list(SAMPLE_ROLES)
        """Permissions on Graph that were assigned to the identity; they are part of its tokens."""
        self.app = Starlette(
            routes=[
                Route("/msi/token", self._token),
                Route("/keys", self._keys, methods=["GET"]),
                Route("/public-key", self._public_key, methods=["GET"]),
            ]
        )

    def token(self, resource: str, lifetime_s: int = LIFETIME_S) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": resource,
            "iss": ISSUER if resource == EXCHANGE else f"https://sts.windows.net/{TENANT_ID}/",
            "tid": TENANT_ID,
            "sub": IDENTITY_OBJECT_ID,
            "oid": IDENTITY_OBJECT_ID,
            "appid": IDENTITY_CLIENT_ID,
            "idtyp": "app",
            "ver": "2.0" if resource == EXCHANGE else "1.0",
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_s,
        }
        if resource == GRAPH and self.graph_roles:
            claims["roles"] = self.graph_roles
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    @property
    def public_key(self) -> str:
        """PEM."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    async def _public_key(self, _: Request) -> Response:
        return PlainTextResponse(self.public_key)

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(self.jwks)

    async def _token(self, request: Request) -> Response:
        query = request.query_params
        if request.headers.get("X-IDENTITY-HEADER") != self._header:
            return _refused(401, "The header X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != API_VERSION:
            return _refused(400, f"The api-version must be {API_VERSION}.")
        resource = query.get("resource")
        if not resource:
            return _refused(400, "The parameter resource is missing.")
        client_id = query.get("client_id", IDENTITY_CLIENT_ID)
        if client_id != IDENTITY_CLIENT_ID:
            return _refused(
                400, f"No User Assigned or Delegated Managed Identity found for {client_id}."
            )
        return JSONResponse(
            {
                "access_token": self.token(resource.removesuffix("/")),
                "expires_on": str(int(time.time()) + LIFETIME_S),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client_id,
            }
        )


class IdentityInThread:
    """The endpoint in this process; for tests. ``environment`` is what a client of it needs."""

    def __init__(self, key_file: Path | None = None) -> None:
        header = uuid.uuid4().hex
        bound = loopback.listen()
        self.identity = Identity(header, key_file)
        self.environment = environment(loopback.url_of(bound), header)
        self._serving = loopback.InThread(self.identity.app, bound)

    def stop(self) -> None:
        self._serving.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def environment(url: str, header: str) -> dict[str, str]:
    """What App Service sets for a process that may use the identity."""
    return {"IDENTITY_ENDPOINT": f"{url}/msi/token", "IDENTITY_HEADER": header}


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)


def _load_or_make(file: Path | None) -> rsa.RSAPrivateKey:
    if file and file.exists():
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if file:
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(file, pem)
    return key


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.identity", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", type=Path, help="where the signing key survives a restart")
    options = parser.parse_args()
    # By the environment and not as an option: everybody may read the command line of a process.
    identity = Identity(os.environ["IDENTITY_HEADER"], options.key)
    bound = loopback.listen(options.port)
    print(f"ready at {loopback.url_of(bound)}", flush=True)
    loopback.server(identity.app).run(sockets=[bound])


if __name__ == "__main__":
    main()
