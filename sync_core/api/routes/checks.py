"""A connection tried out over HTTP: what it needs, what it has, and what to do about the difference."""

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.names import ConnectionIdHere
from sync_core.connections import verify
from sync_core.connections.impact import SaveGuard
from sync_core.domain.connections.verification import verification_document
from sync_core.logs import log_event


async def check_connection(services: ServicesHere, connection_id: ConnectionIdHere) -> Response:
    """Ask Entra for a token and Graph for a few answers; changes nothing in the directory.

    Settings that wait beside those in use come into use if they pass.
    """
    checked = await verify.check(services, connection_id, SaveGuard(services).check_waiting)
    state = verification_document(checked.verification, services.clock())
    return json_answer(checked.newest.to_json() | {"inUse": checked.in_use, "verification": state})


async def drop_pending(
    services: ServicesHere, caller: CallerHere, connection_id: ConnectionIdHere
) -> Response:
    """Forget settings that did not pass their check and wait; those in use stay as they are."""
    stored = await services.store.connections.get(connection_id)
    if await verify.drop_pending(services, stored):
        log_event("connection.pendingDropped", connection=connection_id, by=caller.name)
    return Response(status_code=204)
