"""What is asked of Entra's login service beside application tokens: open documents, and tokens for a code.

One request each, on a connection of its own: they are as rare as people who sign in.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from sync_core.directory.token_errors import Asked, Refusal, explain_refusal, no_proper_answer

# A person waits before a browser.
TIMEOUT = ClientTimeout(total=10)


async def get_document(url: str, asked: Asked) -> dict[str, Any]:
    """Load a document that is open to everybody; raises what Entra says in its place."""
    return await _document("GET", url, None, asked)


async def post_form(url: str, form: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    """Send a form and return the answer; raises what Entra says in its place."""
    return await _document("POST", url, form, asked)


async def _document(
    method: str, url: str, form: Mapping[str, str] | None, asked: Asked
) -> dict[str, Any]:
    try:
        # No redirect: what is sent is for this host only.
        async with (
            ClientSession(timeout=TIMEOUT) as session,
            session.request(method, url, data=form, allow_redirects=False) as answer,
        ):
            status, headers, body = answer.status, dict(answer.headers), await answer.read()
        document = orjson.loads(body)
    except (ClientError, TimeoutError, OSError, ValueError) as error:
        raise no_proper_answer(error) from error
    if status == 200 and isinstance(document, dict):
        return document
    text = str(document.get("error_description", "")) if isinstance(document, dict) else ""
    refused = explain_refusal(Refusal(text, status, headers), asked)
    raise refused or no_proper_answer(ValueError())
