"""How a connection is deleted, with its people or without, so that a run cannot bring anything back."""

import secrets
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

from sync_core.domain.documents import RunError, RunStatus, Trigger
from sync_core.domain.errors import Conflict, SyncError
from sync_core.health import record
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.leases import Lease, Next
from sync_core.store.matches import MatchStore
from sync_core.store.people import People
from sync_core.store.runs import new_run_id
from sync_core.store.users import bounded

# A third of what a lease lasts, like the heartbeat of a run.
RENEW_AFTER = timedelta(seconds=20)
RUNS_A_PAGE = 500
PLANS_AT_ONCE = 8


async def forget(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and keep its people, their history, its runs and their plans.

    Who makes a connection with the same id later has all of them again.
    """
    connection_id = stored.connection.id
    lease = await _free_lease(services, connection_id)
    await services.connections.delete(connection_id, stored.etag)
    await services.leases.delete(connection_id)
    await record.forget(services, connection_id)
    await services.consents.forget(connection_id)
    await services.verifications.delete(connection_id)
    await MatchStore(services.tables, connection_id).delete_all()
    await services.approvals.forget_all(connection_id)
    await _close(services, connection_id, lease.next)
    log_event("connection.deleted", connection=connection_id, users="keep")


async def erase(services: Services, stored: StoredConnection) -> None:
    """Delete the connection and everything of it: people, history, plans, runs, lease.

    The document goes last, and before anything else goes it is disabled: a deletion that is killed
    leaves a connection that no run fills again and that can be deleted once more.
    """
    connection_id = stored.connection.id
    await _free_lease(services, connection_id)
    etag = stored.etag
    if stored.connection.enabled:
        disabled = stored.connection.model_copy(update={"enabled": False})
        etag = await services.connections.replace(disabled, etag)
    async with Hold(services, connection_id) as hold:
        rows = await People(services.tables, connection_id).delete_all(hold.keep)
        await _delete_plans(services, connection_id, hold)
        await services.runs.delete_all(connection_id)
        await record.forget(services, connection_id)
        await services.consents.forget(connection_id)
        await services.verifications.delete(connection_id)
        await MatchStore(services.tables, connection_id).delete_all()
        await services.approvals.forget_all(connection_id)
        await services.connections.delete(connection_id, etag)
    log_event("connection.deleted", connection=connection_id, users="delete", rows=rows)


class Hold:
    """The connection's lease, taken so that no run can begin; deleted with the connection."""

    def __init__(self, services: Services, connection_id: str) -> None:
        self._services = services
        self._connection_id = connection_id
        self._holder = secrets.token_hex(8)
        self._renewed_at = services.clock()

    async def __aenter__(self) -> Self:
        wanted = Next(new_run_id(self._renewed_at), Trigger.MANUAL.value, "auto")
        taken, _ = await self._services.leases.acquire(
            self._connection_id, wanted, self._holder, self._renewed_at
        )
        if taken is None:
            raise _under_way(self._connection_id)
        return self

    async def keep(self) -> None:
        """Renew the lease in time; raise `LeaseLost` when it is somebody else's."""
        now = self._services.clock()
        if now - self._renewed_at > RENEW_AFTER:
            self._renewed_at = now
            await self._services.leases.renew(self._connection_id, self._holder, now)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._services.leases.delete(self._connection_id)
            return
        # The lease ends by itself; giving it back only lets the next attempt begin at once.
        with suppress(SyncError):
            await self._services.leases.release(self._connection_id, self._holder)


async def _free_lease(services: Services, connection_id: str) -> Lease:
    lease = await services.leases.read(connection_id)
    if lease.held(services.clock()):
        raise _under_way(connection_id)
    return lease


def _under_way(connection_id: str) -> Conflict:
    return Conflict(
        "connection.runUnderWay",
        f"A run of the connection {connection_id!r} is under way.",
        "Wait for its end (GET /api/connections/{id}/runs shows it), then delete again.",
    )


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
        await hold.keep()
        after = runs[-1].id
        deletions = (partial(services.plans.delete, connection_id, run.id) for run in runs)
        await bounded(PLANS_AT_ONCE, deletions)
