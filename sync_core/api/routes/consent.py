"""Admin consent over HTTP: an administrator is sent to Entra, and comes back to a page with the outcome.

The callback and the page are open to everybody: who comes back from Entra has no account here. The state
and the sign-in are the proof, and the page holds nothing but words of ours.
"""

import logging
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse

from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.names import ConnectionName, possible_connection_id
from sync_core.api.routes.consent_page import HEADERS, result_page
from sync_core.connections import consent
from sync_core.domain.connections.consent import (
    CALLBACK_PATH,
    NOTHING,
    WORDS,
    Outcome,
    read_callback,
    result_address,
)
from sync_core.domain.errors import SyncError
from sync_core.logs import log_event
from sync_core.services import Services

FOUND = 302


async def start_consent(
    services: ServicesHere,
    caller: CallerHere,
    connection: Annotated[
        ConnectionName,
        Query(description="The id of the connection that shall be connected to a tenant."),
    ],
) -> Response:
    """Send the browser to Entra, where an administrator of the tenant is asked to consent."""
    stored = await services.store.connections.get(possible_connection_id(connection))
    address = await consent.begin(services, stored.connection)
    log_event("consent.started", connection=connection, by=caller.name)
    return Response(status_code=FOUND, headers={"Location": address})


async def finish_consent(request: Request, services: ServicesHere) -> Response:
    """Take the browser back from Entra: on to the sign-in, or to the page with the outcome."""
    callback = read_callback(request.query_params.multi_items())
    try:
        step = await consent.finish(services, callback, request.cookies)
    except SyncError as error:
        # A browser waits for words, not for a problem document.
        log_event("consent.failed", level=logging.ERROR, code=error.code)
        step = Outcome.APP_BUSY
    if isinstance(step, consent.SentOn):
        return _sent_on(step, services)
    return Response(status_code=FOUND, headers={"Location": result_address(step)})


def _sent_on(step: consent.SentOn, services: Services) -> Response:
    answer = Response(status_code=FOUND, headers={"Location": step.address})
    answer.set_cookie(
        step.cookie,
        step.secret,
        max_age=step.lives_s,
        path=CALLBACK_PATH,
        # A local address may be http, where a browser would not keep a secure one.
        secure=services.settings.public_base_url.startswith("https://"),
        httponly=True,
        # The browser comes back from Entra's site by a link, which "strict" would not send it with.
        samesite="lax",
    )
    return answer


async def get_consent_result(
    code: Annotated[str | None, Query(max_length=200, description="The outcome.")] = None,
) -> Response:
    """Tell in words how a consent ended, and what to do next."""
    outcome = Outcome(code) if code in WORDS else None
    words = WORDS[outcome] if outcome else NOTHING
    return HTMLResponse(result_page(words, outcome), headers=HEADERS)
