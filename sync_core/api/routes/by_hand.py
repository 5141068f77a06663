"""People named by an administrator, over HTTP: whom to pick, bringing them in, and syncing a few now."""

from typing import Annotated

from fastapi import Query, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import Body, document_of
from sync_core.api.http.names import ConnectionIdHere
from sync_core.api.http.paging import DEFAULT_TOP, Top, from_cursor, page, to_cursor
from sync_core.api.http.preferences import wait_s
from sync_core.api.routes.pickers import LongCursor, opened
from sync_core.api.routes.runs import Prefer
from sync_core.api.shapes import ImportBody, PeopleBody
from sync_core.directory.candidates import Wanted
from sync_core.domain.catalog.candidates import as_typed
from sync_core.domain.documents.run import Run
from sync_core.people.by_hand import ask_for_import, ask_for_sync
from sync_core.people.candidates import BEGINNING, WORDS, Imported, candidates
from sync_core.runs.request import wait_for_end
from sync_core.services import Services

ImportedAsked = Annotated[
    Imported | None,
    Query(description="Only who is not in (`none`), who is (`any`), or who is in by this."),
]


async def list_candidates(
    *,
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    search: Annotated[
        str,
        Query(
            max_length=120, description="Words of the name, the beginning of an address, or the id."
        ),
    ] = "",
    department: Annotated[
        str | None, Query(max_length=120, description="Only this department, as Entra has it.")
    ] = None,
    user_type: Annotated[
        str | None, Query(alias="userType", max_length=60, description="`Member` or `Guest`.")
    ] = None,
    imported: ImportedAsked = None,
    top: Top = DEFAULT_TOP,
    cursor: LongCursor = None,
) -> Response:
    """List people of the directory to pick from, each with what they are in by already."""
    text = as_typed(search)
    # A cursor is of one list: with another search it would go on in the old one.
    asked = "|".join([text, department or "", user_type or ""])
    kind = f"candidates-{connection_id}|{asked}"
    position = await from_cursor(services, kind, cursor)
    stored = await services.store.connections.get(connection_id)
    wanted = Wanted(text, department, user_type)
    async with opened(services, stored.connection) as client:
        found = await candidates(
            services, client, connection_id, wanted, imported, top=top, position=position
        )
    onward = await to_cursor(services, kind, found.position)
    how = WORDS if found.by_words else BEGINNING
    return json_answer(page(found.people, onward) | {"searched": how})


async def import_people(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    body: Body,
    prefer: Prefer = None,
) -> Response:
    """Bring exactly these people in by hand; 200 with the finished run if the caller waits for it."""
    asked = document_of(ImportBody, body)
    stored = await services.store.connections.get(connection_id)
    run = await ask_for_import(
        services,
        stored.connection,
        asked.object_ids,
        until=asked.until,
        note=asked.note,
        by=caller.actor,
    )
    return await _answer(services, run, prefer)


async def sync_people(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    body: Body,
    prefer: Prefer = None,
) -> Response:
    """Bring these people in line with the directory now; 200 with a result for each if the caller waits."""
    asked = document_of(PeopleBody, body)
    stored = await services.store.connections.get(connection_id)
    run = await ask_for_sync(services, stored.connection, asked.who, caller.actor)
    return await _answer(services, run, prefer)


async def _answer(services: Services, run: Run, prefer: list[str] | None) -> Response:
    headers = {"Location": f"/api/connections/{run.connection_id}/runs/{run.id}"}
    seconds = wait_s(prefer or [])
    if seconds is not None:
        run = await wait_for_end(services, run, seconds)
        headers["Preference-Applied"] = f"wait={seconds}"
    return json_answer(run, 200 if run.status.is_final else 202, headers)
