"""How a connection is deleted, with its people or without, so that a run cannot bring anything back."""

from sync_core.domain.documents import RunError, RunStatus
from sync_core.logs import log_event
from sync_core.runs.hold import held
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.leases import Next


async def forget(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and keep its people, their history, its runs and their plans.

    A connection that is made with the same id later has all of them again.
    """
    connection_id = stored.connection.id
    async with held(services, connection_id, budget=None):
        await services.store.forget(connection_id, stored.etag)
        lease = await services.store.leases.read(connection_id)
        await services.store.leases.delete(connection_id)
        await _close(services, connection_id, lease.next)
    log_event("connection.deleted", connection=connection_id, users="keep")


async def erase(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and everything of it: people, history, plans, runs, lease.

    The document goes last, and before anything else goes it is disabled: a deletion that is killed
    leaves a connection that no run fills again and that can be deleted once more.
    """
    connection_id = stored.connection.id
    async with held(services, connection_id, budget=None) as hold:
        if stored.connection.enabled:
            disabled = stored.connection.model_copy(update={"enabled": False})
            stored = await services.store.connections.replace(disabled, stored)
        rows = await services.store.erase(connection_id, stored.etag, hold.check)
        await services.store.leases.delete(connection_id)
    log_event("connection.deleted", connection=connection_id, users="delete", rows=rows)


async def _close(services: Services, connection_id: str, waiting: Next | None) -> None:
    """Say of the run that waited that it will not come."""
    run = await services.store.runs.find(connection_id, waiting.run_id) if waiting else None
    if run is None or run.status.is_final:
        return
    error = RunError(
        code="connection.deleted", message="The connection was deleted before the run began."
    )
    await services.store.runs.save(
        run.replaced(status=RunStatus.REJECTED, finished_at=services.clock(), error=error)
    )
