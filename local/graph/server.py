"""HTTP around the emulator: two applications, one for Graph and one for the login endpoints."""

import asyncio
import socket
import struct
import uuid
from collections.abc import Callable
from typing import Any, cast

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from local.graph.control.control import Control
from local.graph.control.routes import control_routes
from local.graph.entra.consent import consent_answer, consent_trouble
from local.graph.entra.errors import TokenError, transient, without_cause
from local.graph.entra.sign_in import answer_token, sign_in_answer
from local.graph.entra.tokens import instance_discovery, openid_configuration
from local.graph.faults.faults import Asked, Fault
from local.graph.faults.kinds import STATUS_KINDS
from local.graph.http.access import Caller
from local.graph.http.errors import GraphError, error_body
from local.graph.http.messages import Answer, GraphRequest
from local.graph.http.recorder import Recorded
from local.graph.router import dispatch
from local.graph.service import Service
from local.sample import SAMPLE_TENANT_ID

_TRANSPORT = "rig.transport"
# The schema is published for everybody: learn.microsoft.com/graph/traverse-the-graph.
_OPEN = frozenset(("/v1.0/$metadata",))


class ResettableProtocol(HttpToolsProtocol):
    """Shows the application its transport, so that a fault can cut the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[_TRANSPORT] = self.transport


def graph_app(service: Service, control: Control) -> ASGIApp:
    return Starlette(
        routes=[
            Mount("/_control", routes=control_routes(control)),
            Mount("/", app=_GraphApp(service)),
        ]
    )


class _GraphApp:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        # The token is checked first, so that a stranger learns nothing else.
        try:
            caller = self._caller(request)
        except GraphError as error:
            if scope["path"] not in _OPEN:
                await _send(scope, receive, send, self._refusal(request, error))
                return
            caller = Caller("", SAMPLE_TENANT_ID, frozenset())
        answer = await dispatch(
            self._service,
            GraphRequest(
                request.method,
                scope["path"],
                scope["query_string"].decode("latin-1"),
                request.headers,
                await request.body(),
                self._service.registry.tenants[caller.tenant_id],
                caller,
                # Microsoft's SDKs say so; their telemetry header goes to Microsoft's own hosts only.
                by_sdk="kiota" in request.headers.get("user-agent", ""),
            ),
        )
        await _send(scope, receive, send, answer)

    def _caller(self, request: Request) -> Caller:
        return self._service.mint.caller(request.headers.get("authorization"))

    def _refusal(self, request: Request, error: GraphError) -> Answer:
        request_id = str(uuid.uuid4())
        client_id = request.headers.get("client-request-id", request_id)
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        self._service.recorder.add(Recorded(request.method, path, query, error.status))
        return Answer(
            error.status,
            error_body(error.code, error.message, request_id, client_id),
            {"request-id": request_id, "client-request-id": client_id, **error.headers},
        )


async def _send(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    if answer.close_after == 0:
        await _cut(scope, receive, hard=True)
        return
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if answer.body:
        headers["content-type"] = answer.content_type
    start = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
    }
    await send(start)
    if answer.close_after is not None and answer.close_after < len(answer.body):
        part = answer.body[: answer.close_after]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await _cut(scope, receive, hard=False)
        return
    await send({"type": "http.response.body", "body": answer.body})


async def _cut(scope: Scope, receive: Receive, *, hard: bool) -> None:
    """Close the connection in the middle of an answer; hard means with a TCP reset."""
    transport: asyncio.Transport = scope[_TRANSPORT]
    if hard:
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


def login_app(service: Service, authority_url: str) -> ASGIApp:
    async def token(request: Request) -> Response:
        tenant = request.path_params["tenant"]
        return await _login_answer(
            service,
            request,
            lambda body: answer_token(service, authority_url, tenant, body),
        )

    async def configuration(request: Request) -> Response:
        tenant = request.path_params["tenant"]
        return await _login_answer(
            service, request, lambda _: openid_configuration(service, authority_url, tenant)
        )

    async def discovery(request: Request) -> Response:
        return await _login_answer(service, request, lambda _: instance_discovery(authority_url))

    async def keys(request: Request) -> Response:
        return await _login_answer(
            service, request, lambda _: service.id_tokens.published(authority_url)
        )

    async def consent(request: Request) -> Response:
        tenant, method = request.path_params["tenant"], request.method
        return await _page(
            service, request, lambda given: consent_answer(service, tenant, method, given)
        )

    async def sign_in(request: Request) -> Response:
        tenant = request.path_params["tenant"]
        return await _page(service, request, lambda given: sign_in_answer(service, tenant, given))

    return Starlette(
        routes=[
            Route("/common/discovery/instance", discovery),
            Route("/{tenant}/v2.0/adminconsent", consent, methods=["GET", "POST"]),
            Route("/{tenant}/oauth2/v2.0/authorize", sign_in),
            Route("/{tenant}/discovery/v2.0/keys", keys),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", configuration),
            Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        ]
    )


async def _page(
    service: Service, request: Request, answered: Callable[[bytes], Answer]
) -> Response:
    given = await request.body() if request.method == "POST" else request.url.query.encode()
    try:
        answer = answered(given)
    except TokenError as error:
        answer = consent_trouble(error)
    # Without the query: it holds the application's state.
    service.recorder.add(Recorded(request.method, request.scope["path"], "", answer.status))
    return _Sent(answer)


async def _login_answer(
    service: Service, request: Request, make: Callable[[bytes], dict[str, Any]]
) -> Response:
    path = request.scope["path"]
    asked = Asked(request.method, path)
    picked = service.faults.pick(asked, page=1)
    service.faults.begin(asked, page=1)
    for fault in picked:
        if fault.kind == "slow":
            await asyncio.sleep(float(fault.options.get("milliseconds", 1000)) / 1000)
    faulty = [answer for fault in picked if (answer := _login_failure(request, fault)) is not None]
    if faulty:
        answer = faulty[0]
    else:
        try:
            answer = _login_json(make(await request.body()))
        except TokenError as error:
            answer = _login_json(error.body(request.headers.get("client-request-id")), error.status)
    for fault in picked:
        if fault.kind == "truncated":
            answer.close_after = int(fault.options.get("bytes", len(answer.body) // 2))
    service.recorder.add(Recorded(request.method, path, "", answer.status))
    return _Sent(answer)


def _login_failure(request: Request, fault: Fault) -> Answer | None:
    if fault.kind == "html":
        page = b"<html><head><title>Sign in</title></head><body>Proxy sign-in</body></html>"
        return Answer(200, page, content_type="text/html; charset=utf-8")
    if fault.kind == "reset":
        return Answer(200, close_after=0)
    if fault.kind == "tokenError":
        refusal = without_cause(fault.options["code"])
        client_id = request.headers.get("client-request-id")
        return _login_json(refusal.body(client_id), refusal.status)
    if fault.kind in STATUS_KINDS:
        answer = _login_json(
            transient().body(request.headers.get("client-request-id")), STATUS_KINDS[fault.kind]
        )
        if fault.options.get("retryAfter") is not None:
            answer.headers["Retry-After"] = str(fault.options["retryAfter"])
        return answer
    return None


def _login_json(document: object, status: int = 200) -> Answer:
    return Answer(
        status,
        orjson.dumps(document),
        {"Cache-Control": "no-store, no-cache"},
        content_type="application/json; charset=utf-8",
    )


class _Sent(Response):
    """An answer of ours where Starlette wants one of its own."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send(scope, receive, send, self._answer)
