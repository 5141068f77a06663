"""The HTTP side of the host, an ASGI application: functions, keys, admin calls, home page."""

import hmac
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

from azure.functions.meta import Datum
from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from local.host import queues, timers
from local.host.application import Function
from local.host.invocation import CALLED_BY_API, Invoker
from local.host.routing import Router, decode_path

logger = logging.getLogger("host")

MAX_BODY_BYTES = 100 * 1024 * 1024
"""https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits"""

HOME_PAGE = """<!DOCTYPE html>
<html><head><title>Functions</title></head>
<body><h1>Your Functions app is up and running</h1></body></html>"""


@dataclass(frozen=True)
class Keys:
    """The host's default function key and its master key."""

    function: str
    master: str

    def open(self, level: str, given: str) -> bool:
        master = hmac.compare_digest(given.encode(), self.master.encode())
        match level.lower():
            case "anonymous":
                return True
            case "function":
                return master or hmac.compare_digest(given.encode(), self.function.encode())
            case _:
                return master


class HttpHost:
    """The application."""

    def __init__(
        self, functions: Iterable[Function], *, prefix: str, keys: Keys, invoker: Invoker
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._router = Router(self._functions.values(), prefix)
        self._keys = keys
        self._invoker = invoker

    @property
    def routes(self) -> list[str]:
        return [
            f"{route.function.name}: {sorted(route.methods or ['all'])} /{route.template}"
            for route in self._router.routes
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        raw_path = request.scope["raw_path"].decode("latin-1")
        path = decode_path(raw_path)
        # No function can have a route here: WebJobsRouter in azure-webjobs-sdk-extensions.
        if path.lower() == "/admin" or path.lower().startswith("/admin/"):
            return await self._admin(request, path.strip("/").split("/")[1:])
        found = self._router.find(request.method, raw_path)
        if found is None:
            return Response(HOME_PAGE, media_type="text/html") if path == "/" else _not_found()
        function, values = found
        level = function.trigger.properties.get("authLevel", "function")
        if not self._keys.open(level, _key(request)):
            return Response(status_code=401)
        if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
            return Response(status_code=413)
        return await self._function(function, values, request, raw_path)

    async def _function(
        self, function: Function, values: Mapping[str, str], request: Request, raw_path: str
    ) -> Response:
        data = Datum(
            type="http",
            value={
                "method": _text(request.method),
                "url": _text(_url(request, raw_path)),
                "headers": _texts(_without_platform(_joined(request.headers))),
                "query": _texts(_joined(request.query_params)),
                "params": _texts(values),
                "body": Datum(type="bytes", value=await request.body()),
            },
        )
        try:
            result = await self._invoker.invoke(function, data, CALLED_BY_API)
        except Exception:  # noqa: BLE001 - whatever a function raises is a 500; the log has it
            return Response(status_code=500)
        return _response(result)

    async def _admin(self, request: Request, path: list[str]) -> Response:
        if path == ["host", "ping"]:
            return Response(status_code=200)
        if not self._keys.open("admin", _key(request)):
            return Response(status_code=401)
        match (request.method, *path):
            case ("GET", "host", "status"):
                return JSONResponse({"id": "local", "state": "Running", "version": "4.local"})
            case ("GET", "functions"):
                return JSONResponse([{"name": f.name} for f in self._functions.values()])
            case ("POST", "functions", name):
                return await self._by_hand(name, request)
            case _:
                return _not_found()

    async def _by_hand(self, name: str, request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return Response(status_code=400)
        if not isinstance(asked, dict):
            return Response(status_code=400)
        function = self._functions.get(name.lower())
        if function is None:
            return _not_found()
        given = asked.get("input") or ""
        text = given if isinstance(given, str) else json.dumps(given)
        match function.trigger.type:
            case "timerTrigger":
                self._invoker.start(function, timers.request(None, None), {})
            case "queueTrigger":
                metadata = queues.metadata_by_hand()
                self._invoker.start(function, _text(text), metadata)
            case _:
                message = f"{function.name} has an HTTP trigger: call its own address."
                return PlainTextResponse(message, 400)
        return Response(status_code=202)


def _response(result: Datum | None) -> Response:
    if result is None:
        return Response(status_code=204)
    if result.type == "string":
        return PlainTextResponse(result.value)
    value: dict[str, Any] = result.value
    headers = {name: header.value for name, header in value["headers"].items()}
    # Recounted by Starlette, and 204 and 304 must have none.
    headers = {name: text for name, text in headers.items() if name.lower() != "content-length"}
    response = Response(value["body"].value, int(value["status_code"].value), headers)
    cookies: list[SimpleCookie] = value["cookies"] or []
    for cookie in cookies:
        for morsel in cookie.values():
            response.headers.append("Set-Cookie", morsel.OutputString())
    return response


def _not_found() -> Response:
    return Response(status_code=404)


def _key(request: Request) -> str:
    return request.headers.get("x-functions-key") or request.query_params.get("code") or ""


def _url(request: Request, raw_path: str) -> str:
    host = request.headers.get("host", "localhost")
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.url.scheme}://{host}{raw_path}" + (f"?{query}" if query else "")


def _joined(pairs: Headers | QueryParams) -> dict[str, str]:
    """The worker gets one text for each name; the host joins several with commas."""
    together: dict[str, list[str]] = {}
    for name, value in pairs.multi_items() if isinstance(pairs, QueryParams) else pairs.items():
        together.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in together.items()}


def _without_platform(headers: Mapping[str, str]) -> dict[str, str]:
    """Take away what only the platform may say, such as who has signed in, as Azure's front does.

    learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    return {name: value for name, value in headers.items() if not name.startswith("x-ms-")}


def _text(value: str) -> Datum:
    return Datum(type="string", value=value)


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: _text(value) for name, value in values.items()}
