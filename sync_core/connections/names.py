"""Sign-in names of a connection that was just saved: looked up at once, and told of."""

import asyncio

from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.domain.names import UNBOUND, Bindings, unbound
from sync_core.logs import log_event
from sync_core.runs.names import keep, look_up
from sync_core.services import Services

# Somebody waits for the answer to a save; the next run looks up what was not found in time.
LOOK_UP_PATIENCE_S = 5.0


async def bind(services: Services, connection: Connection) -> Bindings:
    """Look up the names that are not bound yet, if the directory answers; return what is known then."""
    known = await services.store.bindings.read(connection.id)
    if connection.tenant_id is None or not unbound(connection, known):
        return known
    try:
        async with (
            asyncio.timeout(LOOK_UP_PATIENCE_S),
            services.directory.open(connection) as client,
        ):
            known = await look_up(services, connection, client)
    except TimeoutError:
        log_event("names.notFound", connection=connection.id, code="timeout")
    except SyncError as error:
        log_event("names.notFound", connection=connection.id, code=error.code)
    else:
        await keep(services, known)
    return known


def name_warnings(connection: Connection, bindings: Bindings) -> list[Warning]:
    """Name the sign-in names that mean nobody, or were not looked up yet."""
    return [
        Warning(code=UNBOUND, message=place.said(tried=bindings.is_tried(place.name)))
        for place in unbound(connection, bindings)
    ]
