"""A preview over HTTP: what a run would do now, with settings that are tried and not saved."""

from datetime import datetime

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import BodyIfAny, JsonObject
from sync_core.api.http.names import ConnectionIdHere
from sync_core.connections.attributes import attribute_problems
from sync_core.connections.save import checked_draft
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.logs import log_event
from sync_core.runs.preview import preview

TRIED = ("scope", "mapping", "matching", "policy")


async def preview_connection(
    services: ServicesHere, caller: CallerHere, connection_id: ConnectionIdHere, body: BodyIfAny
) -> Response:
    """Say what a run would do now, with the settings of the body in place of the stored ones."""
    stored = await services.store.connections.get(connection_id)
    connection = await tried(stored.connection, body, services.clock())
    if problems := await attribute_problems(services, connection):
        raise Invalid("The settings name attributes that Graph does not have.", problems)
    found = await preview(services, connection, keep=True)
    log_event(
        "connection.previewed",
        connection=connection_id,
        by=caller.name,
        read=found.counts.read,
        joiners=found.counts.joiners,
        leavers=found.counts.leavers,
    )
    return json_answer(found)


async def tried(stored: Connection, body: JsonObject, now: datetime) -> Connection:
    """Put what is tried in place of what is stored, and check it as a save would."""
    if foreign := sorted(body.keys() - set(TRIED)):
        message = f"cannot be tried; a preview takes {', '.join(TRIED)}"
        raise Invalid(
            f"The preview does not take {', '.join(foreign)}.",
            [FieldProblem(name, message) for name in foreign],
        )
    # A preview needs no connection that may run, so what only enabling one needs is not asked for.
    wanted = stored.to_json() | body | {"enabled": False}
    connection = (await checked_draft(wanted, now)).connection
    if "scope" in body:
        return connection
    # What is not tried is as a run reads it now.
    return connection.model_copy(update={"scope": stored.scope})
