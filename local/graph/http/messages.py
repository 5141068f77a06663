"""A Graph request and its answer, free of any web framework: a batch item is one as well."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from local.graph.directory.tenants import Tenant
from local.graph.faults.faults import Asked, Fault
from local.graph.http.access import Caller
from local.graph.http.errors import GraphError, bad_request

VERSION = "/v1.0"


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;odata.metadata=minimal;odata.streaming=true"
    close_after: int | None = None
    """Cut the connection after so many bytes of the body (a fault); 0 resets it at once."""


@dataclass(slots=True)
class GraphRequest:
    method: str
    path: str
    """Decoded, with the version: /v1.0/users."""
    raw_query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    tenant: Tenant
    caller: Caller
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    inside_batch: bool = False
    by_sdk: bool = False
    page_fault: Fault | None = None
    hidden: frozenset[str] = frozenset()
    """Attributes that come as null for this caller, without an error."""
    cost: int = 1
    """Resource units, told in x-ms-resource-unit."""
    _query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = parse_query(self.raw_query)
        return self._query

    @property
    def asked(self) -> Asked:
        return Asked(self.method, self.path, self.inside_batch)

    @property
    def is_eventual(self) -> bool:
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def json(self) -> dict[str, Any]:
        if "application/json" not in self.headers.get("content-type", "").lower():
            raise bad_request(
                "Write requests (excluding DELETE) must contain the Content-Type header "
                "declaration."
            )
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
        if not isinstance(document, dict):
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
        return document


def parse_query(raw: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        if name in query:
            raise bad_request(f"Query option '{name}' was specified more than once.")
        query[name] = value
    return query


def split_url(url: str) -> tuple[str, str]:
    """Path (decoded) and raw query of a relative or absolute-path URL."""
    path, _, query = url.partition("?")
    return unquote(path), query


def json_answer(document: object, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(document))
