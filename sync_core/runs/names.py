"""Whom a connection's sign-in names mean: looked up in the directory, and kept for later runs."""

from collections.abc import Iterable, Mapping

from sync_core.directory.client import GraphClient
from sync_core.directory.lookup import ids_by_name, who_exists
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import SyncError
from sync_core.domain.model import Status, Value
from sync_core.domain.names import Bindings, askable, places, rebound
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.index import Watch

Found = list[tuple[str, str]]


async def look_up(services: Services, connection: Connection, client: GraphClient) -> Bindings:
    """Return whom the connection's names mean now; writes nothing. Without any name nothing is asked."""
    names = {place.name for place in places(connection)}
    if not names:
        return Bindings(connection_id=connection.id, tenant_id=connection.tenant_id)
    kept = await services.store.bindings.read(connection.id)
    known = kept.for_tenant(connection.tenant_id)
    try:
        found = await _in_directory(client, known, names)
    except SyncError as error:
        # What is bound counts as before. Whatever else the run needs of Graph says by itself if it fails.
        log_event("names.notFound", connection=connection.id, code=error.code)
        return known
    told = {name.casefold() for name, _ in found}
    new = {name for name in names if name.casefold() not in told and not known.is_tried(name)}
    if new:
        found += await _in_table(services, connection, new)
    return rebound(connection, known, found, services.clock())


async def _in_directory(client: GraphClient, known: Bindings, names: Iterable[str]) -> Found:
    """Ask who has the names.

    A name that is bound is given to nobody else, unless the account that it is bound to was deleted: then
    a new account with that name is most likely the same person's.
    """
    found = await ids_by_name(client, filter(askable, names))
    rivals = {name: known.ids(name) for name, oid in found if oid not in known.ids(name)}
    exists = await who_exists(client, frozenset[str]().union(*rivals.values()))
    return [(name, oid) for name, oid in found if exists.isdisjoint(rivals.get(name, ()))]


async def _in_table(services: Services, connection: Connection, names: Iterable[str]) -> Found:
    """Look for names that the directory does not know among the stored rows, once for each name.

    The person may have been renamed since the row was written, before the name was ever bound.
    """
    wanted = {name.casefold() for name in names}
    found: Found = []

    def watch(object_id: str, principal_name: str, _: Status, __: Mapping[str, Value]) -> None:
        if principal_name.casefold() in wanted:
            found.append((principal_name, object_id))

    await services.store.users(connection.id).load_index(watch=Watch(watch))
    return found


async def keep(services: Services, bindings: Bindings) -> None:
    """Store what was looked up. A run goes on where that fails, and the next one looks again."""
    try:
        if bindings.names or (await services.store.bindings.read(bindings.connection_id)).names:
            await services.store.bindings.change(bindings.connection_id, lambda _: bindings)
    except SyncError as error:
        log_event("names.notKept", connection=bindings.connection_id, code=error.code)
