"""All people of a connection at once, because it is deleted: planned from what is stored, and written.

The directory is not asked: nobody is said to have left. A row and its history go together in one batch,
as in a run.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sync_core.concurrency import in_thread
from sync_core.domain.connections.deletion import Users, departures
from sync_core.domain.documents.connection import Connection
from sync_core.domain.model import HEX_DIGITS, Change, Inventory, Status, StoredPerson
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.plan.decide import is_protected
from sync_core.domain.plan.digest import PlanDigest
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.plan.ledger import Ledger
from sync_core.domain.plan.plan import ALLOWED
from sync_core.runs.spool import ChangeSpool
from sync_core.services import Services
from sync_core.store.fences import Fence
from sync_core.store.index import watch_for
from sync_core.store.rows import Stamp, mapped_values
from sync_core.store.users import UserStore, bounded

# Each holds the stored rows of one partition in memory.
PARTITIONS_AT_ONCE = 4
NOTHING_WRITTEN = Verdict(hold_removals=True, hold_creates=True, reasons=())


@dataclass(slots=True)
class Removal:
    """Everybody whom a deletion disables or deletes, by object id, and what speaks against it."""

    changes: ChangeSpool
    inventory: Inventory
    plan_hash: str = ""
    people: int = 0
    protected: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)


@asynccontextmanager
async def draft_removal(
    services: Services, connection: Connection, users: Users
) -> AsyncIterator[Removal]:
    """Plan what a deletion does to the people; the plan is on disk until this ends."""
    store, assertions = services.store.users(connection.id), Assertions(connection.assertions)
    stored = await store.load_index(watch=watch_for(assertions))
    inventory = await in_thread(Inventory.of, stored.people)
    digest = PlanDigest(connection.id)
    before = assertions.broken(NOTHING_WRITTEN, inventory.active, ())
    with ChangeSpool() as changes:
        removal = Removal(changes, inventory)

        def take(some: Iterable[Change]) -> None:
            for change in some:
                if is_protected(change, connection.policy):
                    removal.protected.append(change.user_principal_name or change.object_id)
                changes.add(change)
                removal.people += 1
                digest.add(change)

        async for some in _planned(store, users, stored.people, inventory):
            await in_thread(take, some)
        removal.plan_hash = digest.text
        # Whoever is out already does not go again; and what is not true today is no reason to keep the
        # connection for ever.
        going = (one for one in changes if stored.people[one.object_id].status is Status.ACTIVE)
        after = await in_thread(assertions.broken, ALLOWED, inventory.active, going)
        removal.broken += [text for number, text in after.items() if number not in before]
        yield removal


async def _planned(
    store: UserStore, users: Users, people: Mapping[str, StoredPerson], inventory: Inventory
) -> AsyncIterator[Iterator[Change]]:
    """Yield the changes by object id, with what the rows hold of the people, a partition at a time."""
    for digit in HEX_DIGITS:
        changes = await in_thread(_departures, users, people, digit)
        rows = await store.load_rows(digit, changes, inventory.by_digit.get(digit, 0))
        yield (_with_stored(change, rows.get(change.object_id, {})) for change in changes)


def _departures(users: Users, people: Mapping[str, StoredPerson], digit: str) -> list[Change]:
    those = sorted(object_id for object_id in people if object_id[0] == digit)
    return list(departures(users, {object_id: people[object_id] for object_id in those}))


def _with_stored(change: Change, row: dict[str, Any]) -> Change:
    change.user_principal_name = str(row.get("UserPrincipalName") or "")
    change.before = mapped_values(row)
    return change


async def write_removal(
    services: Services, removal: Removal, stamp: Stamp, ledger: Ledger, fence: Fence
) -> None:
    """Disable the people of the plan, each with a row of history, and count them."""
    store = services.store.users(stamp.connection_id)

    async def write(digit: str) -> None:
        changes = await in_thread(removal.changes.read, digit)
        rows = await store.load_rows(digit, changes, removal.inventory.by_digit.get(digit, 0))
        async for change, error in store.apply(changes, rows, stamp, fence):
            if error is None:
                ledger.written(change)

    ledger.at_least = True
    await bounded(PARTITIONS_AT_ONCE, (partial(write, digit) for digit in HEX_DIGITS))
    ledger.at_least = False
