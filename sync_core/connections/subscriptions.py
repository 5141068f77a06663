"""A connection's subscriptions: what is stored, and what Graph has, brought to what is wanted.

Maintenance does it every hour for all connections, a message of the queue after a save. A failure is the
state of a subscription and a warning of the connection; it never fails a run, and polling finds all changes.
One that lives is kept when its renewal fails.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import groupby
from secrets import randbelow, token_urlsafe
from typing import Any

from sync_core.directory import subscriptions as graph
from sync_core.directory.client import GraphClient
from sync_core.directory.own_address import LIFECYCLE, NOTIFICATIONS, check_own_address
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.clouds import CLOUDS, CloudName
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import FixConnection, PreconditionFailed, RetryLater, SyncError
from sync_core.domain.notifications import client_state
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import (
    ALL_GROUPS,
    LIFE,
    PAUSE,
    Failure,
    Listed,
    Place,
    State,
    Subscription,
    Todo,
    Wanted,
    has_realtime,
    is_changed,
    is_of_groups,
    is_wide,
    needed_still,
    place_of,
    removes_first,
    replaced,
    strangers,
    todo,
    wishes_of,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.users import bounded

# Graph calls this app twice for each.
AT_ONCE = 4
CONNECTIONS_AT_ONCE = 4
# So long trouble of Graph is waited out; the next hour comes by itself.
PATIENCE_S = 60.0
# One connection whose Graph hangs must not keep the others from their turn.
LIMIT_S = 300.0
# Who deletes a connection waits for it.
REMOVAL_LIMIT_S = 10.0
# The end of a life is drawn from so many seconds: it tells one subscription from another.
JITTER_S = 3_600


class OwnAddress:
    """Our public address, tried once for all who ask for it together."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._one_at_a_time = asyncio.Lock()
        self._is_tried = False
        self._error: SyncError | None = None

    async def check(self) -> None:
        """Raise `FixConnection` where Graph could not deliver to it."""
        async with self._one_at_a_time:
            if not self._is_tried:
                try:
                    await check_own_address(
                        self._settings.public_base_url, self._settings.graph_endpoint
                    )
                except FixConnection as error:
                    self._error = error
                self._is_tried = True
        if self._error is not None:
            raise self._error


# --- who asks for it ------------------------------------------------------------------------------


async def ask(services: Services, connection_id: str) -> None:
    """Have a connection's subscriptions looked after, by a message of the queue: handshakes take time."""
    request = SyncRequest(
        connection_id=connection_id, trigger=Trigger.TIMER, purpose=Purpose.SUBSCRIBE
    )
    # A message that cannot be sent is made up for by the maintenance.
    with suppress(RetryLater):
        await services.queue.send(request)


async def ask_if_changed(services: Services, before: Connection | None, after: Connection) -> None:
    """Have them looked after where a save changes which they are, or what they are made with."""
    if is_changed(before, after):
        await ask(services, after.id)


async def tend_now(services: Services, connection_id: str) -> None:
    """Look after one connection's subscriptions, as a message of the queue asks."""
    stored = await services.store.connections.find(connection_id)
    if stored is None:
        await services.store.subscriptions.delete_all(connection_id)
        return
    await tend(services, stored.connection)


async def tend_all(services: Services) -> None:
    """Look after the subscriptions of all connections; what fails for one leaves the others alone."""
    connections = [one async for one in services.store.connections.all()]
    stored = {row.connection_id for row in await services.store.subscriptions.all()}
    for orphan in sorted(stored - {one.id for one in connections}):
        await guarded(orphan, partial(tend_now, services, orphan))
    address, swept = OwnAddress(services), set[Place]()
    calls = []
    for one in connections:
        if not has_realtime(one) and one.id not in stored:
            continue
        sweeps = has_realtime(one) and place_of(one) not in swept
        if sweeps:
            swept.add(place_of(one))
        work = partial(tend, services, one, address, sweeps=sweeps)
        calls.append(partial(guarded, one.id, work))
    await bounded(CONNECTIONS_AT_ONCE, calls)


async def guarded(connection_id: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do something about one connection's subscriptions; what fails is told, and made up for every hour."""
    try:
        async with asyncio.timeout(LIMIT_S):
            await work()
    except (SyncError, TimeoutError) as error:
        code = error.code if isinstance(error, SyncError) else "subscription.timeLimit"
        log_event(
            "subscriptions.notTended", level=logging.WARNING, connection=connection_id, code=code
        )
    except Exception:  # noqa: BLE001 -- one connection must not keep the others from their turn
        log_event(
            "subscriptions.notTended",
            level=logging.ERROR,
            exc_info=True,
            connection=connection_id,
        )


# --- one connection -------------------------------------------------------------------------------


async def tend(
    services: Services,
    connection: Connection,
    address: OwnAddress | None = None,
    *,
    sweeps: bool = False,
) -> None:
    """Bring a connection's subscriptions to what is wanted; with `sweeps`, delete strangers with our address.

    Raises what storage raises; what Graph and our address say against it is kept with the subscriptions.
    """
    survey = await surveyed(services, connection)
    open_work = todo(survey.rows, survey.wanted, services.clock())
    moved = [row for row in open_work.remove if row.place != survey.wanted.place]
    await remove(services, connection, moved)
    if survey.wanted.place is None:
        return
    open_work.remove = [row for row in open_work.remove if row not in moved]
    tending = Tending(services, connection, survey, address or OwnAddress(services))
    await tending.do(open_work, sweeps=sweeps)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a connection has and wants; `count` is how many its application has in the tenant."""

    rows: list[Subscription]
    wanted: Wanted
    count: int = 0

    @property
    def is_first(self) -> bool:
        """Whether nothing told of changes so far."""
        return not any(row.subscription_id is not None for row in self.rows)


async def surveyed(services: Services, connection: Connection) -> Survey:
    """Look at all connections of the same application and tenant: they share its quota, and subscriptions."""
    store, now = services.store, services.clock()
    every = await store.subscriptions.all()
    rows = [row for row in every if row.connection_id == connection.id]
    url = f"{services.settings.public_base_url}{NOTIFICATIONS}"
    if not has_realtime(connection):
        return Survey(rows, Wanted(connection.id, frozenset(), None, url))
    place = place_of(connection)
    wishes = {connection.id: wishes_of(connection, await store.checkpoints.tree(connection.id))}
    async for one in store.connections.all():
        if one.id not in wishes and has_realtime(one) and place_of(one) == place:
            with suppress(FixConnection):  # a scope that cannot be used wants nothing
                wishes[one.id] = wishes_of(one, await store.checkpoints.tree(one.id))
    there = [row for row in every if row.place == place and row.owner is None]
    wide = is_wide(wishes.values(), was_wide=any(row.slot == ALL_GROUPS for row in there))
    slots = {name: one.slots(is_wide=wide) for name, one in wishes.items()}
    others = {
        row.slot: row
        for row in there
        if row.connection_id != connection.id
        and row.slot in slots.get(row.connection_id, ())
        and row.address == url
        and row.state in {State.ACTIVE, State.FAILING}
        and row.is_live(now)
    }
    count = sum(row.subscription_id is not None for row in there)
    return Survey(rows, Wanted(connection.id, slots[connection.id], place, url, others), count)


@dataclass(slots=True)
class Tending:
    """One round over one connection's subscriptions."""

    services: Services
    connection: Connection
    survey: Survey
    address: OwnAddress
    made: set[str] = field(default_factory=set)
    refused: dict[bool, SyncError] = field(default_factory=dict)

    async def do(self, work: Todo, *, sweeps: bool = False) -> None:
        """Do what there is to do, and ask for a run if changes may have been missed."""
        wanted = set(work.create)
        if not await self._address_works(work):
            work.create, work.renew = [], []
        else:
            early = work.remove if removes_first(work, self.survey.count) else replaced(work)
            await remove(self.services, self.connection, early)
            work.remove = [row for row in work.remove if row not in early]
        for row in work.share:
            await self._share(row)
        if work.create or work.renew or work.check or sweeps:
            await self._with_graph(work, sweeps=sweeps)
        needed = needed_still(work, self.survey.wanted.slots, wanted - self.made)
        late = [row for row in work.remove if row not in needed]
        await remove(self.services, self.connection, late)
        await self._ask_for_run()

    async def _address_works(self, work: Todo) -> bool:
        if not work.needs_validation:
            return True
        try:
            await self.address.check()
        except FixConnection as error:
            kept = {row.slot: row for row in [*self.survey.rows, *work.renew]}
            for slot in [*work.create, *(row.slot for row in work.renew)]:
                await self._fail(slot, kept.get(slot), error)
            return False
        return True

    async def _with_graph(self, work: Todo, *, sweeps: bool) -> None:
        try:
            async with opened(self.services, self.connection) as client:
                # What says no to a token says no to everything.
                await client.roles()
                await self.make(client, work.create)
                await bounded(AT_ONCE, (partial(self.renew, client, row) for row in work.renew))
                await self.check(client, work.check)
                if sweeps:
                    await self._sweep(client)
        except (FixConnection, RetryLater) as error:
            # Who cannot be asked for in passing trouble is no worse for it.
            asked = [*work.renew, *(work.check if isinstance(error, FixConnection) else [])]
            rows = {row.slot: row for row in [*self.survey.rows, *asked]}
            for slot in [*work.create, *(row.slot for row in asked)]:
                await self._fail(slot, rows.get(slot), error)

    async def replace_all(self, rows: Sequence[Subscription]) -> None:
        """Make subscriptions anew that live; where our address does not answer, they stay as they are."""
        if not await self._address_works(Todo(renew=list(rows))):
            return
        try:
            async with opened(self.services, self.connection) as client:
                await client.roles()
                await bounded(AT_ONCE, (partial(self._replace, client, row) for row in rows))
        except (FixConnection, RetryLater) as error:
            for row in rows:
                await self._fail(row.slot, row, error)
        await self._ask_for_run()

    async def _replace(self, client: GraphClient, row: Subscription) -> None:
        """Remove first: Graph has one of an application for each thing."""
        try:
            await graph.remove(client, row.subscription_id or "", row.slot)
        except SyncError as error:
            await self._fail(row.slot, row, error)
            return
        await self.make_one(client, row.slot, replace(row, state=State.FAILING))

    # --- making -----------------------------------------------------------------------------------

    async def make(self, client: GraphClient, slots: Sequence[str]) -> None:
        """Make subscriptions where there are none."""
        kept = {row.slot: row for row in self.survey.rows if self.survey.wanted.fits(row)}
        calls = (partial(self.make_one, client, slot, kept.get(slot)) for slot in slots)
        await bounded(AT_ONCE, calls)

    async def make_one(self, client: GraphClient, slot: str, kept: Subscription | None) -> None:
        """Make one subscription in place of a row without one; what is refused for one is for all alike."""
        if refused := self.refused.get(is_of_groups(slot)):
            await self._fail(slot, kept, refused)
            return
        try:
            # Written first: what Graph tells meanwhile is known by its nonce, and nobody else makes one.
            row = await self.services.store.subscriptions.put(self._begun(slot, kept))
        except PreconditionFailed:
            return
        try:
            made = await self._made(client, row, kept)
        except RetryLater as error:
            # It may have been made, and only the answer is lost.
            await self._note(row, failure=Failure.of(error))
        except SyncError as error:
            if error.code in {"graph.permissionMissing", "subscription.quota"}:
                self.refused[is_of_groups(slot)] = error
            await self._fail(slot, row, error)
        else:
            await self._note(row, **made)
            self.made.add(slot)
            log_event("subscription.made", connection=self.connection.id, resource=row.resource)
            for sharer in row.sharers:
                await ask(self.services, sharer)

    def _begun(self, slot: str, kept: Subscription | None) -> Subscription:
        """Return the row of a subscription that is about to be made.

        Where the answer to an earlier try is lost, its nonce is used again: Graph may have taken it.
        """
        now = self.services.clock()
        again = kept is not None and kept.state is State.CREATING and kept.nonce
        return Subscription(
            self.connection.id,
            slot,
            self._place,
            self.survey.wanted.address,
            nonce=kept.nonce if kept is not None and again else token_urlsafe(16),
            # Of two that are made at the same moment, each is known again by its end.
            expires_at=now + LIFE - timedelta(seconds=randbelow(JITTER_S)),
            tried_at=now,
            sharers=kept.sharers if kept is not None else (),
            etag=kept.etag if kept is not None else None,
        )

    async def _made(
        self, client: GraphClient, row: Subscription, kept: Subscription | None
    ) -> dict[str, Any]:
        """Ask Graph for a subscription; return what there is to note of it, or of the one that is there."""
        key = await self.services.vault.own_key(CLIENT_STATE_KEY)
        wanted = graph.NewSubscription(
            slot=row.slot,
            notification_url=row.address,
            lifecycle_url=f"{self.services.settings.public_base_url}{LIFECYCLE}",
            client_state=client_state(key, row.connection_id, row.nonce),
            expires_at=row.expires_at or self.services.clock() + LIFE,
        )
        try:
            return self._active(await graph.create(client, wanted))
        except graph.AlreadyThere as clash:
            found = await self._there(client, row, kept, clash)
        # What was in the way is gone.
        return found or self._active(await graph.create(client, wanted))

    async def _there(
        self,
        client: GraphClient,
        row: Subscription,
        kept: Subscription | None,
        clash: graph.AlreadyThere,
    ) -> dict[str, Any] | None:
        """Return what to note of the subscription that is in the way; None once it is not any more.

        Ours whose answer was lost is adopted, and another connection's serves both. One with our address
        that nobody knows is deleted: with which `clientState` it was made, Graph does not tell. Raises the
        clash for another installation's.
        """
        if clash.subscription_id is None:
            raise clash
        [found] = await graph.find_all(client, [clash.subscription_id], [row.slot])
        if isinstance(found, SyncError):
            raise found
        if found is None:
            return None
        if (nonce := _nonce_of(found, row, kept)) is not None:
            log_event("subscription.adopted", connection=row.connection_id, resource=row.resource)
            return self._active(found) | {"nonce": nonce}
        every = await self.services.store.subscriptions.all()
        for other in every:
            if other.connection_id == row.connection_id or other.owner is not None:
                continue
            if other.subscription_id == found.subscription_id or found.was_asked_by(other):
                await self._add_sharer(other)
                return self._active(found) | {"owner": other.connection_id}
        if not found.is_ours(row.address):
            raise clash
        await graph.remove(client, found.subscription_id, row.slot)
        return None

    def _active(self, found: Listed) -> dict[str, Any]:
        now = self.services.clock()
        return {
            "state": State.ACTIVE,
            "subscription_id": found.subscription_id,
            "expires_at": found.expires_at,
            "created_at": now,
            "renewed_at": None,
            "failure": None,
        }

    async def _share(self, row: Subscription) -> None:
        """Note that another connection's subscription serves this one, too."""
        other = self.survey.wanted.others[row.slot]
        stored = next((one for one in self.survey.rows if one.slot == row.slot), None)
        if row != stored:
            with suppress(PreconditionFailed):
                await self.services.store.subscriptions.put(row)
        await self._add_sharer(other)

    async def _add_sharer(self, other: Subscription) -> None:
        if self.connection.id not in other.sharers:
            await self._note(other, sharers=(*other.sharers, self.connection.id))

    # --- keeping ----------------------------------------------------------------------------------

    async def renew(self, client: GraphClient, row: Subscription) -> None:
        """Renew one subscription, which reauthorizes it as well; make it again where Graph has lost it."""
        now = self.services.clock()
        try:
            row = await self.services.store.subscriptions.put(replace(row, tried_at=now))
        except PreconditionFailed:
            return
        try:
            found = await graph.renew(client, row.subscription_id or "", row.slot, now + LIFE)
        except graph.Lost:
            await self._remake(client, row)
        except SyncError as error:
            await self._fail(row.slot, row, error)
        else:
            await self._note(
                row,
                state=State.ACTIVE,
                expires_at=found.expires_at,
                renewed_at=now,
                failure=None,
            )
            log_event("subscription.renewed", connection=row.connection_id, resource=row.resource)

    async def check(self, client: GraphClient, rows: Sequence[Subscription]) -> None:
        """Ask for each by its id, and make those again that are lost."""
        if not rows:
            return
        ids, slots = [row.subscription_id or "" for row in rows], [row.slot for row in rows]
        found: Sequence[Listed | SyncError | None]
        try:
            found = await graph.find_all(client, ids, slots)
        except RetryLater as error:
            log_event("subscriptions.notChecked", connection=self.connection.id, code=error.code)
            return
        except SyncError as error:
            found = [error] * len(rows)
        for row, listed in zip(rows, found, strict=True):
            if listed is None:
                await self._remake(client, row)
            elif isinstance(listed, SyncError):
                await self._fail(row.slot, row, listed)
            elif row.state is not State.ACTIVE or not listed.was_asked_by(row):
                await self._note(
                    row, state=State.ACTIVE, expires_at=listed.expires_at, failure=None
                )

    async def _remake(self, client: GraphClient, row: Subscription) -> None:
        log_event("subscription.lost", connection=row.connection_id, resource=row.resource)
        try:
            await self.address.check()
        except FixConnection as error:
            await self._fail(row.slot, row, error)
            return
        await self.make_one(client, row.slot, replace(row, state=State.FAILING))

    async def _sweep(self, client: GraphClient) -> None:
        """Delete what has our address and is nobody's: Graph's list is read first, and the table after it."""
        try:
            listed = await graph.list_all(client)
            rows = await self.services.store.subscriptions.all()
            for one in strangers(listed, rows, self.survey.wanted.address):
                await graph.remove(client, one.subscription_id, _slot_of(one))
                log_event(
                    "subscription.strangerDeleted",
                    connection=self.connection.id,
                    resource=one.resource,
                )
        except SyncError as error:
            log_event("subscriptions.notListed", connection=self.connection.id, code=error.code)

    # --- what is noted ----------------------------------------------------------------------------

    @property
    def _place(self) -> Place:
        return place_of(self.connection)

    async def _fail(self, slot: str, row: Subscription | None, error: SyncError) -> None:
        """Note why a subscription could not be had; what lives of it stays."""
        failure = Failure.of(error)
        if row is not None and (row.state, row.failure) == (State.FAILING, failure):
            return
        log_event(
            "subscription.failing",
            level=logging.WARNING,
            connection=self.connection.id,
            slot=slot,
            code=error.code,
        )
        row = row or Subscription(self.connection.id, slot, self._place, self.survey.wanted.address)
        await self._note(row, state=State.FAILING, failure=failure)

    async def _note(self, row: Subscription, **changes: Any) -> None:
        """Write into a row, also where somebody has written beside it, unless it is another's by now."""
        store = self.services.store.subscriptions
        for _ in range(3):
            try:
                await store.put(replace(row, **changes))
            except PreconditionFailed:
                found = await store.find(row.connection_id, row.slot)
                same = found is not None and (found.nonce, found.subscription_id) == (
                    row.nonce,
                    row.subscription_id,
                )
                if found is None or not same:
                    return
                row = found
            else:
                return

    async def _ask_for_run(self) -> None:
        """Ask for a run where something was not told: the first time a full one, if links are older.

        Subscription, then delta link, then full reading: in another order, a change in between is found by
        the schedule alone.
        """
        if not self.made:
            return
        lease = await self.services.store.leases.read(self.connection.id)
        if self.survey.is_first and lease.last_started_at is None:
            return
        mode = "full" if self.survey.is_first else "auto"
        await ask_for_run(self.services, self.connection.id, mode)


async def ask_for_run(services: Services, connection_id: str, mode: str = "auto") -> None:
    """Ask for a run because changes may not have been told."""
    request = SyncRequest.model_validate(
        {"connectionId": connection_id, "trigger": Trigger.LIFECYCLE, "mode": mode}
    )
    with suppress(RetryLater):  # the schedule finds them
        await services.queue.send(request)


def opened(services: Services, connection: Connection) -> AbstractAsyncContextManager[GraphClient]:
    """Open the way to Graph, with less patience than a run has."""
    budget: RetryBudget = services.directory.retry_budget()
    return services.directory.open(
        connection, replace(budget, budget_s=min(PATIENCE_S, budget.budget_s))
    )


def _nonce_of(found: Listed, row: Subscription, kept: Subscription | None) -> str | None:
    """Return the nonce with which a subscription was made that is there already; None where nobody knows."""
    if kept is not None and kept.subscription_id == found.subscription_id:
        return kept.nonce
    was_asked_before = kept is not None and kept.nonce == row.nonce and found.was_asked_by(kept)
    return row.nonce if was_asked_before or found.was_asked_by(row) else None


def _slot_of(listed: Listed) -> str:
    resource = listed.resource.strip("/").lower()
    return resource.partition("/")[0]


# --- removing -------------------------------------------------------------------------------------


async def remove(services: Services, connection: Connection, rows: Iterable[Subscription]) -> None:
    """Remove subscriptions, at Graph and here; those of another tenant or application as far as we can.

    What cannot be removed there ends by itself within 29 days, and what it sends is discarded.
    """
    by_place = sorted(rows, key=lambda row: row.place)
    for place, some in groupby(by_place, key=lambda row: row.place):
        await _remove_at(services, connection, place, list(some))


async def _remove_at(
    services: Services, connection: Connection, place: Place, rows: Sequence[Subscription]
) -> None:
    now, store = services.clock(), services.store.subscriptions
    is_known = place.cloud in CLOUDS  # else another release has made them
    live = [row for row in rows if row.owner is None and row.is_live(now) and is_known]
    for row in rows:
        if row not in live:
            await _leave_owner(services, row)
            await store.delete(row)
    if not live:
        return
    there = connection.model_copy(
        update={
            "cloud": CloudName(place.cloud),
            "tenant_id": place.tenant_id,
            "client_id": place.client_id,
        }
    )
    try:
        async with opened(services, there) as client:
            await client.roles()
            await bounded(
                AT_ONCE, (partial(_remove_one, services, connection, client, row) for row in live)
            )
    except SyncError as error:
        for row in live:
            await _left(services, connection, row, error)


async def _leave_owner(services: Services, row: Subscription) -> None:
    """Have another connection's subscription serve this one no longer."""
    store = services.store.subscriptions
    for _ in range(3):
        owned = await store.find(row.owner, row.slot) if row.owner is not None else None
        if owned is None or row.connection_id not in owned.sharers:
            return
        sharers = tuple(one for one in owned.sharers if one != row.connection_id)
        with suppress(PreconditionFailed):
            await store.put(replace(owned, sharers=sharers))


async def _remove_one(
    services: Services, connection: Connection, client: GraphClient, row: Subscription
) -> None:
    try:
        await graph.remove(client, row.subscription_id or "", row.slot)
    except SyncError as error:
        await _left(services, connection, row, error)
        return
    await services.store.subscriptions.delete(row)
    log_event("subscription.removed", connection=row.connection_id, resource=row.resource)
    for sharer in row.sharers:
        await ask(services, sharer)


async def _left(
    services: Services, connection: Connection, row: Subscription, error: SyncError
) -> None:
    """Leave a subscription that cannot be removed now: to the next hour, or for good."""
    log_event(
        "subscription.left", connection=row.connection_id, resource=row.resource, code=error.code
    )
    store = services.store.subscriptions
    is_here = connection.tenant_id is not None and row.place == place_of(connection)
    if isinstance(error, RetryLater) and is_here:
        with suppress(PreconditionFailed):
            await store.put(replace(row, state=State.REMOVING, failure=Failure.of(error)))
    else:
        await store.delete(row)


async def remove_all(services: Services, connection: Connection) -> None:
    """Remove all subscriptions of a connection that is being deleted, within seconds or not at all."""
    rows = await services.store.subscriptions.of(connection.id)
    with suppress(TimeoutError):
        async with asyncio.timeout(REMOVAL_LIMIT_S):
            await remove(services, connection, rows)


# --- anew -----------------------------------------------------------------------------------------


async def make_anew(services: Services, connection: Connection, slots: Iterable[str]) -> None:
    """Make subscriptions anew that live and tell nothing; what cannot be made anew now stays as it is.

    One that was made minutes ago stays: another worker may have found the same silence.
    """
    wanted, now = set(slots), services.clock()
    survey = await surveyed(services, connection)
    rows = [
        row
        for row in survey.rows
        if row.slot in wanted
        and survey.wanted.fits(row)
        and (row.created_at is None or now - row.created_at >= PAUSE)
    ]
    for owner in sorted({row.owner for row in rows if row.owner is not None}):
        stored = await services.store.connections.find(owner)
        if stored is not None:
            shared = [row.slot for row in rows if row.owner == owner]
            await make_anew(services, stored.connection, shared)
    own = [row for row in rows if row.owner is None and row.subscription_id is not None]
    if not own:
        return
    tending = Tending(services, connection, survey, OwnAddress(services))
    await tending.replace_all(own)
