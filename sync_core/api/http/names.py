"""Ids in a path: what cannot be an id is not asked of the tables, it is simply not there (404)."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Path
from pydantic import StringConstraints

from sync_core.domain.documents.base import GUID, is_connection_id, is_run_id
from sync_core.domain.errors import NotFound

MAX_ID = 48
# An id in a query; longer ones are refused, what is no id is not there.
ConnectionName = Annotated[str, StringConstraints(max_length=200)]
ID_ATTEMPTS = 100


async def connection_id(
    id: Annotated[str, Path(description="The connection's id.", examples=["contoso"])],  # noqa: A002
) -> str:
    return possible_connection_id(id)


def possible_connection_id(given: str) -> str:
    if not is_connection_id(given):
        raise NotFound(
            "connection.notFound",
            f"There is no connection {given!r}.",
            "List the connections with GET /api/connections.",
        )
    return given


async def run_id(
    run_id: Annotated[
        str, Path(alias="runId", description="The run's id.", examples=["8233998400000-1f2e3d4c"])
    ],
) -> str:
    if not is_run_id(run_id):
        raise NotFound(
            "run.notFound", f"There is no run {run_id!r}.", "List the connection's runs."
        )
    return run_id


async def object_id(
    object_id: Annotated[
        str,
        Path(
            alias="objectId",
            description="The person's object id in Entra.",
            examples=["6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21"],
        ),
    ],
) -> str:
    if not GUID.fullmatch(object_id):
        raise no_person(object_id)
    return object_id.lower()


async def other_id(
    other: Annotated[
        str, Path(description="The id of the deleted connection.", examples=["contoso-old"])
    ],
) -> str:
    return possible_connection_id(other)


ConnectionIdHere = Annotated[str, Depends(connection_id)]
OtherIdHere = Annotated[str, Depends(other_id)]
RunIdHere = Annotated[str, Depends(run_id)]
ObjectIdHere = Annotated[str, Depends(object_id)]


def no_person(object_id: str) -> NotFound:
    return NotFound(
        "user.notFound",
        f"The connection has no synced person {object_id!r}.",
        "People are named by their object id in Entra. GET /api/connections/{id}/users?search= lists those "
        "who are synced; GET /api/connections/{id}/why/{sign-in name} tells the object id of anybody.",
    )


def ids_for(display_name: str) -> Iterator[str]:
    """Return ids made from a display name: `contoso-ag`, then `contoso-ag-2` and so on."""
    plain = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_ID].strip("-") or "connection"
    yield base
    for number in range(2, ID_ATTEMPTS):
        ending = f"-{number}"
        yield base[: MAX_ID - len(ending)].rstrip("-") + ending
