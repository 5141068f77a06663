"""What an administrator can choose from, over HTTP: the groups of a connection's tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Response

from sync_core.api.answers import json_answer
from sync_core.api.auth import ServicesHere
from sync_core.api.names import ConnectionIdHere
from sync_core.api.paging import Top, from_cursor, page, to_cursor
from sync_core.errors import FieldProblem, Invalid
from sync_core.wiring import Services

if TYPE_CHECKING:
    from sync_core.directory.client import GraphClient

# Somebody waits for the answer, and the Functions host ends an HTTP request after 230 seconds.
ATTEMPTS = 3
PATIENCE_S = 20.0
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
async def looking(services: Services, connection_id: str) -> AsyncIterator["GraphClient"]:
    """Open a connection's way to Graph for somebody who waits."""
    stored = await services.connections.get(connection_id)
    little = replace(services.patience(), attempts=ATTEMPTS, budget_s=PATIENCE_S)
    async with services.directory(stored.connection, little) as client:
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
    top: Top = 50,
    cursor: LongCursor = None,
) -> Response:
    """List the groups of the tenant, to choose from."""
    from sync_core.directory.group_search import find_groups, more_groups

    if members and top > MOST_COUNTED:
        message = f"members are counted for at most {MOST_COUNTED} groups at a time"
        raise Invalid("Too many groups to count.", [FieldProblem("top", message)])
    kind = f"groups-{connection_id}"
    position = from_cursor(kind, cursor)
    async with looking(services, connection_id) as client:
        if position is None:
            found = await find_groups(client, search.strip(), top=top, members=members)
        else:
            how, _, link = position.partition(" ")
            found = await more_groups(client, link, by_words=how == WORDS, members=members)
    how = WORDS if found.by_words else BEGINNING
    onward = to_cursor(kind, f"{how} {found.link}") if found.link else None
    return json_answer(page(found.groups, onward) | {"searched": how})
