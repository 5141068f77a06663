"""The outermost layer of the app: who may call at all, headers that every answer has, always an answer."""

from collections.abc import Set as AbstractSet
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_core.api.http.cross_site import SAFE_METHODS, comes_from_elsewhere
from sync_core.api.http.problems import from_sync_error, unexpected
from sync_core.api.http.refusals import Forbidden
from sync_core.store.patience import caller_waits

# Answers carry people: no cache keeps them, no page frames them, no browser guesses their type.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Edge:
    """Wraps the app; an answer's own header wins over the one for all.

    `changing` are paths whose GET changes something, so other sites may not have it sent either.
    """

    def __init__(self, app: ASGIApp, changing: AbstractSet[str] = frozenset()) -> None:
        self._app = app
        self._changing = changing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if self._is_cross_site(scope):
                await from_sync_error(_cross_site())(scope, receive, send_with_headers)
            else:
                with caller_waits():
                    await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            await unexpected(error, uuid4().hex)(scope, receive, send_with_headers)

    def _is_cross_site(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        changes = scope["method"] not in SAFE_METHODS or scope["path"] in self._changing
        return changes and comes_from_elsewhere(Headers(scope=scope))


def _cross_site() -> Forbidden:
    return Forbidden(
        "request.crossSite",
        "A page of another site sent this request.",
        "Do it from this app's own address, type the address, or call with a program.",
    )
