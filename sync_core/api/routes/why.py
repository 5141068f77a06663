"""Why a person is in or out, over HTTP."""

from typing import Annotated

from fastapi import Depends, Path, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, Role, ServicesHere
from sync_core.api.http.names import ConnectionIdHere
from sync_core.domain.documents.base import GUID
from sync_core.domain.explain.words import unknown_person
from sync_core.people.why import explain

# The longest sign-in name that Entra knows: 64 characters, @, 48 characters
# (learn.microsoft.com/graph/api/resources/user).
MAX_NAME = 113


async def person_name(
    who: Annotated[
        str,
        Path(
            description="The person's object id or sign-in name (userPrincipalName).",
            examples=["ann@contoso.com"],
        ),
    ],
) -> str:
    """Return the name as it is asked for; what cannot be one is not asked."""
    name = who.strip()
    if GUID.fullmatch(name) or ("@" in name and name.isprintable() and len(name) <= MAX_NAME):
        return name
    raise unknown_person(who)


async def explain_person(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    who: Annotated[str, Depends(person_name)],
) -> Response:
    """Say why a person is in or out, what was seen, and what the next run would do.

    A reader is told the reasons, and no values, of people who are not in.
    """
    stored = await services.store.connections.get(connection_id)
    told = await explain(
        services, stored.connection, who, values_of_outsiders=caller.may(Role.ADMIN)
    )
    return json_answer(told)
