"""How a connection is held: one run, one person's sync or one deletion at a time.

A hold is the connection's lease, taken, renewed while the work goes on and given back at its end. The lease
lasts 60 seconds and is renewed every 15; nothing is written later than 45 seconds after the last renewal.
Rows that only the holder may write go through its fence, so that a worker that slept cannot write beside its
successor even if it does not know. Whatever else has to stop a holder belongs into `Hold.check`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sync_core.domain.documents.run import Run, RunError, Trigger
from sync_core.domain.errors import Conflict, LeaseLost, SyncError
from sync_core.domain.health import UNATTENDED
from sync_core.logs import log_event
from sync_core.runs import record
from sync_core.runs.pause import Pause
from sync_core.services import Services
from sync_core.store.fences import Claim
from sync_core.store.leases import Lease, Next
from sync_core.store.runs import new_run_id

HEARTBEAT_S = 15.0
TRUST = timedelta(seconds=45)
LOOK_EVERY_S = 0.25
OUT_OF_TIME, DRAINED = "run.outOfTime", "run.drained"
UNFINISHED = frozenset({OUT_OF_TIME, DRAINED})
# Workers may die of a deployment or of a small instance; of the same run, so often in a row, they do not.
MAX_ATTEMPTS = 5


class UnderWay(Conflict):
    """Another holder has the connection: `lease` as it was found, and the request that could not begin."""

    def __init__(self, connection_id: str, lease: Lease, wanted: Next) -> None:
        super().__init__(
            "connection.runUnderWay",
            f"A run of the connection {connection_id!r} is under way (since before you asked).",
            "Wait for its end (GET /api/connections/{id}/runs shows it), then ask again.",
        )
        self.lease = lease
        self.wanted = wanted

    @property
    def is_awaited(self) -> bool:
        """Whether the request is the one that waits now, or the very run that holds the lease.

        Any other request has been joined to one that waits already, and is served by it.
        """
        waiting = self.lease.next
        waits = waiting is None or waiting.run_id == self.wanted.run_id
        return waits or self.lease.run_id == self.wanted.run_id


class Unfinished(SyncError):
    """The run has to stop here; what is left is done by the next one, which is asked for at once."""


class OutOfTime(Unfinished):
    """The run used up its time."""

    def __init__(self) -> None:
        super().__init__(
            OUT_OF_TIME,
            "The run used up its time before everything was written; the rest follows at once.",
            "Nothing to do: the next run goes on where this one stopped.",
        )


class Drained(Unfinished):
    """The process of the run is about to end."""

    def __init__(self) -> None:
        super().__init__(
            DRAINED,
            "The process of the run was asked to end (a deployment, fewer instances); the rest follows at "
            "once.",
            "Nothing to do: the next run goes on where this one stopped.",
        )


class Served(SyncError):
    """A run has begun since the timer asked: this request has nothing left to ask for."""

    def __init__(self) -> None:
        super().__init__(
            "run.served", "A run has begun since this one was asked for.", "Nothing to do."
        )


class GivenUp(SyncError):
    """The request is one of those whose workers died, and is not tried again by itself; its run is closed."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error.code, error.message, error.remedy)


class Hold:
    """A connection in this worker's hands: what it was taken for, and whether it may still be written.

    `pause` is what becomes of the pause between runs that notifications start, when the lease is given back.
    `look_at` is when somebody is to be looked at again whom the run was in doubt about.
    """

    def __init__(
        self,
        services: Services,
        request: Next,
        claim: Claim,
        budget: timedelta | None,
    ) -> None:
        self.connection_id = claim.connection_id
        self.request = request
        self.fence = services.store.fence(claim, self.check)
        self._services = services
        self._holder = claim.holder
        self._budget = budget
        self._began = self._renewed = services.clock()
        self._lost: LeaseLost | None = None
        self._open_record = False
        # Still to be counted when the lease is given back: none, as a run that ends has not died.
        self._attempts = 0
        self.pause: Pause | None = None
        self.look_at: datetime | None = None

    async def check(self) -> None:
        """Raise `LeaseLost` or `Unfinished` when the holder must stop writing."""
        now: datetime = self._services.clock()
        if self._lost is not None:
            raise self._lost
        if now - self._renewed > TRUST:
            raise LeaseLost(
                "run.leaseLost",
                "The lease could not be renewed in time.",
                "Nothing to do: another run takes over.",
            )
        if self._budget is None:
            return
        if self._services.draining.begun:
            raise Drained
        if now - self._began > self._budget:
            raise OutOfTime

    def leave_off(self) -> None:
        """Let nothing but the lease stop the holder: what is left to be written is how far it came."""
        self._budget = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """End what is done in here as soon as `check` raises: a reading, which writes nothing itself."""
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch())
                yield
                watch.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _watch(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(LOOK_EVERY_S)

    async def begin(self, run: Run) -> None:
        """Store the record of a run that begins; until `end`, a successor would have to close it."""
        await self._services.store.runs.save(run)
        self._open_record = True

    async def end(self, run: Run) -> None:
        """Store the record of a run that has ended."""
        await self._services.store.runs.save(run)
        self._open_record = False

    async def keep_alive(self) -> None:
        """Renew the lease until it is lost; a renewal that fails otherwise is tried again."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now = self._services.clock()
            try:
                await self._services.store.leases.renew(self.connection_id, self._holder, now)
            except LeaseLost as error:
                self._lost = error
                return
            except SyncError as error:
                log_event("run.heartbeatFailed", connection=self.connection_id, code=error.code)
                continue
            self._renewed = now

    async def give_back(self) -> None:
        """Release the lease, and send the request that waits, if there is one."""
        lease = await self._services.store.leases.release(
            self.connection_id,
            self._holder,
            attempts=self._attempts,
            rested=self.pause,
        )
        if lease.next is not None:
            await self._services.queue.send(lease.next.message(self.connection_id))
        if self.pause is not None:
            self._services.wakes.forget(self.connection_id)
            await self.pause.send(self._services, self.connection_id)

    def count_on(self, attempts: int) -> None:
        """Let so many attempts stay counted: of a run that was given up, the next one is the only try."""
        self._attempts = attempts

    async def give_up(self) -> None:
        """Release the lease after an error, unless a record is open.

        A lease that is not released expires by itself, and whoever takes it then finds the run and closes
        its record.
        """
        if not self._open_record:
            with suppress(SyncError):
                await self.give_back()


@asynccontextmanager
async def held(
    services: Services,
    connection_id: str,
    *,
    budget: timedelta | None,
    request: Next | None = None,
    wait_s: float = 0.0,
) -> AsyncIterator[Hold]:
    """Hold a connection: for a run of the schedule if there is a `request`, else for work beside it.

    Raises `UnderWay` if another holder has the connection and does not give it back within `wait_s`
    seconds; only a run of the schedule leaves its request then. Raises `Served` if a run has begun since the
    request was made, and `GivenUp` if it is what has killed its workers `MAX_ATTEMPTS` times in a row.
    `budget` is the time after which `Hold.check` stops the work, None for work that cannot go on in a next
    run; that one is not stopped by the end of its process, either. A run that died holding the lease is
    closed, and followed where this is not its successor and it was not given up.
    """
    with services.draining.in_hand():
        hold, before = await _taken(services, connection_id, budget, request, wait_s)
        try:
            await _close_dead_run(services, before, hold, request)
            async with _kept_alive(hold):
                yield hold
        except LeaseLost as error:
            run_id = hold.request.run_id
            log_event("run.leaseLost", connection=connection_id, run=run_id, code=error.code)
            raise
        except Exception:
            await hold.give_up()
            raise
        await hold.give_back()


async def _taken(
    services: Services,
    connection_id: str,
    budget: timedelta | None,
    request: Next | None,
    wait_s: float,
) -> tuple[Hold, Lease]:
    holder = secrets.token_hex(8)
    wanted = request or Next(new_run_id(services.clock()), Trigger.MANUAL.value, "auto")
    clock = asyncio.get_running_loop().time
    until = clock() + wait_s
    while True:
        chosen, before = await services.store.leases.acquire(
            connection_id, wanted, holder, services.clock(), scheduled=request is not None
        )
        if chosen is not None:
            claim = Claim(connection_id, holder, before.epoch + 1)
            return Hold(services, chosen, claim, budget), before
        if before.has_served(wanted, services.clock()):
            raise Served
        if clock() >= until:
            raise UnderWay(connection_id, before, wanted)
        await asyncio.sleep(LOOK_EVERY_S)


async def _close_dead_run(
    services: Services, before: Lease, hold: Hold, request: Next | None
) -> None:
    if before.run_id is None:
        return
    error = None
    if before.attempts < MAX_ATTEMPTS:
        if before.run_id != hold.request.run_id:  # else its record goes on under the same name
            await record.interrupt(services, before.connection_id, before.run_id)
    else:
        error = await record.give_up(services, before, hold.request)
        asked = [one for one in (request, hold.request) if one is not None]
        if error is not None and request is not None and not _is_another_try(before, asked):
            hold.count_on(before.attempts)
            raise GivenUp(error)
    # One that was given up is followed when its pause is over: the timer asks then.
    if request is None and error is None:
        follower = Next(new_run_id(services.clock()), Trigger.TIMER.value, "auto")
        await services.store.leases.request(before.connection_id, follower)


def _is_another_try(before: Lease, asked: Sequence[Next]) -> bool:
    """Whether a person asks, and not with the request that died."""
    return any(one.run_id != before.run_id and one.trigger not in UNATTENDED for one in asked)


@asynccontextmanager
async def _kept_alive(hold: Hold) -> AsyncIterator[None]:
    task = asyncio.create_task(hold.keep_alive())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
