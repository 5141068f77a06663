"""Pages of a collection: items and the way onward in, Graph's page with an opaque link out.

A link carries everything the next request needs, signed; a parameter added to it is refused.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Any

import orjson

from local.graph.faults.faults import Fault
from local.graph.http.errors import GraphError, bad_request
from local.graph.http.messages import VERSION, Answer, GraphRequest

_SIGNATURE_BYTES = 12


class Links:
    """Makes and reads the tokens in nextLink and deltaLink; those of another process are foreign."""

    def __init__(self, graph_url: str) -> None:
        self.graph_url = graph_url
        self._key = secrets.token_bytes(32)

    def next_link(self, path: str, state: dict[str, Any]) -> str:
        return self.link_with(path, self._pack(path, state))

    def link_with(self, path: str, token: str) -> str:
        return f"{self.graph_url}{path}?$skiptoken={token}"

    def delta_link(self, path: str, state: dict[str, Any]) -> str:
        return f"{self.graph_url}{path}?$deltatoken={self._pack(path, state)}"

    def read(self, path: str, token: str) -> dict[str, Any] | None:
        """What the link carries; None when it was not made here, or for another path."""
        try:
            packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        body, signature = packed[:-_SIGNATURE_BYTES], packed[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(path, body)):
            return None
        state: dict[str, Any] = orjson.loads(body)
        return state

    def page_number(self, path: str, query: dict[str, str]) -> int:
        """1 for a first page; faults can be set for the n-th one."""
        token = query.get("$skiptoken")
        state = self.read(path, token) if token else None
        return int(state["page"]) if state else 1

    def _pack(self, path: str, state: dict[str, Any]) -> str:
        body = orjson.dumps(state)
        packed = body + self._sign(path, body)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    def _sign(self, path: str, body: bytes) -> bytes:
        message = path.lower().encode() + b"\0" + body
        return hmac.digest(self._key, message, hashlib.sha256)[:_SIGNATURE_BYTES]


def only_token(request: GraphRequest, name: str) -> str:
    """The token of a link, which must come back exactly as it was given."""
    if len(request.query) > 1:
        others = ", ".join(sorted(request.query.keys() - {name}))
        raise bad_request(f"The query parameter(s) {others} cannot be added to a link with {name}.")
    return request.query[name]


def expired_page() -> GraphError:
    return GraphError(
        400,
        "Directory_ExpiredPageToken",
        "The specified page token value has expired and cannot be included in your request.",
    )


Link = tuple[str, str]
"""("@odata.nextLink", url) or the same with deltaLink."""


def page_answer(
    request: GraphRequest,
    links: Links,
    *,
    context: str,
    items: list[bytes],
    link: Link | None,
    here: dict[str, Any],
    count: int | None = None,
) -> Answer:
    """The body of one page; ``here`` is the state of this very page, which some faults need."""
    if request.page_fault is not None:
        items, link = _disturbed(request.page_fault, request, links, items, link, here=here)
    parts = [b'{"@odata.context":', orjson.dumps(f"{links.graph_url}{VERSION}/$metadata#{context}")]
    if count is not None:
        parts.append(b',"@odata.count":%d' % count)
    if link is not None:
        parts.append(b',"%s":%s' % (link[0].encode(), orjson.dumps(link[1])))
    parts += [b',"value":[', b",".join(items), b"]}"]
    return Answer(200, b"".join(parts))


def _disturbed(
    fault: Fault,
    request: GraphRequest,
    links: Links,
    items: list[bytes],
    link: Link | None,
    *,
    here: dict[str, Any],
) -> tuple[list[bytes], Link | None]:
    kind = fault.kind
    if kind == "emptyPages" and here["page"] > int(fault.options["count"]):
        return items, link
    if kind == "lostRest":
        return [], None
    again = links.next_link(request.path, {**here, "page": here["page"] + 1})
    if kind in ("emptyPage", "emptyPages"):
        return [], ("@odata.nextLink", again)
    if kind == "repeatedPage":
        return items, ("@odata.nextLink", again)
    if kind == "loopingLink":
        return items, ("@odata.nextLink", _same_page(request, links, here))
    host = fault.options.get("host", "https://graph.example.com")
    onward = link[1] if link else again
    return items, ("@odata.nextLink", onward.replace(links.graph_url, host, 1))


def _same_page(request: GraphRequest, links: Links, here: dict[str, Any]) -> str:
    token = request.query.get("$skiptoken")
    return links.link_with(request.path, token) if token else links.next_link(request.path, here)
