"""One person now, over HTTP."""

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.names import ConnectionIdHere, ObjectIdHere
from sync_core.logs import log_event
from sync_core.people.sync_now import sync_person as sync_one


async def sync_person(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    object_id: ObjectIdHere,
) -> Response:
    """Bring one person in line with the directory now, and show the steps."""
    log_event("run.personRequested", connection=connection_id, by=caller.name)
    return json_answer(await sync_one(services, connection_id, object_id, caller.actor))
