"""What an administrator can choose from, over HTTP: groups and attributes of a connection's tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import ServicesHere
from sync_core.api.http.names import ConnectionIdHere
from sync_core.api.http.paging import DEFAULT_TOP, Top, from_cursor, page, to_cursor
from sync_core.directory.attributes import Readiness
from sync_core.directory.client import GraphClient
from sync_core.directory.group_search import find_groups, more_groups
from sync_core.domain.connections.permissions import needs_of
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.logs import log_event
from sync_core.services import Services

# Somebody waits for the answer, and the Functions host ends an HTTP request after 230 seconds.
RETRY_BUDGET_S = 20.0
# Each group that is counted is a request of its own inside of a batch.
MOST_COUNTED = 100
WORDS = "words"
BEGINNING = "beginning"

# Holds the link of Graph, which is longer than our own positions.
LongCursor = Annotated[
    str | None,
    Query(max_length=8000, description="`next` of the page before; nothing for the first page."),
]


@asynccontextmanager
async def opened(services: Services, connection: Connection) -> AsyncIterator[GraphClient]:
    """Open a connection's way to Graph for somebody who waits."""
    little = replace(services.directory.retry_budget(), budget_s=RETRY_BUDGET_S)
    async with services.directory.open(connection, little) as client:
        yield client


async def list_groups(
    *,
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    search: Annotated[
        str,
        Query(max_length=120, description="Words of the name or the description, or the id."),
    ] = "",
    members: Annotated[
        bool, Query(description="Count the people directly in each group; `top` up to 100.")
    ] = False,
    top: Top = DEFAULT_TOP,
    cursor: LongCursor = None,
) -> Response:
    """List the groups of the tenant, to choose from."""
    if members and top > MOST_COUNTED:
        message = f"members are counted for at most {MOST_COUNTED} groups at a time"
        raise Invalid("Too many groups to count.", [FieldProblem("top", message)])
    kind = f"groups-{connection_id}"
    position = await from_cursor(services, kind, cursor)
    stored = await services.store.connections.get(connection_id)
    async with opened(services, stored.connection) as client:
        if position is None:
            found = await find_groups(client, search.strip(), top=top, members=members)
        else:
            how, _, link = position.partition(" ")
            found = await more_groups(client, link, by_words=how == WORDS, members=members)
    how = WORDS if found.by_words else BEGINNING
    onward = await to_cursor(services, kind, f"{how} {found.link}" if found.link else None)
    return json_answer(page(found.groups, onward) | {"searched": how})


async def list_attributes(
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    sample: Annotated[
        int,
        Query(ge=1, le=20_000, description="How many people to look at; 999 is one request."),
    ] = 999,
) -> Response:
    """List the attributes of the tenant's people, and how they are filled in a sample; no values."""
    connection = (await services.store.connections.get(connection_id)).connection
    needs = needs_of(connection)
    async with opened(services, connection) as client:
        readiness = Readiness(client, guests=connection.scope.guests, used=needs.attributes)
        reports, size = await readiness.report(sample, services.clock())
    log_event("attributes.measured", connection=connection_id, people=size.people, read=size.read)
    keys = [one.name for one in reports if one.matching_key]
    more = {"sample": size, "matchingKeys": keys, "notes": readiness.notes}
    return json_answer(page(reports, None) | more)
