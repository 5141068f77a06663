"""Synced people over HTTP: list and search, load one, and what happened to them."""

from typing import Annotated

from fastapi import Query, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import ServicesHere
from sync_core.api.http.names import ConnectionIdHere, ObjectIdHere, no_person
from sync_core.api.http.paging import Cursor, Top, from_cursor, page, to_cursor
from sync_core.domain.model import Status

USERS = "users"
HISTORY = "history"

StatusAsked = Annotated[Status | None, Query(description="Only people with this status.")]
Search = Annotated[
    str | None,
    Query(
        max_length=200,
        description="A part of userPrincipalName, displayName, email or object id, in any case.",
    ),
]


async def list_users(
    *,
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    status: StatusAsked = None,
    search: Search = None,
    top: Top = 100,
    cursor: Cursor = None,
) -> Response:
    """List the synced people of a connection by object id.

    A search looks at a part of the table at a time: a page may be short, or empty, and have a next one.
    """
    kind = f"{USERS}/{connection_id}"
    after = await from_cursor(services, kind, cursor)
    await services.store.connections.get(connection_id)
    people = services.store.people(connection_id)
    found, last = await people.page(top=top, after=after, status=status, search=search)
    return json_answer(page(found, await to_cursor(services, kind, last)))


async def get_user(
    services: ServicesHere, connection_id: ConnectionIdHere, object_id: ObjectIdHere
) -> Response:
    """Load one synced person."""
    await services.store.connections.get(connection_id)
    person = await services.store.people(connection_id).find(object_id)
    if person is None:
        raise no_person(object_id)
    return json_answer(person)


async def list_user_history(
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    object_id: ObjectIdHere,
    top: Top = 100,
    cursor: Cursor = None,
) -> Response:
    """List what happened to a person, newest first; also of somebody who was deleted."""
    kind = f"{HISTORY}/{connection_id}/{object_id}"
    after = await from_cursor(services, kind, cursor)
    await services.store.connections.get(connection_id)
    people = services.store.people(connection_id)
    found, last = await people.history(object_id, top=top, after=after)
    if not found and await people.find(object_id) is None:
        raise no_person(object_id)
    return json_answer(page(found, await to_cursor(services, kind, last)))
