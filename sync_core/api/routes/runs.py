"""Runs over HTTP: ask for one, list them, load one and what it changed."""

from typing import Annotated

from fastapi import Header, Response
from pydantic import StringConstraints

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, Role, ServicesHere
from sync_core.api.http.bodies import BodyIfAny, document_of
from sync_core.api.http.names import ConnectionIdHere, RunIdHere
from sync_core.api.http.paging import Cursor, Top, from_cursor, number_of, page, to_cursor
from sync_core.api.http.preferences import wait_s
from sync_core.api.shapes import SyncBody
from sync_core.domain.documents.run import Run
from sync_core.domain.model import Action
from sync_core.logs import log_event
from sync_core.runs.request import ask_for_run, wait_for_end
from sync_core.services import Services

RUNS = "runs"
CHANGES = "changes"

Prefer = Annotated[
    list[Annotated[str, StringConstraints(max_length=2_000)]] | None,
    Header(
        max_length=20, description="`wait=SECONDS` (at most 200): answer when the run has ended."
    ),
]


async def sync_connection(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    body: BodyIfAny,
    prefer: Prefer = None,
) -> Response:
    """Ask for a run now; 200 with the finished run if the caller waits and it ends in time."""
    mode = document_of(SyncBody, body).mode
    stored = await services.store.connections.get(connection_id)
    run = await ask_for_run(services, stored.connection, mode, caller.actor)
    log_event("run.requested", connection=connection_id, run=run.id, by=caller.name)
    headers = {"Location": f"/api/connections/{connection_id}/runs/{run.id}"}
    seconds = wait_s(prefer or [])
    if seconds is not None:
        run = await wait_for_end(services, run, seconds)
        headers["Preference-Applied"] = f"wait={seconds}"
    return json_answer(run, 200 if run.status.is_final else 202, headers)


async def list_runs(
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    top: Top = 100,
    cursor: Cursor = None,
) -> Response:
    """List the runs of a connection, newest first; `results` stand in each run by itself."""
    kind = f"{RUNS}/{connection_id}"
    after = await from_cursor(services, kind, cursor)
    await services.store.connections.get(connection_id)
    runs = await services.store.runs.page(connection_id, top=top + 1, after=after)
    last = runs[top - 1].id if len(runs) > top else None
    # A thousand results a run would make a page of many megabytes.
    shown = [run.replaced(results=None) for run in runs[:top]]
    return json_answer(page(shown, await to_cursor(services, kind, last)))


async def get_run(
    services: ServicesHere, caller: CallerHere, connection_id: ConnectionIdHere, run_id: RunIdHere
) -> Response:
    """Load a run; the one that deletes a connection is there when the connection is gone.

    Of people who were named and are not in, a reader is told what became of them, and no values.
    """
    run = await _run(services, connection_id, run_id)
    if run.results is not None and not caller.may(Role.ADMIN):
        run = run.replaced(results=[one.without_values() for one in run.results])
    return json_answer(run)


async def list_run_changes(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    run_id: RunIdHere,
    top: Top = 100,
    cursor: Cursor = None,
) -> Response:
    """List the changes that a run decided on, in the order of its plan.

    A reader is told who would come in and waits for approval, and no values: they are not in.
    """
    kind = f"{CHANGES}/{connection_id}/{run_id}"
    skip = number_of(await from_cursor(services, kind, cursor))
    await _run(services, connection_id, run_id)
    changes: list[dict[str, object]] = []
    async for change in services.store.plans.load(connection_id, run_id, skip=skip):
        changes.append(change)
        if len(changes) > top:
            break
    last = str(skip + top) if len(changes) > top else None
    items = [one if caller.may(Role.ADMIN) else _for_reader(one) for one in changes[:top]]
    return json_answer(page(items, await to_cursor(services, kind, last)))


def _for_reader(change: dict[str, object]) -> dict[str, object]:
    waits_to_come_in = change["held"] and change["action"] == Action.CREATE.value
    return change | {"fields": {}} if waits_to_come_in else change


async def _run(services: Services, connection_id: str, run_id: str) -> Run:
    found = await services.store.runs.find(connection_id, run_id)
    if found is None:
        await services.store.connections.get(connection_id)
        found = await services.store.runs.get(connection_id, run_id)
    return found
