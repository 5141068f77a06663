"""Somebody brought in by hand, given back to the rules, over HTTP."""

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import BodyIfAny, document_of
from sync_core.api.http.confirmation import Confirm
from sync_core.api.http.names import ConnectionIdHere, ObjectIdHere
from sync_core.api.shapes import NoteBody
from sync_core.people.release import release


async def release_person(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    object_id: ObjectIdHere,
    body: BodyIfAny,
    confirm: Confirm = None,
) -> Response:
    """Let the rules decide again about somebody who was brought in by hand.

    Who leaves by that is refused with 409 and `planHash` first, and done with `?confirm=`.
    """
    asked = document_of(NoteBody, body)
    await services.store.connections.get(connection_id)
    released = await release(
        services,
        connection_id,
        object_id,
        note=asked.note,
        confirmed=confirm or [],
        by=caller.actor,
    )
    return json_answer(released)
