"""One round over a connection's subscriptions: made, renewed, checked, shared and removed."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sync_core.connections.subscriptions.access import AT_ONCE, OwnAddress, opened
from sync_core.connections.subscriptions.ask import ask_for_run
from sync_core.connections.subscriptions.creation import Creation
from sync_core.connections.subscriptions.notes import Notes
from sync_core.connections.subscriptions.remove import remove
from sync_core.connections.subscriptions.survey import Survey
from sync_core.directory import subscriptions as graph
from sync_core.directory.client import GraphClient
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection, PreconditionFailed, RetryLater, SyncError
from sync_core.domain.subscriptions import (
    LIFE,
    Listed,
    State,
    Subscription,
    Todo,
    needed_still,
    removes_first,
    replaced,
    strangers,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded


class Upkeep:
    """One round over one connection's subscriptions."""

    def __init__(
        self, services: Services, connection: Connection, survey: Survey, address: OwnAddress
    ) -> None:
        self._services = services
        self._connection = connection
        self._survey = survey
        self._address = address
        self._notes = Notes(services, connection, survey.wanted.address)
        self._creation = Creation(services, connection, survey, self._notes)

    @property
    def made(self) -> set[str]:
        """The slots whose subscriptions were made."""
        return self._creation.made

    async def do(self, work: Todo, *, sweeps: bool = False) -> None:
        """Do what there is to do, and ask for a run if changes may have been missed."""
        wanted = set(work.create)
        if not await self._address_works(work):
            work.create, work.renew = [], []
        else:
            early = work.remove if removes_first(work, self._survey.count) else replaced(work)
            await remove(self._services, self._connection, early)
            work.remove = [row for row in work.remove if row not in early]
        for row in work.share:
            await self._share(row)
        if work.create or work.renew or work.check or sweeps:
            await self._with_graph(work, sweeps=sweeps)
        needed = needed_still(work, self._survey.wanted.slots, wanted - self.made)
        late = [row for row in work.remove if row not in needed]
        await remove(self._services, self._connection, late)
        await self._ask_for_run()

    async def _address_works(self, work: Todo) -> bool:
        if not work.needs_validation:
            return True
        try:
            await self._address.check()
        except FixConnection as error:
            kept = {row.slot: row for row in [*self._survey.rows, *work.renew]}
            for slot in [*work.create, *(row.slot for row in work.renew)]:
                await self._notes.fail(slot, kept.get(slot), error)
            return False
        return True

    async def _with_graph(self, work: Todo, *, sweeps: bool) -> None:
        try:
            async with opened(self._services, self._connection) as client:
                # What says no to a token says no to everything.
                await client.grants.roles()
                await self._creation.make(client, work.create)
                await bounded(AT_ONCE, (partial(self._renew, client, row) for row in work.renew))
                await self._check(client, work.check)
                if sweeps:
                    await self._sweep(client)
        except (FixConnection, RetryLater) as error:
            # Who cannot be asked for in passing trouble is no worse for it.
            asked = [*work.renew, *(work.check if isinstance(error, FixConnection) else [])]
            rows = {row.slot: row for row in [*self._survey.rows, *asked]}
            for slot in [*work.create, *(row.slot for row in asked)]:
                await self._notes.fail(slot, rows.get(slot), error)

    async def replace_all(self, rows: Sequence[Subscription]) -> None:
        """Make subscriptions anew that live; where our address does not answer, they stay as they are."""
        if not await self._address_works(Todo(renew=list(rows))):
            return
        try:
            async with opened(self._services, self._connection) as client:
                await client.grants.roles()
                await bounded(AT_ONCE, (partial(self._replace, client, row) for row in rows))
        except (FixConnection, RetryLater) as error:
            for row in rows:
                await self._notes.fail(row.slot, row, error)
        await self._ask_for_run()

    async def _replace(self, client: GraphClient, row: Subscription) -> None:
        """Remove first: Graph has one of an application for each thing."""
        try:
            await graph.remove(client, row.subscription_id or "", row.slot)
        except SyncError as error:
            await self._notes.fail(row.slot, row, error)
            return
        await self._creation.make_one(client, row.slot, replace(row, state=State.FAILING))

    async def _share(self, row: Subscription) -> None:
        """Have another connection's subscription serve this one, too."""
        other = self._survey.wanted.others[row.slot]
        stored = next((one for one in self._survey.rows if one.slot == row.slot), None)
        if row != stored:
            with suppress(PreconditionFailed):
                await self._services.store.subscriptions.put(row)
        await self._notes.add_sharer(other)

    async def _renew(self, client: GraphClient, row: Subscription) -> None:
        """Renew one subscription, which reauthorizes it as well; make it again where Graph has lost it."""
        now = self._services.clock()
        try:
            row = await self._services.store.subscriptions.put(replace(row, tried_at=now))
        except PreconditionFailed:
            return
        try:
            found = await graph.renew(client, row.subscription_id or "", row.slot, now + LIFE)
        except graph.Lost:
            await self._remake(client, row)
        except SyncError as error:
            await self._notes.fail(row.slot, row, error)
        else:
            await self._notes.note(
                row,
                state=State.ACTIVE,
                expires_at=found.expires_at,
                renewed_at=now,
                failure=None,
            )
            log_event("subscription.renewed", connection=row.connection_id, resource=row.resource)

    async def _check(self, client: GraphClient, rows: Sequence[Subscription]) -> None:
        """Ask for each by its id, and make those again that are lost."""
        if not rows:
            return
        ids, slots = [row.subscription_id or "" for row in rows], [row.slot for row in rows]
        found: Sequence[Listed | SyncError | None]
        try:
            found = await graph.find_all(client, ids, slots)
        except RetryLater as error:
            log_event("subscriptions.notChecked", connection=self._connection.id, code=error.code)
            return
        except SyncError as error:
            found = [error] * len(rows)
        for row, listed in zip(rows, found, strict=True):
            if listed is None:
                await self._remake(client, row)
            elif isinstance(listed, SyncError):
                await self._notes.fail(row.slot, row, listed)
            elif row.state is not State.ACTIVE or not listed.was_asked_by(row):
                await self._notes.note(
                    row, state=State.ACTIVE, expires_at=listed.expires_at, failure=None
                )

    async def _remake(self, client: GraphClient, row: Subscription) -> None:
        log_event("subscription.lost", connection=row.connection_id, resource=row.resource)
        try:
            await self._address.check()
        except FixConnection as error:
            await self._notes.fail(row.slot, row, error)
            return
        await self._creation.make_one(client, row.slot, replace(row, state=State.FAILING))

    async def _sweep(self, client: GraphClient) -> None:
        """Delete what has our address and is nobody's: Graph's list is read first, and the table after it."""
        try:
            listed = await graph.list_all(client)
            rows = await self._services.store.subscriptions.all()
            for one in strangers(listed, rows, self._survey.wanted.address):
                await graph.remove(client, one.subscription_id, _slot_of(one))
                log_event(
                    "subscription.strangerDeleted",
                    connection=self._connection.id,
                    resource=one.resource,
                )
        except SyncError as error:
            log_event("subscriptions.notListed", connection=self._connection.id, code=error.code)

    async def _ask_for_run(self) -> None:
        """Ask for a run where something was not told: the first time a full one, if links are older.

        Subscription, then delta link, then full reading: in another order, a change in between is found by
        the schedule alone.
        """
        if not self.made:
            return
        lease = await self._services.store.leases.read(self._connection.id)
        if self._survey.is_first and lease.last_started_at is None:
            return
        mode = "full" if self._survey.is_first else "auto"
        await ask_for_run(self._services, self._connection.id, mode)


def _slot_of(listed: Listed) -> str:
    resource = listed.resource.strip("/").lower()
    return resource.partition("/")[0]
