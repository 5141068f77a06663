"""The one door to the network: a request in, status, headers and body out, whatever the status is."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from deploy.errors import DeployError

TIMEOUT_S = 60
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Return the document, or None where the body is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Unreachable(DeployError):
    """Nobody answered: no name, no connection, no certificate that is trusted, or too late."""


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request; a redirect is an answer, too, so that no token goes to another host."""
    _check(url)
    request = Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310 -- checked
    began = time.monotonic()
    try:
        with _opener().open(request, timeout=timeout_s) as answer:
            return _answer(answer.status, answer.headers, answer.read(), began)
    except HTTPError as refused:
        with refused:
            return _answer(refused.code, refused.headers, refused.read(), began)
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(
            f"{urlsplit(url).hostname} did not answer: {reason}",
            "See whether this machine reaches it, and try again in some minutes.",
        ) from error


def _answer(status: int, headers: Message, body: bytes, began: float) -> Answer:
    told = {name.lower(): value for name, value in headers.items()}
    return Answer(status, told, body, time.monotonic() - began)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise DeployError(
            f"{url} is no https address.", "Give the address of the function app with https."
        )


@cache
def _opener() -> OpenerDirector:
    """Return a client that goes through the proxy of the environment and follows nothing."""
    opener = OpenerDirector()
    errors = (HTTPDefaultErrorHandler(), HTTPErrorProcessor())
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), *errors):
        opener.add_handler(handler)
    return opener
