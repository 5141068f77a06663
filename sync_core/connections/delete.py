"""How a connection is deleted, with its people or without, so that a run cannot bring anything back."""

from functools import partial

from sync_core.domain.documents import RunError, RunStatus
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.runs.hold import Hold, held
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.leases import Next
from sync_core.store.matches import MatchStore
from sync_core.store.people import People
from sync_core.store.users import bounded

RUNS_A_PAGE = 500
PLANS_AT_ONCE = 8


async def forget(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and keep its people, their history, its runs and their plans.

    A connection that is made with the same id later has all of them again.
    """
    connection_id = stored.connection.id
    async with held(services, connection_id, budget=None):
        await services.connections.delete(connection_id, stored.etag)
        await _forget_state(services, connection_id)
        lease = await services.leases.read(connection_id)
        await services.leases.delete(connection_id)
        await _close(services, connection_id, lease.next)
    log_event("connection.deleted", connection=connection_id, users="keep")


async def erase(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and everything of it: people, history, plans, runs, lease.

    The document goes last, and before anything else goes it is disabled: a deletion that is killed
    leaves a connection that no run fills again and that can be deleted once more.
    """
    connection_id = stored.connection.id
    async with held(services, connection_id, budget=None) as hold:
        etag = stored.etag
        if stored.connection.enabled:
            disabled = stored.connection.model_copy(update={"enabled": False})
            etag = await services.connections.replace(disabled, etag)
        rows = await People(services.tables, connection_id).delete_all(hold.check)
        await _delete_plans(services, connection_id, hold)
        await services.runs.delete_all(connection_id)
        await _forget_state(services, connection_id)
        await services.connections.delete(connection_id, etag)
        await services.leases.delete(connection_id)
    log_event("connection.deleted", connection=connection_id, users="delete", rows=rows)


async def _forget_state(services: Services, connection_id: str) -> None:
    await journal.forget(services, connection_id)
    await services.consents.forget(connection_id)
    await services.verifications.delete(connection_id)
    await MatchStore(services.tables, connection_id).delete_all()
    await services.approvals.forget_all(connection_id)


async def _close(services: Services, connection_id: str, waiting: Next | None) -> None:
    """Say of the run that waited that it will not come."""
    run = await services.runs.find(connection_id, waiting.run_id) if waiting else None
    if run is None or run.status.is_final:
        return
    error = RunError(
        code="connection.deleted", message="The connection was deleted before the run began."
    )
    await services.runs.save(
        run.replaced(status=RunStatus.REJECTED, finished_at=services.clock(), error=error)
    )


async def _delete_plans(services: Services, connection_id: str, hold: Hold) -> None:
    after: str | None = None
    while runs := await services.runs.page(connection_id, top=RUNS_A_PAGE, after=after):
        await hold.check()
        after = runs[-1].id
        deletions = (partial(services.plans.delete, connection_id, run.id) for run in runs)
        await bounded(PLANS_AT_ONCE, deletions)
