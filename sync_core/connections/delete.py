"""How a connection is deleted so that no run brings anything back, and nobody is lost unseen.

What a deletion would do to people is refused with their number and names until it is confirmed. Then the
connection is disabled and the deletion noted, before the first person is touched; the caller waits for its
end for half a minute, and the queue goes on with what is left. Whoever finds the note goes on: a deletion
that was confirmed comes to its end, however often it is killed.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from itertools import islice

from sync_core.connections.refusals import NAMED, NeedsConfirmation, members
from sync_core.connections.subscriptions.remove import remove_all
from sync_core.domain.connections.deletion import (
    Deletion,
    Users,
    assertion_broken,
    being_deleted,
    people_protected,
)
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Actor, Mode, Run, RunError, RunStatus, Trigger
from sync_core.domain.errors import PreconditionFailed, RetryLater
from sync_core.domain.model import Reason
from sync_core.domain.plan.digest import moves_of
from sync_core.domain.plan.ledger import Ledger
from sync_core.logs import log_event
from sync_core.runs.hold import Hold, UnderWay, Unfinished, held
from sync_core.runs.preview import PreviewCounts, shown
from sync_core.runs.removal import Removal, draft_removal, write_removal
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.leases import Next
from sync_core.store.rows import Stamp
from sync_core.store.runs import new_run_id

# A caller waits so long; then the queue goes on.
ANSWER_BUDGET = timedelta(seconds=30)
# Below functionTimeout in host.json (30 minutes); the next message goes on.
QUEUE_BUDGET = timedelta(minutes=25)
# A row that an application changes at the same moment is refused, and read again.
ATTEMPTS = 3
REMEDY = (
    "Look at who it is about: GET {url} (all of them, also as CSV). If it is right, send the same request "
    "again with ?confirm={planHash}. ?users=keep leaves the people as they are, and ?users=disable leaves "
    "their rows and history."
)


async def delete(
    services: Services,
    stored: StoredConnection,
    users: Users,
    confirmed: Collection[str],
    by: Actor,
) -> Run | None:
    """Delete a connection; return the run that goes on with it if half a minute was not enough.

    `by` asks for it, and has seen the plans that are `confirmed`.
    Raises `NeedsConfirmation` with what it would do to people, and `Conflict` where the connection itself
    says no: `policy.protected` and the assertions are asked, and no confirmation overrules them.
    """
    connection_id = stored.connection.id
    try:
        async with held(services, connection_id, budget=ANSWER_BUDGET) as hold:
            deletion = await _begun(services, stored, users, confirmed, by)
            await _carry_out(services, hold, deletion)
    except Unfinished:
        return await _left_to_the_queue(services, connection_id)
    return None


async def go_on(services: Services, connection_id: str) -> None:
    """Go on with a deletion that has begun, as a message of the queue asks."""
    deletion = await services.store.deletions.find(connection_id)
    if deletion is None:
        return
    try:
        async with held(services, connection_id, budget=QUEUE_BUDGET) as hold:
            await _carry_out(services, hold, deletion)
    except Unfinished:
        await _ask(services, connection_id)
    except UnderWay as busy:
        log_event(
            "connection.deletionDeferred", connection=connection_id, running=busy.lease.run_id
        )


async def _left_to_the_queue(services: Services, connection_id: str) -> Run | None:
    await _ask(services, connection_id)
    deletion = await services.store.deletions.find(connection_id)
    return await services.store.runs.find(connection_id, deletion.run_id) if deletion else None


async def request_unfinished(services: Services) -> None:
    """Ask for every deletion that has begun and that no worker has in hand."""
    async for deletion in services.store.deletions.all():
        lease = await services.store.leases.read(deletion.connection_id)
        if not lease.held(services.clock()):
            await _ask(services, deletion.connection_id)


async def _ask(services: Services, connection_id: str) -> None:
    request = SyncRequest(
        connection_id=connection_id, trigger=Trigger.BY_HAND, purpose=Purpose.DELETE
    )
    # A message that cannot be sent is sent by the timer.
    with suppress(RetryLater):
        await services.queue.send(request)


# --- before the first person is touched -------------------------------------------------------------


async def _begun(
    services: Services,
    stored: StoredConnection,
    users: Users,
    confirmed: Collection[str],
    by: Actor,
) -> Deletion:
    """Return the deletion, once it is confirmed, noted, and the connection disabled."""
    connection = stored.connection
    under_way = await services.store.deletions.find(connection.id)
    if under_way is not None:
        if under_way.users is not users:
            raise being_deleted(under_way)
        return under_way
    async with draft_removal(services, connection, users) as removal:
        needed = await _needs_confirmation(services, connection.id, users, removal)
        if needed:
            await _check(services, connection, users, removal, confirmed)
        run_id = new_run_id(services.clock())
        deletion = Deletion(connection.id, users, by.key, run_id, removal.people)
        await _note(services, stored, deletion)
        if needed:
            await _record(services, deletion, removal, by)
    return deletion


async def _needs_confirmation(
    services: Services, connection_id: str, users: Users, removal: Removal
) -> bool:
    """Whether people would be touched, or the histories of people who have gone already would be lost."""
    if removal.people or users is not Users.DELETE:
        return removal.people > 0
    return bool(await services.store.runs.page(connection_id, top=1, after=None))


async def _check(
    services: Services,
    connection: Connection,
    users: Users,
    removal: Removal,
    confirmed: Collection[str],
) -> None:
    if removal.protected:
        raise people_protected(connection.id, removal.protected)
    if removal.broken:
        raise assertion_broken(connection.id, removal.broken)
    if moves_of(removal.plan_hash) not in {moves_of(one) for one in confirmed}:
        url = await services.store.refused_plans.save(
            connection.id,
            removal.plan_hash,
            (shown(change, held=True).to_json() for change in removal),
            services.clock(),
        )
        raise _refusal(connection.id, users, removal, url, outdated=bool(confirmed))


async def _note(services: Services, stored: StoredConnection, deletion: Deletion) -> None:
    """Note the deletion, disable the connection and whatever waits to enable it, and tell it for good."""
    connection_id, store = deletion.connection_id, services.store
    await store.deletions.begin(deletion)
    try:
        if stored.connection.enabled:
            disabled = stored.connection.model_copy(update={"enabled": False})
            await store.connections.replace(disabled, stored)
    except PreconditionFailed:
        await store.deletions.end(connection_id)
        raise
    await store.verifications.delete(connection_id)
    await store.audit.note(
        services.clock(),
        deletion.by,
        "connection.deleted",
        connection_id,
        displayName=stored.connection.display_name,
        tenantId=stored.connection.tenant_id,
        users=deletion.users.value,
        people=deletion.people,
        runId=deletion.run_id,
    )


async def _record(services: Services, deletion: Deletion, removal: Removal, by: Actor) -> None:
    """Store the record of the run, and its plan where the people's rows stay."""
    now, store = services.clock(), services.store
    run = Run(
        id=deletion.run_id,
        connection_id=deletion.connection_id,
        trigger=Trigger.BY_HAND,
        by=by,
        mode=Mode.USERS,
        status=RunStatus.RUNNING,
        requested_at=now,
        started_at=now,
        plan_hash=removal.plan_hash,
    )
    await store.runs.save(run)
    if deletion.users is Users.DISABLE:
        changes = (shown(change, held=False).to_json() for change in removal)
        await store.plans.save(run.connection_id, run.id, changes)


def _refusal(
    connection_id: str, users: Users, removal: Removal, url: str, *, outdated: bool
) -> NeedsConfirmation:
    count, active = removal.people, removal.inventory.active
    gone = users is Users.DELETE
    what = (
        f"would delete the rows of {count:,} people ({active:,} of them active), all history and all runs"
        if gone
        else f"would disable {count:,} people"
    )
    other = " This is not the plan that was confirmed." if outdated else ""
    counts = PreviewCounts(
        leavers=count,
        held=count,
        active=active,
        deleted=count if gone else 0,
        disabled=0 if gone else count,
    )
    return NeedsConfirmation(
        f"Deleting the connection {connection_id!r} {what}.{other} Nothing was changed.",
        REMEDY.format(url=url, planHash=removal.plan_hash),
        members(
            removal.plan_hash,
            url,
            counts.to_json(),
            {Reason.CONNECTION_DELETED.value: count},
            [shown(change, held=True).to_json() for change in islice(removal, NAMED)],
        ),
    )


# --- to the end -------------------------------------------------------------------------------------


async def _carry_out(services: Services, hold: Hold, deletion: Deletion) -> None:
    """Do what is left of a deletion; each part may be done a second time."""
    connection_id, store = deletion.connection_id, services.store
    stored = await store.connections.find(connection_id)
    rows = 0
    if deletion.users is Users.DELETE:
        rows = await store.erase(connection_id, deletion.run_id, hold.fence)
    elif deletion.users is Users.DISABLE and stored is not None:
        await _disable(services, hold, deletion, stored.connection)
    lease = await store.leases.read(connection_id)
    if deletion.users is not Users.DELETE:
        await _close(services, connection_id, lease.next)
    await _note_leftovers(services, deletion, stored)
    if stored is not None:
        await remove_all(services, stored.connection)
        await store.connections.delete(connection_id, stored.etag)
    await store.forget_state(connection_id)
    await _conclude(services, deletion)
    await store.leases.clear(connection_id)
    # Last: a connection of this id can be made again from here on.
    await store.deletions.end(connection_id)
    log_event(
        "connection.deleted",
        connection=connection_id,
        by=deletion.by,
        users=deletion.users.value,
        people=deletion.people,
        rows=rows or None,
    )


async def _disable(
    services: Services, hold: Hold, deletion: Deletion, connection: Connection
) -> None:
    """Disable whoever is active still; raise `RetryLater` where rows are changed again and again."""
    run = await services.store.runs.find(connection.id, deletion.run_id)
    if run is None:
        return
    ledger = Ledger()
    ledger.set("disabled", run.counts.disabled)
    stamp = Stamp(connection.id, connection.tenant_id or "", run.id, services.clock())
    for _ in range(ATTEMPTS):
        async with draft_removal(services, connection, Users.DISABLE) as removal:
            if not removal.people:
                return
            # Should this process die, more were disabled than are counted.
            await _count(services, run, ledger, at_least=True)
            try:
                await write_removal(services, removal, stamp, ledger, hold.fence)
            finally:
                await _count(services, run, ledger, at_least=ledger.at_least)
    raise RetryLater(
        "connection.deletionUnfinished",
        f"Some people of {connection.id!r} could not be disabled, because their rows are being changed.",
        "Nothing to do: the connection is disabled, and the deletion goes on within minutes.",
    )


async def _count(services: Services, run: Run, ledger: Ledger, *, at_least: bool) -> None:
    """Store how many were disabled; what an earlier part left uncertain stays so."""
    uncertain = run.counts_at_least or at_least
    await services.store.runs.save(run.replaced(counts=ledger.counts, counts_at_least=uncertain))


async def _note_leftovers(
    services: Services, deletion: Deletion, stored: StoredConnection | None
) -> None:
    """Remember whose rows stay, for a connection that is made to the same tenant under another id."""
    leftovers = services.store.leftovers
    await leftovers.release(deletion.connection_id)
    if deletion.users is Users.DELETE:
        await leftovers.forget(deletion.connection_id)
    elif stored is not None and stored.connection.tenant_id is not None:
        tenant_id = stored.connection.tenant_id
        await leftovers.note(tenant_id, deletion.connection_id, services.clock())


async def _conclude(services: Services, deletion: Deletion) -> None:
    run = await services.store.runs.find(deletion.connection_id, deletion.run_id)
    if run is None or run.status.is_final:
        return
    counts = run.counts
    if deletion.users is Users.DELETE:
        counts = counts.model_copy(update={"deleted": deletion.people})
    ended = run.replaced(status=RunStatus.SUCCEEDED, finished_at=services.clock(), counts=counts)
    await services.store.runs.save(ended)


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
