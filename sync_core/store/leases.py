"""The Leases table: one run a connection at a time, and who comes next.

One entity a connection, changed only with its ETag. A lease that is not renewed expires and may be
taken over. A request that meets a running one leaves its name as the next; several become one.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode

from sync_core.domain.compatibility import read
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor
from sync_core.domain.errors import LeaseLost, RetryLater
from sync_core.domain.incremental.rest import FIRST_S, Rest
from sync_core.store.rows import foreign_columns
from sync_core.store.tables import LEASES, Tables, asked
from sync_core.store.wire import Entity, storage_unavailable

PARTITION = "lease"
COLUMNS = frozenset(
    {"PartitionKey", "RowKey", "RunId", "Holder", "Epoch", "ExpiresAt", "LastStartedAt"}
    | {"Attempts", "NextRunId", "NextTrigger", "NextMode", "NextBy"}
    | {"PauseS", "QuietUntil", "WokenAt"}
)
DURATION = timedelta(seconds=60)
ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Next:
    """The run that has been asked for and has not started; `by` asked for it.

    `asked_at`, where a run that has begun since serves as well; it is not kept while the request waits.
    """

    run_id: str
    trigger: str
    mode: str
    by: Actor | None = None
    asked_at: datetime | None = None

    def message(self, connection_id: str) -> SyncRequest:
        """Return the message of the queue that starts this run; another release may have asked for it."""
        fields = {
            "connectionId": connection_id,
            "trigger": self.trigger,
            "mode": self.mode,
            "runId": self.run_id,
            "by": self.by and self.by.to_json(),
        }
        return read(SyncRequest, fields)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who runs a connection, until when, who is next, and when the last run started.

    `epoch` counts who took it, 0 where only releases without fences did. `attempts` counts the runs of the
    schedule that were begun since one ended, however it ended: where it does not fall back to 0, their
    workers died. `rest` is the pause between runs that notifications start. `foreign` are columns of another
    release; a lease is replaced often, and they stay.
    """

    connection_id: str
    etag: str | None = None
    run_id: str | None = None
    holder: str | None = None
    expires_at: datetime | None = None
    next: Next | None = None
    last_started_at: datetime | None = None
    epoch: int = 0
    attempts: int = 0
    rest: Rest = field(default_factory=Rest)
    foreign: Mapping[str, Any] = field(default_factory=dict)

    def held(self, now: datetime) -> bool:
        return self.run_id is not None and self.expires_at is not None and self.expires_at > now

    def has_served(self, wanted: Next, now: datetime) -> bool:
        """Whether a run has begun since a request was made, and its worker has not died."""
        if wanted.asked_at is None or self.last_started_at is None:
            return False
        died = self.run_id is not None and not self.held(now)
        return self.last_started_at >= wanted.asked_at and not died


class LeaseStore:
    """Leases by connection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, connection_id: str) -> Lease:
        table = await self._tables.table(LEASES)
        entity = await asked(partial(table.get_entity, PARTITION, connection_id))
        return _lease(connection_id, entity) if entity is not None else Lease(connection_id)

    async def all_by_id(self) -> dict[str, Lease]:
        """Return every lease there is, by connection, in few requests."""
        return {lease.connection_id: lease async for lease in self.all()}

    async def all(self) -> AsyncIterator[Lease]:
        """Return every lease there is, in few requests."""
        table = await self._tables.table(LEASES)
        try:
            async for entity in table.query_entities(f"PartitionKey eq '{PARTITION}'"):
                yield _lease(entity["RowKey"], entity)
        except AzureError as error:
            raise storage_unavailable(error) from error

    async def request(self, connection_id: str, wanted: Next) -> Next:
        """Leave a request; where one is waiting already, that one is given back and serves both."""

        def change(lease: Lease) -> Lease | None:
            joined = _joined(lease.next, wanted)
            return None if joined == lease.next else replace(lease, next=joined)

        lease = await self._change(connection_id, change)
        return lease.next or wanted

    async def acquire(
        self,
        connection_id: str,
        wanted: Next,
        holder: str,
        now: datetime,
        *,
        scheduled: bool = True,
    ) -> tuple[Next | None, Lease]:
        """Take the connection unless it is held, and say what is to be run.

        A run of the schedule serves the request that waits as well, and waits itself where it cannot
        begin. Work beside the schedule (one person, a deletion) leaves what waits as it is, and leaves
        no request where it cannot begin; attempts are counted anew behind it.

        Returns the request to run, None while another holder has the connection or where the lease has
        served the request, and the lease as it was before: its `run_id` is then a run that died without
        giving the lease back.
        """
        before: list[Lease] = []

        def change(lease: Lease) -> Lease | None:
            before[:] = [lease]
            if lease.has_served(wanted, now):
                return None
            if lease.held(now):
                return _queued(lease, wanted) if scheduled else None
            taken = replace(lease, holder=holder, expires_at=now + DURATION, epoch=lease.epoch + 1)
            if not scheduled:
                return replace(taken, run_id=wanted.run_id, attempts=0)
            chosen = _joined(lease.next, wanted)
            begun = replace(taken, run_id=chosen.run_id, attempts=lease.attempts + 1)
            return replace(begun, next=None, last_started_at=now)

        after = await self._change(connection_id, change)
        if after.holder != holder:
            return None, before[0]
        return _joined(before[0].next, wanted) if scheduled else wanted, before[0]

    async def renew(self, connection_id: str, holder: str, now: datetime) -> None:
        """Extend the lease or raise `LeaseLost`."""

        def change(lease: Lease) -> Lease | None:
            _check_holder(lease, holder)
            return replace(lease, expires_at=now + DURATION)

        await self._change(connection_id, change)

    async def confirm(self, connection_id: str, holder: str, above: int) -> int:
        """Return the epoch of the lease, raised over `above`; `LeaseLost` if it is another holder's."""

        def change(lease: Lease) -> Lease | None:
            _check_holder(lease, holder)
            return replace(lease, epoch=above + 1) if lease.epoch <= above else None

        return (await self._change(connection_id, change)).epoch

    async def release(
        self,
        connection_id: str,
        holder: str,
        *,
        attempts: int = 0,
        rested: Callable[[Rest], Rest] | None = None,
    ) -> Lease:
        """Release the lease, with as many attempts as still count, and the pause that follows.

        Returns the lease as it is then, with the request that waits, if any.
        """

        def change(lease: Lease) -> Lease | None:
            if lease.holder != holder:
                return None
            free = replace(lease, run_id=None, holder=None, expires_at=None, attempts=attempts)
            return replace(free, rest=rested(lease.rest)) if rested else free

        return await self._change(connection_id, change)

    async def rest(
        self, connection_id: str, rested: Callable[[Rest], Rest], run_id: str | None
    ) -> tuple[Rest, Rest]:
        """Change the pause of a connection where no run follows, and take back the request of that run.

        Returns the pause before and after.
        """
        before: list[Rest] = []

        def change(lease: Lease) -> Lease | None:
            before[:] = [lease.rest]
            waits = lease.next is not None and lease.next.run_id == run_id
            changed = replace(lease, rest=rested(lease.rest), next=None if waits else lease.next)
            return changed if changed != lease else None

        after = await self._change(connection_id, change)
        return before[0], after.rest

    async def withdraw(self, connection_id: str, run_id: str) -> None:
        """Take a request back that waits; another one stays."""

        def change(lease: Lease) -> Lease | None:
            waits = lease.next is not None and lease.next.run_id == run_id
            return replace(lease, next=None) if waits else None

        await self._change(connection_id, change)

    async def clear(self, connection_id: str) -> None:
        """Delete all of a lease but its epoch.

        Whoever holds the next connection of this id is newer than any holder of this one.
        """

        def change(lease: Lease) -> Lease | None:
            return Lease(connection_id, etag=lease.etag, epoch=lease.epoch)

        await self._change(connection_id, change)

    async def _change(self, connection_id: str, change: Callable[[Lease], Lease | None]) -> Lease:
        """Read, change, write with the ETag; again from the start when somebody was faster."""
        for _ in range(ATTEMPTS):
            lease = await self.read(connection_id)
            changed = change(lease)
            if changed is None:
                return lease
            if await self._write(changed):
                return changed
        raise RetryLater(
            "run.leaseBusy",
            "The lease of the connection is being changed by too many workers at once.",
            "Nothing to do: the request is tried again.",
        )

    async def _write(self, lease: Lease) -> bool:
        table = await self._tables.table(LEASES)
        try:
            if lease.etag is None:
                await table.create_entity(_entity(lease))
            else:
                await table.update_entity(
                    _entity(lease),
                    mode=UpdateMode.REPLACE,
                    etag=lease.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
            return False
        except AzureError as error:
            raise storage_unavailable(error) from error
        return True


def _check_holder(lease: Lease, holder: str) -> None:
    if lease.holder != holder:
        raise LeaseLost(
            "run.leaseLost",
            "Another worker has taken this connection over; this run stopped writing.",
            "Nothing to do: the other run goes on.",
        )


def _joined(waiting: Next | None, wanted: Next) -> Next:
    """Return the request that serves both: the one that waits, made a full one if either is."""
    if waiting is None:
        return wanted
    return replace(waiting, mode="full") if wanted.mode == "full" else waiting


def _queued(lease: Lease, wanted: Next) -> Lease | None:
    """Leave `wanted` as the next; None where it waits already, or is the very run that holds the lease."""
    joined = _joined(lease.next, wanted)
    settled = joined == lease.next or lease.run_id == wanted.run_id
    return None if settled else replace(lease, next=joined)


def _entity(lease: Lease) -> Entity:
    columns = {
        "RunId": lease.run_id,
        "Holder": lease.holder,
        "Epoch": lease.epoch,
        "Attempts": lease.attempts,
        "ExpiresAt": lease.expires_at,
        "NextRunId": lease.next.run_id if lease.next else None,
        "NextTrigger": lease.next.trigger if lease.next else None,
        "NextMode": lease.next.mode if lease.next else None,
        "NextBy": lease.next.by.model_dump_json(by_alias=True)
        if lease.next and lease.next.by
        else None,
        "LastStartedAt": lease.last_started_at,
        "PauseS": lease.rest.pause_s if lease.rest.pause_s != FIRST_S else None,
        "QuietUntil": lease.rest.quiet_until,
        "WokenAt": lease.rest.woken_at,
    }
    filled = {name: value for name, value in columns.items() if value is not None}
    keys = {"PartitionKey": PARTITION, "RowKey": lease.connection_id}
    return {**lease.foreign, **keys, **filled}


def _lease(connection_id: str, entity: Entity) -> Lease:
    following = None
    if entity.get("NextRunId"):
        by = read(Actor, entity["NextBy"]) if entity.get("NextBy") else None
        following = Next(entity["NextRunId"], entity["NextTrigger"], entity["NextMode"], by)
    return Lease(
        connection_id,
        etag=entity.metadata["etag"],  # type: ignore[attr-defined]
        run_id=entity.get("RunId"),
        holder=entity.get("Holder"),
        epoch=entity.get("Epoch") or 0,
        attempts=entity.get("Attempts") or 0,
        expires_at=entity.get("ExpiresAt"),
        next=following,
        last_started_at=entity.get("LastStartedAt"),
        rest=Rest(entity.get("PauseS") or FIRST_S, entity.get("QuietUntil"), entity.get("WokenAt")),
        foreign=foreign_columns(entity, COLUMNS),
    )
